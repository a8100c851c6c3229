"""A stage for tests: chosen actors in this process, on real stores, with a clock that stands still.

::

    async with Stage(GreeterActor()) as stage:
        greeting = await stage.ask(Greet(name="Ada"))
        assert stage.events == [Greeted(name="Ada", times=1)]

No broker takes part: asks go straight into dispatch, with inbox, outbox, parked and sealing as in production, and
`drain` carries events to their consumers among the actors on stage. What a handler raises, but for refusals, is
raised to the test as it is.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, TypeVar, cast

from runtime import connect, stagehands
from runtime.actor import Actor
from runtime.closing import OUTBOX_LEASE_MS
from runtime.context import ANONYMOUS, Ids
from runtime.dispatch import Dispatch
from runtime.keys import derive, sign_grant
from runtime.message import (
    Caller,
    Command,
    Envelope,
    Event,
    Failed,
    Grant,
    Message,
    Ok,
    Request,
    decoder,
    encode,
    owner,
    raised,
    reply_type,
    unframe,
    wire_name,
)
from runtime.parked import ParkedLoop
from runtime.ports import Outgoing, Store
from runtime.seams import Seams
from runtime.telemetry import Metrics
from runtime.timers import Timer
from runtime.verdict import Received

R = TypeVar("R")

NOON = 1_795_521_600_000
"""2026-11-24T12:00:00Z, ms: where the clock of a stage stands at first."""


class Stage:
    """Chosen actors, wired for a test; an asynchronous context manager.

    :param actors: built by the test, with whatever they need.
    :param store_url: actor's name → where it keeps its data; an SQLite file that goes with the stage by default.
    :param seams: what may cut a step short.
    """

    def __init__(
        self, *actors: Actor[Any], store_url: Callable[[str], str] | None = None, seams: Seams | None = None
    ) -> None:
        self.now = NOON
        self.events: list[Event] = []
        """Every event that `drain` or `ask` has seen go out, in order."""
        self.beats: list[Event] = []
        """What watchers were told after commits that asked for it, in order."""
        self.dispatches: dict[str, Dispatch] = {}
        self._actors = actors
        self._store_url = store_url
        self._seams = seams
        self._stack = AsyncExitStack()
        self._new_id = Ids(lambda: self.now)
        self._offered: list[tuple[Dispatch, Outgoing]] = []
        self._beating: list[Dispatch] = []
        self._failures: list[BaseException] = []
        self._seen: set[str] = set()
        self._asked = 0

    async def __aenter__(self) -> Stage:
        folder = self._stack.enter_context(tempfile.TemporaryDirectory())
        for actor in self._actors:
            name = actor.name
            url = self._store_url(name) if self._store_url else f"sqlite:{folder}/{name}.db"
            store = connect.store_at(url, name, lambda: self.now)
            await store.open()
            self._stack.push_async_callback(store.close)
            await self._set_up(actor, store)
        return self

    async def _set_up(self, actor: Actor[Any], store: Store) -> None:
        name = actor.name
        await store.migrate(stagehands.migrations(name, store.reader.dialect))
        self._stack.push_async_callback(actor.stop)
        self.dispatches[name] = dispatch = Dispatch(
            actor,
            store,
            key=_key(name),
            metrics=Metrics(),
            offer=lambda rows: self._offered.extend((dispatch, row) for row in rows),
            beat=lambda: self._beating.append(dispatch),
            clock=lambda: self.now,
            new_id=self._new_id,
            seams=self._seams,
            report=lambda error: self._failures.append(error),
        )
        await dispatch.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def advance(self, *, seconds: float = 0, minutes: float = 0, hours: float = 0) -> None:
        """Move the clock."""
        self.now += int((seconds + 60 * minutes + 3600 * hours) * 1000)

    async def ask(
        self,
        message: Request[R],
        *,
        caller: Caller | str = ANONYMOUS,
        id: str | None = None,
        request_hash: bytes | None = None,
        grants: Sequence[Grant] = (),
    ) -> R:
        """The reply of `message`; a refusal is raised. A `caller` that is a text is that account, as a member."""
        (reply,) = await self.ask_all([message], caller=caller, id=id, request_hash=request_hash, grants=grants)
        if isinstance(reply, BaseException):
            raise reply
        return reply

    async def ask_all(
        self,
        messages: Sequence[Request[R]],
        *,
        caller: Caller | str = ANONYMOUS,
        callers: Sequence[Caller | str] = (),
        id: str | None = None,
        request_hash: bytes | None = None,
        grants: Sequence[Grant] = (),
    ) -> list[R | BaseException]:
        """The replies of messages of one type that arrive in the same tick; refusals stand among them.

        :param callers: of each, where they are not the same.
        """
        batch = []
        for message, each in zip(messages, callers or [caller] * len(messages), strict=True):
            self._asked += 1
            who = each
            if isinstance(who, str):
                who = Caller(id=who, role="member", session=self._new_id(), network="127.0.0.0/24")
            envelope = self._envelope(message, id=id, request_hash=request_hash, caller=who, grants=tuple(grants))
            batch.append(Received(envelope, trusted=True))
        dispatch = self.dispatches[owner(type(messages[0]))]
        verdicts = await dispatch(batch)
        self._raise()
        self._look()
        await self._beat()
        replies: list[R | BaseException] = []
        for message, verdict in zip(messages, verdicts, strict=True):
            if isinstance(verdict, Ok):
                replies.append(cast(R, decoder(reply_type(type(message))).decode(verdict.body)))
            elif isinstance(verdict, Failed):
                replies.append(raised(verdict))
            else:
                raise AssertionError(f"{type(message).__name__} was not answered: {verdict}")  # noqa: TRY004 - a test fails
        return replies

    async def given(self, *messages: Event | Command[None]) -> None:
        """Let these have happened: events reach their consumers on stage, told commands their actor; then `drain`."""
        for message in messages:
            to = message.consumers if isinstance(message, Event) else (owner(type(message)),)
            for name in to:
                if name in self.dispatches:
                    await self._deliver(name, self._envelope(message, reply=False))
        await self.drain()

    async def drain(self) -> None:
        """Carry what went out to its consumers, and try what is parked and due, until nothing moves."""
        while await self.step():
            pass

    async def step(self) -> bool:
        """Likewise, but not what comes of that; whether anything moved."""
        self._look()
        offered, self._offered = self._offered, []
        moved = bool(offered)
        for dispatch, row in offered:
            envelope = self._sent(dispatch, row)
            for name in self._consumers(envelope):
                await self._deliver(name, envelope)
            await dispatch.store.delete_outgoing([row.id])
        for dispatch in self.dispatches.values():
            moved = bool(await ParkedLoop(dispatch).step()) or moved
        self._raise()
        return moved

    async def take_up(self) -> None:
        """What was under way when something cut it short, as whoever finds the leases lapsed does; then `drain`."""
        self._offered.clear()
        self.advance(seconds=OUTBOX_LEASE_MS / 1000)
        for dispatch in self.dispatches.values():
            rows = await dispatch.store.lease_outgoing(limit=1000, lease_ms=OUTBOX_LEASE_MS)
            self._offered += [(dispatch, row) for row in rows]
        await self.drain()

    async def tick(self, actor: str, method: str) -> None:
        """Let the timer `method` fire for the present slot, then `drain`."""
        dispatch = self.dispatches[actor]
        await Timer(dispatch, dispatch.table[f"tick:{method}"], lambda: self.now).tick()
        await self.drain()

    def grant(self, issuer: str, fact: str, subject: str, value: bytes) -> Grant:
        """A signed word of another actor, for `ask`."""
        return self._voucher(issuer)(fact, subject, value)

    def _voucher(self, issuer: str) -> Callable[[str, str, bytes], Grant]:
        return lambda fact, subject, value: sign_grant(_key(issuer), Grant(issuer, fact, subject, value, 5000))

    def _envelope(
        self,
        message: Message,
        *,
        id: str | None = None,
        request_hash: bytes | None = None,
        caller: Caller | None = None,
        grants: tuple[Grant, ...] = (),
        reply: bool = True,
    ) -> Envelope:
        kind = type(message)
        return Envelope(
            id or self._new_id(),
            wire_name(kind),
            owner(kind),
            encode(message),
            nonce=f"stage{self._asked}",
            reply_to="stage" if reply else None,
            request_hash=request_hash,
            caller=caller,
            grants=grants,
        )

    async def _deliver(self, name: str, envelope: Envelope) -> None:
        await self.dispatches[name]([Received(envelope)])
        await self._beat()
        self._raise()

    async def _beat(self) -> None:
        while self._beating:
            dispatch = self._beating.pop(0)
            event = await dispatch.actor.beat(dispatch.records(dispatch.store.primary))
            self.beats += [event] if event is not None else []

    def _look(self) -> None:
        """Note the events among what was offered since the last look."""
        for dispatch, row in self._offered:
            if row.id not in self._seen and not row.direct:
                self._seen.add(row.id)
                self.events.append(self._decoded(self._sent(dispatch, row)))

    def _sent(self, dispatch: Dispatch, row: Outgoing) -> Envelope:
        (envelope,), _ = unframe(dispatch.sealer.unwrap(row.envelope), b"")
        return envelope

    def _decoded(self, envelope: Envelope) -> Event:
        return cast(Event, decoder(stagehands.event_types()[envelope.type]).decode(envelope.body))

    def _consumers(self, envelope: Envelope) -> Sequence[str]:
        to = [envelope.to] if envelope.to else stagehands.event_types()[envelope.type].consumers
        return [name for name in to if name in self.dispatches]

    def _raise(self) -> None:
        if self._failures:
            failure = self._failures[0]
            self._failures.clear()
            raise failure


def _key(name: str) -> bytes:
    return derive(b"a stage's secret", f"actor:{name}")
