"""What any file of tasks comes down to: one task after the other, each with all that hangs on it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Protocol

import msgspec

from actors.contracts.task import TaskStatus
from actors.contracts.task_import import ImportFault


class ImportedLabel(msgspec.Struct, frozen=True, array_like=True):
    """:param color: `#rrggbb`; None: the source has none."""

    name: str
    color: str | None = None


class ImportedComment(msgspec.Struct, frozen=True, array_like=True):
    """:param source: what it is known by in its source, the same in every file. Times are ms since the epoch."""

    source: str
    author: str
    body: str
    created_at: int
    updated_at: int


class ImportedTask(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A task as it comes, cut and cleaned to what a task of ours may be.

    :param source: what it is known by in its source, the same in every file.
    :param number: which it would like to keep.
    :param created_at: ms since the epoch, as all times; None where the source does not say.
    """

    source: str
    number: int | None = None
    title: str
    description: str = ""
    status: TaskStatus = "todo"
    priority: int = 0
    estimate_minutes: int | None = None
    labels: list[ImportedLabel] = []
    start_at: int | None = None
    due_at: int | None = None
    created_at: int | None = None
    updated_at: int | None = None
    completed_at: int | None = None
    comments: list[ImportedComment] = []


class Unreadable(Exception):
    """The file as a whole is none of its format.

    :param line: from 1, where that turned out.
    """

    def __init__(self, line: int, detail: str) -> None:
        super().__init__(line, detail)
        self.fault = ImportFault(line=line, detail=detail)


class Format(Protocol):
    """How files of one kind are read."""

    def title(self, head: bytes) -> str | None:
        """What the source calls itself, if the beginning of the file says so: 1 to 200 characters on one line."""
        ...

    def read(
        self, pieces: AsyncIterator[bytes], mapping: Mapping[str, str]
    ) -> AsyncIterator[ImportedTask | ImportFault]:
        """Its tasks in their order, and what is wrong with those that cannot be taken.

        :param mapping: names of the source → what they are here.
        :raises Unreadable: at any point.
        """
        ...
