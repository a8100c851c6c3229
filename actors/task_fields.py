"""The fields of a task: from what a message asks for to what is stored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from msgspec import UNSET

from actors.contracts.task import CreateTask, UpdateTask
from actors.contracts.values import milliseconds
from actors.records.series import shown
from actors.records.task_row import EMPTY, TaskRow, as_list, ids, list_text
from actors.task_series import begun, refusal, still_followed
from runtime.errors import Invalid

BLANK: Final = CreateTask(project_id="", title="")
"""What null stands for in a change: the default of a new task."""


def new_task(command: CreateTask, *, id: str, number: int, position: str, creator: str | None, now: int) -> TaskRow:
    """A task as it begins."""
    return TaskRow(
        id=id,
        project_id=command.project_id,
        number=number,
        title=command.title,
        description=command.description,
        status=command.status,
        priority=command.priority,
        assignee_ids=as_list(command.assignee_ids),
        label_ids=as_list(command.label_ids),
        watcher_count=0,
        start_at=_ms(command.start_at),
        due_at=_ms(command.due_at),
        remind_at=_times(command.remind_at),
        parent_id=command.parent_id,
        relations=EMPTY,
        estimate_minutes=command.estimate_minutes,
        position=position,
        comment_count=0,
        attachment_count=0,
        created_by=creator,
        created_at=now,
        updated_at=now,
        completed_at=now if command.status == "done" else None,
        deleted_at=None,
        deleted_with=None,
        version=1,
        recurrence=None if command.recurrence is None else begun(command.recurrence),
    )


def refusal_of(command: CreateTask) -> Invalid | None:
    """Why a new task cannot recur as it should."""
    counted = command.due_at or command.start_at
    return None if command.recurrence is None else refusal(begun(command.recurrence), _ms(counted))


def changed_task(command: UpdateTask, task: TaskRow, now: int) -> tuple[TaskRow, list[str]]:
    """The task as the command wants it, and the names of the fields that are then different."""
    changes: dict[str, Any] = {}
    for field, stored in _STORED.items():
        wanted = getattr(command, field)
        if wanted is UNSET:
            continue
        value = stored(getattr(BLANK, field) if wanted is None else wanted)
        if not _same(field, value, getattr(task, field)):
            changes[field] = value
    if not changes:
        return task, []
    names = list(changes)
    if "recurrence" in changes:
        changes["recurrence"] = still_followed(task.recurrence, changes["recurrence"])
    if "status" in changes:
        changes["completed_at"] = now if changes["status"] == "done" else None
    return msgspec.structs.replace(task, **changes, updated_at=now, version=task.version + 1), names


def _ms(time: datetime | None) -> int | None:
    return None if time is None else milliseconds(time)


def _times(values: Sequence[datetime]) -> str:
    return list_text(sorted({milliseconds(time) for time in values}))


def _plain(value: Any) -> Any:
    return value


def _same(field: str, one: Any, other: Any) -> bool:
    """The order of ids says nothing, nor does what is not shown of a recurrence."""
    if field == "recurrence":
        return shown(one) == shown(other)
    return one == other or (field.endswith("_ids") and set(ids(one)) == set(ids(other)))


_STORED: Final[dict[str, Callable[[Any], Any]]] = {
    "title": _plain,
    "description": _plain,
    "status": _plain,
    "priority": _plain,
    "assignee_ids": as_list,
    "label_ids": as_list,
    "start_at": _ms,
    "due_at": _ms,
    "remind_at": _times,
    "parent_id": _plain,
    "recurrence": lambda recurrence: None if recurrence is None else begun(recurrence),
    "estimate_minutes": _plain,
}
"""Field of a change → how its value is stored."""
