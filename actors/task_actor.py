"""The task actor: projects, who takes part in them, and their tasks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

import msgspec

from actors.contracts.media import Attachments, AttachmentsCounted, MediaAttached, MediaDeleted
from actors.contracts.task import (
    CreateTask,
    DeleteTask,
    GetTask,
    ListTasks,
    RestoreTask,
    Task,
    TaskAccess,
    TaskDeleted,
    TasksErased,
    UpdateTask,
    VouchForTask,
)
from actors.contracts.values import rfc3339
from actors.pages import paged, place
from actors.records.activity import Entry
from actors.records.project import Board
from actors.records.task import Seen, TaskRecords, TaskRow
from actors.records.task_list import order, page
from actors.requests import caller_of, check_match
from actors.task_changes import add_follower, change_task, entry, tell_of_changes, tell_of_new
from actors.task_comments import Comments
from actors.task_feed import Feed, note_changes
from actors.task_fields import new_task, refusal_of
from actors.task_history import History
from actors.task_imports import Imports, ImportSettings
from actors.task_labels import Labels
from actors.task_links import Links
from actors.task_mentions import Known, Mentions
from actors.task_moves import Moves
from actors.task_people import People
from actors.task_places import position
from actors.task_projects import ERASED_AT_ONCE, Projects
from actors.task_quotas import Quotas, QuotaSettings
from actors.task_relations import Relations, forget_relations
from actors.task_reminders import Reminders, set_reminders
from actors.task_rights import (
    EVERYONE,
    WRITERS,
    barred,
    locked_task_for,
    no_task,
    task_for,
)
from actors.task_seed import Seeding
from actors.task_series import followed, in_zone, with_occurrences
from actors.task_summary import Summary
from runtime.actor import Actor, every, handles
from runtime.context import Context, ManyContext
from runtime.errors import Refusal
from runtime.message import Grant, Page, Tick, encode
from runtime.ports import Blobs

IN_TRASH_MS: Final = 30 * 24 * 3600 * 1000
"""How long the trash keeps a task."""


class TaskSettings(ImportSettings, QuotaSettings, Protocol):
    """What this actor reads of the settings."""


class TaskActor(
    People,
    Projects,
    Labels,
    Links,
    Relations,
    Moves,
    History,
    Comments,
    Feed,
    Summary,
    Reminders,
    Imports,
    Seeding,
    Actor[TaskRecords],
):
    """Who must do what by when. Who may see what is decided here, in the transaction that does it.

    Its handlers are sorted by subject: those of tasks are here, each base class has those of another one.
    """

    name = "task"
    records = TaskRecords

    def __init__(self, *, blobs: Blobs, settings: TaskSettings) -> None:
        super().__init__(blobs=blobs, settings=settings)
        self._quotas = Quotas.of(settings)

    # ------------------------------------------------------------------------------------ attachments

    @handles
    async def vouch_for_task(self, query: VouchForTask, ctx: Context[TaskRecords]) -> Grant:
        """A grant on a task that the caller sees. Refuses `task.not_found`."""
        seen = await task_for(query.task_id, ctx, *EVERYONE)
        task, gone = seen.task, seen.task.deleted_at is not None
        access = TaskAccess(user_id=caller_of(ctx), project_id=task.project_id, role=seen.role, deleted=gone)
        return ctx.vouch("task", task.id, encode(access))

    @handles
    async def count_attached(self, event: MediaAttached, ctx: Context[TaskRecords]) -> None:
        """Keep the number of files, to show it."""
        await _keep_attachments(event.attachments, ctx)

    @handles
    async def count_detached(self, event: MediaDeleted, ctx: Context[TaskRecords]) -> None:
        """Likewise; a file may have had no task."""
        if event.attachments is not None:
            await _keep_attachments(event.attachments, ctx)

    @handles
    async def count_again(self, event: AttachmentsCounted, ctx: Context[TaskRecords]) -> None:
        """Likewise."""
        await _keep_attachments(event.attachments, ctx)

    # ------------------------------------------------------------------------------------ tasks

    @handles(many=True)
    async def create(self, commands: Sequence[CreateTask], ctx: ManyContext[TaskRecords]) -> list[Task | Refusal]:
        """Put tasks into projects, each last on its board, numbered without gaps.

        One that recurs and is done already is followed by the next. Refuses `project.not_found`, `auth.forbidden`,
        `quota.exceeded`, ids that the project does not have, and what cannot recur; emits TaskCreated, TaskAssigned and
        TaskCompleted.
        """
        commands = await self._in_zones(commands, ctx)
        refusals = await self._refusals_of(commands, ctx)
        boards = await ctx.records.projects.reserve(_coming(commands, refusals))
        boards = await self._check_room(commands, refusals, boards, ctx)
        counts = _coming(commands, refusals)
        answers: list[Task | Refusal] = []
        tasks: list[TaskRow] = []
        entries: list[Entry] = []
        followers = []
        for command, refusal, each in zip(commands, refusals, ctx.each, strict=True):
            if refusal is not None:
                answers.append(refusal)
                continue
            board, behind = boards[command.project_id], counts[command.project_id] - 1
            counts[command.project_id] = behind
            task = new_task(
                command,
                id=ctx.new_id(),
                number=board.last_number - behind,
                position=position(board.last_place - behind),
                creator=each.caller.id,
                now=ctx.now,
            )
            task, follower = followed(task, ctx.now) if task.status == "done" else (task, None)
            if follower is not None:
                followers.append((task, follower, each))
            tasks.append(task)
            view = task.view()
            answers.append(view)
            entries.append(tell_of_new(view, each))
        await ctx.records.add(tasks)
        await set_reminders(tasks, ctx)
        await ctx.records.activity.add(entries)
        for task, follower, each in followers:
            await add_follower(task, follower, each)
        return answers

    @handles(many=True)
    async def get(self, queries: Sequence[GetTask], ctx: ManyContext[TaskRecords]) -> list[Task | Refusal]:
        """Tasks that the callers may see, also from the trash; where asked for, with the dates of those that follow.

        Refuses `task.not_found`.
        """
        wanted = [(query.id, each.caller.id or "") for query, each in zip(queries, ctx.each, strict=True)]
        found = await ctx.records.seen(wanted)
        return [
            with_occurrences(found[pair], ctx.now, query.occurrences) if pair in found else no_task()
            for pair, query in zip(wanted, queries, strict=True)
        ]

    @handles
    async def list_tasks(self, query: ListTasks, ctx: Context[TaskRecords]) -> Page[Task]:
        """Tasks of the caller's projects that meet all filters."""
        by = order(query.sort)
        seen = await page(ctx.records.session, query, caller_of(ctx), place(query, query.cursor, by.key_type))
        return paged(query, query.limit, seen, Seen.view, lambda each: (by.key(each.task), each.task.id))

    @handles
    async def update(self, command: UpdateTask, ctx: Context[TaskRecords]) -> Task:
        """Change fields of a task; see `change_task` for what is refused and emitted."""
        return await change_task(command.id, lambda task: command, ctx, if_match=command.if_match)

    @handles
    async def delete(self, command: DeleteTask, ctx: Context[TaskRecords]) -> None:
        """Move a task and its subtasks to the trash; again is no error.

        Refuses `task.not_found`, `auth.forbidden` and `request.precondition_failed`; emits TaskDeleted for each.
        """
        seen = await locked_task_for(command.id, ctx, *WRITERS)
        if seen.task.deleted_at is not None:
            return
        check_match(command.if_match, seen.task.version, "task")
        views = [task.view() for task in await ctx.records.trash([command.id], ctx.now)]
        await ctx.records.activity.add([entry(ctx, view, "deleted_at", None, view.deleted_at) for view in views])
        audiences = await ctx.records.audience.of([view.id for view in views])
        for view in views:
            ctx.emit(
                TaskDeleted(task=view, actor_id=ctx.caller.id, at=rfc3339(ctx.now), audience_ids=audiences[view.id])
            )

    @handles
    async def restore(self, command: RestoreTask, ctx: Context[TaskRecords]) -> Task:
        """Take a task out of the trash, and the subtasks that went there with it; one that is not there stays as it is.

        Refuses `task.not_found` and `auth.forbidden`; emits TaskUpdated for each.
        """
        seen = await locked_task_for(command.id, ctx, *WRITERS)
        if seen.task.deleted_at is None:
            return seen.view()
        trashed = seen.view()
        views = [task.view() for task in await ctx.records.restore(seen.task, ctx.now)]
        changes = []
        for view in views:
            was = trashed if view.id == trashed.id else msgspec.structs.replace(view, deleted_at=trashed.deleted_at)
            changed = [field for field in ("deleted_at", "parent_id") if getattr(was, field) != getattr(view, field)]
            changes.append((was, view, changed))
        await tell_of_changes(changes, ctx)
        return (await task_for(command.id, ctx, *WRITERS)).view()

    @every(minutes=1)
    async def empty_trash(self, tick: Tick, ctx: Context[TaskRecords]) -> None:
        """Erase the next of what has been in the trash for too long; emits TasksErased."""
        gone = await ctx.records.erase_trash(ctx.now - IN_TRASH_MS, ERASED_AT_ONCE)
        if gone:
            await forget_relations(gone, ctx)
            ctx.emit(TasksErased(task_ids=gone))

    # ------------------------------------------------------------------------------------ what they share

    async def _check_room(
        self,
        commands: Sequence[CreateTask],
        refusals: list[Refusal | None],
        boards: Mapping[str, Board],
        ctx: ManyContext[TaskRecords],
    ) -> Mapping[str, Board]:
        """Refuse the last of those that are too many, and put their numbers back; the boards as they are then."""
        projects, kept = ctx.records.projects, dict(boards)
        for id, board in boards.items():
            coming = [n for n, each in enumerate(commands) if each.project_id == id and refusals[n] is None]
            surplus = len(coming) - await self._quotas.room(id, board, len(coming), projects)
            if surplus <= 0:
                continue
            for n in coming[-surplus:]:
                refusals[n] = self._quotas.no_more_tasks()
            kept[id] = Board(board.last_number - surplus, board.last_place - surplus)
            await projects.set_board(id, kept[id])
        return kept

    async def _in_zones(self, commands: Sequence[CreateTask], ctx: ManyContext[TaskRecords]) -> Sequence[CreateTask]:
        """Where a task recurs, with a time zone."""
        if not any(command.recurrence for command in commands):
            return commands
        zoned = []
        for command, each in zip(commands, ctx.each, strict=True):
            if command.recurrence is not None:
                recurrence = await in_zone(command.recurrence, each.caller.id, ctx.records)
                command = msgspec.structs.replace(command, recurrence=recurrence)  # the same, told fully
            zoned.append(command)
        return zoned

    async def _refusals_of(self, commands: Sequence[CreateTask], ctx: ManyContext[TaskRecords]) -> list[Refusal | None]:
        """For each new task, why it cannot be; None where it can."""
        callers = [each.caller.id or "" for each in ctx.each]
        asked = {(command.project_id, caller) for command, caller in zip(commands, callers, strict=True)}
        asked |= {(command.project_id, id) for command in commands for id in command.assignee_ids}
        roles = await ctx.records.projects.roles(asked)
        mentions = [
            Mentions(command.project_id, command.assignee_ids, command.label_ids, command.parent_id)
            for command in commands
        ]
        if any(mentions):
            # what is mentioned stays until the tasks are there; all boards, to lock them in one order
            await ctx.records.projects.lock({project_id for project_id, _ in roles})
            roles = await ctx.records.projects.roles(asked)
        known = await Known.look_up(ctx.records, mentions, roles)
        return [
            barred(roles.get((command.project_id, caller)), *WRITERS)
            or known.refusal(each)
            or (refusal_of(command) if command.recurrence else None)
            for command, caller, each in zip(commands, callers, mentions, strict=True)
        ]


def _coming(commands: Sequence[CreateTask], refusals: Sequence[Refusal | None]) -> Counter[str]:
    """Project → how many of these tasks it gets."""
    return Counter(each.project_id for each, refusal in zip(commands, refusals, strict=True) if refusal is None)


async def _keep_attachments(attachments: Attachments, ctx: Context[TaskRecords]) -> None:
    task = await ctx.records.keep_attachments(attachments)
    if task is not None:
        await note_changes([task], ctx.records, ctx.now)
