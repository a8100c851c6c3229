"""The broker over AMQP 0-9-1: RabbitMQ from 3.10 on.

Names, all behind the prefix of the installation: topic exchange `events`; for each actor the queues `requests`
(classic or quorum, a setting), `events` and `dead` (quorum); for each process one exclusive queue `reply.<random>`, and
one `watch.<random>` for each of its watchers.
RabbitMQ refuses to declare a queue anew with other arguments: whoever changes them in `_declare` renames the queue.
That is what keeps a file to one host: `held.<setting>` (quorum) carries its fingerprint as an argument, and lives as
long as a process that has the file consumes from it.

Requests and replies are transient, unconfirmed and without a wait. Publications are persistent and confirmed, many
in flight. Two connections, since a broker that is short of memory stops reading from one that publishes.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import ClassVar, Literal, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit

import structlog

from runtime.drivers.amqp_link import Link
from runtime.drivers.amqp_wire import Held, Lane, Wire
from runtime.errors import BrokerAway, SettingError, StartError
from runtime.ports import Broker, Delivery, Publication, Subscription, Topology

DELIVERY_LIMIT = 20
"""A message that went back to its quorum queue this often crashes its consumers."""
NO_LIMIT = 1_000_000
"""For `dead`: RabbitMQ 4 drops what exceeds its own default of 20."""
WINDOW = 512
"""Publications of one call that may be unconfirmed at once."""
CONFIRM_S = 30.0
"""A quorum queue without a majority never confirms."""
FILE_MS = 30_000
"""A file's queue goes that long after nobody consumes from it, unless the last to leave has deleted it."""
LEAVE_S = 1.0
"""What letting the files go may take at the end; a quorum queue without a majority never answers."""
HEARTBEAT_S = 10
WATCH_S = 5.0
"""How often a connection is asked whether it and its consumers are there, and how long it may take to answer."""

log = structlog.get_logger()

QueueType = Literal["classic", "quorum"]


def connect(url: str, *, prefix: str, request_queue_type: QueueType = "classic") -> Broker:
    """A broker at `amqp://user:password@host:port,host:port/vhost?heartbeat=10`, or `amqps://` with TLS.

    The query may name `cafile`, `certfile` and `keyfile`. Nothing is opened yet.

    :param prefix: sets this installation apart on a broker that others use too.
    :raises SettingError: not such a URL.
    """
    return AmqpBroker(hosts(url), prefix=prefix, request_queue_type=request_queue_type)


def hosts(url: str) -> list[str]:
    """One URL for each host of `url`, the default heartbeat filled in."""
    parts = urlsplit(url)
    login, _, names = parts.netloc.rpartition("@")
    if parts.scheme not in ("amqp", "amqps") or not all(_is_host(name) for name in names.split(",")):
        raise SettingError("a broker is given as amqp://user:password@host:port/vhost; hosts are separated by commas")
    query = urlencode({"heartbeat": str(HEARTBEAT_S), **dict(parse_qsl(parts.query))})
    return [f"{parts.scheme}://{login}{'@' if login else ''}{name}{parts.path}?{query}" for name in names.split(",")]


def _is_host(name: str) -> bool:
    try:
        parts = urlsplit(f"//{name}")
        return bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number up to 65535, or half an IPv6 address
        return False


class AmqpSubscription:
    """One consumer, on a lane of its own on each wire that comes."""

    def __init__(self, queue: str, deliver: Callable[[Delivery], None], prefetch: int) -> None:
        self._queue = queue
        self._deliver = deliver
        self._prefetch = prefetch
        self._lane: Lane | None = None
        self._paused = False
        self._turn = asyncio.Lock()

    async def start(self, wire: Wire) -> None:
        """:raises BrokerAway: the wire is lost; the next one will start it."""
        async with self._turn:
            self._lane = await wire.lane()
            if not self._paused:
                await self._lane.consume(self._queue, self._deliver, prefetch=self._prefetch)

    async def pause(self) -> None:
        async with self._turn:
            if not self._paused:
                self._paused = True
                if self._lane is not None:
                    with suppress(BrokerAway):  # the wire is lost, and on the next one it stays paused
                        await self._lane.cancel()

    async def check(self, wire: Wire) -> None:
        """Cut the wire when the broker knows of no consumer."""
        async with self._turn:
            if not self._paused and self._lane is not None and await self._lane.consumers_of(self._queue) == 0:
                wire.cut(f"the broker has lost the consumer of {self._queue}")


