"""How a task is changed, whoever asks for it: what is checked, what is written down, and what is told."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from actors.contracts.task import Task, TaskAssigned, TaskCompleted, TaskCreated, TaskUpdated, UpdateTask
from actors.contracts.values import Versions
from actors.records.activity import Entry
from actors.records.task import Link, TaskRecords
from actors.records.task_row import Seen, TaskRow
from actors.requests import caller_of, check_match
from actors.task_fields import changed_task
from actors.task_mentions import Known, Mentions
from actors.task_places import position
from actors.task_reminders import change_reminders, set_reminders
from actors.task_rights import WRITERS, check_kept, forbidden, no_task
from actors.task_series import Follower, following_row, in_zone, settled
from runtime.context import Context
from runtime.errors import Conflict, Refusal

LISTING: Final = ("assignee_ids", "label_ids", "parent_id")
"""Fields that hold ids of what must be there."""


class Wish(NamedTuple):
    """What someone wants of a task.

    :ivar wanted: from the task as it is to what it should be; asked again when someone else was faster. May refuse.
    """

    id: str
    wanted: Callable[[TaskRow], UpdateTask]
    if_match: Versions = None


async def change_task(
    id: str, wanted: Callable[[TaskRow], UpdateTask], ctx: Context[TaskRecords], *, if_match: Versions = None
) -> Task:
    """Change fields of a task; see `change_tasks`. Raises what that refuses."""
    (answer,) = await change_tasks([Wish(id, wanted, if_match)], ctx)
    if isinstance(answer, Refusal):
        raise answer
    return answer


async def change_tasks(wishes: Sequence[Wish], ctx: Context[TaskRecords]) -> list[Task | Refusal]:
    """Change fields of tasks, one after the other; without a difference nothing happens.

    Refuses `task.not_found`, `auth.forbidden`, `task.deleted`, `request.precondition_failed`, `task.parent_cycle` and
    ids that the project does not have, and what cannot recur; emits TaskUpdated, TaskAssigned and TaskCompleted, and
    TaskCreated for the next one of a series.
    """
    caller = caller_of(ctx)
    answers: dict[int, Task | Refusal] = {}
    while len(answers) < len(wishes):
        waiting = {n: wish for n, wish in enumerate(wishes) if n not in answers}
        found = await ctx.records.seen({(wish.id, caller) for wish in waiting.values()})
        seen = {each.task.id: each for each in found.values()}
        attempt = _Attempt(seen, ctx)
        made = await attempt.make(waiting)
        changes = [(each.task, attempt.present[id]) for id, each in seen.items() if attempt.present[id] != each.task]
        written = await ctx.records.change(changes) if changes else set()
        raced = {was.id for was, _ in changes} - written  # someone else was faster: look at what they made of it
        answers |= {n: answer for n, answer in made.items() if wishes[n].id not in raced}
        for was, now in changes:
            if was.id in written:
                await change_reminders(was, now, ctx)
        await tell_of_changes([step for step in attempt.steps if step[1].id in written], ctx)
        for task, follower in attempt.followers:
            if task.id in written:
                await add_follower(task, follower, ctx)
    return [answers[n] for n in range(len(wishes))]


class _Attempt:
    """What becomes of tasks, if nobody else changes them meanwhile.

    :ivar present: each task as it is after what was wished until now.
    :ivar steps: (was, is, changed fields) of each wish that makes a difference.
    :ivar followers: tasks that were completed, with the next of their series.
    """

    def __init__(self, seen: Mapping[str, Seen], ctx: Context[TaskRecords]) -> None:
        self.present = {id: each.task for id, each in seen.items()}
        self.steps: list[tuple[Task, Task, list[str]]] = []
        self.followers: list[tuple[TaskRow, Follower]] = []
        self._seen = seen
        self._ctx = ctx

    async def make(self, wishes: Mapping[int, Wish]) -> dict[int, Task | Refusal]:
        """The answers."""
        answers: dict[int, Task | Refusal] = {}
        commands: dict[int, UpdateTask] = {}
        for n, wish in wishes.items():
            try:
                commands[n] = self._command(wish)
            except Refusal as refusal:
                answers[n] = refusal
        known = await self._look_up(list(commands.values()), alone=len(wishes) == 1)
        for n, command in commands.items():
            try:
                answers[n] = await self._step(command, known)
            except Refusal as refusal:
                answers[n] = refusal
        return answers

    def _command(self, wish: Wish) -> UpdateTask:
        seen = self._seen.get(wish.id)
        if seen is None:
            raise no_task()
        if seen.role not in WRITERS:
            raise forbidden()
        check_kept(seen)
        check_match(wish.if_match, seen.task.version, "task")
        return wish.wanted(seen.task)

    async def _look_up(self, commands: Sequence[UpdateTask], *, alone: bool) -> Known | None:
        """What is there of all that they mention; None when they mention nothing.

        What is mentioned stays until it is written down, and no two changes make a circle together. Who changes several
        tasks holds their boards in any case, lest two wait for each other's.
        """
        mentions = [self._mentions(command, LISTING) for command in commands]
        records, projects = self._ctx.records, {each.project_id for each in mentions}
        if any(mentions) or not alone:
            await records.projects.lock(projects)
        if not any(mentions):
            return None
        asked = {(each.project_id, id) for each in mentions for id in each.assignee_ids}
        return await Known.look_up(records, mentions, await records.projects.roles(asked) if asked else {})

    async def _step(self, command: UpdateTask, known: Known | None) -> Task:
        before, watching = self.present[command.id], self._seen[command.id].watching
        command = await in_zone(command, before.created_by, self._ctx.records)
        after, changed = changed_task(command, before, self._ctx.now)
        mentions = self._mentions(command, changed)
        if known is not None and mentions:
            unknown = known.refusal(mentions)
            if unknown is not None:
                raise unknown
            parent = mentions.parent_id
            if parent and before.id in await self._ctx.records.ancestors(parent):
                raise Conflict("task.parent_cycle", "a task cannot be below itself")
        after, follower = settled(after, changed, self._ctx.now)
        if follower is not None:  # what it mentions stays until it is there; and boards are locked before tasks
            await self._ctx.records.projects.lock([before.project_id])
            self.followers.append((after, follower))
        view = after.view(watching=watching)
        if changed:
            self.steps.append((before.view(watching=watching), view, changed))
            self.present[command.id] = after
        return view

    def _mentions(self, command: UpdateTask, fields: Container[str]) -> Mentions:
        """The ids in these fields of a change."""
        listed = [getattr(command, field) or () if field in fields else () for field in LISTING]
        assignees, labels, parent = listed
        return Mentions(self.present[command.id].project_id, assignees, labels, parent or None)


async def add_follower(task: TaskRow, follower: Follower, ctx: Context[TaskRecords]) -> None:
    """Make the next task of a series, last on the board, which is locked; emits TaskCreated and TaskAssigned."""
    board = (await ctx.records.projects.reserve({task.project_id: 1}))[task.project_id]
    place = position(board.last_place)
    row = following_row(task, follower, id=ctx.new_id(), number=board.last_number, position=place, now=ctx.now)
    await ctx.records.add([row])
    await set_reminders([row], ctx)
    await ctx.records.activity.add([tell_of_new(row.view(), ctx)])


async def tell_of_changes(changes: Sequence[tuple[Task, Task, list[str]]], ctx: Context[TaskRecords]) -> None:
    """Write down how tasks were, are now, and in what fields they differ.

    Emits TaskUpdated for each, and TaskAssigned and TaskCompleted where that is what happened.
    """
    if not changes:
        return
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
