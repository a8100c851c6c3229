"""The notify actor: who is told what, in the inbox and by mail."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final, Literal, Protocol

from actors.contracts.notify import (
    CountUnread,
    ListNotifications,
    Notification,
    NotificationKind,
    ReadNotifications,
    SendMail,
    SendVerification,
    Subject,
    Unread,
)
from actors.contracts.task import Task, TaskAssigned, TaskCompleted, TaskDeleted, TaskUpdated
from actors.contracts.task_comment import CommentAdded, Mentioned
from actors.contracts.task_import import ImportDone
from actors.contracts.task_project import MemberAdded
from actors.contracts.values import rfc3339
from actors.letters import Letters, title
from actors.notify_people import People
from actors.pages import paged, place
from actors.postman import Postman
from actors.records.notify import NotificationRow, NotifyRecords, Told
from actors.requests import caller_of
from runtime.actor import Actor, every, handles
from runtime.context import Context, OutsideContext
from runtime.errors import Unavailable
from runtime.message import Page, Tick
from runtime.policy import PATIENT
from runtime.ports import Mail, Mailer

MAILED: Final[Collection[NotificationKind]] = {"task_assigned", "comment_added", "mentioned", "member_added"}
"""What is mailed, too; everything is in the inbox."""

EXCERPT: Final = 1000
"""Characters of a comment that a notification repeats."""

MAILS_KEPT_MS: Final = 30 * 24 * 3600 * 1000


class NotifySettings(Protocol):
    """What this actor reads of the settings."""

    @property
    def origin(self) -> str:
        """What links in mails begin with."""
        ...


class NotifyActor(People, Actor[NotifyRecords]):
    """Tells people what concerns them; never the one who did it, and nothing of what was imported."""

    name = "notify"
    records = NotifyRecords

    def __init__(self, *, settings: NotifySettings, mailer: Mailer) -> None:
        self._letters = Letters(settings.origin)
        self._postman = Postman(mailer)

    # ------------------------------------------------------------------------------------ what happened

    @handles
    async def tell_of_assignment(self, event: TaskAssigned, ctx: Context[NotifyRecords]) -> None:
        """The assignee."""
        if not event.imported:
            await _tell(ctx, "task_assigned", [event.assignee_id], event.actor_id, event.task)

    @handles
    async def tell_of_update(self, event: TaskUpdated, ctx: Context[NotifyRecords]) -> None:
        """Assignees, watchers and creator."""
        if not event.imported:
            fields = ", ".join(field.removesuffix("_ids").replace("_", " ") for field in event.changed)
            await _tell(ctx, "task_updated", _audience(event), event.actor_id, event.task, f"Changed: {fields}")

    @handles
    async def tell_of_completion(self, event: TaskCompleted, ctx: Context[NotifyRecords]) -> None:
        """Assignees, watchers and creator."""
        if not event.imported:
            await _tell(ctx, "task_completed", _audience(event), event.actor_id, event.task)

    @handles
    async def tell_of_deletion(self, event: TaskDeleted, ctx: Context[NotifyRecords]) -> None:
        """Assignees, watchers and creator."""
        await _tell(ctx, "task_deleted", _audience(event), event.actor_id, event.task)

    @handles
    async def tell_of_comment(self, event: CommentAdded, ctx: Context[NotifyRecords]) -> None:
        """Assignees, watchers and creator."""
        if not event.imported:
            excerpt = _excerpt(event.comment.body)
            await _tell(ctx, "comment_added", _audience(event), event.actor_id, event.task, excerpt)

    @handles
    async def tell_of_mention(self, event: Mentioned, ctx: Context[NotifyRecords]) -> None:
        """The one who is mentioned."""
        await _tell(ctx, "mentioned", [event.user_id], event.actor_id, event.task, _excerpt(event.comment.body))

    @handles
    async def tell_of_membership(self, event: MemberAdded, ctx: Context[NotifyRecords]) -> None:
        """The added member."""
        await _notify(
            ctx,
            "member_added",
            [event.user_id],
            actor_id=event.actor_id,
            subject=("project", event.project_id),
            about=event.project_name or "a project",  # an older process does not name it
        )

    @handles
    async def tell_of_import(self, event: ImportDone, ctx: Context[NotifyRecords]) -> None:
        """Who began it; it was not them who ended it."""
        result, failed = event.result, event.result.status == "failed"
        counts = f"Tasks: {result.total}; new: {result.created}; there already: {result.skipped}"
        await _notify(
            ctx,
            "import_done",
            [event.user_id],
            actor_id=None,
            subject=("import", result.id),
            about=event.name,
            body=f"It failed: {result.errors[0].detail}" if failed else counts,
        )

    # ------------------------------------------------------------------------------------ the inbox

    @handles
    async def list_notifications(self, query: ListNotifications, ctx: Context[NotifyRecords]) -> Page[Notification]:
        """The caller's, newest first."""
        told = await ctx.records.page_of(
            caller_of(ctx), unread=query.unread, limit=query.limit + 1, after=place(query, query.cursor)
        )
        return paged(query, query.limit, told, _view, lambda each: (each.notification.created_at, each.notification.id))

    @handles
    async def count_unread(self, query: CountUnread, ctx: Context[NotifyRecords]) -> Unread:
        """How many of the caller's wait to be read."""
        return Unread(unread=await ctx.records.unread(caller_of(ctx)))

    @handles
    async def read(self, command: ReadNotifications, ctx: Context[NotifyRecords]) -> None:
        """Mark some of the caller's, or all, as read."""
        await ctx.records.read(caller_of(ctx), None if command.ids == "all" else command.ids, ctx.now)

    # ------------------------------------------------------------------------------------ mail

    @handles(outside=True, retry=PATIENT)
    async def send_verification(self, command: SendVerification, ctx: OutsideContext[NotifyRecords]) -> None:
        """The one mail that goes to an address which is not proven yet."""
        await self._mail_once(self._letters.verification(ctx.cause, command.email, command.name, command.token), ctx)

    @handles(outside=True, retry=PATIENT)
    async def send_mail(self, command: SendMail, ctx: OutsideContext[NotifyRecords]) -> None:
        """Mail a notification, if its owner has a proven address; raises Unavailable while they are not known."""
        async with ctx.step() as records:  # no query: a replica of the database may not have the notification yet
            mail = await self._mail(command.notification_id, records)
            if mail is not None:
                await records.mail_begins(mail.id, ctx.now)
        if mail is None:
            ctx.note("no mail: there is no proven address")
        else:
            await self._send(mail, ctx)

    @every(hours=1)
    async def forget(self, tick: Tick, ctx: Context[NotifyRecords]) -> None:
        """Delete what became of mails long ago."""
        await ctx.records.forget_mails(ctx.now - MAILS_KEPT_MS)

    async def _mail(self, notification_id: str, records: NotifyRecords) -> Mail | None:
        told = await records.notification(notification_id)
        if told is None:
            return None
        notification = told.notification
        recipient = await records.recipient(notification.user_id)
        if recipient is None:
            raise Unavailable("the recipient is not known yet: their account's event is on its way")
        if not (recipient.active and recipient.email_verified):
            return None
        headline = title(notification.kind, told.actor_name, notification.about)
        return self._letters.notification(notification.id, recipient.email, recipient.name, headline, notification.body)