class AmqpWatcher:
    """Events as they are published: a queue of its own on each wire that comes, gone with it."""

    def __init__(self, prefix: str, exchange: str, routes: Sequence[str], deliver: Callable[[bytes], None]) -> None:
        self._prefix = prefix
        self._exchange = exchange
        self._routes = routes
        self._deliver = deliver
        self._lane: Lane | None = None
        self._queue = ""
        self._paused = False
        self._turn = asyncio.Lock()

    async def start(self, wire: Wire) -> None:
        """:raises BrokerAway: the wire is lost; the next one will start it."""
        async with self._turn:
            if self._paused:
                return
            lane = await wire.lane()
            self._queue = f"{self._prefix}.watch.{secrets.token_hex(8)}"
            lane.declare_private_queue(self._queue)
            for route in self._routes:
                lane.bind(self._queue, self._exchange, route)
            await lane.consume(self._queue, lambda held: self._deliver(held.body), no_ack=True)
            self._lane = lane

    async def pause(self) -> None:
        async with self._turn:
            if not self._paused:
                self._paused = True
                if self._lane is not None:
                    with suppress(BrokerAway):  # the wire is lost, and its queue with it
                        await self._lane.cancel()

    async def check(self, wire: Wire) -> None:
        """Cut the wire when the broker knows of no consumer."""
        async with self._turn:
            if not self._paused and self._lane is not None and await self._lane.consumers_of(self._queue) == 0:
                wire.cut("the broker has lost a watcher of events")


class _Names(NamedTuple):
    """The queues of one actor."""

    requests: str
    events: str
    dead: str


