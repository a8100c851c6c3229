"""What Vikunja exports of an account (ZIP): `data.json`, a list of projects with their tasks, and `files/ID`.

All of them come into one project; where there are more, each of their tasks has a label with the name of its own. HTML
becomes Markdown. No name in the archive is ever a path here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from actors.contracts.task import TaskStatus
from actors.contracts.task_import import ImportFault
from actors.contracts.task_recurrence import Basis, NewRecurrence
from actors.contracts.task_relation import RelationKind
from actors.imports.archive import Archive, opened
from actors.imports.cleaning import (
    Time,
    hex_color,
    known_by,
    one_line,
    plain_text,
    said_by,
    sorted_as,
    titled,
    when,
)
from actors.imports.item import (
    Found,
    FoundFile,
    ImportedComment,
    ImportedFile,
    ImportedLabel,
    ImportedLink,
    ImportedProject,
    ImportedTask,
    Person,
    Pieces,
    Remark,
)
from actors.imports.json_elements import Element, elements, made_of
from actors.imports.markdown import to_markdown
from actors.imports.states import check_states, state_of

LINKS: Final[Mapping[str, RelationKind]] = {
    "blocking": "blocks", "precedes": "blocks", "duplicateof": "duplicates", "related": "relates",
    "copiedfrom": "relates",
}  # fmt: skip
"""Kinds of relations, seen from the side that is taken."""

DAY_S: Final = 86_400
HTML_LETTERS: Final = 262_144
"""Of a text with its tags; of what comes of it, 64 KiB are kept."""


class _Person(msgspec.Struct, frozen=True):
    name: str = ""
    username: str = ""


class _Label(msgspec.Struct, frozen=True):
    title: str
    hex_color: str = ""


class _Comment(msgspec.Struct, frozen=True):
    id: int
    comment: str
    created: Time
    updated: Time | None = None
    author: _Person | None = None


class _File(msgspec.Struct, frozen=True):
    id: int
    name: str = "file"


class _Attachment(msgspec.Struct, frozen=True):
    id: int
    file: _File
    created: Time | None = None


class _Reminder(msgspec.Struct, frozen=True):
    reminder: Time | None = None


class _Other(msgspec.Struct, frozen=True):
    id: int


class _Task(msgspec.Struct, frozen=True, kw_only=True):
    id: int
    title: str
    index: Annotated[int, Meta(ge=0, le=1_000_000_000)] = 0
    description: str = ""
    done: bool = False
    done_at: Time | None = None
    start_date: Time | None = None
    due_date: Time | None = None
    end_date: Time | None = None
    reminders: list[_Reminder] | None = None
    repeat_after: int = 0
    repeat_mode: int = 0
    priority: int = 0
    assignees: Annotated[list[_Person], Meta(max_length=1000)] | None = None
    labels: Annotated[list[_Label], Meta(max_length=1000)] | None = None
    related_tasks: dict[str, Annotated[list[_Other], Meta(max_length=1000)] | None] | None = None
    attachments: Annotated[list[_Attachment], Meta(max_length=1000)] | None = None
    comments: list[_Comment] | None = None
    bucket_id: int = 0
    position: float | None = None
    created: Time | None = None
    updated: Time | None = None


class _Bucket(msgspec.Struct, frozen=True):
    id: int
    title: str = ""


class _InBucket(msgspec.Struct, frozen=True):
    task_id: int
    bucket_id: int


class _Place(msgspec.Struct, frozen=True):
    task_id: int
    position: float


class _Account(msgspec.Struct):
    """What tasks refer to. :ivar titles: of the projects. :ivar buckets: id → name. :ivar in_bucket: task → bucket."""

    titles: list[str] = []
    description: str = ""
    buckets: dict[int, str] = {}
    in_bucket: dict[int, int] = {}
    places: dict[int, float] = {}

    def keep(self, element: Element) -> None:
        match element.name:
            case "title":
                self.titles += [""] * (element.nth + 1 - len(self.titles))
                self.titles[element.nth] = one_line(str(element.value), 100)
            case "description" if element.nth == 0:
                self.description = _text(str(element.value or ""))
            case "buckets":
                bucket = msgspec.convert(element.value, _Bucket)
                self.buckets[bucket.id] = bucket.title
            case "task_buckets":
                entry = msgspec.convert(element.value, _InBucket)
                self.in_bucket.setdefault(entry.task_id, entry.bucket_id)
            case "positions":
                place = msgspec.convert(element.value, _Place)
                self.places.setdefault(place.task_id, place.position)


def title(head: bytes) -> str | None:
    """An archive's head says nothing; it is named after its file."""
    return None


async def read(pieces: Pieces, mapping: Mapping[str, str]) -> AsyncIterator[Found]:
    """:param mapping: bucket → status. :raises Unreadable: no such archive, or a mapping to what is no status."""
    check_states(mapping)
    async with opened(pieces) as archive:
        account = _Account()
        names = {"title", "description", "buckets", "task_buckets", "positions"}
        async for element in elements(archive.pieces("data.json"), names, many=True):
            try:
                account.keep(element)
            except msgspec.ValidationError:
                continue  # missed by tasks alone
        several = len(account.titles) > 1
        yield ImportedProject(description="" if several else account.description)
        async for element in elements(archive.pieces("data.json"), {"tasks"}, many=True):
            label = account.titles[element.nth] if several and element.nth < len(account.titles) else ""
            for found in _read(element, account, mapping, label, archive):
                yield found


