"""The notify actor: who is told what. What happened comes as events; it asks nobody."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Protocol

from actors.contracts.notify import NotificationKind
from actors.contracts.notify_preferences import EventName
from actors.contracts.task import Task, TaskAssigned, TaskCompleted, TaskCreated, TaskDeleted, TaskUpdated
from actors.contracts.task_comment import CommentAdded, Mentioned
from actors.contracts.task_import import Import, ImportDone
from actors.contracts.task_project import MemberAdded, MemberRemoved, MembersListed, ProjectUpdated
from actors.contracts.task_reminder import TaskDue
from actors.letters import Letters
from actors.notify_deliveries import Deliveries, happened, write_deliveries
from actors.notify_inbox import Inbox
from actors.notify_log import Live, write_down
from actors.notify_mail import Mails
from actors.notify_people import People
from actors.notify_telling import tell, write_news
from actors.notify_texts import TextMessages
from actors.notify_webhooks import Webhooks
from actors.phrases import changes, phrases
from actors.postman import Postman
from actors.records.news import Happening, News
from actors.records.notify import NotifyRecords
from runtime.actor import Actor, handles
from runtime.context import Context
from runtime.errors import MailerAway, TexterAway
from runtime.keys import Sealer
from runtime.message import Event
from runtime.ports import Mailer, Poster, Texter

EXCERPT: Final = 1000
"""Characters of a comment that a notification repeats."""


class NotifySettings(Protocol):
    """What this actor reads of the settings."""

    @property
    def origin(self) -> str:
        """What links in mails begin with."""
        ...

    @property
    def sms_per_day(self) -> int:
        """Text messages to one number a day, at most."""
        ...


class NotifyActor(People, Inbox, Mails, TextMessages, Live, Webhooks, Deliveries, Actor[NotifyRecords]):
    """Tells people what concerns them, never the one who did it and nothing of what was imported; writes down all that
    happens, for those who listen live."""

    name = "notify"
    records = NotifyRecords

    def __init__(
        self, *, settings: NotifySettings, mailer: Mailer, texter: Texter, sealer: Sealer, poster: Poster
    ) -> None:
        self._letters = Letters(settings.origin)
        self._mailer = mailer
        self._mail_out = Postman(mailer.send, MailerAway)
        self._texter = texter
        self._texts_out = Postman(texter.send, TexterAway)
        self._texts_per_day = settings.sms_per_day
        self._sealer = sealer
        self._poster = poster

    async def before_commit(self, records: NotifyRecords, events: Sequence[Event]) -> None:
        """Write what all handlers of the transaction had to say; the log last (see there)."""
        await write_news(records)
        await write_deliveries(records)
        await records.log.write()

    # ------------------------------------------------------------------------------------ tasks

    @handles
    async def see_creation(self, event: TaskCreated, ctx: Context[NotifyRecords]) -> None:
        """Nobody is told: who made it, knows; whom it is assigned to, is told of that."""
        happened(_of_task("task_created", event), ctx)

    @handles
    async def tell_of_assignment(self, event: TaskAssigned, ctx: Context[NotifyRecords]) -> None:
        """The assignee."""
        if not event.imported:
            tell(_news("task_assigned", [event.assignee_id], event), ctx)
        happened(_of_task("task_assigned", event, assignee_id=event.assignee_id), ctx)

    @handles
    async def tell_of_update(self, event: TaskUpdated, ctx: Context[NotifyRecords]) -> None:
        """Assignees, watchers and creator."""
        if not event.imported:
            news = _news("task_updated", _audience(event), event, lambda locale: changes(event.changed, locale))
            tell(news, ctx)
        happened(_of_task("task_updated", event, changed=event.changed), ctx)

    @handles
    async def tell_of_completion(self, event: TaskCompleted, ctx: Context[NotifyRecords]) -> None:
        """Assignees, watchers and creator."""
        if not event.imported:
            tell(_news("task_completed", _audience(event), event), ctx)
        happened(_of_task("task_completed", event), ctx)

    @handles
    async def tell_of_deletion(self, event: TaskDeleted, ctx: Context[NotifyRecords]) -> None:
        """Assignees, watchers and creator."""
        tell(_news("task_deleted", _audience(event), event), ctx)
        happened(_of_task("task_deleted", event), ctx)

    @handles
    async def tell_of_reminder(self, event: TaskDue, ctx: Context[NotifyRecords]) -> None:
        """Assignees and watchers; the creator when nobody is assigned."""
        due = event.task.due_at
        tell(_news("task_due", event.audience_ids, event, lambda locale: due or ""), ctx)
        happened(_of_task("task_due", event, remind_at=event.remind_at), ctx)

    @handles
    async def tell_of_comment(self, event: CommentAdded, ctx: Context[NotifyRecords]) -> None:
        """Assignees, watchers and creator."""
        if not event.imported:
            excerpt = _excerpt(event.comment.body)
            tell(_news("comment_added", _audience(event), event, lambda locale: excerpt), ctx)
        happened(_of_task("comment_added", event, comment_id=event.comment.id), ctx)

    @handles
    async def tell_of_mention(self, event: Mentioned, ctx: Context[NotifyRecords]) -> None:
        """The one who is mentioned."""
        excerpt = _excerpt(event.comment.body)
        tell(_news("mentioned", [event.user_id], event, lambda locale: excerpt), ctx)
        more = {"comment_id": event.comment.id, "mentioned_id": event.user_id}
        happened(_of_task("mentioned", event, **more), ctx)

    # ------------------------------------------------------------------------------------ projects

    @handles
    async def tell_of_membership(self, event: MemberAdded, ctx: Context[NotifyRecords]) -> None:
        """The added member, who sees what happens in the project from now on."""
        project_id, user_id = event.project_id, event.user_id
        if not await ctx.records.log.keep_member(project_id, user_id, event.at, active=True):
            return  # they have left since
        news = News(
            kind="member_added",
            people=[user_id],
            actor_id=event.actor_id,
            subject=("project", project_id),
            about=event.project_name or "a project",  # an older process does not name it
        )
        tell(news, ctx)
        happened(_of_member("member_added", event, role=event.role), ctx)

    @handles
    async def see_departure(self, event: MemberRemoved, ctx: Context[NotifyRecords]) -> None:
        """Who has left sees nothing of the project any more; nobody is told."""
        if await ctx.records.log.keep_member(event.project_id, event.user_id, event.at, active=False):
            happened(_of_member("member_removed", event), ctx)

    @handles
    async def see_members(self, event: MembersListed, ctx: Context[NotifyRecords]) -> None:
        """Mend what is kept of memberships, and let those who listen live see it; nobody is told."""
        log, project_id, parts = ctx.records.log, event.project_id, {part.user_id: part for part in event.members}
        known = await log.members(project_id)
        for user_id in sorted(parts.keys() - known):
            part = parts[user_id]
            if await log.keep_member(project_id, user_id, part.added_at, active=True):
                write_down(_mended("member_added", project_id, user_id, part.added_at, role=part.role), ctx)
        for user_id in sorted(known - parts.keys()):
            if await log.keep_member(project_id, user_id, event.as_of, active=False):
                write_down(_mended("member_removed", project_id, user_id, event.as_of), ctx)

    @handles
    async def see_project(self, event: ProjectUpdated, ctx: Context[NotifyRecords]) -> None:
        """Nobody is told."""
        happening = Happening(
            type="project_updated",
            at=event.at,
            actor_id=event.actor_id,
            project_id=event.project.id,
            version=event.project.version,
            more={"changed": event.changed},
        )
        happened(happening, ctx)

    @handles
    async def tell_of_import(self, event: ImportDone, ctx: Context[NotifyRecords]) -> None:
        """Who began it; it was not them who ended it."""
        result = event.result
        news = News(
            kind="import_done",
            people=[event.user_id],
            actor_id=None,
            subject=("import", result.id),
            about=event.name,
            body=lambda locale: _outcome(result, locale),
        )
        tell(news, ctx)
        happening = Happening(
            type="import_done",
            at=event.at,
            actor_id=event.user_id,
            user_id=event.user_id,
            more={"import_id": result.id, "status": result.status},
        )
        happened(happening, ctx)


_OfTask = TaskCreated | TaskAssigned | TaskUpdated | TaskCompleted | TaskDeleted | TaskDue | CommentAdded | Mentioned


def _audience(event: TaskUpdated | TaskCompleted | TaskDeleted | CommentAdded) -> Iterable[str]:
    """Assignees, watchers and creator; without the watchers in messages of older processes."""
    if event.audience_ids is not None:
        return event.audience_ids
    task = event.task
    return task.assignee_ids if task.created_by is None else [*task.assignee_ids, task.created_by]


def _excerpt(body: str) -> str:
    return body if len(body) <= EXCERPT else body[:EXCERPT] + "…"


def _outcome(result: Import, locale: str) -> str:
    told = phrases(locale)
    if result.status == "failed":
        return told.failed.format(detail=result.errors[0].detail)
    return told.counts.format(total=result.total, created=result.created, skipped=result.skipped)


def _news(
    kind: NotificationKind, people: Iterable[str], event: _OfTask, body: Callable[[str], str] = lambda locale: ""
) -> News:
    task: Task = event.task
    return News(
        kind=kind, people=people, actor_id=event.actor_id, subject=("task", task.id), about=task.title, body=body
    )


def _of_task(type: EventName, event: _OfTask, **more: Any) -> Happening:
    return Happening(
        type=type,
        at=event.at,
        actor_id=event.actor_id,
        project_id=event.task.project_id,
        task_id=event.task.id,
        version=event.task.version,
        more=more,
    )


def _mended(type: EventName, project_id: str, user_id: str, at: str, **more: Any) -> Happening:
    """Of a membership that is known late, and not who made it."""
    return Happening(
        type=type, at=at, actor_id=None, project_id=project_id, user_id=user_id, more={"user_id": user_id, **more}
    )


def _of_member(type: EventName, event: MemberAdded | MemberRemoved, **more: Any) -> Happening:
    return Happening(
        type=type,
        at=event.at,
        actor_id=event.actor_id,
        project_id=event.project_id,
        user_id=event.user_id,
        more={"user_id": event.user_id, **more},
    )
