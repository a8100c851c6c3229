"""Projects as our own export writes them: `{project, members, labels, tasks: [Task + comments], attachments}`."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from actors.contracts.media import Visibility
from actors.contracts.task import Ids, Minutes, Priority, RelationType, Reminders, TaskStatus
from actors.contracts.task_import import ImportFault
from actors.contracts.task_recurrence import NewRecurrence
from actors.contracts.task_relation import RelationKind
from actors.contracts.values import Id, TimeIn, milliseconds
from actors.imports.cleaning import broken, hex_color, moment, one_line, plain_text, said_by, text_in, titled, when
from actors.imports.item import (
    FileBroken,
    Found,
    FoundFile,
    ImportedComment,
    ImportedComments,
    ImportedFile,
    ImportedLabel,
    ImportedLink,
    ImportedProject,
    ImportedSeries,
    ImportedTask,
    Person,
    Pieces,
    Remark,
)
from actors.imports.json_elements import Element, elements, made_of

KINDS: Final[Mapping[RelationType, RelationKind]] = {
    "blocks": "blocks",
    "duplicates": "duplicates",
    "relates": "relates",
}
"""Relations are on both sides; they are taken from the one that they are named after."""

LABELS: Final = 500
"""On one line, at most."""

SAID: Final = 256 << 10
"""Of comments on one line, at most, and one comment more: characters, and `COMMENT` for each."""

COMMENT: Final = 256

Position = Annotated[str, Meta(pattern=r"^[0-9]{0,80}[1-9]$(?!\n)")]


class _Project(msgspec.Struct, frozen=True):
    description: str = ""
    key: str = ""


class _Member(msgspec.Struct, frozen=True):
    user_id: Id
    name: str = ""


class _Label(msgspec.Struct, frozen=True):
    id: Id
    name: str
    color: str | None = None


class _Relation(msgspec.Struct, frozen=True):
    type: RelationType
    task_id: Id


class _Wall(msgspec.Struct, frozen=True):
    at: TimeIn
    shows: Annotated[datetime, Meta(tz=False)]


class _Series(msgspec.Struct, frozen=True):
    number: Annotated[int, Meta(ge=1, le=1_000_000_000)] = 1
    followed: bool = False
    walls: Annotated[list[_Wall], Meta(max_length=20)] = []


class _Comment(msgspec.Struct, frozen=True):
    id: Id
    body: str
    created_at: TimeIn
    author_name: str = ""
    updated_at: TimeIn | None = None


class _Task(msgspec.Struct, frozen=True, kw_only=True):
    id: Id
    title: str
    number: Annotated[int, Meta(ge=1, le=1_000_000_000)] | None = None
    description: str = ""
    status: TaskStatus = "todo"
    priority: Priority = 0
    assignee_ids: Ids = []
    label_ids: Ids = []
    start_at: TimeIn | None = None
    due_at: TimeIn | None = None
    remind_at: Reminders = []
    parent_id: Id | None = None
    recurrence: NewRecurrence | None = None
    series: _Series | None = None
    relations: Annotated[list[_Relation], Meta(max_length=1000)] = []
    estimate_minutes: Minutes | None = None
    position: str | None = None
    created_at: TimeIn | None = None
    updated_at: TimeIn | None = None
    completed_at: TimeIn | None = None


class _Piece(msgspec.Struct, frozen=True):
    """Of a file of a task, in the order of `offset`."""

    id: Id
    task_id: Id
    content: str
    offset: int = 0
    size: int | None = None
    filename: str = "file"
    visibility: Visibility = "private"
    created_at: TimeIn | None = None


class _Names(msgspec.Struct):
    """What ids stand for in this file."""

    labels: dict[str, ImportedLabel] = {}
    members: dict[str, str] = {}
    project: ImportedProject = ImportedProject()


def title(head: bytes) -> str | None:
    """The project's name."""
    _, found, rest = head.partition(b'"project"')
    return text_in(rest, "name", 200) if found else None


