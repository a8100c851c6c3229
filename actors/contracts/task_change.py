"""What can be asked of the task actor about all that happens, for mirrors, offline clients and backups."""

from __future__ import annotations

import msgspec

from actors.contracts.values import Cursor, Id, Limit, Time
from runtime.message import Page, Query


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """Something happened in a project. What it is now must be read; it may have changed further since.

    `type` is the name of an event. `project_id` is where it was: a task that moves to another project has a change in
    each. `task_id` is null for what happens to a project itself, `version` where nothing has one.
    """

    cursor: str
    type: str
    project_id: Id
    task_id: Id | None
    version: int | None
    at: Time


class ListChanges(Query[Page[Change]], frozen=True, kw_only=True):
    """All changes that the caller may see, the oldest first, in the order in which they were made.

    Begins behind `since`, the cursor of a change or a `next_cursor` (`cursor` says the same), else with the oldest that
    is kept. Refuses `changes.expired` when that was more than 30 days ago: some may be missing then, so read all anew.
    """

    since: Cursor | None = None
    limit: Limit = 50
    cursor: Cursor | None = None
