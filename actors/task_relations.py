"""How tasks stand to each other: the part of the task actor that relates them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from actors.contracts.task import Relation, RelationType, Task
from actors.contracts.task_relation import RelateTask, UnrelateTask
from actors.contracts.values import Versions
from actors.records.task import TaskRecords
from actors.records.task_row import Seen, TaskRow
from actors.requests import check_match
from actors.task_changes import tell_of_changes
from actors.task_rights import WRITERS, check_kept, locked_tasks_for, task_for
from runtime.actor import handles
from runtime.context import Context
from runtime.errors import Conflict

INVERSE: Final[Mapping[RelationType, RelationType]] = {
    "blocks": "blocked_by",
    "blocked_by": "blocks",
    "relates": "relates",
    "duplicates": "duplicated_by",
    "duplicated_by": "duplicates",
}
"""How a relation looks from the other side."""


class Relations:
    """Handlers of relations. They are a field of both tasks: who writes one must be able to write both."""

    @handles
    async def relate(self, command: RelateTask, ctx: Context[TaskRecords]) -> Task:
        """Relate a task to another one; again is no error.

        Refuses `task.not_found`, `auth.forbidden`, `task.deleted` and `task.relation_cycle`; emits TaskUpdated for
        both.
        """
        return await relate(command.id, command.kind, command.other_id, ctx)

    @handles
    async def unrelate(self, command: UnrelateTask, ctx: Context[TaskRecords]) -> Task:
        """End a relation; one that is not there is no error.

        Refuses `task.not_found`, `auth.forbidden`, `task.deleted` and `request.precondition_failed`; emits TaskUpdated
        for both.
        """
        return await unrelate(command.id, command.kind, command.other_id, ctx, if_match=command.if_match)


async def relate(id: str, type: RelationType, other_id: str, ctx: Context[TaskRecords]) -> Task:
    """Relate two tasks, seen from the first; see `Relations.relate`."""
    one = await _first_of_both(id, other_id, ctx)
    if id == other_id:
        raise Conflict("task.relation_cycle", "a task has no relation to itself")
    if _has(one.task, type, other_id):
        return one.view()
    relations = ctx.records.relations
    if "blocks" in (type, INVERSE[type]):
        blocking, blocked = (id, other_id) if type == "blocks" else (other_id, id)
        await relations.lock_blocks()
        if blocking in await relations.blocked_by(blocked):
            raise Conflict("task.relation_cycle", "tasks cannot block each other in a circle")
    await relations.add([(id, type, other_id), (other_id, INVERSE[type], id)])
    return await _write(id, type, other_id, ctx, add=True)


async def unrelate(
    id: str, type: RelationType, other_id: str, ctx: Context[TaskRecords], *, if_match: Versions = None
) -> Task:
    """End a relation, seen from the first task; see `Relations.unrelate`."""
    one = await _first_of_both(id, other_id, ctx)
    check_match(if_match, one.task.version, "task")
    if not _has(one.task, type, other_id):
        return one.view()
    await ctx.records.relations.remove([(id, type, other_id), (other_id, INVERSE[type], id)])
    return await _write(id, type, other_id, ctx, add=False)


async def forget_relations(erased: Sequence[str], ctx: Context[TaskRecords]) -> None:
    """Take tasks that were erased off those that they were related to; emits TaskUpdated for each."""
    others = await ctx.records.relations.forget(erased)
    while others:
        changes = []
        for was in await ctx.records.rows(sorted(others)):
            kept = [each for each in was.view().relations if each.task_id not in others[was.id]]
            changes.append((was, _with(was, kept, ctx.now)))
        written = await ctx.records.change(changes) if changes else set()
        done = [(was.view(), now.view(), ["relations"]) for was, now in changes if was.id in written]
        await tell_of_changes(done, ctx)
        others = {was.id: others[was.id] for was, _ in changes if was.id not in written}


async def _first_of_both(id: str, other_id: str, ctx: Context[TaskRecords]) -> Seen:
    """The first of two tasks, whose projects are then locked."""
    one, other = await locked_tasks_for([id, other_id], ctx, *WRITERS)
    check_kept(one)
    check_kept(other)
    return one


async def _write(id: str, type: RelationType, other_id: str, ctx: Context[TaskRecords], *, add: bool) -> Task:
    """Let both tasks show it."""
    waiting = {id: Relation(type=type, task_id=other_id), other_id: Relation(type=INVERSE[type], task_id=id)}
    while waiting:
        changes = []
        for each in sorted(waiting):
            seen = await task_for(each, ctx, *WRITERS)
            rest = [relation for relation in seen.view().relations if relation != waiting[each]]
            now = _with(seen.task, [*rest, waiting[each]] if add else rest, ctx.now)
            changes.append((seen, now))
        written = await ctx.records.change([(seen.task, now) for seen, now in changes])
        done = [(seen, now) for seen, now in changes if now.id in written]
        views = [(seen.view(), now.view(watching=seen.watching), ["relations"]) for seen, now in done]
        await tell_of_changes(views, ctx)
        for each in written:  # someone else has changed the others since they were read
            del waiting[each]
    return (await task_for(id, ctx, *WRITERS)).view()


def _with(task: TaskRow, relations: Sequence[Relation], now: int) -> TaskRow:
    return msgspec.structs.replace(
        task, relations=msgspec.json.encode(relations).decode(), updated_at=now, version=task.version + 1
    )


def _has(task: TaskRow, type: RelationType, other_id: str) -> bool:
    return Relation(type=type, task_id=other_id) in task.view().relations
