"""Tasks as iCalendar (RFC 5545): a calendar of to-dos, in UTF-8. A test reads it back with a library."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from actors.contracts.task import Task, TaskStatus

LONGEST: Final = 1000
"""Characters of a description: a calendar shows what there is to do, not all that was said of it."""

_STATUS: Final[Mapping[TaskStatus, str]] = {
    "todo": "NEEDS-ACTION",
    "in_progress": "IN-PROCESS",
    "in_review": "IN-PROCESS",
    "done": "COMPLETED",
    "cancelled": "CANCELLED",
}
_PRIORITY: Final = (0, 9, 5, 3, 1)
"""Ours, from none to urgent → that of RFC 5545, where 1 is the highest and 0 is none."""

_LINE: Final = 75
"""Octets of a line, at most (section 3.1)."""

_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def calendar_of(tasks: Iterable[Task], name: str) -> Iterator[bytes]:
    """A calendar with one to-do a task, piece by piece. The same tasks are the same bytes.

    :param name: shown by programs that read it.
    """
    yield _lines(
        ("BEGIN", "VCALENDAR"),
        ("VERSION", "2.0"),
        ("PRODID", "-//Troupe//Tasks//EN"),
        ("METHOD", "PUBLISH"),
        ("X-WR-CALNAME", _text(name)),
    )
    for task in tasks:
        yield _lines(*_todo(task))
    yield _lines(("END", "VCALENDAR"))


def _todo(task: Task) -> Iterator[tuple[str, str]]:
    """Without its recurrence: the next one comes by itself when this one is done."""
    yield "BEGIN", "VTODO"
    yield "UID", task.id
    yield "DTSTAMP", _time(task.updated_at)
    yield "CREATED", _time(task.created_at)
    yield "LAST-MODIFIED", _time(task.updated_at)
    yield "SEQUENCE", str(task.version)
    yield "SUMMARY", _text(task.title)
    if task.description:
        yield "DESCRIPTION", _text(task.description[:LONGEST])
    yield "STATUS", _STATUS[task.status]
    yield "PRIORITY", str(_PRIORITY[task.priority])
    due = None if task.due_at is None else _time(task.due_at)
    if due is not None:
        yield "DUE", due
    # a start that is not seconds before the end is none (section 3.8.2.3)
    if task.start_at is not None and (due is None or _time(task.start_at) < due):
        yield "DTSTART", _time(task.start_at)
    if task.completed_at is not None:
        yield "COMPLETED", _time(task.completed_at)
    yield "END", "VTODO"


def _time(text: str) -> str:
    """`2026-11-24T09:30:00.000Z` → `20261124T093000Z` (section 3.3.5)."""
    return text[:19].replace("-", "").replace(":", "") + "Z"


def _text(value: str) -> str:
    """Escaped, and without the control characters that a TEXT cannot have (section 3.3.11)."""
    lines = _CONTROLS.sub("", value.replace("\r\n", "\n").replace("\r", "\n"))
    return lines.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,").replace("\n", "\\n")


def _lines(*properties: tuple[str, str]) -> bytes:
    return b"".join(_folded(f"{name}:{value}".encode()) for name, value in properties)


def _folded(line: bytes) -> bytes:
    """A content line: in pieces of at most 75 octets, none of which ends within a character (section 3.1)."""
    if len(line) <= _LINE:
        return line + b"\r\n"
    pieces = []
    start, room = 0, _LINE
    while len(line) - start > room:
        end = start + room
        while line[end] & 0xC0 == 0x80:
            end -= 1
        pieces.append(line[start:end])
        start, room = end, _LINE - 1  # what follows begins with a space
    pieces.append(line[start:])
    return b"\r\n ".join(pieces) + b"\r\n"
