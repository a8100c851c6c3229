"""A task as a to-do of iCalendar (RFC 5545 section 3.6.2)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from icalendar import Todo

from actors.contracts.task import Task

_STATUS: Final = {"todo": "NEEDS-ACTION", "cancelled": "CANCELLED", "done": "COMPLETED"}
_PRIORITY: Final = {1: 9, 2: 5, 3: 3, 4: 1}
"""Ours → that of RFC 5545 section 3.8.1.9, where 1 is the highest and 0 none."""


def to_do(task: Task, names: Mapping[str, str]) -> bytes:
    """Its lines. :param names: of labels, by id."""
    todo = Todo()
    todo.add("uid", task.id)
    todo.add("dtstamp", datetime.fromisoformat(task.updated_at))
    todo.add("created", datetime.fromisoformat(task.created_at))
    todo.add("last-modified", datetime.fromisoformat(task.updated_at))
    todo.add("summary", task.title)
    todo.add("status", _STATUS.get(task.status, "IN-PROCESS"))
    todo.add("sequence", task.version - 1)
    if task.description:
        todo.add("description", _printable(task.description))
    if task.priority:
        todo.add("priority", _PRIORITY[task.priority])
    if task.start_at is not None:
        todo.add("dtstart", datetime.fromisoformat(task.start_at))
    # a due time must lie behind the start (RFC 5545 section 3.8.2.3); ours may not
    if task.due_at is not None and (task.start_at is None or task.due_at > task.start_at):
        todo.add("due", datetime.fromisoformat(task.due_at))
    if task.completed_at is not None:
        todo.add("completed", datetime.fromisoformat(task.completed_at))
    if task.parent_id is not None:
        todo.add("related-to", task.parent_id)
    if labels := [names[id] for id in task.label_ids if id in names]:
        todo.add("categories", labels)
    return bytes(todo.to_ical())


def _printable(text: str) -> str:
    """Without the controls that no calendar may hold (RFC 5545 section 3.1)."""
    return "".join(each for each in text.replace("\r\n", "\n") if (each >= " " and each != "\x7f") or each in "\n\t")