def _read(
    element: Element, account: _Account, mapping: Mapping[str, str], label: str, archive: Archive
) -> Sequence[Found]:
    """The task with what hangs on it, or what keeps it from being one. :param label: with its project's name."""

    def make(value: Any) -> tuple[_Task, list[Found], list[ImportedFile]]:
        task = msgspec.convert(value, _Task)
        files = [_file(each, task, element.line) for each in task.attachments or ()]
        return task, [_task(task, element.line, account, mapping, label)], files

    made = made_of(element, "task", make, called="id", of=int)
    if isinstance(made, ImportFault):
        return [made]
    task, found, files = made
    for attachment, file in zip(task.attachments or (), files, strict=True):
        name = f"files/{attachment.file.id}"
        if (why := archive.refusal(name)) is not None:
            told = f"task {task.id}: the file {one_line(attachment.file.name, 100)!r} is left out: {why}"
            found.append(Remark(ImportFault(line=element.line, detail=told)))
        else:
            found.append(FoundFile(file, archive.pieces(name)))
    for theirs, kind in LINKS.items():
        others = (task.related_tasks or {}).get(theirs) or ()
        found += [
            ImportedLink(of=_source(task.id), line=element.line, kind=kind, other=_source(other.id))
            for other in others
            if theirs != "related" or task.id < other.id  # which both sides say
        ]
    return found


def _task(task: _Task, line: int, account: _Account, mapping: Mapping[str, str], label: str) -> ImportedTask:
    named, description = titled(task.title, _text(task.description), f"#{task.index or task.id}")
    status: TaskStatus = "done"
    if not task.done:
        status = state_of(account.buckets.get(account.in_bucket.get(task.id, task.bucket_id), ""), mapping)
    parents = (task.related_tasks or {}).get("parenttask") or ()
    labels = {one_line(each.title, 100): hex_color(each.hex_color) for each in task.labels or ()}
    due_at, start_at = _when(task.due_date or task.end_date), _when(task.start_date)
    created_at, updated_at = _when(task.created), _when(task.updated)
    reminders = {_when(each.reminder) for each in task.reminders or ()} - {None}
    return ImportedTask(
        source=_source(task.id),
        line=line,
        number=task.index or None,
        title=named,
        description=description,
        status=status,
        priority=min(max(task.priority, 0), 4),
        labels=[ImportedLabel(name, color) for name, color in {**labels, label: None}.items() if name],
        assignees=[_names(each) for each in task.assignees or ()],
        start_at=start_at,
        due_at=due_at,
        remind_at=sorted(each for each in reminders if each is not None)[:10],
        recurrence=None if due_at is None and start_at is None else _recurrence(task),
        parent=_source(parents[0].id) if parents else None,
        position=sorted_as(account.places.get(task.id, task.position)),
        created_at=created_at,
        updated_at=updated_at,
        completed_at=_when(task.done_at) or updated_at if status == "done" else None,
        comments=[comment for each in task.comments or () if (comment := _comment(each)).body],
    )


def _comment(comment: _Comment) -> ImportedComment:
    created_at = _when(comment.created)
    return ImportedComment(
        source=known_by("vikunja", comment.id),
        author=said_by(next(iter(_names(comment.author)), "")),
        body=_text(comment.comment),
        created_at=created_at,
        updated_at=_when(comment.updated) or created_at,
    )


def _file(attachment: _Attachment, task: _Task, line: int) -> ImportedFile:
    return ImportedFile(
        of=_source(task.id),
        line=line,
        source=known_by("vikunja", attachment.id),
        filename=attachment.file.name[:10_000],
        created_at=_when(attachment.created),
    )


def _recurrence(task: _Task) -> NewRecurrence | None:
    """Every so many days, or every month; nothing finer recurs here."""
    if task.repeat_mode == 1:
        return NewRecurrence(rule="FREQ=MONTHLY", timezone="UTC")
    days, rest = divmod(task.repeat_after, DAY_S)
    if rest or not 1 <= days <= 10_000:
        return None
    basis: Basis = "completion" if task.repeat_mode == 2 else "due"
    return NewRecurrence(rule=f"FREQ=DAILY;INTERVAL={days}", timezone="UTC", basis=basis)


def _source(id: int) -> str:
    return known_by("vikunja", "task", id)


def _names(person: _Person | None) -> Person:
    return () if person is None else tuple(name for name in (person.name, person.username) if name)


def _when(time: datetime | None) -> int | None:
    """ms since the epoch; the year 1 stands for no time."""
    return None if time is None or time.year == 1 else when(time)


def _text(html: str) -> str:
    return plain_text(to_markdown(html[:HTML_LETTERS]))