async def read(pieces: Pieces, mapping: Mapping[str, str]) -> AsyncIterator[Found]:
    """:param mapping: not heeded: everything is known by its name. :raises Unreadable: no such export."""
    names = _Names()
    async for element in elements(pieces(), {"project", "members", "labels"}, required="labels"):
        _keep(element, names)
    labels = list(names.labels.values())
    for first in range(0, max(1, len(labels)), LABELS):
        yield msgspec.structs.replace(names.project, labels=labels[first : first + LABELS])
    late: dict[int, str] = {}
    async for found in _tasks(pieces(), names, late):
        yield found
    if late:
        async for found in _late_comments(pieces(), late):
            yield found
    async for each in _files(elements(pieces(), {"attachments"})):
        yield each


def _keep(element: Element, names: _Names) -> None:
    """What cannot be read is missed by tasks alone."""
    try:
        if element.name == "project":
            project = msgspec.convert(element.value, _Project)
            key = project.key if re.fullmatch(r"[A-Z0-9]{2,10}", project.key) else None
            names.project = ImportedProject(description=plain_text(project.description), key=key)
        elif element.name == "members":
            member = msgspec.convert(element.value, _Member)
            names.members[member.user_id] = member.name
        else:
            label = msgspec.convert(element.value, _Label)
            if name := one_line(label.name, 100):
                names.labels[label.id] = ImportedLabel(name, hex_color(label.color))
    except msgspec.ValidationError:
        return


async def _tasks(pieces: AsyncIterator[bytes], names: _Names, late: dict[int, str]) -> AsyncIterator[Found]:
    """:param late: is told which of the tasks, counted from 0, have more comments than are held: those come later."""
    said: list[ImportedComment | Remark] = []
    size, nth = 0, 0
    async for element in elements(pieces, {"tasks"}, required="tasks", apart="comments"):
        if element.name == "comments":
            if size <= SAID and (comment := _comment(element)) is not None:
                said.append(comment)
                size += COMMENT + (len(comment.body) if isinstance(comment, ImportedComment) else 0)
            continue
        comments = [each for each in said if isinstance(each, ImportedComment)] if size <= SAID else []
        for found in _read(element, comments, names):
            yield found
            if size > SAID and isinstance(found, ImportedTask):
                late[nth] = found.source
        for each in said:
            if size <= SAID and isinstance(each, Remark):
                yield each
        said, size, nth = [], 0, nth + 1


async def _late_comments(pieces: AsyncIterator[bytes], late: Mapping[int, str]) -> AsyncIterator[Found]:
    """Of tasks that have many, some at a time."""
    comments: list[ImportedComment] = []
    size, nth, line = 0, 0, 1
    async for element in elements(pieces, {"tasks"}, apart="comments"):
        if element.name == "comments" and nth in late:
            comment = _comment(element)
            if isinstance(comment, Remark):
                yield comment
            elif comment is not None:
                line = line if comments else element.line
                comments.append(comment)
                size += COMMENT + len(comment.body)
        if comments and (size > SAID or element.name == "tasks"):
            yield ImportedComments(of=late[nth], line=line, comments=comments)
            comments, size = [], 0
        nth += element.name == "tasks"


def _read(element: Element, comments: list[ImportedComment], names: _Names) -> list[Found]:
    """The task and how it is related, or what keeps it from being one."""

    def make(value: Any) -> tuple[_Task, list[Found]]:
        task = msgspec.convert(value, _Task)
        return task, [_task(task, element.line, comments, names)]

    made = made_of(element, "task", make, called="number", of=int)
    if isinstance(made, ImportFault):
        return [made]
    task, found = made
    for each in task.relations:
        kind = KINDS.get(each.type)
        if kind is not None and (kind != "relates" or task.id < each.task_id):
            found.append(ImportedLink(of=task.id, line=element.line, kind=kind, other=each.task_id))
    return found


