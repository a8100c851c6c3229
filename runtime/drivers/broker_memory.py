"""The broker inside one process: queues in memory, bytes handed over in the next tick of the loop.

What it confirms is what was settled, not what was stored: an event counts as safe when every consumer has acked it,
so that a crash of the process loses nothing that an outbox does not still hold.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, Literal

import structlog

from runtime.errors import BrokerAway, SettingError
from runtime.ports import Broker, Delivery, Publication, Subscription, Topology

DELIVERY_LIMIT = 20
"""An event that was requeued more often goes to the `dead` queue."""

log = structlog.get_logger()


def connect(url: str, *, prefix: str, request_queue_type: Literal["classic", "quorum"] = "classic") -> Broker:
    """A broker of its own, at `memory:`. The queue type says nothing here.

    :raises SettingError: the URL says more than that.
    """
    if url != "memory:":
        raise SettingError("the broker inside the process is given as memory: and nothing more")
    return MemoryBroker(Queues(), prefix=prefix)


class Parcel:
    """A message in a queue.

    :ivar expires_at: by the loop's clock, in seconds.
    :ivar settled: called once it was acked.
    """

    __slots__ = ("body", "expires_at", "returns", "settled")

    def __init__(
        self,
        body: bytes,
        *,
        expires_at: float | None = None,
        settled: Callable[[], None] | None = None,
        returns: int = 0,
    ) -> None:
        self.body = body
        self.expires_at = expires_at
        self.settled = settled
        self.returns = returns


class MemoryDelivery:
    """See `runtime.ports.Delivery`."""

    __slots__ = ("_consumer", "_parcel", "body", "redelivered")

    def __init__(self, consumer: MemorySubscription, parcel: Parcel) -> None:
        self._consumer = consumer
        self._parcel = parcel
        self.body = parcel.body
        self.redelivered = parcel.returns > 0

    def ack(self) -> None:
        if self._consumer.let_go(self._parcel) and self._parcel.settled is not None:
            self._parcel.settled()

    def requeue(self) -> None:
        if self._consumer.let_go(self._parcel):
            self._consumer.queue.take_back(self._parcel)


class MemorySubscription:
    """One consumer of one queue."""

    def __init__(self, queue: MemoryQueue, deliver: Callable[[Delivery], None], prefetch: int) -> None:
        self.queue = queue
        self._deliver = deliver
        self._prefetch = prefetch
        self._held: dict[int, Parcel] = {}
        self._open = True

    @property
    def has_room(self) -> bool:
        return self._open and len(self._held) < self._prefetch

    async def pause(self) -> None:
        self._open = False

    def take(self, parcel: Parcel) -> None:
        """Hold a message and hand it on."""
        self._held[id(parcel)] = parcel
        delivery = MemoryDelivery(self, parcel)
        try:
            self._deliver(delivery)
        except Exception:
            log.exception("a consumer's callback failed; the message is requeued")
            delivery.requeue()

    def let_go(self, parcel: Parcel) -> bool:
        """Whether it was held: not any more once this consumer has left."""
        held = self._held.pop(id(parcel), None) is not None
        self.queue.wake()
        return held

    def leave(self) -> None:
        """As a broken connection does: what is held goes back."""
        self._open = False
        self.queue.consumers.remove(self)
        held, self._held = list(self._held.values()), {}
        for parcel in reversed(held):
            self.queue.take_back(parcel)


class MemoryWatcher:
    """Sees events as they are published."""

    def __init__(self, routes: Sequence[str], deliver: Callable[[bytes], None]) -> None:
        self.routes = frozenset(routes)
        self._deliver = deliver
        self._open = True

    async def pause(self) -> None:
        self.leave()

    def leave(self) -> None:
        self._open = False

    def show(self, body: bytes) -> None:
        """Hand it over, unless it has left meanwhile."""
        if self._open:
            try:
                self._deliver(body)
            except Exception:
                log.exception("a watcher's callback failed")


class MemoryQueue:
    """Messages that wait, and the consumers that share them in turn.

    :param dead: where a message goes that was returned more than `DELIVERY_LIMIT` times; None: it stays.
    """

    def __init__(self, dead: MemoryQueue | None = None) -> None:
        self.consumers: deque[MemorySubscription] = deque()
        self._dead = dead
        self._waiting: deque[Parcel] = deque()
        self._awake = False

    def __len__(self) -> int:
        self._drop_expired()
        return len(self._waiting)

    def put(self, parcel: Parcel) -> None:
        self._waiting.append(parcel)
        self.wake()

    def take_back(self, parcel: Parcel) -> None:
        parcel.returns += 1
        if self._dead is not None and parcel.returns > DELIVERY_LIMIT:
            parcel.returns = 0
            self._dead.put(parcel)
        else:
            self._waiting.appendleft(parcel)
            self.wake()

    def wake(self) -> None:
        """Hand over in the next tick: whoever sends is never called back from within."""
        if not self._awake:
            self._awake = True
            asyncio.get_running_loop().call_soon(self._hand_over)

    def _hand_over(self) -> None:
        self._awake = False
        # as many as wait now: what is requeued at once comes again in the next tick
        for _ in range(len(self)):
            consumer = next((each for each in self.consumers if each.has_room), None)
            if consumer is None or not len(self):
                return
            self.consumers.remove(consumer)
            self.consumers.append(consumer)
            consumer.take(self._waiting.popleft())

    def _drop_expired(self) -> None:
        """At the head, as RabbitMQ does: one behind it is dropped when it gets there."""
        now = asyncio.get_running_loop().time()
        while self._waiting and (expires_at := self._waiting[0].expires_at) is not None and expires_at <= now:
            self._waiting.popleft()


class ActorQueues:
    """The three queues of one actor."""

    def __init__(self) -> None:
        self.dead = MemoryQueue()
        self.requests = MemoryQueue()
        self.events = MemoryQueue(self.dead)


class Queues:
    """What brokers share. Those on the same `Queues` are to each other as processes on one server."""

    def __init__(self) -> None:
        self.actors: dict[str, ActorQueues] = {}
        self.replies: dict[str, Callable[[bytes], None]] = {}
        self.watchers: list[MemoryWatcher] = []
        self._bindings: dict[str, dict[str, MemoryQueue]] = {}

    def declare(self, topology: Topology) -> None:
        for actor in topology.actors:
            self.actors.setdefault(actor, ActorQueues())
        for route, actors in topology.bindings.items():
            self._bindings.setdefault(route, {}).update({actor: self.actors[actor].events for actor in actors})

    def targets(self, publication: Publication) -> list[MemoryQueue] | None:
        """The queues that a publication goes to; None when it is for an actor that does not exist."""
        if not publication.direct:
            return list(self._bindings.get(publication.route, {}).values())
        actor = self.actors.get(publication.route)
        return None if actor is None else [actor.events]


class MemoryBroker:
    """See `runtime.ports.Broker`."""

    lacks: ClassVar[frozenset[str]] = frozenset({"durable"})

    def __init__(self, queues: Queues, *, prefix: str) -> None:
        self._queues = queues
        self.reply_queue = f"{prefix}.reply.{secrets.token_hex(8)}"
        self.available = False
        self._replied: Callable[[bytes], None] | None = None
        self._returned: Callable[[str, bytes], None] | None = None
        self._told: Callable[[bool], None] | None = None
        self._subscriptions: list[MemorySubscription] = []
        self._watchers: list[MemoryWatcher] = []
        self._unsettled: dict[str, asyncio.Future[bool]] = {}

    def on_reply(self, deliver: Callable[[bytes], None]) -> None:
        self._replied = deliver

    def on_returned(self, deliver: Callable[[str, bytes], None]) -> None:
        self._returned = deliver

    def on_change(self, changed: Callable[[bool], None]) -> None:
        self._told = changed

    async def open(self, topology: Topology) -> None:
        self._queues.declare(topology)
        if self._replied is not None:
            self._queues.replies[self.reply_queue] = self._replied
        self._change(True)

    async def close(self) -> None:
        self._queues.replies.pop(self.reply_queue, None)
        for subscription in self._subscriptions:
            subscription.leave()
        self._subscriptions.clear()
        for watcher in self._watchers:
            watcher.leave()
            self._queues.watchers.remove(watcher)
        self._watchers.clear()
        for confirm in self._unsettled.values():
            confirm.set_result(False)
        self._unsettled.clear()
        self._change(False)

    def request(self, actor: str, body: bytes, *, ttl_ms: int) -> None:
        if not self.available:
            raise BrokerAway("the message broker")
        loop = asyncio.get_running_loop()
        queues = self._queues.actors.get(actor)
        if queues is not None:
            queues.requests.put(Parcel(body, expires_at=loop.time() + ttl_ms / 1000))
        elif self._returned is not None:
            loop.call_soon(self._returned, actor, body)

    def reply(self, queue: str, body: bytes) -> None:
        deliver = self._queues.replies.get(queue)
        if deliver is not None and self.available:
            asyncio.get_running_loop().call_soon(deliver, body)

    async def publish(self, publications: Sequence[Publication]) -> Sequence[bool]:
        confirms = [self._publish(each) for each in publications]
        if confirms:
            await asyncio.wait(confirms)
        return [confirm.result() for confirm in confirms]

    def _publish(self, publication: Publication) -> asyncio.Future[bool]:
        known = self._unsettled.get(publication.id)
        if known is not None:  # published again because its consumers are slow: once is enough
            return known
        confirm: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        if self.available and not publication.direct:
            self._show(publication)
        targets = self._queues.targets(publication) if self.available else None
        if not targets:
            confirm.set_result(targets is not None)
            return confirm
        self._unsettled[publication.id] = confirm
        left = len(targets)

        def settled() -> None:
            nonlocal left
            left -= 1
            if not left and not confirm.done():
                del self._unsettled[publication.id]
                confirm.set_result(True)

        for queue in targets:
            queue.put(Parcel(publication.body, settled=settled, returns=int(publication.again)))
        return confirm

    def _show(self, publication: Publication) -> None:
        for watcher in self._queues.watchers:
            if publication.route in watcher.routes:
                asyncio.get_running_loop().call_soon(watcher.show, publication.body)

    async def consume_requests(self, actor: str, deliver: Callable[[Delivery], None], *, prefetch: int) -> Subscription:
        return self._consume(self._queues.actors[actor].requests, deliver, prefetch)

    async def consume_events(self, actor: str, deliver: Callable[[Delivery], None], *, prefetch: int) -> Subscription:
        return self._consume(self._queues.actors[actor].events, deliver, prefetch)

    async def consume_dead(self, actor: str, deliver: Callable[[Delivery], None], *, prefetch: int) -> Subscription:
        return self._consume(self._queues.actors[actor].dead, deliver, prefetch)

    def _consume(self, queue: MemoryQueue, deliver: Callable[[Delivery], None], prefetch: int) -> Subscription:
        subscription = MemorySubscription(queue, deliver, prefetch)
        self._subscriptions.append(subscription)
        queue.consumers.append(subscription)
        queue.wake()
        return subscription

    async def watch(self, routes: Sequence[str], deliver: Callable[[bytes], None]) -> Subscription:
        watcher = MemoryWatcher(routes, deliver)
        self._watchers.append(watcher)
        self._queues.watchers.append(watcher)
        return watcher

    async def depth(self, actor: str) -> Mapping[str, int]:
        if not self.available:
            raise BrokerAway("the message broker")
        queues = self._queues.actors[actor]
        return {"requests": len(queues.requests), "events": len(queues.events), "dead": len(queues.dead)}

    def _change(self, available: bool) -> None:
        if available != self.available:
            self.available = available
            if self._told is not None:
                self._told(available)
