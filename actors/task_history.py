"""The history of tasks: the part of the task actor that shows it, and takes back what is in it."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from actors.contracts.task import Relation, Task, UpdateTask
from actors.contracts.task_activity import Activity, ListActivity, UndoActivity
from actors.contracts.task_move import MoveTask
from actors.pages import paged, place
from actors.records.activity import Entry
from actors.records.task import TaskRecords
from actors.records.task_row import TaskRow
from actors.requests import caller_of
from actors.task_changes import change_task
from actors.task_moves import move_back, move_task
from actors.task_quotas import Limited, Quotas
from actors.task_relations import relate, unrelate
from actors.task_rights import EVERYONE, WRITERS, check_kept, forbidden, locked_task_for, task_for
from runtime.actor import handles
from runtime.context import Context
from runtime.errors import Conflict, Forbidden, Invalid, NotFound
from runtime.message import Page

_CHANGED: Final = frozenset(UpdateTask.__struct_fields__) - {"id", "if_match"}
"""Fields that a change of a task can give any value."""


class History(Limited):
    """Handlers of the history of tasks."""

    @handles
    async def list_activity(self, query: ListActivity, ctx: Context[TaskRecords]) -> Page[Activity]:
        """What happened to a task, newest first. Refuses `task.not_found`."""
        await task_for(query.id, ctx, *EVERYONE)
        after = place(query, query.cursor, str)
        entries = await ctx.records.activity.page_of(query.id, limit=query.limit + 1, after=after[1] if after else None)
        return paged(query, query.limit, entries, Entry.view, lambda entry: ("", entry.id))

    @handles
    async def undo(self, command: UndoActivity, ctx: Context[TaskRecords]) -> Task:
        """Give a field the value again that it had before. It is a change like any other, with what that emits.

        Refuses `activity.not_found`, `auth.forbidden`, `task.deleted` and `activity.not_undoable`.
        """
        found = await ctx.records.activity.seen(command.id, caller_of(ctx))
        if found is None:
            raise NotFound("activity.not_found", "there is no such activity")
        entry, role = found
        if role not in WRITERS:
            raise forbidden()
        check_kept(await task_for(entry.task_id, ctx, *WRITERS))
        try:
            return await _undone(entry, self._quotas, ctx)
        except (Invalid, NotFound, Forbidden):  # what the old value refers to is not there any more
            raise _not_undoable() from None
        except Conflict as refusal:
            raise refusal if refusal.code == "task.deleted" and not _refers(entry) else _not_undoable() from None


async def _undone(entry: Entry, quotas: Quotas, ctx: Context[TaskRecords]) -> Task:
    was = msgspec.json.decode(entry.was)
    if entry.field in _CHANGED:

        def inverse(task: TaskRow) -> UpdateTask:
            _check_applies(entry, task)
            return msgspec.convert({"id": task.id, entry.field: was}, UpdateTask)

        return await change_task(entry.task_id, inverse, ctx)
    seen = await locked_task_for(entry.task_id, ctx, *WRITERS)
    _check_applies(entry, seen.task)
    match entry.field:
        case "relations":
            return await _related_as_before(entry, seen.view(), ctx)
        case "position":
            return await move_back(seen.task.id, was, ctx)
        case "project_id":
            return await move_task(MoveTask(id=seen.task.id, project_id=was), quotas, ctx)
    raise _not_undoable()


async def _related_as_before(entry: Entry, task: Task, ctx: Context[TaskRecords]) -> Task:
    was, became = (msgspec.json.decode(text, type=list[Relation]) for text in (entry.was, entry.became))
    for each in became:
        if each not in was:
            task = await unrelate(task.id, each.type, each.task_id, ctx)
    for each in was:
        if each not in became:
            task = await relate(task.id, each.type, each.task_id, ctx)
    return task


def _check_applies(entry: Entry, task: TaskRow) -> None:
    """Refuses `activity.not_undoable` when the field has another value by now."""
    present = msgspec.to_builtins(getattr(task.view(), entry.field))
    if _plain(present) != _plain(msgspec.json.decode(entry.became)):
        raise _not_undoable()


def _plain(value: Any) -> Any:
    """The order in a list of ids or relations says nothing."""
    return sorted(value, key=str) if isinstance(value, list) else value


def _refers(entry: Entry) -> bool:
    """Whether the field's value names other tasks, which can be in the trash while this one is not."""
    return entry.field == "relations"


def _not_undoable() -> Conflict:
    return Conflict("activity.not_undoable", "this cannot be undone: the task has changed since")
