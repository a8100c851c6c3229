"""The feed of changes: the part of the task actor that writes down what happened, in order, and tells it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from actors.contracts.task import TaskAssigned, TaskCompleted, TaskCreated, TaskDeleted, TaskUpdated
from actors.contracts.task_change import Change, ListChanges
from actors.contracts.task_comment import CommentAdded
from actors.contracts.task_project import MemberAdded, MemberRemoved, ProjectUpdated
from actors.contracts.values import DAY_MS, milliseconds, rfc3339
from actors.pages import cursor, place
from actors.records.feed import ChangeRow
from actors.records.task import TaskRecords
from actors.records.task_row import TaskRow
from actors.requests import caller_of
from runtime.actor import every, handles
from runtime.context import Context
from runtime.errors import Gone
from runtime.message import Event, Page, Tick, wire_name

IN_FEED_MS: Final = 30 * DAY_MS
"""How old a cursor may be."""

FORGOTTEN_AT_ONCE: Final = 10_000
"""Changes that are removed in one transaction."""

_ANY: Final = ListChanges()
"""The listing that all cursors of the feed belong to."""


class Feed:
    """Handlers of the feed."""

    async def before_commit(self, records: TaskRecords, events: Sequence[Event]) -> None:
        """Each event that goes out has its place in the feed."""
        await records.feed.add([row for event in events for row in changes_of(event)])

    @handles
    async def list_changes(self, query: ListChanges, ctx: Context[TaskRecords]) -> Page[Change]:
        """What happened in the caller's projects, oldest first. Refuses `changes.expired`."""
        named = "cursor" if query.cursor is not None else "since"
        after = place(_ANY, getattr(query, named), parameter=named)
        if after is not None and int(after[0]) < ctx.now - IN_FEED_MS:
            raise Gone("changes.expired", "what happened since then is not kept any more; read all anew")
        seq = int(after[1]) if after is not None else 0
        rows = await ctx.records.feed.page_of(caller_of(ctx), limit=query.limit + 1, after=seq)
        items = [_shown(seq, row) for seq, row in rows[: query.limit]]
        return Page(items, items[-1].cursor if len(rows) > query.limit else None)

    @every(minutes=1)
    async def forget_changes(self, tick: Tick, ctx: Context[TaskRecords]) -> None:
        """Remove the next of what no cursor can lead to any more; a day later, for clocks that differ."""
        await ctx.records.feed.forget(ctx.now - IN_FEED_MS - DAY_MS, FORGOTTEN_AT_ONCE)


async def note_changes(tasks: Sequence[TaskRow], records: TaskRecords, now: int, *, type: str = "task_updated") -> None:
    """Something of tasks has changed of which no event goes out."""
    await records.feed.add(
        [
            ChangeRow(type=type, project_id=task.project_id, task_id=task.id, version=task.version, at=now)
            for task in tasks
        ]
    )


def changes_of(event: Event) -> Iterator[ChangeRow]:
    """What an event is in the feed: nothing, if it changes nothing that members of a project see."""
    match event:
        case TaskCreated() | TaskUpdated() | TaskAssigned() | TaskCompleted() | TaskDeleted() | CommentAdded():
            task = event.task
            if isinstance(event, TaskUpdated) and event.left_project_id is not None:
                yield _row(event, event.at, event.left_project_id, task.id, task.version)
            yield _row(event, event.at, task.project_id, task.id, task.version)
        case ProjectUpdated():
            yield _row(event, event.at, event.project.id, None, event.project.version)
        case MemberAdded() | MemberRemoved():
            yield _row(event, event.at, event.project_id)


def _row(event: Event, at: str, project_id: str, task_id: str | None = None, version: int | None = None) -> ChangeRow:
    return ChangeRow(
        type=wire_name(type(event)),
        project_id=project_id,
        task_id=task_id,
        version=version,
        at=milliseconds(datetime.fromisoformat(at)),
    )


def _shown(seq: int, row: ChangeRow) -> Change:
    return Change(
        cursor=cursor(_ANY, row.at, str(seq)),
        type=row.type,
        project_id=row.project_id,
        task_id=row.task_id,
        version=row.version,
        at=rfc3339(row.at),
    )
