"""Live: the part of the notify actor that writes down what happened, for edges to show, in the order of commits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from actors.contracts.notify_live import GetLog, GetStanding, Log, LogGrew, Standing
from actors.contracts.notify_preferences import EventName
from actors.records.notify import NotifyRecords
from actors.requests import caller_of
from runtime.actor import every, handles
from runtime.context import Context
from runtime.message import Event, Tick

KEPT_MS: Final = 3600 * 1000
"""How long what happened can be asked for."""

ENTRIES: Final = 500
"""In one answer."""


class Happening(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened, as those who may see it are told.

    :ivar user_id: whom alone it concerns, or whose part in the project changes.
    :ivar version: of the task or project.
    :ivar more: what else there is to say of it.
    """

    type: EventName
    at: str
    actor_id: str | None
    project_id: str | None = None
    user_id: str | None = None
    task_id: str | None = None
    version: int | None = None
    more: dict[str, Any] = {}

    def data(self) -> str:
        """As JSON."""
        values: dict[str, Any] = {"type": self.type, "project_id": self.project_id}
        if self.task_id is not None:
            values["task_id"] = self.task_id
        values |= {"version": self.version, "actor_id": self.actor_id, "at": self.at, **self.more}
        return msgspec.json.encode(values).decode()


def write_down(happening: Happening, ctx: Context[NotifyRecords]) -> None:
    """Commits with what the handler writes; edges hear of it then."""
    ctx.records.log.add(happening.type, happening.project_id, happening.user_id, happening.data(), ctx.now)
    ctx.beat()


class Live:
    """Handlers of the log, which edges ask."""

    async def before_commit(self, records: NotifyRecords, events: Sequence[Event]) -> None:
        """The last thing that a transaction does: the order of numbers is that of commits, so transactions queue up
        here."""
        await records.log.write()

    async def beat(self, records: NotifyRecords) -> LogGrew:
        """How far the log reaches: an edge that missed it hears of it again."""
        return LogGrew(last=await records.log.last())

    @handles
    async def get_standing(self, query: GetStanding, ctx: Context[NotifyRecords]) -> Standing:
        """What the caller may see, and from where on."""
        return await ctx.records.log.standing(caller_of(ctx))

    @handles
    async def get_log(self, query: GetLog, ctx: Context[NotifyRecords]) -> Log:
        """The next entries."""
        entries = await ctx.records.log.after(query.after, ENTRIES)
        return Log(entries=entries, last=entries[-1].seq if entries else query.after)

    @every(minutes=5)
    async def forget_log(self, tick: Tick, ctx: Context[NotifyRecords]) -> None:
        """Delete what is older than an hour."""
        await ctx.records.log.forget(ctx.now - KEPT_MS)
