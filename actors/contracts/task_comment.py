"""What can be asked of the task actor about comments, and what it tells of them."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from actors.contracts.task import Task
from actors.contracts.values import Id, Time
from runtime.message import Event


class Comment(msgspec.Struct, frozen=True, kw_only=True):
    """What someone said about a task; `author_id` is null for imported people."""

    id: Id
    task_id: Id
    author_id: Id | None
    author_name: str
    body: str
    created_at: Time
    updated_at: Time
    version: int


class CommentAdded(Event, frozen=True, kw_only=True):
    """Someone said something about a task."""

    consumers: ClassVar[tuple[str, ...]] = ("notify",)

    comment: Comment
    task: Task
    actor_id: Id | None
    at: Time
    audience_ids: list[Id] | None = None
    imported: bool = False
