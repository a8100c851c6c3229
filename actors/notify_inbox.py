"""Inbox: the part of the notify actor that people read, and where they choose what they are told."""

from __future__ import annotations

from typing import get_args

from actors.contracts.notify import CountUnread, ListNotifications, Notification, ReadNotifications, Subject, Unread
from actors.contracts.notify_preferences import EventName, GetPreferences, Preferences, SetPreferences
from actors.contracts.values import rfc3339
from actors.notify_telling import DEFAULTS
from actors.pages import paged, place
from actors.phrases import title
from actors.records.notify import NotifyRecords, Told
from actors.requests import caller_of
from runtime.actor import handles
from runtime.context import Context
from runtime.message import Page


class Inbox:
    """Handlers of what its owner asks."""

    @handles
    async def list_notifications(self, query: ListNotifications, ctx: Context[NotifyRecords]) -> Page[Notification]:
        """The caller's, newest first, in their language."""
        caller = caller_of(ctx)
        told = await ctx.records.page_of(
            caller, unread=query.unread, limit=query.limit + 1, after=place(query, query.cursor)
        )
        reader = (await ctx.records.preferences.readers([caller])).get(caller)
        locale = reader.locale if reader else "en"
        return paged(
            query,
            query.limit,
            told,
            lambda each: _view(each, locale),
            lambda each: (each.notification.created_at, each.notification.id),
        )

    @handles
    async def count_unread(self, query: CountUnread, ctx: Context[NotifyRecords]) -> Unread:
        """How many of the caller's wait to be read."""
        return Unread(unread=await ctx.records.unread(caller_of(ctx)))

    @handles
    async def read(self, command: ReadNotifications, ctx: Context[NotifyRecords]) -> None:
        """Mark some of the caller's, or all, as read."""
        await ctx.records.read(caller_of(ctx), None if command.ids == "all" else command.ids, ctx.now)

    @handles
    async def get_preferences(self, query: GetPreferences, ctx: Context[NotifyRecords]) -> Preferences:
        """What the caller chose, or the defaults; of events that came later, these."""
        chosen = await ctx.records.preferences.of(caller_of(ctx))
        return DEFAULTS if chosen is None else chosen

    @handles
    async def set_preferences(self, command: SetPreferences, ctx: Context[NotifyRecords]) -> Preferences:
        """Take the caller's in place of what was chosen before."""
        chosen = Preferences(
            channels=command.channels,
            events={name: list(dict.fromkeys(command.events.get(name, ()))) for name in get_args(EventName)},
            quiet_hours=command.quiet_hours,
            digest=command.digest,
        )
        await ctx.records.preferences.put(caller_of(ctx), chosen)
        return chosen


def _view(told: Told, locale: str) -> Notification:
    """As its owner sees it."""
    row = told.notification
    return Notification(
        id=row.id,
        kind=row.kind,
        title=title(row.kind, told.actor_name, row.about, locale),
        body=row.body,
        subject=Subject(type=row.subject_type, id=row.subject_id),
        actor_id=row.actor_id,
        created_at=rfc3339(row.created_at),
        read_at=None if row.read_at is None else rfc3339(row.read_at),
    )
