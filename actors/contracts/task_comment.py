"""What can be asked of the task actor about comments, and what it tells of them."""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from actors.contracts.task import Task
from actors.contracts.values import Cursor, Id, Limit, Time, Versions
from runtime.message import Command, Event, Page, Private, Query

Body = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=65536,
        pattern=r"^[^\x00]+$",
        description="1 byte to 64 KiB of UTF-8 without NUL",
        extra={"max_bytes": 65536},
    ),
]


class Comment(msgspec.Struct, frozen=True, kw_only=True):
    """What someone said about a task; `author_id` is null for imported people."""

    id: Id
    task_id: Id
    author_id: Id | None
    author_name: Private
    body: str
    created_at: Time
    updated_at: Time
    version: int


class AddComment(Command[Comment], frozen=True, kw_only=True):
    """Say something about a task; `@[Name](user:ID)` mentions a member of its project.

    Refuses `task.not_found`, `auth.forbidden`, `task.deleted` and `quota.exceeded`.
    """

    id: Id
    body: Body


class ListComments(Query[Page[Comment]], frozen=True, kw_only=True):
    """What was said about a task, the oldest first. Refuses `task.not_found`."""

    id: Id
    limit: Limit = 50
    cursor: Cursor | None = None


class UpdateComment(Command[Comment], frozen=True, kw_only=True):
    """Say it otherwise; its author may.

    Refuses `comment.not_found`, `auth.forbidden`, `task.deleted` and `request.precondition_failed`.
    """

    id: Id
    body: Body | UnsetType = UNSET
    if_match: Versions = None


class DeleteComment(Command[None], frozen=True, kw_only=True):
    """Delete a comment; its author and owners of the project may.

    Refuses `comment.not_found`, `auth.forbidden`, `task.deleted` and `request.precondition_failed`.
    """

    id: Id
    if_match: Versions = None


class CommentAdded(Event, frozen=True, kw_only=True):
    """Someone said something about a task."""

    consumers: ClassVar[tuple[str, ...]] = ("notify",)

    comment: Comment
    task: Task
    actor_id: Id | None
    at: Time
    audience_ids: list[Id] | None = None
    imported: bool = False


class Mentioned(Event, frozen=True, kw_only=True):
    """A comment names a member of the project."""

    consumers: ClassVar[tuple[str, ...]] = ("notify",)

    comment: Comment
    task: Task
    user_id: Id
    actor_id: Id | None
    at: Time
