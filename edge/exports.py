"""A project as a file: read page by page as its member may, written piece by piece."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Final, Literal, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from actors.contracts.task import ListTasks, Task
from actors.contracts.task_comment import Comment, ListComments
from actors.contracts.task_label import Label, ListLabels
from actors.contracts.task_project import ListMembers, Member, Project
from actors.contracts.task_recurrence import ListSeries, SeriesPlace
from edge.export_files import Ask, ExportedPiece
from edge.to_dos import END, NOTHING, beginning, to_dos
from runtime.message import Page, Query

Item = TypeVar("Item")

ExportFormat = Literal["json", "csv", "ics"]

TASKS: Final = 50
"""Of one page, which is what is held in memory: with texts of 64 KiB at most some MB."""

PAGE: Final = 200
"""Of the other listings."""

SAID: Final = 50
"""Comments of one page."""

AT_ONCE: Final = 8
"""Tasks whose comments are asked for side by side."""

MEDIA_TYPES: Final[Mapping[ExportFormat, str]] = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8; header=present",
    "ics": "text/calendar; charset=utf-8",
}

COLUMNS: Final = (
    "id", "number", "title", "description", "status", "priority", "labels", "assignees", "start_at", "due_at",
    "parent_id", "estimate_minutes", "created_at", "updated_at", "completed_at",
)  # fmt: skip
"""Of the table. Labels and assignees are names, joined with `;`."""


class ExportedTask(Task, frozen=True, kw_only=True):
    """A task with what was said about it, the oldest first; where it recurs, with its place in the series."""

    series: SeriesPlace | UnsetType = UNSET
    comments: list[Comment]


class Export(msgspec.Struct, frozen=True, kw_only=True):
    """A project with all that is in it, but for its trash; files of tasks come last, where there are any."""

    project: Project
    members: list[Member]
    labels: list[Label]
    tasks: list[ExportedTask]
    attachments: list[ExportedPiece] | UnsetType = UNSET


Files = Callable[[Sequence[str]], AsyncIterator[ExportedPiece]]
"""Tasks → all that is attached to them."""


async def pieces(ask: Ask, files: Files, project: Project, format: ExportFormat) -> AsyncGenerator[bytes, None]:
    """The file. :raises TroupeError: what asking raises."""
    members = [each async for each in _all(ask, lambda cursor: ListMembers(id=project.id, limit=PAGE, cursor=cursor))]
    labels = [each async for each in _all(ask, lambda cursor: ListLabels(id=project.id, limit=PAGE, cursor=cursor))]
    if format == "json":
        written = _json(ask, files, project, members, labels)
    else:
        written = {"csv": _csv, "ics": _ics}[format](ask, project, members, labels)
    async for piece in written:
        yield piece


async def _json(
    ask: Ask, files: Files, project: Project, members: Sequence[Member], labels: Sequence[Label]
) -> AsyncIterator[bytes]:
    encode = msgspec.json.encode
    yield b'{"project":' + encode(project) + b',"members":' + encode(members) + b',"labels":' + encode(labels)
    before, with_files = b',"tasks":[', list[str]()
    async for tasks in _tasks(ask, project):
        with_files += [task.id for task in tasks if task.attachment_count]
        recurring = [task.id for task in tasks if task.recurrence is not None]
        series = await ask(ListSeries(task_ids=recurring)) if recurring else {}
        for first in range(0, len(tasks), AT_ONCE):
            some = tasks[first : first + AT_ONCE]
            for task, said in zip(some, await asyncio.gather(*(_said(ask, each) for each in some)), strict=True):
                place = series.get(task.id, UNSET)
                whole = ExportedTask(**msgspec.structs.asdict(task), series=place, comments=said.items)
                yield before + encode(whole)[: -len(b"]}")]  # its comments stand last, and go on
                while said.next_cursor is not None:
                    said = await _said(ask, task, said.next_cursor)
                    yield b"".join(b"," + encode(each) for each in said.items)
                yield b"]}"
                before = b","
    yield (before if before != b"," else b"") + b"]"
    before = b',"attachments":['
    async for piece in files(with_files):
        yield before + encode(piece)
        before = b","
    yield b"]}" if before == b"," else b"}"


async def _csv(ask: Ask, project: Project, members: Sequence[Member], labels: Sequence[Label]) -> AsyncIterator[bytes]:
    """RFC 4180."""
    people = {each.user_id: each.name for each in members}
    names = {each.id: each.name for each in labels}
    yield _row(COLUMNS)
    async for tasks in _tasks(ask, project):
        for task in tasks:
            fields = msgspec.structs.asdict(task)
            fields["labels"] = ";".join(names[id] for id in task.label_ids if id in names)
            fields["assignees"] = ";".join(people[id] for id in task.assignee_ids if id in people)
            yield _row(["" if fields[column] is None else fields[column] for column in COLUMNS])


def _row(cells: Sequence[Any]) -> bytes:
    """One line. A text that a spreadsheet would take for a formula begins with an apostrophe."""
    line = io.StringIO()
    safe = [f"'{cell}" if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@") else cell for cell in cells]
    csv.writer(line).writerow(safe)
    return line.getvalue().encode()


async def _ics(ask: Ask, project: Project, members: Sequence[Member], labels: Sequence[Label]) -> AsyncIterator[bytes]:
    """RFC 5545: a calendar of to-dos."""
    names = {each.id: each.name for each in labels}
    yield await asyncio.to_thread(beginning, project.name)
    missing = NOTHING
    async for tasks in _tasks(ask, project):
        if tasks:
            missing = b""
            yield await asyncio.to_thread(to_dos, tasks, names)
    yield missing + END


async def _tasks(ask: Ask, project: Project) -> AsyncIterator[Sequence[Task]]:
    """Page by page, the oldest first: what is added meanwhile comes last."""
    cursor: str | None = None
    while True:
        page = await ask(ListTasks(project_id=[project.id], sort="created_at", limit=TASKS, cursor=cursor))
        yield page.items
        if (cursor := page.next_cursor) is None:
            return


async def _said(ask: Ask, task: Task, cursor: str | None = None) -> Page[Comment]:
    if not task.comment_count:
        return Page(items=[], next_cursor=None)
    return await ask(ListComments(id=task.id, limit=SAID, cursor=cursor))


async def _all(ask: Ask, listing: Callable[[str | None], Query[Page[Item]]]) -> AsyncIterator[Item]:
    cursor: str | None = None
    while True:
        page = await ask(listing(cursor))
        for item in page.items:
            yield item
        if (cursor := page.next_cursor) is None:
            return
