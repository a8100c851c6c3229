"""How a task is changed, whoever asks for it: what is checked, what is written down, and what is told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec

from actors.contracts.task import Task, TaskAssigned, TaskCompleted, TaskCreated, TaskUpdated, UpdateTask
from actors.contracts.task_recurrence import NewRecurrence
from actors.contracts.values import Versions
from actors.records.activity import Entry
from actors.records.task import Link, TaskRecords, TaskRow
from actors.requests import check_match
from actors.task_fields import changed_task
from actors.task_mentions import Known, Mentions
from actors.task_places import position
from actors.task_reminders import change_reminders, set_reminders
from actors.task_rights import WRITERS, check_kept, task_for
from actors.task_series import Follower, counted_from, followed, following_row, in_zone, refusal
from runtime.context import Context
from runtime.errors import Conflict


async def change_task(
    id: str, wanted: Callable[[TaskRow], UpdateTask], ctx: Context[TaskRecords], *, if_match: Versions = None
) -> Task:
    """Change fields of a task; without a difference nothing happens.

    Refuses `task.not_found`, `auth.forbidden`, `task.deleted`, `request.precondition_failed`, `task.parent_cycle` and
    ids that the project does not have; emits TaskUpdated, TaskAssigned and TaskCompleted, and TaskCreated for the next
    one of a series.

    :param wanted: from the task as it is to what it should be; asked again when someone else was faster.
    """
    while True:
        seen = await task_for(id, ctx, *WRITERS)
        before = seen.task
        check_kept(seen)
        check_match(if_match, before.version, "task")
        command = wanted(before)
        if isinstance(command.recurrence, NewRecurrence):
            recurrence = await in_zone(command.recurrence, before.created_by, ctx.records)
            command = msgspec.structs.replace(command, recurrence=recurrence)
        after, changed = changed_task(command, before, ctx.now)
        if not changed:
            return seen.view()
        await _check(command, before, changed, ctx.records)
        if {"recurrence", "due_at", "start_at"}.intersection(changed):
            refused = refusal(after.recurrence, counted_from(after), anew="recurrence" in changed)
            if refused is not None:
                raise refused
        after, follower = completed(after, changed, ctx.now)
        if follower is not None:  # what it mentions stays until it is there; and boards are locked before tasks
            await ctx.records.projects.lock([before.project_id])
        if await ctx.records.change([(before, after)]):
            break
    await change_reminders(before, after, ctx)
    view = after.view(watching=seen.watching)
    await tell_of_changes([(seen.view(), view, changed)], ctx)
    if follower is not None:
        await add_follower(after, follower, ctx)
    return view


def completed(task: TaskRow, changed: Sequence[str], now: int) -> tuple[TaskRow, Follower | None]:
    """A changed task; and the next of its series, where the change makes one."""
    return followed(task, now) if "status" in changed and task.status == "done" else (task, None)


async def add_follower(task: TaskRow, follower: Follower, ctx: Context[TaskRecords]) -> None:
    """Make the next task of a series, last on the board, which is locked; emits TaskCreated and TaskAssigned."""
    board = (await ctx.records.projects.reserve({task.project_id: 1}))[task.project_id]
    place = position(board.last_place)
    row = following_row(task, follower, id=ctx.new_id(), number=board.last_number, position=place, now=ctx.now)
    await ctx.records.add([row])
    await set_reminders([row], ctx)
    await ctx.records.activity.add([tell_of_new(row.view(), ctx)])


async def _check(command: UpdateTask, task: TaskRow, changed: Sequence[str], records: TaskRecords) -> None:
    """What is newly mentioned must be there, and a parent must not be below the task."""

    def mentioned(field: str) -> Sequence[str]:
        ids = getattr(command, field)
        return ids if field in changed and ids else ()

    project, assignees = task.project_id, mentioned("assignee_ids")
    parent = command.parent_id if "parent_id" in changed and command.parent_id else None
    mentions = Mentions(project, assignees, mentioned("label_ids"), parent)
    if not mentions:
        return
    # what is mentioned stays until it is written down, and no two changes make a circle together
    await records.projects.lock([project])
    members = await records.projects.roles([(project, id) for id in assignees]) if assignees else {}
    refusal = (await Known.look_up(records, [mentions], members)).refusal(mentions)
    if refusal is not None:
        raise refusal
    if parent and task.id in await records.ancestors(parent):
        raise Conflict("task.parent_cycle", "a task cannot be below itself")


async def tell_of_changes(changes: Sequence[tuple[Task, Task, list[str]]], ctx: Context[TaskRecords]) -> None:
    """Write down how tasks were, are now, and in what fields they differ.

    Emits TaskUpdated for each, and TaskAssigned and TaskCompleted where that is what happened.
    """
    entries = [
        entry(ctx, now, field, getattr(was, field), getattr(now, field))
        for was, now, changed in changes
        for field in changed
    ]
    await ctx.records.activity.add(entries)
    audiences = await ctx.records.audience.of([now.id for _, now, _ in changes])
    for was, now, changed in changes:
        ctx.emit(
            TaskUpdated(
                task=now,
                changed=changed,
                actor_id=ctx.caller.id,
                at=now.updated_at,
                audience_ids=audiences[now.id],
                left_project_id=None if was.project_id == now.project_id else was.project_id,
            )
        )
        assigned = [each for each in now.assignee_ids if each not in was.assignee_ids]
        completed = "status" in changed and now.status == "done"
        emit_consequences(ctx, now, assigned, audiences[now.id], completed=completed)


def tell_of_new(task: Task, ctx: Context[TaskRecords]) -> Entry:
    """Emits TaskCreated, TaskAssigned and TaskCompleted; what is to be written down of it."""
    ctx.emit(TaskCreated(task=task, actor_id=ctx.caller.id, at=task.created_at))
    audience = list(dict.fromkeys([*task.assignee_ids, *filter(None, [task.created_by])]))
    emit_consequences(ctx, task, task.assignee_ids, audience, completed=task.status == "done")
    return entry(ctx, task, "created_at", None, task.created_at)


async def unlink_everywhere(link: Link, id: str, project_id: str, ctx: Context[TaskRecords]) -> None:
    """Take a person or a label off all tasks of a project; emits TaskUpdated for each."""
    views = [task.view() for task in await ctx.records.unlink(link, id, project_id, ctx.now)]
    had = [msgspec.structs.replace(view, **{link: [*getattr(view, link), id]}) for view in views]
    await tell_of_changes([(was, view, [link]) for was, view in zip(had, views, strict=True)], ctx)


def entry(ctx: Context[TaskRecords], task: Task, field: str, was: object, became: object) -> Entry:
    """What happened to a field, for the task's history."""
    return Entry(ctx.new_id(), task.id, ctx.caller.id, field, _json(was), _json(became), ctx.now)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def emit_consequences(
    ctx: Context[TaskRecords], task: Task, assigned: Iterable[str], audience: list[str], *, completed: bool
) -> None:
    """Emits TaskAssigned and TaskCompleted. :param audience: who is told that it is completed."""
    by = ctx.caller.id
    for assignee in assigned:
        ctx.emit(TaskAssigned(task=task, assignee_id=assignee, actor_id=by, at=task.updated_at))
    if completed:
        ctx.emit(TaskCompleted(task=task, actor_id=by, at=task.updated_at, audience_ids=audience))
