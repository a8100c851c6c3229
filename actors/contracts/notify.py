"""What can be asked of the notify actor. It tells nobody anything: it is where telling ends."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from actors.contracts.values import Cursor, Email, Id, Limit, Name, Time
from runtime.message import Command, Page, Query, Secret

NotificationKind = Literal[
    "task_assigned", "task_updated", "task_completed", "task_deleted", "task_due", "comment_added", "mentioned",
    "member_added", "password_changed", "new_network", "import_done", "webhook_disabled",
]  # fmt: skip
"""What somebody is told of: events, and one thing that can only happen to them."""

SubjectType = Literal["task", "project", "import", "user", "webhook"]


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """What a notification is about."""

    type: SubjectType
    id: Id


class Notification(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened and concerns its owner; `title` and `body` are plain text, never markup."""

    id: Id
    kind: NotificationKind
    title: str
    body: str
    subject: Subject
    actor_id: Id | None
    created_at: Time
    read_at: Time | None


class Unread(msgspec.Struct, frozen=True, kw_only=True):
    """How many notifications wait to be read."""

    unread: int


class ListNotifications(Query[Page[Notification]], frozen=True, kw_only=True):
    """The caller's notifications, newest first; `unread` true or false gives only those unread or read."""

    unread: bool | None = None
    limit: Limit = 50
    cursor: Cursor | None = None


class CountUnread(Query[Unread], frozen=True, kw_only=True):
    """How many of the caller's notifications wait to be read."""


class ReadNotifications(Command[None], frozen=True, kw_only=True):
    """Mark the caller's notifications as read; foreign and unknown ids are ignored, `read_at` keeps its first time."""

    ids: Annotated[list[Id], Meta(max_length=1000, description="a list of at most 1000 ids")] | Literal["all"]


class SendVerification(Command[None], frozen=True, kw_only=True):
    """Mail someone the token that proves an address to be theirs."""

    email: Email
    name: Name
    token: Secret
    locale: str = "en"


class SendMail(Command[None], frozen=True, kw_only=True):
    """Mail what somebody is told; the notify actor tells this to itself.

    :ivar notification_id: of the letter, which is named after the first thing in it.
    """

    notification_id: Id


class SendMails(Command[None], frozen=True, kw_only=True):
    """Mail several letters, one after the other; those that fail go on as a `SendMail` each."""

    letter_ids: list[Id]
