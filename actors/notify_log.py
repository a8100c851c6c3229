"""Live: the part of the notify actor that writes down what happened, for edges to show, in the order of commits."""

from __future__ import annotations

from typing import Final

from actors.contracts.notify_live import GetLog, GetStanding, Log, LogGrew, Standing
from actors.records.news import Happening
from actors.records.notify import NotifyRecords
from actors.requests import caller_of
from runtime.actor import every, handles
from runtime.context import Context
from runtime.message import Tick

KEPT_MS: Final = 3600 * 1000
"""How long what happened can be asked for."""

ENTRIES: Final = 500
"""In one answer."""


def write_down(happening: Happening, ctx: Context[NotifyRecords]) -> None:
    """Commits with what the handler writes; edges hear of it then."""
    ctx.records.log.add(happening.type, happening.project_id, happening.user_id, happening.data(), ctx.now)
    ctx.beat()


class Live:
    """Handlers of the log, which edges ask."""

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
