"""Tasks as to-dos of iCalendar (RFC 5545 section 3.6.2), for feeds and exports.

The library takes 0.2 s to load, which no start should pay, and 0.8 ms a task: so it is loaded where it is first used,
and whoever uses these functions does so in a thread.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

from actors.contracts.task import Task

END: Final = b"END:VCALENDAR\r\n"

NOTHING: Final = (
    b"BEGIN:VTIMEZONE\r\nTZID:UTC\r\nBEGIN:STANDARD\r\nDTSTART:19700101T000000\r\n"
    b"TZOFFSETFROM:+0000\r\nTZOFFSETTO:+0000\r\nEND:STANDARD\r\nEND:VTIMEZONE\r\n"
)
"""What stands in a calendar without to-dos, which must hold something (section 3.6)."""

_STATUS: Final = {"todo": "NEEDS-ACTION", "cancelled": "CANCELLED", "done": "COMPLETED"}
_PRIORITY: Final = {1: 9, 2: 5, 3: 3, 4: 1}
"""Ours → that of section 3.8.1.9, where 1 is the highest and 0 none."""

_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
"""What no text of a calendar may hold (section 3.1)."""


def beginning(name: str) -> bytes:
    """Of a calendar. :param name: shown by programs that read it."""
    from icalendar import Calendar, vText

    calendar = Calendar()
    calendar.add("version", "2.0")
    calendar.add("prodid", "-//Troupe//Tasks//EN")
    calendar.add("x-wr-calname", vText(name))  # the library takes it for no text by itself
    return bytes(calendar.to_ical()).removesuffix(END)


def to_dos(tasks: Iterable[Task], names: Mapping[str, str] = {}) -> bytes:
    """Their lines. The same tasks are the same bytes. :param names: of labels, by id."""
    return b"".join(_to_do(task, names) for task in tasks)


def calendar_of(tasks: Iterable[Task], name: str) -> bytes:
    """A whole one."""
    return beginning(name) + (to_dos(tasks) or NOTHING) + END


def _to_do(task: Task, names: Mapping[str, str]) -> bytes:
    """Without its recurrence: the next one comes by itself when this one is done."""
    from icalendar import Todo

    todo = Todo()
    todo.add("uid", task.id)
    todo.add("dtstamp", _time(task.updated_at))
    todo.add("created", _time(task.created_at))
    todo.add("last-modified", _time(task.updated_at))
    todo.add("summary", task.title)
    todo.add("status", _STATUS.get(task.status, "IN-PROCESS"))
    todo.add("sequence", task.version - 1)
    if task.description:
        todo.add("description", _CONTROLS.sub("", task.description.replace("\r\n", "\n").replace("\r", "\n")))
    if task.priority:
        todo.add("priority", _PRIORITY[task.priority])
    due = None if task.due_at is None else _time(task.due_at)
    if due is not None:
        todo.add("due", due)
    # a start that is not before the end is none (section 3.8.2.3); ours may be
    if task.start_at is not None and (due is None or _time(task.start_at) < due):
        todo.add("dtstart", _time(task.start_at))
    if task.completed_at is not None:
        todo.add("completed", _time(task.completed_at))
    if task.parent_id is not None:
        todo.add("related-to", task.parent_id)
    if labels := [names[id] for id in task.label_ids if id in names]:
        todo.add("categories", labels)
    return bytes(todo.to_ical())


def _time(text: str) -> datetime:
    """To the second, which is all that a calendar knows (section 3.3.5)."""
    return datetime.fromisoformat(text).replace(microsecond=0)
