"""From the broker into dispatch and back: prefetch, a bound on work in flight, shedding, drain.

Requests of one tick and one type become one list, and so do events; of what shares a transaction two lists run at
most, so that while those wait for the database the next one grows. What comes back after a crash is never beside
anything else: a request is sent to the queue again, alone, and then put on trial (`runtime.suspects`); an event goes
to `parked`, where its attempt is counted before it runs.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from hashlib import sha256
from typing import Any

import msgspec

from runtime.batch import MOST, Batcher
from runtime.dispatch import Dispatch
from runtime.errors import BrokerAway, MessageError, Overloaded, StoreAway
from runtime.message import Answer, Envelope, Failed, encode, failed, frame, frame_answers, ttl_ms, unframe
from runtime.ports import Broker, Delivery, Parked, Subscription
from runtime.seams import Seams
from runtime.suspects import Suspects
from runtime.telemetry import Metrics, logger
from runtime.verdict import Received, Settle, Verdict

MANY_AT_ONCE = 2
"""Lists of one type that share a transaction and run at the same time."""

REQUEST_PREFETCH = 64
"""Messages, each of one request or of many of one tick. A process that stands still keeps so many from its siblings
until they are sent again; a quarter of that would cost throughput, four times as many gain none."""

EVENT_PREFETCH = 64
STORE_RETRY_S = 0.25


Handle = Callable[[Sequence[Received]], Awaitable[Sequence[Verdict]]]


class _Held:
    """A delivery, until all of its envelopes are settled."""

    __slots__ = ("delivery", "left")

    def __init__(self, delivery: Delivery, left: int) -> None:
        self.delivery = delivery
        self.left = left

    def settle_one(self) -> None:
        self.left -= 1
        if self.left == 0:
            self.delivery.ack()


class _Item:
    __slots__ = ("held", "received")

    def __init__(self, received: Received, held: _Held) -> None:
        self.received = received
        self.held = held


class _Lane:
    """Messages of one type that are to be handled together. :ivar run: handles a list of them."""

    __slots__ = ("at_once", "items", "run", "running", "scheduled")

    def __init__(self, at_once: float, run: Callable[[list[_Item]], Awaitable[None]]) -> None:
        self.at_once = at_once
        self.run = run
        self.items: deque[_Item] = deque()
        self.running = 0
        self.scheduled = False


class Consumer:
    """Feeds one actor in one process.

    :param in_flight: envelopes of requests that are worked on at a time; more wait, and are shed when they have
        waited for half of their budget.
    """

    def __init__(
        self, broker: Broker, dispatch: Dispatch, *, key: bytes, in_flight: int, metrics: Metrics, seams: Seams
    ) -> None:
        self._broker = broker
        self._dispatch = dispatch
        self._actor = dispatch.actor.name
        self._key = key
        self._limit = in_flight
        self._metrics = metrics
        self._seams = seams
        self._replies = Batcher[Answer](lambda queue, answers: broker.reply(queue, frame_answers(answers)))
        self._lanes = {
            kind: _Lane(MANY_AT_ONCE if handler.many and not handler.is_query else math.inf, self._run_requests)
            for kind, handler in dispatch.table.items()
            if handler.is_request and (handler.many or handler.is_query)
        }
        self._event_lanes = {
            kind: _Lane(MANY_AT_ONCE, self._run_events)
            for kind, handler in dispatch.table.items()
            if not handler.outside
        }
        self._waiting: deque[_Item] = deque()
        self._suspects = Suspects(dispatch)
        self._in_flight = 0
        self._tasks: dict[asyncio.Task[None], list[str]] = {}
        self._subscriptions: list[Subscription] = []
        metrics.in_flight.labels(self._actor).set_function(lambda: self._in_flight)

    @property
    def in_flight(self) -> int:
        """Envelopes of requests that are worked on now."""
        return self._in_flight

    async def start(self) -> None:
        """Begin to take messages. :raises BrokerAway: no connection."""
        self._subscriptions = [
            await self._broker.consume_requests(self._actor, self._on_request, prefetch=REQUEST_PREFETCH),
            await self._broker.consume_events(self._actor, self._on_event, prefetch=EVENT_PREFETCH),
            await self._broker.consume_dead(self._actor, self._on_dead, prefetch=1),
        ]

    async def drain(self, seconds: float) -> list[str]:
        """Take nothing new, finish what runs; the ids of what was not finished, which goes back to the broker."""
        for subscription in self._subscriptions:
            await subscription.pause()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        await asyncio.sleep(0)  # what has just come has its task now
        while self._tasks and (left := deadline - loop.time()) > 0:
            await asyncio.wait(self._tasks, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.sleep(0)  # what finished may have made room for what waited
        unfinished = self._abandon()
        running = list(self._tasks)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        self._replies.flush()
        await asyncio.sleep(0)  # the acks follow the replies
        return unfinished

    def _abandon(self) -> list[str]:
        """Nothing that waits will begin; the ids of that, and of what still runs."""
        ids = [id for ids in self._tasks.values() for id in ids]
        for waiting in (self._waiting, *(lane.items for lane in (*self._lanes.values(), *self._event_lanes.values()))):
            ids += [item.received.envelope.id for item in waiting]
            waiting.clear()
        return ids

    # ---------------------------------------------------------------------------------------- requests

    def _on_request(self, delivery: Delivery) -> None:
        try:
            envelopes, signed = unframe(delivery.body, self._key)
        except MessageError as error:
            self._spawn(self._set_aside(delivery, str(error)))
            return
        if not signed:
            self._spawn(self._set_aside(delivery, "a request without a signature"))
            return
        if delivery.redelivered:
            self._send_again(envelopes, delivery)
            return
        now = asyncio.get_running_loop().time()
        held = _Held(delivery, len(envelopes))
        for envelope in envelopes:
            deadline = now + (envelope.budget_ms or 0) / 1000
            item = _Item(Received(envelope, trusted=True, arrived=now, deadline=deadline), held)
            if self._in_flight >= self._limit:
                self._waiting.append(item)
            else:
                self._admit(item)

    def _send_again(self, envelopes: list[Envelope], delivery: Delivery) -> None:
        """A consumer went away with these; one of them may be why. From here on each goes its own way."""
        for envelope in envelopes:
            again = msgspec.structs.replace(envelope, crashes=envelope.crashes + 1)
            try:
                self._broker.request(self._actor, frame([again], self._key), ttl_ms=ttl_ms([again]))
            except BrokerAway:
                break  # then the ack cannot be sent either, and the whole is delivered again
        else:
            delivery.ack()

    def _admit(self, item: _Item) -> None:
        self._in_flight += 1
        envelope = item.received.envelope
        lane = self._lanes.get(envelope.type)
        if envelope.attempt or envelope.crashes:
            self._spawn(self._run([item], self._suspects), envelope.id)
        elif lane is None:
            self._spawn(self._run([item], self._dispatch), envelope.id)
        else:
            lane.items.append(item)
            self._schedule(lane)

    def _schedule(self, lane: _Lane) -> None:
        if lane.items and not lane.scheduled and lane.running < lane.at_once:
            lane.scheduled = True
            asyncio.get_running_loop().call_soon(self._start_lane, lane)

    def _start_lane(self, lane: _Lane) -> None:
        lane.scheduled = False
        items = [lane.items.popleft() for _ in range(min(MOST, len(lane.items)))]
        lane.running += 1
        self._spawn(self._run_lane(lane, items), *(item.received.envelope.id for item in items))
        self._schedule(lane)

    async def _run_lane(self, lane: _Lane, items: list[_Item]) -> None:
        try:
            await lane.run(items)
        finally:
            lane.running -= 1
            self._schedule(lane)

    async def _run_requests(self, items: list[_Item]) -> None:
        await self._run(items, self._dispatch)

    async def _run(self, items: list[_Item], handle: Handle) -> None:
        try:
            verdicts = await handle([item.received for item in items])
            for item, verdict in zip(items, verdicts, strict=True):
                self._settle(item, verdict)
        finally:
            self._in_flight -= len(items)
            self._let_in()

    def _let_in(self) -> None:
        """Admit what waits for room, and shed what has waited for half of its budget."""
        now = asyncio.get_running_loop().time()
        while self._waiting and self._in_flight < self._limit:
            item = self._waiting.popleft()
            since = item.received.arrived or now
            if now - since > ((item.received.deadline or now) - since) / 2:
                self._metrics.shed.labels(self._actor, "waited").inc()
                self._settle(
                    item, failed(Overloaded(f"the actor {self._actor!r} has more work than it can do in time"))
                )
            else:
                self._admit(item)

    def _settle(self, item: _Item, verdict: Verdict) -> None:
        envelope = item.received.envelope
        if envelope.reply_to is not None and not isinstance(verdict, Settle):
            size = len(envelope.body) if isinstance(verdict, Failed) else len(verdict.body)
            self._replies.add(envelope.reply_to, Answer(envelope.nonce, verdict), size)
        # the reply leaves at the end of this tick, the ack in the next
        asyncio.get_running_loop().call_soon(self._ack, item)

    def _ack(self, item: _Item) -> None:
        self._seams.at("after_reply", item.received.envelope.type)
        item.held.settle_one()

    # ------------------------------------------------------------------------------------------ events

    def _on_event(self, delivery: Delivery) -> None:
        try:
            (envelope,), _ = unframe(delivery.body, self._key)
        except (MessageError, ValueError) as error:
            self._spawn(self._set_aside(delivery, str(error)))
            return
        if delivery.redelivered:
            again = self._dispatch.parking.form(envelope, 1, 0, "its consumer went away while it held this")
            self._spawn(self._park_first(delivery, again), envelope.id)
        else:
            self._take_event(_Item(Received(envelope), _Held(delivery, 1)))

    def _take_event(self, item: _Item) -> None:
        envelope = item.received.envelope
        lane = self._event_lanes.get(envelope.type)
        if lane is None:
            self._spawn(self._run_events([item]), envelope.id)
        else:
            lane.items.append(item)
            self._schedule(lane)

    async def _run_events(self, items: list[_Item]) -> None:
        for item, verdict in zip(items, await self._dispatch([item.received for item in items]), strict=True):
            envelope = item.received.envelope
            if verdict is Settle.HOLD:
                self._spawn(self._take_later(item), envelope.id)
            else:
                self._seams.at("before_ack", envelope.type)
                item.held.settle_one()

    async def _take_later(self, item: _Item) -> None:
        """Neither a store nor another consumer tells that it is done."""
        await asyncio.sleep(STORE_RETRY_S)
        self._take_event(item)

    async def _park_first(self, delivery: Delivery, parked: Parked) -> None:
        await self._until_stored(parked)
        delivery.ack()

    # -------------------------------------------------------------------------------------------- dead

    def _on_dead(self, delivery: Delivery) -> None:
        self._spawn(self._set_aside(delivery, "the broker gave it up: delivered too often"))

    async def _set_aside(self, delivery: Delivery, reason: str) -> None:
        """Keep what cannot be handled as a dead letter, as the bytes that came."""
        logger().error("message.dead", actor=self._actor, reason=reason, size=len(delivery.body))
        self._metrics.dead.labels(self._actor, "").inc()
        await self._until_stored(_unreadable(delivery.body, self._key, reason, self._dispatch))
        delivery.ack()

    async def _until_stored(self, parked: Parked) -> None:
        """Park it; what is parked already keeps the attempts that were counted."""
        store = self._dispatch.store
        while True:
            try:
                if await store.parked(parked.id) is None:
                    await store.park([parked])
            except StoreAway:
                await asyncio.sleep(STORE_RETRY_S)
            else:
                return

    def _spawn(self, work: Coroutine[Any, Any, None], *ids: str) -> None:
        """:param ids: of what it works on."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks[task] = list(ids)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._tasks[task]
        if not task.cancelled() and (error := task.exception()) is not None:
            # the delivery was not acked: it comes back, and is handled alone
            logger().error("consumer.failed", actor=self._actor, exc_info=error)


def _unreadable(body: bytes, key: bytes, reason: str, dispatch: Dispatch) -> Parked:
    try:
        (envelope, *_), _ = unframe(body, key)
    except (MessageError, ValueError):
        digest = sha256(body).hexdigest()
        return Parked(digest, "unreadable", b"\x00" + encode(Envelope(digest, "unreadable", "", body)), 1, None, reason)
    return dispatch.parking.form(envelope, 1, None, reason)
