"""The task actor: projects, who takes part in them, and their tasks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
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
    TasksErased,
    UpdateTask,
    VouchForTask,
)
from actors.contracts.task_recurrence import ListSeries, SeriesPlace
from actors.pages import paged, place
from actors.records.series import series_of
from actors.records.task import TaskRecords
from actors.records.task_filters import is_combined
from actors.records.task_list import order, page
from actors.records.task_row import Seen
from actors.requests import caller_of
from actors.task_batches import Batches
from actors.task_calendar import Calendars, CalendarSettings
from actors.task_changes import Wish, change_tasks, tell_of_changes
from actors.task_comments import Comments
from actors.task_creation import create_tasks
from actors.task_deletion import delete_tasks
from actors.task_feed import Feed, note_changes
from actors.task_history import History
from actors.task_imports import Imports, ImportSettings
from actors.task_labels import Labels
from actors.task_links import Links
from actors.task_moves import Moves
from actors.task_pages import KeptPages
from actors.task_people import People
from actors.task_projects import ERASED_AT_ONCE, Projects
from actors.task_quotas import Quotas, QuotaSettings
from actors.task_relations import Relations, forget_relations
from actors.task_reminders import Reminders
from actors.task_rights import (
    EVERYONE,
    WRITERS,
    locked_task_for,
    no_task,
    task_for,
)
from actors.task_seed import Seeding
from actors.task_series import with_occurrences
from actors.task_summary import Summary
from runtime.actor import Actor, every, handles
from runtime.context import Context, ManyContext
from runtime.errors import Fault, Invalid, Overloaded, Refusal
from runtime.keys import Sealer
from runtime.message import Grant, Page, Tick, encode
from runtime.ports import Blobs, Cache

LIST_S: Final = 1.0
"""Seconds that a page of combined filters or of a search may take; whose takes longer is told how to ask for less."""

BROAD: Final = 3
"""Lists that a process looks up at once where one may take long: fewer than it has connections, so that the others are
left to what is quick."""

TURN_S: Final = 2.0
"""Seconds that such a list waits for its turn before it is shed."""

IN_TRASH_MS: Final = 30 * 24 * 3600 * 1000
"""How long the trash keeps a task."""


class TaskSettings(ImportSettings, QuotaSettings, CalendarSettings, Protocol):
    """What this actor reads of the settings."""


class TaskActor(
    People,
    Projects,
    Labels,
    Links,
    Batches,
    Relations,
    Moves,
    History,
    Comments,
    Feed,
    Summary,
    Reminders,
    Calendars,
    Imports,
    Seeding,
    Actor[TaskRecords],
):
    """Who must do what by when. Who may see what is decided here, in the transaction that does it.

    Its handlers are sorted by subject: those of tasks are here, each base class has those of another one.
    """

    name = "task"
    records = TaskRecords

    def __init__(
        self, *, blobs: Blobs, settings: TaskSettings, cache: Cache | None = None, sealer: Sealer | None = None
    ) -> None:
        super().__init__(blobs=blobs, settings=settings)
        self._pages = KeptPages(cache, sealer)
        self._quotas = Quotas.of(settings)
        self._origin = settings.origin
        self._turns = asyncio.Semaphore(BROAD)

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
        return await create_tasks(commands, self._quotas, ctx)

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
        """Tasks of the caller's projects that meet all filters. Refuses what takes too long."""
        caller, by = caller_of(ctx), order(query.sort)
        after = place(query, query.cursor, by.key_type)

        async def look_up() -> Page[Task]:
            seen = await page(ctx.records.session, query, caller, after)
            return paged(query, query.limit, seen, Seen.view, lambda each: (by.key(each.task), each.task.id))

        async def in_turn() -> Page[Task]:
            async with self._in_turn(query):
                return await look_up()

        if len(query.project_id) == 1 and not _is_uncertain(query):
            return await look_up()
        return await self._pages.page(query, caller, ctx.records.feed, in_turn)

    @handles
    async def list_series(self, query: ListSeries, ctx: Context[TaskRecords]) -> dict[str, SeriesPlace]:
        """Where tasks stand in their series, of those that recur and that the caller may see."""
        seen = await ctx.records.seen([(id, caller_of(ctx)) for id in query.task_ids])
        series = {each.task.id: series_of(each.task.recurrence) for each in seen.values()}
        return {id: each.place() for id, each in series.items() if each is not None}

    @asynccontextmanager
    async def _in_turn(self, query: ListTasks) -> AsyncIterator[None]:
        """A list that may look at many tasks is one of a few, and is not looked up for ever."""
        try:
            async with asyncio.timeout(TURN_S):
                await self._turns.acquire()
        except TimeoutError:
            raise Overloaded("lists and searches come faster than they can be looked up") from None
        try:
            async with asyncio.timeout(LIST_S if _is_uncertain(query) else None):
                yield
        except TimeoutError:
            raise _too_much(query) from None
        finally:
            self._turns.release()

    @handles(many=True)
    async def update(self, commands: Sequence[UpdateTask], ctx: ManyContext[TaskRecords]) -> list[Task | Refusal]:
        """Change fields of tasks; see `change_tasks` for what is refused and emitted."""
        wishes = [Wish.of(command, each) for command, each in zip(commands, ctx.each, strict=True)]
        return await change_tasks(wishes, ctx.records)

    @handles
    async def delete(self, command: DeleteTask, ctx: Context[TaskRecords]) -> None:
        """Move a task and its subtasks to the trash; again is no error.

        Refuses `task.not_found`, `auth.forbidden` and `request.precondition_failed`; emits TaskDeleted for each.
        """
        (refusal,) = await delete_tasks([command], ctx)
        if refusal is not None:
            raise refusal

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


async def _keep_attachments(attachments: Attachments, ctx: Context[TaskRecords]) -> None:
    task = await ctx.records.keep_attachments(attachments)
    if task is not None:
        await note_changes([task], ctx.records, ctx.now)


def _is_uncertain(query: ListTasks) -> bool:
    """Whether no index can promise to find the page soon."""
    return is_combined(query) or query.q is not None


def _too_much(query: ListTasks) -> Invalid:
    faults = [Fault("?project_id", "name one project, ask for fewer things at once, or sort by created_at")]
    if query.q is not None:
        faults.append(Fault("?q", "add a word that fewer tasks have"))
    return Invalid("request.invalid", "too many tasks would have to be looked at", faults=tuple(faults))
