"""What can be asked of the task actor about calendars: a feed of one's own tasks at a secret address."""

from __future__ import annotations

import msgspec

from actors.contracts.task import Task
from runtime.message import Command, Page, Query, Secret


class CalendarFeed(msgspec.Struct, frozen=True, kw_only=True):
    """Where a calendar program finds somebody's tasks. Whoever has the address sees them."""

    url: Secret


class MakeCalendarFeed(Command[CalendarFeed], frozen=True, kw_only=True):
    """Make the address of the caller's calendar feed; it is shown in this answer and never again, and voids the one
    before it.

    The feed (iCalendar, RFC 5545) has the open tasks that are assigned to the caller and have a date, as to-dos.
    """


class RemoveCalendarFeed(Command[None], frozen=True, kw_only=True):
    """Void the address of the caller's calendar feed; where there is none, nothing happens."""


class ListCalendar(Query[Page[Task]], frozen=True, kw_only=True):
    """The tasks of the feed at an address, for anyone who has it, the earliest first; their descriptions are cut short.

    Refuses `route.not_found`: it is void, or never was one.
    """

    token: Secret
