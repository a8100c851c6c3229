"""How a task is changed, whoever asks for it: what is checked, what is written down, and what is told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
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
from actors.task_series import Follower, following_row, in_zones, settled
from runtime.context import Context
from runtime.errors import Conflict, Refusal

LISTING: Final = ("assignee_ids", "label_ids", "parent_id")
"""Fields that hold ids of what must be there."""


class Wish(NamedTuple):
    """What someone wants of a task.

    :ivar wanted: from the task as it is to what it should be; asked again when someone else was faster. May refuse.
    :ivar ctx: of whoever wants it; all that are wished together share a transaction.
    """

    id: str
    wanted: Callable[[TaskRow], UpdateTask]
    ctx: Context[TaskRecords]
    if_match: Versions = None

    @classmethod
    def of(cls, command: UpdateTask, ctx: Context[TaskRecords]) -> Wish:
        return cls(command.id, lambda task: command, ctx, command.if_match)


class Step(NamedTuple):
    """What became of a task, in what fields, and by whom."""

    ctx: Context[TaskRecords]
    was: Task
    now: Task
    changed: Sequence[str]


class Following(NamedTuple):
    """A task that has just reached `done`, what follows it, and by whom."""

    task: TaskRow
    follower: Follower
    ctx: Context[TaskRecords]


async def change_task(
    id: str, wanted: Callable[[TaskRow], UpdateTask], ctx: Context[TaskRecords], *, if_match: Versions = None
) -> Task:
    """Change fields of a task; see `change_tasks`. Raises what that refuses."""
    (answer,) = await change_tasks([Wish(id, wanted, ctx, if_match)], ctx.records)
    if isinstance(answer, Refusal):
        raise answer
    return answer


async def change_tasks(wishes: Sequence[Wish], records: TaskRecords) -> list[Task | Refusal]:
    """Change fields of tasks, one after the other; without a difference nothing happens.

    Refuses `task.not_found`, `auth.forbidden`, `task.deleted`, `request.precondition_failed`, `task.parent_cycle` and
    ids that the project does not have, and what cannot recur; emits TaskUpdated, TaskAssigned and TaskCompleted, and
    TaskCreated for the next one of a series.
    """
    answers: dict[int, Task | Refusal] = {}
    while len(answers) < len(wishes):
        waiting = {n: wish for n, wish in enumerate(wishes) if n not in answers}
        attempt = _Attempt(await records.seen({_asked(wish) for wish in waiting.values()}), records)
        made = await attempt.make(waiting)
        changes = [(was, attempt.present[id]) for id, was in attempt.before.items() if attempt.present[id] != was]
        written = await records.change(changes) if changes else set()
        raced = {was.id for was, _ in changes} - written  # someone else was faster: look at what they made of it
        answers |= {n: answer for n, answer in made.items() if wishes[n].id not in raced}
        await change_reminders([each for each in changes if each[0].id in written], wishes[0].ctx)
        await tell_of_steps([step for step in attempt.steps if step.now.id in written], records)
        await add_followers([each for each in attempt.followers if each.task.id in written], records)
    return [answers[n] for n in range(len(wishes))]


def _asked(wish: Wish) -> tuple[str, str]:
    return wish.id, caller_of(wish.ctx)


class _Attempt:
    """What becomes of tasks, if nobody else changes them meanwhile.

    :ivar before: each task as it was read.
    :ivar present: and as it is after what was wished until now.
    :ivar steps: each wish that makes a difference.
    :ivar followers: what follows the tasks that were completed.
    """

    def __init__(self, seen: Mapping[tuple[str, str], Seen], records: TaskRecords) -> None:
        self.before = {each.task.id: each.task for each in seen.values()}
        self.present = dict(self.before)
        self.steps: list[Step] = []
        self.followers: list[Following] = []
        self._seen = seen
        self._records = records
        self._above: dict[str, str | None] = {}

    async def make(self, wishes: Mapping[int, Wish]) -> dict[int, Task | Refusal]:
        """The answers."""
        answers: dict[int, Task | Refusal] = {}
        commands: dict[int, UpdateTask] = {}
        for n, wish in wishes.items():
            try:
                commands[n] = self._command(wish)
            except Refusal as refusal:
                answers[n] = refusal
        creators = [self.present[each.id].created_by for each in commands.values()]
        commands = dict(zip(commands, await in_zones(list(commands.values()), creators, self._records), strict=True))
        known, alone = await self._look_up(list(commands.values())), len(wishes) == 1
        for n, command in commands.items():
            try:
                answers[n] = self._step(command, wishes[n], known)
            except Refusal as refusal:
                answers[n] = refusal
        if self.followers and alone and known is None:
            # what they mention stays until they are there; and boards are locked before tasks
            await self._lock(each.task.project_id for each in self.followers)
        return answers

    def _command(self, wish: Wish) -> UpdateTask:
        seen = self._seen.get(_asked(wish))
        if seen is None:
            raise no_task()
        if seen.role not in WRITERS:
            raise forbidden()
        check_kept(seen)
        return wish.wanted(seen.task)

    async def _look_up(self, commands: Sequence[UpdateTask]) -> Known | None:
        """What is there of all that they mention; None when they mention nothing.

        What is mentioned stays until it is written down, and no two changes make a circle together. Who changes several
        tasks holds their boards in any case, lest two wait for each other's.
        """
        mentions = [self._mentions(command, LISTING) for command in commands]
        if any(mentions) or len(commands) > 1:
            await self._lock(each.project_id for each in mentions)
        if not any(mentions):
            return None
        asked = {(each.project_id, id) for each in mentions for id in each.assignee_ids}
        parents = {each.parent_id for each in mentions if each.parent_id}
        self._above = dict(await self._records.above(parents)) if parents else {}
        roles = await self._records.projects.roles(asked) if asked else {}
        return await Known.look_up(self._records, mentions, roles)

    async def _lock(self, projects: Iterable[str]) -> None:
        await self._records.projects.lock(set(projects))

    def _step(self, command: UpdateTask, wish: Wish, known: Known | None) -> Task:
        before, ctx = self.present[command.id], wish.ctx
        check_match(wish.if_match, before.version, "task")
        after, changed = changed_task(command, before, ctx.now)
        mentions = self._mentions(command, changed)
        if known is not None and mentions:
            unknown = known.refusal(mentions)
            if unknown is not None:
                raise unknown
            if before.id in self._lineage(mentions.parent_id):
                raise Conflict("task.parent_cycle", "a task cannot be below itself")
        after, follower = settled(after, changed, ctx.now)
        if follower is not None:
            self.followers.append(Following(after, follower, ctx))
        watching = self._seen[_asked(wish)].watching
        view = after.view(watching=watching)
        if changed:
            self.steps.append(Step(ctx, before.view(watching=watching), view, changed))
            self.present[command.id] = after
            self._above[command.id] = after.parent_id
        return view

    def _lineage(self, id: str | None) -> Iterator[str]:
        """A task and those above it, as they are after what was wished until now."""
        while id is not None:
            yield id
            id = self._above.get(id)

    def _mentions(self, command: UpdateTask, fields: Container[str]) -> Mentions:
        """The ids in these fields of a change."""
        listed = [getattr(command, field) or () if field in fields else () for field in LISTING]
        assignees, labels, parent = listed
        return Mentions(self.present[command.id].project_id, assignees, labels, parent or None)


async def add_followers(followers: Sequence[Following], records: TaskRecords) -> None:
    """Make the next tasks of series, each last on its board, which is locked; emits TaskCreated and TaskAssigned."""
    if not followers:
        return
    coming = Counter(each.task.project_id for each in followers)
    boards = await records.projects.reserve(coming)
    rows, entries = [], []
    for task, follower, ctx in followers:
        board, behind = boards[task.project_id], coming[task.project_id] - 1
        coming[task.project_id] = behind
        place, number = position(board.last_place - behind), board.last_number - behind
        row = following_row(task, follower, id=ctx.new_id(), number=number, position=place, now=ctx.now)
        rows.append(row)
        entries.append(tell_of_new(row.view(), ctx))
    await records.add(rows)
    await set_reminders(rows, followers[0].ctx)
    await records.activity.add(entries)


async def tell_of_changes(changes: Sequence[tuple[Task, Task, list[str]]], ctx: Context[TaskRecords]) -> None:
    """Write down how tasks were, are now, and in what fields they differ. Emits what `tell_of_steps` does."""
    await tell_of_steps([Step(ctx, *each) for each in changes], ctx.records)


async def tell_of_steps(steps: Sequence[Step], records: TaskRecords) -> None:
    """Likewise, of what several people have changed.

    Emits TaskUpdated for each, and TaskAssigned and TaskCompleted where that is what happened.
    """
    if not steps:
        return
    entries = [
        entry(ctx, now, field, getattr(was, field), getattr(now, field))
        for ctx, was, now, changed in steps
        for field in changed
    ]
    await records.activity.add(entries)
    audiences = await records.audience.of(list({step.now.id: None for step in steps}))
    for ctx, was, now, changed in steps:
        ctx.emit(
            TaskUpdated(
                task=now,
                changed=list(changed),
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
