"""The first pass over a file: to lines, most of them a task, which an import can go on from anywhere, and a count."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from typing import Final

import msgspec

from actors.contracts.task_import import ImportFault
from actors.imports.cleaning import one_line
from actors.imports.item import (
    FileBroken,
    Format,
    FoundFile,
    ImportedComment,
    ImportedComments,
    ImportedFile,
    ImportedLink,
    ImportedTask,
    Line,
    Pieces,
    Remark,
)
from actors.imports.trees import Trees, closes_circle

FAULTS: Final = 100
"""How many are told, at most; all are counted."""

Keep = Callable[[AsyncIterator[bytes]], Awaitable[str]]
"""Puts the bytes of a file aside; their key."""


class Conversion:
    """One file on its way.

    :param comments: of one task, at most. :param keep: None: files of tasks are left out.
    :ivar total: tasks in the file. :ivar broken: those of them that cannot be taken. :ivar twice: those that stand
        there again. :ivar highest: of their numbers.
    """

    def __init__(
        self,
        format: Format,
        mapping: Mapping[str, str] | None = None,
        *,
        comments: int = 10_000,
        keep: Keep | None = None,
    ) -> None:
        self.total = 0
        self.broken = 0
        self.twice = 0
        self.highest = 0
        self.faults: list[ImportFault] = []
        self._format = format
        self._mapping = mapping or {}
        self._most = comments
        self._keep = keep
        self._trees = Trees()
        self._links: list[ImportedLink] = []
        self._said: Counter[str] = Counter()

    async def lines(self, pieces: Pieces) -> AsyncIterator[bytes]:
        """JSON texts of `Line`, each with its line feed. No task twice, and none before the one that it is below: links
        to what comes later come last.

        :raises Unreadable: at any point.
        """
        async for found in self._format.read(pieces, self._mapping):
            match found:
                case ImportFault():
                    self.total += 1
                    self.broken += 1
                    self._tell(found)
                case Remark(fault):
                    self._tell(fault)
                case ImportedTask():
                    self.total += 1
                    if found.source in self._trees:
                        self.twice += 1
                    else:
                        yield _line(self._task(found))
                case ImportedComments():
                    if found.of in self._trees and (comments := self._room(found.of, found.line, found.comments)):
                        yield _line(msgspec.structs.replace(found, comments=comments))
                case FoundFile(file, content):
                    if (kept := await self._file(file, content)) is not None:
                        yield _line(kept)
                case ImportedLink():
                    self._links.append(found)
                case _:
                    yield _line(found)
        for link in self._last_links():
            yield _line(link)

    def _task(self, task: ImportedTask) -> ImportedTask:
        self.highest = max(self.highest, task.number or 0)
        if task.parent is not None and task.parent not in self._trees:
            self._links.append(ImportedLink(of=task.source, line=task.line, kind="parent", other=task.parent))
            task = msgspec.structs.replace(task, parent=None)
        self._trees.add(task.source, task.parent)
        if task.comments:
            task = msgspec.structs.replace(task, comments=self._room(task.source, task.line, task.comments))
        return task

    def _room(self, source: str, line: int, comments: list[ImportedComment]) -> list[ImportedComment]:
        """As many of a task's comments as it may have."""
        room = self._most - self._said[source]
        self._said[source] += len(comments)
        if len(comments) > room:
            self._tell(too_many_comments(line, self._most))
        return comments[: max(0, room)]

    async def _file(self, file: ImportedFile, content: AsyncIterator[bytes]) -> ImportedFile | None:
        try:
            if self._keep is not None and file.of in self._trees:
                return msgspec.structs.replace(file, key=await self._keep(content))
            async for _ in content:  # a dry run finds what is broken, too
                pass
        except FileBroken as error:
            name = one_line(file.filename, 100)
            self._tell(ImportFault(line=file.line, detail=f"the file {name!r} is left out: {error}"[:300]))
        return None

    def _last_links(self) -> Iterator[ImportedLink]:
        """Those between tasks of the file; in a circle, one is cut."""
        blocks = []
        for link in self._links:
            if link.of not in self._trees or link.other not in self._trees:
                self._cut(link, "it is not in this file")
            elif link.kind == "blocks":
                blocks.append(link)
            elif link.kind != "parent":
                if link.of != link.other:
                    yield link
            elif self._trees.join(link.of, link.other):
                yield link
            else:
                self._cut(link, "that would be a circle")
        closing = closes_circle([(link.of, link.other) for link in blocks])
        for link, closes in zip(blocks, closing, strict=True):
            if closes:
                self._cut(link, "that would be a circle")
            else:
                yield link

    def _cut(self, link: ImportedLink, why: str) -> None:
        what = "parent" if link.kind == "parent" else f"task that this one {link.kind}"
        self._tell(ImportFault(line=link.line, detail=f"the {what} is left out: {why}"))

    def _tell(self, fault: ImportFault) -> None:
        if len(self.faults) < FAULTS:
            self.faults.append(fault)


def too_many_comments(line: int, most: int) -> ImportFault:
    """What does not come of a task that has more than it may."""
    return ImportFault(line=line, detail=f"a task may have {most} comments; the others are left out")


def _line(line: Line) -> bytes:
    return _encode(line) + b"\n"


read_line = msgspec.json.Decoder(Line).decode
_encode = msgspec.json.Encoder().encode
