"""Asking: request and reply over the broker, sent again until the deadline, answered once."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import msgspec

from runtime.batch import Batcher
from runtime.context import ANONYMOUS, Ids
from runtime.errors import BrokerAway, DeadlinePassed, MessageError, Unavailable
from runtime.keys import Keys
from runtime.message import (
    Caller,
    Envelope,
    Event,
    Failed,
    Grant,
    Ok,
    Reply,
    Request,
    decoder,
    encode,
    frame,
    owner,
    raised,
    reply_type,
    ttl_ms,
    unframe,
    unframe_answers,
    wire_name,
)
from runtime.pace import Pace
from runtime.ports import Broker, Subscription
from runtime.silence import Silence
from runtime.telemetry import Metrics, logger
from runtime.writers import Writers

R = TypeVar("R")

SWEEP_S = 0.05
"""How often deadlines and re-sending are looked at."""

RESEND_S = 1.0
"""First re-sending of an unanswered request; each further one waits twice as long."""

HEDGE_S = 0.4
"""Before that, an unanswered request is hedged, as far as the budget of hedges goes. Requests of a type whose
quicker answers take longer than half of that are not: what is slow for all gets no faster by being asked again."""

COPIES = 2
"""Of a hedge, one after the other: a queue hands its messages to its consumers in turn, so they reach two of them."""

HEDGES_PER_ASK, MOST_HEDGES = 0.1, 128
"""The budget of hedges, in copies: what each ask adds to it, and what it can hold. So overload is not doubled."""

QUICKER, SLOWER = 1 / 2, 1 / 16
"""What the latest answer's time counts in what is typical of its type. The quicker count more: where one of two
replicas stands still, half of the answers are slow, and hedging is what helps."""


class Outcome(msgspec.Struct, frozen=True):
    """What became of an ask.

    :param replayed: the answer was made for an earlier ask with the same id.
    """

    reply: Reply
    replayed: bool


class _Pending:
    """:ivar round: of sending again, the next one; 0 is the hedge."""

    __slots__ = ("deadline", "envelope", "future", "resend_at", "round", "sent")

    def __init__(self, envelope: Envelope, future: asyncio.Future[Reply], now: float, budget_s: float) -> None:
        self.envelope = envelope
        self.future = future
        self.sent = now
        self.deadline = now + budget_s
        self.round = 0
        self.resend_at = now + HEDGE_S

    def next_round(self, now: float) -> None:
        """1, 3, 7 … s after it was sent; later when a reconnect came between."""
        self.resend_at = now + RESEND_S * 2**self.round if self.round else self.sent + RESEND_S
        self.round += 1


class Client:
    """Asks actors. Requests of one tick for one actor travel as one message; so do their replies.

    What a broker or an actor loses on the way is sent again with the same id: after 1 s, 3 s, 7 s and at once after
    a reconnect, alone in its message; the inbox of the actor makes that safe. Before that it is hedged (Dean and
    Barroso, The Tail at Scale, CACM 2013), for one of several replicas may stand still.
    """

    def __init__(
        self, broker: Broker, keys: Keys, metrics: Metrics, *, new_id: Callable[[], str] | None = None
    ) -> None:
        self._broker = broker
        self._keys = keys
        self._metrics = metrics
        self._new_id = new_id or Ids()
        self._batcher = Batcher[_Pending](self._send)
        self._pending: dict[str, _Pending] = {}
        self._nonce = os.urandom(8).hex()
        self._asked = 0
        self._hedges = float(MOST_HEDGES)
        self._typical_s: dict[str, float] = {}
        self._silence = Silence()
        self._pace = Pace(metrics)
        self._writers = Writers()
        self._sweeping: asyncio.TimerHandle | None = None
        self._watching: list[Callable[[], None]] = []
        broker.on_reply(self._replied)
        broker.on_returned(self._returned)

    async def ask(
        self,
        message: Request[R],
        *,
        to: str | None = None,
        caller: Caller = ANONYMOUS,
        id: str | None = None,
        budget_ms: int = 10_000,
        grants: Sequence[Grant] = (),
        request_id: str | None = None,
        trace: str | None = None,
    ) -> R:
        """The reply of `message`.

        :raises Refusal: the actor's no.
        :raises Unavailable: no broker, no actor, or no answer in time.
        """
        outcome = await self.ask_raw(
            message,
            to=to,
            caller=caller,
            id=id,
            budget_ms=budget_ms,
            grants=tuple(grants),
            request_id=request_id,
            trace=trace,
        )
        if isinstance(outcome.reply, Failed):
            raise raised(outcome.reply)
        return cast(R, decoder(reply_type(type(message))).decode(outcome.reply.body))

    async def ask_raw(
        self,
        message: Request[Any],
        *,
        to: str | None = None,
        id: str | None = None,
        caller: Caller = ANONYMOUS,
        request_hash: bytes | None = None,
        budget_ms: int,
        grants: tuple[Grant, ...] = (),
        request_id: str | None = None,
        trace: str | None = None,
    ) -> Outcome:
        """Likewise, with the reply as it came, for passing on.

        :param to: the actor, for a message that all of them take; else the message's own.
        :param id: idempotency id; None makes a fresh one.
        :param request_hash: what the id stands for; another hash under a known id is refused.
        :param budget_ms: the deadline, from now.
        :raises Unavailable: nothing was sent: there is no broker, or the actor has stopped answering.
        :raises DeadlinePassed: whether it was done is unknown.
        """
        for grant in grants:
            self._keys.check(grant)
        if not self._broker.available:
            raise BrokerAway("the message broker is away")
        loop = asyncio.get_running_loop()
        actor, kind = to or owner(type(message)), wire_name(type(message))
        self._silence.ask(actor, loop.time())
        body = encode(message)  # before it counts as under way: what cannot be sent never ends
        self._pace.begin(actor, kind, loop.time())
        self._asked += 1
        self._hedges = min(MOST_HEDGES, self._hedges + HEDGES_PER_ASK)
        nonce = f"{self._nonce}{self._asked}"
        fresh = self._writers.have_written(message, actor, caller, loop.time())
        envelope = Envelope(
            id or self._new_id(), kind, actor, body, nonce, None, budget_ms, request_hash,
            caller, grants, 0, None, trace, request_id, 0, fresh,
        )  # fmt: skip
        future: asyncio.Future[Reply] = loop.create_future()
        pending = self._pending[nonce] = _Pending(envelope, future, loop.time(), budget_ms / 1000)
        if self._sweeping is None:
            self._sweeping = loop.call_later(SWEEP_S, self._sweep)
        self._batcher.add(actor, pending, len(body))
        try:
            reply = await future
        finally:
            self._pending.pop(nonce, None)
            took = loop.time() - pending.sent
            answered = future.done() and not future.cancelled() and future.exception() is None
            self._pace.end(actor, kind, loop.time(), took, budget_ms / 1000, answered=answered)
        self._metrics.asked.labels(actor, "ok" if isinstance(reply, Ok) else reply.kind).observe(took)
        typical = self._typical_s.get(kind, 0.0)
        self._typical_s[kind] = typical + (took - typical) * (QUICKER if took < typical else SLOWER)
        return Outcome(reply, reply.by not in ("", nonce))

    async def depth(self, actor: str) -> int:
        """How many requests and events wait for an actor, whether it runs or not. :raises BrokerAway: no answer."""
        depths = await self._broker.depth(actor)
        return depths["requests"] + depths["events"]

    async def watch(
        self, kinds: Sequence[type[Event]], heard: Callable[[str, Event], None], *, anew: Callable[[], None]
    ) -> Subscription:
        """See every event of these types that is published from now on, in this process, whoever else consumes it.

        Events carry no authority: take one as a hint to ask. What is published while the broker is away is missed.

        :param heard: gets its id and the event; the same one may come twice.
        :param anew: called after each reconnect: something may have been missed, from now on nothing is.
        """
        types = {wire_name(kind): kind for kind in kinds}

        def deliver(body: bytes) -> None:
            try:
                for envelope in unframe(body, b"")[0]:
                    if envelope.type in types:
                        heard(envelope.id, cast(Event, decoder(types[envelope.type]).decode(envelope.body)))
            except (MessageError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                logger().warning("watch.unreadable", reason=str(error))

        self._watching.append(anew)
        return await self._broker.watch(list(types), deliver)

    def reconnected(self) -> None:
        """The reply queue has a new name: whoever still waits is asked for again now, and watchers begin anew."""
        for anew in self._watching:
            anew()
        loop = asyncio.get_running_loop()
        self._pace.reconnected()
        for pending in self._pending.values():
            pending.round = max(pending.round, 1)
            pending.resend_at = loop.time()

    def _send(self, actor: str, items: list[_Pending]) -> None:
        waiting = [pending for pending in items if not pending.future.done()]
        if not waiting:
            return
        now = asyncio.get_running_loop().time()
        reply_to = self._broker.reply_queue
        envelopes = []
        for pending in waiting:
            budget_ms = max(1, round((pending.deadline - now) * 1000))
            grants = _aged(pending.envelope.grants, now - pending.sent)
            envelopes.append(_readdressed(pending.envelope, reply_to, budget_ms, grants))
        try:
            self._broker.request(actor, frame(envelopes, self._keys.of(actor)), ttl_ms=ttl_ms(envelopes))
        except BrokerAway as error:
            # one that went out before may still be answered; it is sent again when the broker is back
            for pending in waiting:
                if pending.envelope.attempt == 0:
                    pending.future.set_exception(BrokerAway(error.detail or "the message broker is away"))

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        self._sweeping = loop.call_later(SWEEP_S, self._sweep) if self._pending else None
        now = loop.time()
        oldest: dict[str, float] = {}
        for pending in self._pending.values():
            if pending.future.done():
                continue
            oldest.setdefault(pending.envelope.to, pending.sent)
            if now >= pending.deadline:
                actor = pending.envelope.to
                pending.future.set_exception(DeadlinePassed(f"the actor {actor!r} did not answer in time"))
            elif now >= pending.resend_at and self._broker.available and not self._waits_its_turn(pending, now):
                copies = self._hedged(pending) if pending.round == 0 else 1
                pending.next_round(now)
                if copies:
                    self._send_again(pending, copies)
        self._silence.look(oldest, now)

    def _waits_its_turn(self, pending: _Pending, now: float) -> bool:
        """It is not lost but in a queue that moves; whoever has too much to do would do it twice."""
        return self._pace.waits(pending.envelope.to, pending.envelope.type, pending.sent, now)

    def _hedged(self, pending: _Pending) -> int:
        """How many copies go out; the budget is less by so many."""
        if self._hedges < COPIES or self._typical_s.get(pending.envelope.type, 0.0) > HEDGE_S / 2:
            return 0
        self._hedges -= COPIES
        return COPIES

    def _send_again(self, pending: _Pending, copies: int) -> None:
        envelope = pending.envelope
        pending.envelope = msgspec.structs.replace(envelope, attempt=envelope.attempt + 1)
        self._metrics.resent.labels(envelope.to).inc(copies)
        for _ in range(copies):
            self._send(envelope.to, [pending])

    def _replied(self, body: bytes) -> None:
        try:
            answers = unframe_answers(body)
        except MessageError as error:
            logger().warning("reply.unreadable", reason=str(error))
            return
        now = asyncio.get_running_loop().time()
        for answer in answers:
            pending = self._pending.get(answer.nonce)
            if pending is None or pending.future.done():
                continue
            self._silence.heard(pending.envelope.to, now)
            pending.future.set_result(answer.reply)

    def _returned(self, actor: str, body: bytes) -> None:
        """The actor's queue does not exist: nobody ever ran it against this broker."""
        for pending in self._pending.values():
            if pending.envelope.to == actor and not pending.future.done():
                pending.future.set_exception(Unavailable(f"the actor {actor!r} is away"))


def _readdressed(envelope: Envelope, reply_to: str, budget_ms: int, grants: tuple[Grant, ...]) -> Envelope:
    return Envelope(
        envelope.id, envelope.type, envelope.to, envelope.body, envelope.nonce, reply_to, budget_ms,
        envelope.request_hash, envelope.caller, grants, envelope.attempt, envelope.cause, envelope.trace,
        envelope.request_id, envelope.crashes, envelope.fresh,
    )  # fmt: skip


def _aged(grants: tuple[Grant, ...], seconds: float) -> tuple[Grant, ...]:
    """Grants that are still good, with what is left of them; their signatures were checked when they came in."""
    ms = round(seconds * 1000)
    return tuple(
        msgspec.structs.replace(grant, expires_in=grant.expires_in - ms) for grant in grants if grant.expires_in > ms
    )