class AmqpBroker:
    """See `runtime.ports.Broker`.

    :param urls: one for each host.
    :param watch_s: see `WATCH_S`.
    """

    lacks: ClassVar[frozenset[str]] = frozenset()

    def __init__(
        self, urls: Sequence[str], *, prefix: str, request_queue_type: QueueType = "classic", watch_s: float = WATCH_S
    ) -> None:
        self._prefix = prefix
        self._exchange = f"{prefix}.events"
        self._request_arguments: dict[str, object] = {"x-queue-type": request_queue_type}
        if request_queue_type == "quorum":
            self._request_arguments["x-delivery-limit"] = DELIVERY_LIMIT
        self._topology = Topology(actors=(), bindings={})
        self._subscriptions: list[AmqpSubscription | AmqpWatcher] = []
        self._plain: Lane | None = None
        self._sure: Lane | None = None
        self._replies: Lane | None = None
        self._files: dict[str, Lane] = {}
        self._available = False
        self.reply_queue = ""
        self._replied: Callable[[bytes], None] | None = None
        self._returned: Callable[[str, bytes], None] | None = None
        self._told: Callable[[bool], None] | None = None
        self._publishing = Link(
            urls, f"{prefix} publishing", self._build_publishing, self._probe_publishing, self._changed, watch_s=watch_s
        )
        self._consuming = Link(
            urls, f"{prefix} consuming", self._build_consuming, self._probe_consuming, self._changed, watch_s=watch_s
        )

    @property
    def available(self) -> bool:
        return self._available

    def on_reply(self, deliver: Callable[[bytes], None]) -> None:
        self._replied = deliver

    def on_returned(self, deliver: Callable[[str, bytes], None]) -> None:
        self._returned = deliver

    def on_change(self, changed: Callable[[bool], None]) -> None:
        self._told = changed

    async def open(self, topology: Topology) -> None:
        self._topology = topology
        try:
            await self._publishing.open()
            await self._consuming.open()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        # consumers first: what is held then goes back while replies and acks still leave in order
        await self._let_files_go()
        await self._consuming.close()
        await self._publishing.close()
        self._changed()

    def request(self, actor: str, body: bytes, *, ttl_ms: int) -> None:
        lane = self._plain
        if lane is None or not self._available:
            raise BrokerAway("the message broker")
        lane.publish("", self._names(actor).requests, body, ttl_ms=ttl_ms, mandatory=True)

    def reply(self, queue: str, body: bytes) -> None:
        if self._plain is not None:
            self._plain.publish("", queue, body)

    async def publish(self, publications: Sequence[Publication]) -> Sequence[bool]:
        safe: list[bool] = []
        for start in range(0, len(publications), WINDOW):
            safe += await self._publish_window(publications[start : start + WINDOW])
        return safe

    async def _publish_window(self, publications: Sequence[Publication]) -> list[bool]:
        lane, wire = self._sure, self._publishing.wire
        if lane is None or wire is None or wire.blocked:
            return [False] * len(publications)
        confirms = [
            lane.publish_surely("", self._names(each.route).events, each.body, id=each.id, mandatory=True)
            if each.direct
            else lane.publish_surely(self._exchange, each.route, each.body, id=each.id, mandatory=False)
            for each in publications
        ]
        await asyncio.wait(confirms, timeout=CONFIRM_S)
        return [confirm.done() and confirm.result() for confirm in confirms]

    async def consume_requests(self, actor: str, deliver: Callable[[Delivery], None], *, prefetch: int) -> Subscription:
        return await self._consume(self._names(actor).requests, deliver, prefetch)

    async def consume_events(self, actor: str, deliver: Callable[[Delivery], None], *, prefetch: int) -> Subscription:
        return await self._consume(self._names(actor).events, deliver, prefetch)

    async def consume_dead(self, actor: str, deliver: Callable[[Delivery], None], *, prefetch: int) -> Subscription:
        return await self._consume(self._names(actor).dead, deliver, prefetch)

    async def _consume(self, queue: str, deliver: Callable[[Delivery], None], prefetch: int) -> Subscription:
        return await self._start(AmqpSubscription(queue, deliver, prefetch))

    async def watch(self, routes: Sequence[str], deliver: Callable[[bytes], None]) -> Subscription:
        return await self._start(AmqpWatcher(self._prefix, self._exchange, routes, deliver))

    async def _start(self, subscription: AmqpSubscription | AmqpWatcher) -> Subscription:
        self._subscriptions.append(subscription)
        wire = self._consuming.wire
        if wire is not None:
            with suppress(BrokerAway):  # the next wire starts it
                await subscription.start(wire)
        return subscription

    async def depth(self, actor: str) -> Mapping[str, int]:
        wire = self._consuming.wire
        if wire is None:
            raise BrokerAway("the message broker")
        names = self._names(actor)
        return {kind: await wire.depth(queue) for kind, queue in names._asdict().items()}

    def _names(self, actor: str) -> _Names:
        return _Names(*(f"{self._prefix}.{actor}.{kind}" for kind in _Names._fields))

    async def _build_publishing(self, wire: Wire) -> None:
        plain, sure = await wire.lane(), await wire.lane(confirms=True)
        plain.on_return = self._on_return
        await self._declare(plain)
        self._plain, self._sure = plain, sure

    async def _build_consuming(self, wire: Wire) -> None:
        lane = await wire.lane()
        await self._declare(lane)
        reply_queue = f"{self._prefix}.reply.{secrets.token_hex(8)}"
        lane.declare_private_queue(reply_queue)
        await lane.sync()
        await lane.consume(reply_queue, self._on_reply, no_ack=True)
        for setting, fingerprint in self._topology.files.items():
            await self._hold_file(await wire.lane(), setting, fingerprint)
        for subscription in self._subscriptions:
            await subscription.start(wire)
        self.reply_queue, self._replies = reply_queue, lane

    async def _hold_file(self, lane: Lane, setting: str, fingerprint: int) -> None:
        """Nothing is ever put into the queue, so that its greatest length has no other meaning."""
        queue = f"{self._prefix}.held.{setting}"
        lane.declare_queue(queue, {"x-queue-type": "quorum", "x-max-length": fingerprint, "x-expires": FILE_MS})
        try:
            await lane.declared()
        except StartError as error:
            raise StartError(
                f"{setting}: a process that runs already has another file, on another host or at another path; files "
                "serve one host, so run all processes that need it on that one, or set the address of a server"
            ) from error
        await lane.consume(queue, lambda _: None)
        self._files[queue] = lane

    async def _let_files_go(self) -> None:
        """So that they may be moved at once; where this fails, after `FILE_MS`."""
        with suppress(BrokerAway, TimeoutError):
            async with asyncio.timeout(LEAVE_S):
                for queue, lane in self._files.items():
                    await lane.cancel()
                    await lane.delete_unused(queue)

    async def _declare(self, lane: Lane) -> None:
        """Everything, on both connections: a broker that was replaced by an empty one must not confirm an event before
        its queues are bound."""
        lane.declare_exchange(self._exchange)
        for actor in self._topology.actors:
            names = self._names(actor)
            lane.declare_queue(names.dead, {"x-queue-type": "quorum", "x-delivery-limit": NO_LIMIT})
            lane.declare_queue(names.requests, self._request_arguments)
            lane.declare_queue(
                names.events,
                {
                    "x-queue-type": "quorum",
                    "x-delivery-limit": DELIVERY_LIMIT,
                    "x-dead-letter-exchange": "",
                    "x-dead-letter-routing-key": names.dead,
                    "x-dead-letter-strategy": "at-least-once",
                    "x-overflow": "reject-publish",  # which at-least-once needs
                },
            )
        for route, actors in self._topology.bindings.items():
            for actor in actors:
                lane.bind(self._names(actor).events, self._exchange, route)
        await lane.declared()

    async def _probe_publishing(self, _: Wire) -> None:
        if self._plain is not None:
            await self._plain.check_exchange(self._exchange)

    async def _probe_consuming(self, wire: Wire) -> None:
        for subscription in self._subscriptions:
            await subscription.check(wire)
        if self._replies is not None and await self._replies.consumers_of(self.reply_queue) == 0:
            wire.cut("the broker has lost the consumer of replies")

    def _on_reply(self, reply: Held) -> None:
        if self._replied is not None:
            self._replied(reply.body)

    def _on_return(self, queue: str, body: bytes) -> None:
        if self._returned is not None:  # of what is sent on this lane only requests are mandatory
            actor = queue.removeprefix(f"{self._prefix}.").removesuffix(".requests")
            # by the loop, so that a fault of the callback is the loop's to report and not the end of the lane
            asyncio.get_running_loop().call_soon(self._returned, actor, body)

    def _changed(self) -> None:
        """A connection has come or gone, or the broker has blocked or unblocked publishing."""
        wire = self._publishing.wire
        if wire is None:
            self._plain = self._sure = None
        elif wire.blocked:
            wire.give_up()
        available = wire is not None and not wire.blocked and self._consuming.wire is not None
        if available != self._available:
            self._available = available
            if self._told is not None:
                try:
                    self._told(available)
                except Exception:
                    log.exception("the callback for changes failed")
