"""What any file of tasks comes down to: one task after the other, each with all that hangs on it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Literal, NamedTuple, Protocol

import msgspec

from actors.contracts.media import Visibility
from actors.contracts.task import TaskStatus
from actors.contracts.task_import import ImportFault
from actors.contracts.task_recurrence import NewRecurrence
from actors.contracts.task_relation import RelationKind

Pieces = Callable[[], AsyncIterator[bytes]]
"""A file that can be read from its beginning as often as a format needs to."""

Person = tuple[str, ...]
"""What somebody may be known by here, the surest first: an id of ours, names."""


class ImportedLabel(msgspec.Struct, frozen=True, array_like=True):
    """:param color: `#rrggbb`; None: the source has none."""

    name: str
    color: str | None = None


class ImportedComment(msgspec.Struct, frozen=True, array_like=True):
    """:param source: what it is known by in its source, the same in every file.
    :param created_at: ms since the epoch, as `updated_at`; None where the source does not say."""

    source: str
    author: str
    body: str
    created_at: int | None
    updated_at: int | None


class ImportedSeries(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a task stands in its series; as in `actors.records.series`."""

    number: int = 1
    followed: bool = False
    walls: dict[int, str] = {}


class ImportedTask(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="is", tag="task"):
    """A task as it comes, cut and cleaned to what a task of ours may be.

    :param source: what it is known by in its source, the same in every file.
    :param line: of the file, where it begins, from 1.
    :param number: which it would like to keep.
    :param series: None: the source does not say where in it the task stands.
    :param parent: the source of the task that it is below.
    :param position: digits that sort it among the others of its file; None: as they come.
    :param created_at: ms since the epoch, as all times; None where the source does not say.
    """

    source: str
    line: int = 1
    number: int | None = None
    title: str
    description: str = ""
    status: TaskStatus = "todo"
    priority: int = 0
    estimate_minutes: int | None = None
    labels: list[ImportedLabel] = []
    assignees: list[Person] = []
    start_at: int | None = None
    due_at: int | None = None
    remind_at: list[int] = []
    recurrence: NewRecurrence | None = None
    series: ImportedSeries | None = None
    parent: str | None = None
    position: str | None = None
    created_at: int | None = None
    updated_at: int | None = None
    completed_at: int | None = None
    comments: list[ImportedComment] = []


class ImportedComments(msgspec.Struct, frozen=True, kw_only=True, tag_field="is", tag="comments"):
    """More that was said about a task. :param of: its source."""

    of: str
    line: int
    comments: list[ImportedComment]


class ImportedFile(msgspec.Struct, frozen=True, kw_only=True, tag_field="is", tag="file"):
    """A file of a task.

    :param of: the task's source. :param source: its own. :param key: of the object that holds its bytes.
    """

    of: str
    line: int
    source: str
    filename: str
    visibility: Visibility = "private"
    created_at: int | None = None
    key: str = ""


class ImportedLink(msgspec.Struct, frozen=True, kw_only=True, tag_field="is", tag="link"):
    """A task is below another one, or related to it. :param of: its source. :param other: the other's."""

    of: str
    line: int
    kind: Literal["parent"] | RelationKind
    other: str


class ImportedProject(msgspec.Struct, frozen=True, kw_only=True, tag_field="is", tag="project"):
    """What the source is as a whole.

    :param key: 2 to 10 of A–Z and 0–9. :param labels: those that it has, also where no task carries them.
    """

    description: str = ""
    key: str | None = None
    labels: list[ImportedLabel] = []


Line = ImportedTask | ImportedComments | ImportedFile | ImportedLink | ImportedProject


class FoundFile(NamedTuple):
    """A file of a task, and its bytes, which are read before the format goes on."""

    file: ImportedFile
    content: AsyncIterator[bytes]


class Remark(NamedTuple):
    """Something of a task does not come along; the task does."""

    fault: ImportFault


Found = Line | FoundFile | Remark | ImportFault
"""An `ImportFault` is a task that cannot be taken."""


class Unreadable(Exception):
    """The file as a whole is none of its format.

    :param line: from 1, where that turned out.
    """

    def __init__(self, line: int, detail: str) -> None:
        super().__init__(line, detail)
        self.fault = ImportFault(line=line, detail=detail)


class FileBroken(Exception):
    """A file of a task ends otherwise than it should; the task does without it."""


class Format(Protocol):
    """How files of one kind are read."""

    def title(self, head: bytes) -> str | None:
        """What the source calls itself, if the beginning of the file says so: 1 to 200 characters on one line."""
        ...

    def read(self, pieces: Pieces, mapping: Mapping[str, str]) -> AsyncIterator[Found]:
        """Its tasks in their order, whatever belongs to them after them, and what is wrong with either.

        :param mapping: names of the source → what they are here.
        :raises Unreadable: at any point.
        """
        ...