def _task(task: _Task, line: int, comments: list[ImportedComment], names: _Names) -> ImportedTask:
    named, description = titled(task.title, task.description, f"#{task.number or task.id}")
    return ImportedTask(
        source=task.id,
        line=line,
        number=task.number,
        title=named,
        description=description,
        status=task.status,
        priority=task.priority,
        estimate_minutes=task.estimate_minutes,
        labels=[names.labels[id] for id in dict.fromkeys(task.label_ids) if id in names.labels],
        assignees=[_person(id, names) for id in task.assignee_ids],
        start_at=when(task.start_at),
        due_at=when(task.due_at),
        remind_at=sorted({moment(each) for each in task.remind_at}),
        recurrence=task.recurrence,
        series=_series(task.series),
        parent=task.parent_id,
        position=_position(task.position),
        created_at=when(task.created_at),
        updated_at=when(task.updated_at),
        completed_at=when(task.completed_at),
        comments=comments,
    )


def _series(series: _Series | None) -> ImportedSeries | None:
    if series is None:
        return None
    walls = {milliseconds(each.at): each.shows.isoformat() for each in series.walls}
    return ImportedSeries(number=series.number, followed=series.followed, walls=walls)


def _comment(element: Element) -> ImportedComment | Remark | None:
    """None: it says nothing."""

    def make(value: Any) -> ImportedComment:
        comment = msgspec.convert(value, _Comment)
        return ImportedComment(
            source=comment.id,
            author=said_by(comment.author_name),
            body=plain_text(comment.body),
            created_at=moment(comment.created_at),
            updated_at=moment(comment.updated_at or comment.created_at),
        )

    made = made_of(element, "comment", make, called="id", of=str)
    if isinstance(made, ImportFault):
        return Remark(made)
    return made if made.body else None


def _person(id: str, names: _Names) -> Person:
    name = names.members.get(id)
    return (id, name) if name else (id,)


def _position(text: str | None) -> str | None:
    try:
        return None if text is None else msgspec.convert(text, Position)
    except msgspec.ValidationError:
        return None


# ------------------------------------------------------------------------------------ attachments


class _Reader:
    """Pieces of files, one looked at before it is taken."""

    def __init__(self, found: AsyncIterator[Element]) -> None:
        self._found = found
        self.next: _Piece | ImportFault | None = None
        self.line = 1

    async def go_on(self) -> None:
        element = await anext(self._found, None)
        if element is None:
            self.next = None
            return
        self.line = element.line
        try:
            self.next = msgspec.convert(element.value, _Piece)
        except msgspec.ValidationError as error:
            self.next = broken(element.line, "a piece of an attachment", error)

    async def content(self, first: _Piece) -> AsyncIterator[bytes]:
        """Of one file, as far as its pieces follow each other. :raises FileBroken: a piece is missing, or no base64."""
        offset, piece = 0, first
        while True:
            if piece.offset != offset:
                raise FileBroken("a piece of it is missing")
            try:
                octets = base64.b64decode(piece.content, validate=True)
            except (binascii.Error, ValueError):
                raise FileBroken("its content is no base64") from None
            offset += len(octets)
            yield octets
            await self.go_on()
            if not isinstance(self.next, _Piece) or self.next.id != first.id:
                break
            piece = self.next
        if first.size is not None and first.size != offset:
            raise FileBroken("it breaks off")


async def _files(found: AsyncIterator[Element]) -> AsyncIterator[Found]:
    reader = _Reader(found)
    await reader.go_on()
    while (piece := reader.next) is not None:
        if isinstance(piece, ImportFault):
            yield Remark(piece)
            await reader.go_on()
            continue
        file = ImportedFile(
            of=piece.task_id,
            line=reader.line,
            source=piece.id,
            filename=piece.filename[:10_000],
            visibility=piece.visibility,
            created_at=when(piece.created_at),
        )
        yield FoundFile(file, reader.content(piece))
        while isinstance(reader.next, _Piece) and reader.next.id == piece.id:  # what a broken file has left
            await reader.go_on()
