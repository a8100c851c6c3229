"""Calendars: the part of the task actor that shows somebody's tasks to their calendar program."""

from __future__ import annotations

import hashlib
import secrets
from typing import Final, Protocol

import msgspec

from actors.contracts.task import Task
from actors.contracts.task_calendar import (
    CalendarFeed,
    ListCalendar,
    MakeCalendarFeed,
    RemoveCalendarFeed,
)
from actors.records.calendar import dated, put_feed, reader_of, remove_feed
from actors.records.task import TaskRecords
from actors.requests import caller_of
from runtime.actor import handles
from runtime.context import Context
from runtime.errors import NotFound
from runtime.message import Page

LONGEST: Final = 1000
"""Characters of a description: a calendar shows what there is to do, not all that was said of it."""

MOST: Final = 1000
"""Tasks in a feed; the earliest are there."""


class CalendarSettings(Protocol):
    """What calendars read of the settings."""

    @property
    def origin(self) -> str:
        """Where clients find the edge: `https://tasks.example.org`."""
        ...


class Calendars:
    """Handlers of calendar feeds. The token in an address is kept as its digest alone."""

    _origin: str

    @handles
    async def make_feed(self, command: MakeCalendarFeed, ctx: Context[TaskRecords]) -> CalendarFeed:
        """Make the caller's address, in place of the one before."""
        token = secrets.token_urlsafe(32)
        await put_feed(ctx.records.session, caller_of(ctx), _digest(token), ctx.now)
        return CalendarFeed(url=f"{self._origin}/calendar/{token}.ics")

    @handles
    async def remove_feed(self, command: RemoveCalendarFeed, ctx: Context[TaskRecords]) -> None:
        """Void it."""
        await remove_feed(ctx.records.session, caller_of(ctx))

    @handles
    async def list_calendar(self, query: ListCalendar, ctx: Context[TaskRecords]) -> Page[Task]:
        """The open tasks with dates of whom the address belongs to. Refuses `route.not_found`."""
        session = ctx.records.session
        reader = await reader_of(session, _digest(query.token))
        if reader is None:
            raise NotFound("route.not_found", "there is nothing at this address, or no longer")
        return Page([_shortened(task.view()) for task in await dated(session, reader, MOST)])


def _shortened(task: Task) -> Task:
    return msgspec.structs.replace(task, description=task.description[:LONGEST])


def _digest(token: str) -> bytes:
    """256 random bits need no slow hash."""
    return hashlib.sha256(token.encode()).digest()
