"""A task as it is stored, and as it is shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

import msgspec

from actors.contracts.task import Priority, Relation, Task, TaskStatus
from actors.contracts.task_project import ProjectRole
from actors.contracts.values import rfc3339
from actors.records.series import shown
from actors.records.words import folded


class TaskRow(msgspec.Struct, frozen=True):
    """A row of `task`, but for its words; times are ms since the epoch, lists and `recurrence` JSON texts."""

    id: str
    project_id: str
    number: int
    title: str
    description: str
    status: TaskStatus
    priority: Priority
    assignee_ids: str
    label_ids: str
    watcher_count: int
    start_at: int | None
    due_at: int | None
    remind_at: str
    parent_id: str | None
    relations: str
    estimate_minutes: int | None
    position: str
    comment_count: int
    attachment_count: int
    created_by: str | None
    created_at: int
    updated_at: int
    completed_at: int | None
    deleted_at: int | None
    deleted_with: str | None
    version: int
    recurrence: str | None = None

    def view(self, *, watching: bool = False) -> Task:
        """As a member of its project sees it."""
        return Task(
            id=self.id,
            project_id=self.project_id,
            number=self.number,
            title=self.title,
            description=self.description,
            status=self.status,
            priority=self.priority,
            assignee_ids=ids(self.assignee_ids),
            label_ids=ids(self.label_ids),
            watching=watching,
            watcher_count=self.watcher_count,
            start_at=_time(self.start_at),
            due_at=_time(self.due_at),
            remind_at=[rfc3339(ms) for ms in times(self.remind_at)],
            parent_id=self.parent_id,
            recurrence=shown(self.recurrence),
            relations=[] if self.relations == EMPTY else _relations(self.relations),
            estimate_minutes=self.estimate_minutes,
            position=self.position,
            comment_count=self.comment_count,
            attachment_count=self.attachment_count,
            created_by=self.created_by,
            created_at=rfc3339(self.created_at),
            updated_at=rfc3339(self.updated_at),
            completed_at=_time(self.completed_at),
            deleted_at=_time(self.deleted_at),
            version=self.version,
        )


class Seen(msgspec.Struct, frozen=True):
    """A task in the eyes of a member of its project."""

    role: ProjectRole
    watching: bool
    task: TaskRow

    def view(self) -> Task:
        return self.task.view(watching=self.watching)


EMPTY = "[]"
COLUMNS = TaskRow.__struct_fields__
OWN = ", ".join(f"task.{column}" for column in COLUMNS)
"""The columns of a row that a statement returns which reads other tables too."""
NUMBERS = {
    field.name for field in msgspec.structs.fields(TaskRow) if {int, Priority} & {field.type, *get_args(field.type)}
}
SEEN = "m.role, v.user_id is not null as watching, " + ", ".join(f"t.{column}" for column in COLUMNS)

_ids = msgspec.json.Decoder(list[str]).decode
_times = msgspec.json.Decoder(list[int]).decode
_relations = msgspec.json.Decoder(list[Relation]).decode


def seen_of(values: Sequence[Any]) -> Seen:
    """From the columns of `SEEN`."""
    role, watching, *columns = values
    return Seen(role, bool(watching), TaskRow(*columns))


def ids(text: str) -> list[str]:
    """The ids in a list of a task's row."""
    return [] if text == EMPTY else _ids(text)


def list_text(values: Sequence[str] | Sequence[int]) -> str:
    """A list as a task's row holds it."""
    return msgspec.json.encode(values).decode() if values else EMPTY


def as_list(values: Sequence[str]) -> str:
    """Ids as a list of a task's row, each once."""
    return list_text(list(dict.fromkeys(values)))


def times(text: str) -> list[int]:
    """The times in a list of a task's row, ms since the epoch."""
    return [] if text == EMPTY else _times(text)


def words_of(task: TaskRow) -> str:
    """What a search looks at."""
    return folded(task.title, task.description)


def _time(ms: int | None) -> str | None:
    return None if ms is None else rfc3339(ms)
