"""The log of what happened, which every edge follows to show it live."""

from __future__ import annotations

import msgspec

from actors.contracts.notify_preferences import EventName
from actors.contracts.values import Id
from runtime.message import Event, Query


class LogEntry(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened.

    :ivar seq: grows by one from entry to entry, in the order in which they were committed.
    :ivar project_id: who takes part in it may see this.
    :ivar user_id: so may they; of `member_added` and `member_removed`, whose part in the project it is.
    :ivar data: a JSON object, as clients see it.
    """

    seq: int
    type: EventName
    project_id: Id | None
    user_id: Id | None
    data: str


class Log(msgspec.Struct, frozen=True, kw_only=True):
    """:ivar last: up to where these reach; ask from there on."""

    entries: list[LogEntry]
    last: int


class GetLog(Query[Log], frozen=True, kw_only=True):
    """The next entries after the one with that number; an hour is kept."""

    after: int


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What someone may see at one point of the log.

    :ivar first: the number of the oldest entry that is kept; one more than `last` when there is none.
    :ivar last: that of the newest: `project_ids` are where they take part right after it.
    """

    first: int
    last: int
    project_ids: list[Id]


class GetStanding(Query[Standing], frozen=True, kw_only=True):
    """Where the caller stands: what an edge asks when they begin to listen."""


class LogGrew(Event, frozen=True, kw_only=True):
    """The log reaches as far as this; told to edges only, and again and again."""

    last: int
