"""An actor for the tests of the stage: it counts, and at one point of each handler a test can make things happen."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import ClassVar

import msgspec

from runtime.actor import Actor, every, handles
from runtime.context import Context, ManyContext, OutsideContext
from runtime.errors import Invalid, Refusal
from runtime.message import Command, Event, Grant, Query, Secret, Tick
from runtime.policy import Policy
from runtime.ports import Migration, Session

MIGRATIONS = [
    Migration("0001_totals", "create table total (name text not null primary key, value bigint not null)"),
]
IN_DOCUMENTS = [
    Migration("0001_totals", '{"collection": "total", "columns": ["name", "value"], "key": ["name"]}'),
]

THRICE = Policy(attempts=3, first=0.01, longest=0.02)


class Total(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    value: int


class Token(msgspec.Struct, frozen=True, kw_only=True):
    token: Secret


class Add(Command[Total], frozen=True, kw_only=True):
    """Emits Added. Refuses `counter.negative`."""

    name: str
    amount: int = 1


class AddEach(Command[Total], frozen=True, kw_only=True):
    """As Add, all of a tick together."""

    name: str
    amount: int = 1


class AddSlowly(Command[Total], frozen=True, kw_only=True):
    """As Add, between two transactions."""

    name: str
    amount: int = 1


class Issue(Command[Token], frozen=True, kw_only=True):
    """Answers with a token, emits it, and tells it to itself."""

    token: Secret


class Keep(Command[None], frozen=True, kw_only=True):
    token: Secret


class GetTotal(Query[Total], frozen=True, kw_only=True):
    name: str


class GetEach(Query[Total], frozen=True, kw_only=True):
    name: str


class WhoAmI(Query[str], frozen=True, kw_only=True):
    """The caller's id and what it was granted about it: `id/value`."""


class Vouch(Query[Grant], frozen=True, kw_only=True):
    subject: str


class Added(Event, frozen=True, kw_only=True):
    consumers: ClassVar[tuple[str, ...]] = ("counter",)

    name: str
    value: int


class Mailed(Event, frozen=True, kw_only=True):
    consumers: ClassVar[tuple[str, ...]] = ("counter",)

    name: str


class Issued(Event, frozen=True, kw_only=True):
    consumers: ClassVar[tuple[str, ...]] = ("counter",)

    token: Secret


class Totals:
    def __init__(self, session: Session) -> None:
        self._session = session

    async def add(self, name: str, amount: int) -> Total:
        row = await self._session.row(
            "insert into total (name, value) values ($1, $2)"
            " on conflict (name) do update set value = total.value + excluded.value returning value",
            name,
            amount,
        )
        assert row is not None
        return Total(name=name, value=row["value"])

    async def get(self, name: str) -> Total:
        row = await self._session.row("select value from total where name = $1", name)
        return Total(name=name, value=row["value"] if row else 0)


async def nothing(name: str) -> None:
    """What happens in a handler when a test says nothing."""


class CounterActor(Actor[Totals]):
    """:ivar during: awaited in every handler, after it has written, with the name that it counts.

    :ivar last: awaited before each commit with events, with the name that is counted last.
    :ivar committing: the totals in the events of each transaction.
    """

    name = "counter"
    records = Totals

    def __init__(self) -> None:
        self.during: Callable[[str], Awaitable[None]] = nothing
        self.last: Callable[[str], Awaitable[None]] = nothing
        self.committing: list[list[int]] = []
        self.lists: list[int] = []
        self.contexts: list[Context[Totals]] = []

    @handles
    async def add(self, command: Add, ctx: Context[Totals]) -> Total:
        self.contexts.append(ctx)
        total = await ctx.records.add(command.name, command.amount)
        ctx.emit(Added(name=command.name, value=total.value))
        await self.during(command.name)
        if command.amount < 0:
            raise Invalid("counter.negative", "only up")
        return total

    @handles(many=True)
    async def add_each(self, commands: Sequence[AddEach], ctx: ManyContext[Totals]) -> list[Total | Refusal]:
        self.lists.append(len(commands))
        results: list[Total | Refusal] = []
        for command, each in zip(commands, ctx.each, strict=True):
            await self.during(command.name)
            if command.amount < 0:
                each.emit(Added(name=command.name, value=0))
                results.append(Invalid("counter.negative", "only up"))
                continue
            total = await ctx.records.add(command.name, command.amount)
            each.emit(Added(name=command.name, value=total.value))
            results.append(total)
        return results

    @handles(outside=True)
    async def add_slowly(self, command: AddSlowly, ctx: OutsideContext[Totals]) -> Total:
        async with ctx.step() as records:
            await records.add("steps", 1)
        await self.during(command.name)
        async with ctx.finish() as records:
            total = await records.add(command.name, command.amount)
            ctx.emit(Added(name=command.name, value=total.value))
            if command.amount < 0:
                raise Invalid("counter.negative", "only up")
        return total

    @handles
    async def issue(self, command: Issue, ctx: Context[Totals]) -> Token:
        ctx.emit(Issued(token=command.token))
        ctx.tell(Keep(token=command.token))
        return Token(token=command.token)

    @handles(retry=THRICE)
    async def keep(self, command: Keep, ctx: Context[Totals]) -> None:
        await ctx.records.add("kept", 1)
        await self.during("kept")

    @handles
    async def get(self, query: GetTotal, ctx: Context[Totals]) -> Total:
        self.contexts.append(ctx)
        await self.during(query.name)
        return await ctx.records.get(query.name)

    @handles(many=True)
    async def get_each(self, queries: Sequence[GetEach], ctx: ManyContext[Totals]) -> list[Total | Refusal]:
        self.lists.append(len(queries))
        for query in queries:
            await self.during(query.name)
        return [await ctx.records.get(query.name) for query in queries]

    @handles
    async def who(self, query: WhoAmI, ctx: Context[Totals]) -> str:
        granted = ctx.granted("other", "fact", "subject")
        return f"{ctx.caller.id}/{granted.decode() if granted else None}"

    @handles
    async def vouch(self, query: Vouch, ctx: Context[Totals]) -> Grant:
        return ctx.vouch("fact", query.subject, b"yes")

    @handles(retry=THRICE)
    async def on_added(self, event: Added, ctx: Context[Totals]) -> None:
        self.contexts.append(ctx)
        await ctx.records.add(f"added {event.name}", 1)
        await self.during(event.name)

    @handles(outside=True, retry=THRICE)
    async def on_mailed(self, event: Mailed, ctx: OutsideContext[Totals]) -> None:
        await self.during(event.name)
        async with ctx.finish() as records:
            await records.add(f"mailed {event.name}", 1)

    @handles(retry=THRICE)
    async def on_issued(self, event: Issued, ctx: Context[Totals]) -> None:
        await self.during(event.token)
        await ctx.records.add("issued", 1)

    @every(hours=1, retry=THRICE)
    async def sweep(self, tick: Tick, ctx: Context[Totals]) -> None:
        await ctx.records.add("sweeps", 1)
        await self.during("sweep")

    async def before_commit(self, records: Totals, events: Sequence[Event]) -> None:
        added = [event for event in events if isinstance(event, Added)]
        self.committing.append([event.value for event in added])
        for event in added[-1:]:
            await self.last(event.name)

    async def start(self, ctx: Context[Totals]) -> None:
        """Tell that it is there."""
        await ctx.records.add("started", 1)
        ctx.emit(Added(name="started", value=1))

    async def resync(self, ctx: Context[Totals], after: str | None) -> str | None:
        ctx.emit(Added(name="resync", value=0))
        return "more" if after is None else None
