"""Where tasks stand: the part of the task actor that moves them, on their board and into other projects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import UNSET

from actors.contracts.task import Task, TaskUpdated, UpdateTask
from actors.contracts.task_move import MoveTask
from actors.contracts.values import rfc3339
from actors.records.board import Standing
from actors.records.project import Board
from actors.records.task import TaskRecords
from actors.records.task_row import Seen, TaskRow, as_list, ids
from actors.task_changes import Following, add_followers, tell_of_changes
from actors.task_fields import changed_task
from actors.task_places import LONGEST, position, spread
from actors.task_quotas import Limited, Quotas
from actors.task_rights import WRITERS, check_kept, locked_tasks_for, project_for, task_for
from actors.task_series import settled
from runtime.actor import handles
from runtime.context import Context
from runtime.errors import Conflict, Fault, Invalid

NEIGHBOURS: Final = 32
"""Tasks on either side of a place that are given new positions at first, when there is no room left."""

_FIELDS: Final = ("project_id", "number", "parent_id", "status", "assignee_ids", "label_ids", "position")
"""What a move can change, in the order in which it is told."""


class Moves(Limited):
    """Handlers of moves."""

    @handles
    async def move(self, command: MoveTask, ctx: Context[TaskRecords]) -> Task:
        """Move a task; see `move_task`."""
        return await move_task(command, self._quotas, ctx)


async def move_task(command: MoveTask, quotas: Quotas, ctx: Context[TaskRecords]) -> Task:
    """Move a task on its board, to a status, or with all below it into another project; without a difference nothing
    happens.

    Refuses `task.not_found`, `project.not_found`, `auth.forbidden`, `task.deleted`, `quota.exceeded` and
    `request.invalid`; emits TaskUpdated and TaskCompleted, and TaskCreated for the next one of a series.
    """
    if command.before_id and command.after_id:
        raise _invalid("/after_id", "must not be there beside before_id")
    if not (command.status or command.project_id or command.before_id or command.after_id):
        raise _invalid("", "must say where to: status, project_id, before_id or after_id")
    await task_for(command.id, ctx, *WRITERS)  # who may not see it is told nothing of the project
    if command.project_id:
        await project_for(command.project_id, ctx, *WRITERS)
    (seen,) = await locked_tasks_for([command.id], ctx, *WRITERS, projects=filter(None, [command.project_id]))
    if command.project_id:
        await project_for(command.project_id, ctx, *WRITERS)  # as it is now that nobody ends a membership
    check_kept(seen)
    project_id = command.project_id or seen.task.project_id
    place = await _place_of(command, project_id, ctx)
    if project_id != seen.task.project_id:
        await _emigrate(seen.task.id, project_id, command, place, quotas, ctx)
        return (await task_for(command.id, ctx, *WRITERS)).view()
    return await _move_within(seen, command, place, ctx)


async def move_back(id: str, place: str, ctx: Context[TaskRecords]) -> Task:
    """Let a task of a locked board stand where it stood. Refuses `activity.not_undoable`: another one stands there."""
    seen = await task_for(id, ctx, *WRITERS)
    if await ctx.records.boards.is_taken(seen.task.project_id, place):
        raise Conflict("activity.not_undoable", "another task stands there now")
    return await _move_within(seen, MoveTask(id=id), place, ctx)


async def _move_within(seen: Seen, command: MoveTask, place: str | None, ctx: Context[TaskRecords]) -> Task:
    while True:
        after, changed = _moved(seen.task, command, ctx.now, position=place or seen.task.position)
        if not changed:
            return seen.view()
        after, follower = settled(after, changed, ctx.now)
        if await ctx.records.change([(seen.task, after)]):
            break
        seen = await task_for(seen.task.id, ctx, *WRITERS)  # someone else was faster: look at what they made of it
        check_kept(seen)
    view = after.view(watching=seen.watching)
    await tell_of_changes([(seen.view(), view, changed)], ctx)
    if follower is not None:
        await add_followers([Following(after, follower, ctx)], ctx.records)
    return view


async def _emigrate(
    id: str, project_id: str, command: MoveTask, place: str | None, quotas: Quotas, ctx: Context[TaskRecords]
) -> None:
    """Take a task and all below it into another project, both of which are locked."""
    records = ctx.records
    tree = await records.tree(id)
    board = (await records.projects.reserve({project_id: len(tree)}))[project_id]
    if await quotas.room(project_id, board, len(tree), records.projects) < len(tree):
        raise quotas.no_more_tasks()
    behind = {task.id: len(tree) - n for n, task in enumerate(tree, 1)}
    await records.audience.unwatch_strangers(list(behind), project_id)
    keeps = await _Keeps.look_up(tree, project_id, records)
    waiting = list(behind)
    while waiting:
        changes = []
        followers: list[Following] = []
        for was in await records.rows(waiting):
            now, changed = _moved(
                was,
                command if was.id == id else MoveTask(id=was.id),
                ctx.now,
                project_id=project_id,
                number=board.last_number - behind[was.id],
                parent_id=None if was.id == id else was.parent_id,
                assignee_ids=as_list([each for each in ids(was.assignee_ids) if each in keeps.members]),
                label_ids=as_list([keeps.labels[each] for each in ids(was.label_ids) if each in keeps.labels]),
                position=place if place and was.id == id else position(board.last_place - behind[was.id]),
            )
            now, follower = settled(now, changed, ctx.now)
            changes.append((was, now, changed))
            if follower is not None:
                followers.append(Following(now, follower, ctx))
        written = await records.change([(was, now) for was, now, _ in changes])
        done = [(was.view(), now.view(), changed) for was, now, changed in changes if now.id in written]
        await tell_of_changes(done, ctx)
        await add_followers([each for each in followers if each.task.id in written], records)
        waiting = [each for each in waiting if each not in written]  # changed by someone else since they were read


class _Keeps(msgspec.Struct, frozen=True):
    """What tasks keep in another project.

    :param members: assignees who take part in it.
    :param labels: label → that of the same name there.
    """

    members: set[str]
    labels: Mapping[str, str]

    @classmethod
    async def look_up(cls, tasks: Sequence[TaskRow], project_id: str, records: TaskRecords) -> _Keeps:
        people = {each for task in tasks for each in ids(task.assignee_ids)}
        roles = await records.projects.roles([(project_id, each) for each in people]) if people else {}
        labels = sorted({each for task in tasks for each in ids(task.label_ids)})
        names = await records.labels.names_of(labels) if labels else {}
        there = await records.labels.named(project_id, sorted(names.values())) if names else {}
        return cls({user_id for _, user_id in roles}, {id: there[name] for id, name in names.items() if name in there})


def _moved(task: TaskRow, command: MoveTask, now: int, **fields: Any) -> tuple[TaskRow, list[str]]:
    """A task where it is to be, and the names of the fields that are then different."""
    after, _ = changed_task(UpdateTask(id=task.id, status=command.status or UNSET), task, now)
    after = msgspec.structs.replace(after, **fields)
    changed = [field for field in _FIELDS if getattr(after, field) != getattr(task, field)]
    return msgspec.structs.replace(after, updated_at=now, version=task.version + 1), changed


# ------------------------------------------------------------------------------------------------- places


async def _place_of(command: MoveTask, project_id: str, ctx: Context[TaskRecords]) -> str | None:
    """The position beside the neighbour that is named; None when none is. Refuses `request.invalid`."""
    neighbour = command.before_id or command.after_id
    if neighbour is None:
        return None
    rows = await ctx.records.rows([neighbour])
    if neighbour == command.id or not rows or rows[0].project_id != project_id or rows[0].deleted_at is not None:
        pointer = "/before_id" if command.before_id else "/after_id"
        raise _invalid(pointer, "must be another task of the project")
    at = Standing(rows[0].position, neighbour)
    beside = ctx.records.boards.before if command.before_id else ctx.records.boards.behind
    nearest = await beside(project_id, at, 1)
    if nearest and nearest[0].id == command.id:
        return nearest[0].position  # it stands there already
    if command.after_id and not nearest:
        board = (await ctx.records.projects.reserve({project_id: 0}))[project_id]
        await ctx.records.projects.set_board(project_id, Board(board.last_number, board.last_place + 1))
        return position(board.last_place + 1)
    other = nearest[0].position if nearest else ""
    low, high = (other, at.position) if command.before_id else (at.position, other)
    if low < high:
        (place,) = spread(low, high, 1)
        if len(place) <= LONGEST:
            return place
    return await _make_room(command, project_id, at, ctx)


async def _make_room(command: MoveTask, project_id: str, at: Standing, ctx: Context[TaskRecords]) -> str:
    """The position beside a neighbour, once those around it were spread out evenly; emits TaskUpdated for each.

    They stand in the same order as before: nobody is told, and their history says nothing of it.
    """
    boards, count = ctx.records.boards, NEIGHBOURS
    board = (await ctx.records.projects.reserve({project_id: 0}))[project_id]
    while True:
        before = [each for each in await boards.before(project_id, at, count + 2) if each.id != command.id]
        behind = [each for each in await boards.behind(project_id, at, count + 2) if each.id != command.id]
        (behind if command.before_id else before).insert(0, at)
        low = before[count].position if len(before) > count else ""
        high = behind[count].position if len(behind) > count else position(board.last_place + 1)
        row = [each.id for each in (*reversed(before[:count]), Standing("", command.id), *behind[:count])]
        if low < high:
            places = dict(zip(row, spread(low, high, len(row)), strict=True))
            if max(map(len, places.values())) <= LONGEST // 2:
                break
        count *= 4
    place = places.pop(command.id)
    stood = {each.id: each.position for each in (*before, *behind)}
    for task in await ctx.records.place({id: each for id, each in places.items() if each != stood[id]}):
        now = rfc3339(ctx.now)
        ctx.emit(TaskUpdated(task=task.view(), changed=["position"], actor_id=ctx.caller.id, at=now, audience_ids=[]))
    return place


def _invalid(pointer: str, detail: str) -> Invalid:
    return Invalid("request.invalid", "the task cannot be moved there", faults=(Fault(pointer, detail),))
