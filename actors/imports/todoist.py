"""Projects as Todoist exports them as templates (CSV): a line a task, a note, or a section, in the order of the list.

INDENT says what lies below what; notes are comments on the task before them; sections and `@words` at the end of a
title are labels. Nothing has an id there, so a task is known by its title and what it is below.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from datetime import UTC, tzinfo
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from actors.contracts.task_import import ImportFault
from actors.contracts.values import is_zone
from actors.imports.cleaning import broken, known_by, moment, one_line, plain_text, said_by, titled, words
from actors.imports.csv_lines import cells, lines, plain
from actors.imports.dates import date_in
from actors.imports.item import (
    Found,
    ImportedComment,
    ImportedComments,
    ImportedTask,
    Person,
    Pieces,
    Remark,
    Unreadable,
)

PRIORITIES: Final = {"1": 4, "2": 3, "3": 2, "4": 0, "": 0}
"""Theirs → ours."""

DEEPEST: Final = 100
"""INDENT, at most."""

COLUMNS: Final = (
    "TYPE", "CONTENT", "DESCRIPTION", "PRIORITY", "INDENT", "AUTHOR", "RESPONSIBLE", "DATE", "DATE_LANG", "TIMEZONE",
    "DURATION", "DURATION_UNIT", "DEADLINE",
)  # fmt: skip

_LABELS = re.compile(r"(?:\s+@[^\s@]+)+\s*$")
_NUMBERED = re.compile(r"\s*\(\d+\)\s*$")
_UNITS: Final = {"minute": 1, "day": 1440, "": 1}


class _Place(msgspec.Struct):
    """Where the reader is.

    :ivar above: by INDENT, from 1, the sources of the task before and those it is below; None: it could not be taken.
    """

    above: list[str | None] = []
    last: str | None = None
    section: str = ""
    tasks: Counter[tuple[str, str]] = msgspec.field(default_factory=Counter)
    notes: Counter[tuple[str, str, str]] = msgspec.field(default_factory=Counter)


def title(head: bytes) -> str | None:
    """It has no name but that of its file."""
    return None


async def read(pieces: Pieces, mapping: Mapping[str, str]) -> AsyncIterator[Found]:
    """:param mapping: column → one of theirs. :raises Unreadable: no such export."""
    header, delimiter = list[str](), ","
    place = _Place()
    async for line, text in lines(pieces()):
        if not header:
            delimiter = max(",;\t", key=text.count)
            header = _header(cells(text, delimiter, line), mapping)
            continue
        try:
            row = dict.fromkeys(COLUMNS, "") | dict(zip(header, map(plain, cells(text, delimiter, line)), strict=False))
            for found in _row({name: cell.strip() for name, cell in row.items()}, line, place):
                yield found
        except Unreadable as error:
            yield error.fault
    if not header:
        raise Unreadable(1, "there is no header in this file")


def _header(names: Any, mapping: Mapping[str, str]) -> list[str]:
    if unknown := [field for field in mapping.values() if field not in COLUMNS]:
        raise Unreadable(
            1, f"the mapping names {unknown[0][:100]!r}, which is no column; there are: {', '.join(COLUMNS)}"
        )
    header = [mapping.get(name, name.strip().upper()) for name in names]
    if missing := {"TYPE", "CONTENT"} - set(header):
        raise Unreadable(1, f"there is no column {min(missing)!r} in this file")
    return header


def _row(row: Mapping[str, str], line: int, place: _Place) -> list[Found]:
    """What a line says; its place is then behind it."""
    kind = row["TYPE"].lower()
    if kind == "task":
        return _task(row, line, place)
    if kind == "note":
        return _note(row, line, place)
    if kind == "section":
        place.section, place.above, place.last = row["CONTENT"], [], None
    elif kind not in {"", "meta"} or (not kind and row["CONTENT"]):
        return [Remark(ImportFault(line=line, detail=f"a line of the type {kind[:50]!r} is none that is known"))]
    return []


def _task(row: Mapping[str, str], line: int, place: _Place) -> list[Found]:
    place.last = None  # notes on what cannot be taken go with it
    indent = 1
    try:
        indent = _indent(row["INDENT"])
        if row["PRIORITY"] not in PRIORITIES:
            raise ValueError("PRIORITY must be a number from 1 to 4")
        if not one_line(row["CONTENT"], 500):
            raise ValueError("CONTENT says nothing")
    except ValueError as error:
        place.above = _beside(place.above, indent)  # what lies below it comes higher, and not below another task
        return [broken(line, "a task", error)]
    found = list[Found]()
    marked = _LABELS.search(row["CONTENT"])
    content = row["CONTENT"][: marked.start()] if marked and marked.start() else row["CONTENT"]
    labels = [word[1:] for word in marked[0].split()] if marked and marked.start() else []
    named, description = titled(content, row["DESCRIPTION"], "")
    due_at, description = _due(row, line, description, found)
    above = _beside(place.above, indent)
    parent = next((each for each in reversed(above) if each is not None), None)
    place.tasks[parent or "", named] += 1
    source = known_by("todoist", parent, named, place.tasks[parent or "", named])
    place.above, place.last = [*above, source], source
    minutes = _minutes(row)
    task = ImportedTask(
        source=source,
        line=line,
        title=named,
        description=description,
        priority=PRIORITIES[row["PRIORITY"]],
        labels=words([*labels, place.section]),
        assignees=_people(row["RESPONSIBLE"]),
        due_at=due_at,
        estimate_minutes=minutes,
        parent=parent,
    )
    return [task, *found]


def _indent(text: str) -> int:
    """:raises ValueError: it is none."""
    if text and not (text.isascii() and text.isdigit() and len(text) <= 3 and 1 <= int(text) <= DEEPEST):
        raise ValueError(f"INDENT must be a number from 1 to {DEEPEST}")
    return int(text or "1")


def _beside(above: list[str | None], indent: int) -> list[str | None]:
    """What a task of this INDENT may be below: one place for each that is smaller."""
    return [*above[: indent - 1], *[None] * (indent - 1 - len(above))]


def _due(row: Mapping[str, str], line: int, description: str, found: list[Found]) -> tuple[int | None, str]:
    """When it is due. What cannot be read stands in the description then, and is told of."""
    name = "DATE" if row["DATE"] else "DEADLINE"
    text = row[name]
    if not text:
        return None, description
    try:
        return moment(date_in(text, _zone(row["TIMEZONE"]))), description
    except (ValueError, OverflowError):
        shown = one_line(text, 200)
        told = f"{name} {shown!r} is no date that can be read; it stands in the description"
        found.append(Remark(ImportFault(line=line, detail=told)))
        return None, plain_text(f"{description}\n\n{name}: {shown}".strip())


def _zone(name: str) -> tzinfo:
    return ZoneInfo(name) if is_zone(name) else UTC


def _minutes(row: Mapping[str, str]) -> int | None:
    unit = _UNITS.get(row["DURATION_UNIT"].lower())
    if unit is None or not row["DURATION"].isascii() or not row["DURATION"].isdigit() or len(row["DURATION"]) > 6:
        return None
    minutes = int(row["DURATION"]) * unit
    return minutes if minutes <= 100_000 else None


def _note(row: Mapping[str, str], line: int, place: _Place) -> list[Found]:
    body = plain_text(row["CONTENT"])
    if place.last is None:
        return [Remark(ImportFault(line=line, detail="a note belongs to no task before it"))] if body else []
    if not body:
        return []
    author = said_by(_NUMBERED.sub("", row["AUTHOR"]))
    same = (place.last, author, body)
    place.notes[same] += 1
    at = None
    with suppress(ValueError, OverflowError):  # else it is new
        at = moment(date_in(row["DATE"], _zone(row["TIMEZONE"])))
    source = known_by("todoist", author, body, place.notes[same])
    comment = ImportedComment(source=source, author=author, body=body, created_at=at, updated_at=at)
    return [ImportedComments(of=place.last, line=line, comments=[comment])]


def _people(text: str) -> list[Person]:
    name = _NUMBERED.sub("", text).strip()
    return [(name,)] if name else []