def _audience(event: TaskUpdated | TaskCompleted | TaskDeleted | CommentAdded) -> Iterable[str]:
    """Assignees, watchers and creator; without the watchers in messages of older processes."""
    if event.audience_ids is not None:
        return event.audience_ids
    task = event.task
    return task.assignee_ids if task.created_by is None else [*task.assignee_ids, task.created_by]


def _excerpt(body: str) -> str:
    return body if len(body) <= EXCERPT else body[:EXCERPT] + "…"


async def _tell(
    ctx: Context[NotifyRecords],
    kind: NotificationKind,
    people: Iterable[str],
    actor_id: str | None,
    task: Task,
    body: str = "",
) -> None:
    await _notify(ctx, kind, people, actor_id=actor_id, subject=("task", task.id), about=task.title, body=body)


async def _notify(
    ctx: Context[NotifyRecords],
    kind: NotificationKind,
    people: Iterable[str],
    *,
    actor_id: str | None,
    subject: tuple[Literal["task", "project", "import"], str],
    about: str,
    body: str = "",
) -> None:
    """A notification for each of them but the one who did it, once, and a mail where the kind is mailed."""
    subject_type, subject_id = subject
    notifications = [
        NotificationRow(
            id=ctx.new_id(),
            user_id=user_id,
            kind=kind,
            about=about,
            body=body,
            subject_type=subject_type,
            subject_id=subject_id,
            actor_id=actor_id,
            created_at=ctx.now,
        )
        for user_id in dict.fromkeys(people)
        if user_id != actor_id
    ]
    await ctx.records.add(notifications)
    if kind in MAILED:
        for each in notifications:
            ctx.tell(SendMail(notification_id=each.id))


def _view(told: Told) -> Notification:
    """As its owner sees it."""
    row = told.notification
    return Notification(
        id=row.id,
        kind=row.kind,
        title=title(row.kind, told.actor_name, row.about),
        body=row.body,
        subject=Subject(type=row.subject_type, id=row.subject_id),
        actor_id=row.actor_id,
        created_at=rfc3339(row.created_at),
        read_at=None if row.read_at is None else rfc3339(row.read_at),
    )
