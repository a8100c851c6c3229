"""What can be asked of the task actor about the history of tasks."""

from __future__ import annotations

from typing import Any

import msgspec

from actors.contracts.task import Task
from actors.contracts.values import Cursor, Id, Limit, Time
from runtime.message import Command, Page, Query


class Activity(msgspec.Struct, frozen=True, kw_only=True, rename={"was": "from", "became": "to"}):
    """What became of one field of a task: `from` and `to` are its whole values, as `Task` shows them.

    `actor_id` is null where nobody asked for it.
    """

    id: Id
    task_id: Id
    actor_id: Id | None
    field: str
    was: Any
    became: Any
    created_at: Time


class ListActivity(Query[Page[Activity]], frozen=True, kw_only=True):
    """What happened to a task, the newest first; also from the trash. Refuses `task.not_found`."""

    id: Id
    limit: Limit = 50
    cursor: Cursor | None = None


class UndoActivity(Command[Task], frozen=True, kw_only=True):
    """Give a field the value again that it had before, as a new change.

    Refuses `activity.not_found`, `auth.forbidden`, `task.deleted`, and `activity.not_undoable` when the field has
    another value by now, or the old one is not possible any more.
    """

    id: Id
