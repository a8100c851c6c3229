"""One live connection to RabbitMQ, and channels on it without a task, a lock or a wait per message.

The one file that knows aio-pika and aiormq. aio-pika connects; what is hot runs on `Lane`, a channel of ours on
aiormq, the library beneath it, because aio-pika spends a task, a queue and a lock on each message. Three things here
rest on aiormq's insides, each said where it is done: the frame handlers of its channel, its channel table, and its
record of connection.blocked.

Whatever breaks (socket, channel, consumer, a queue deleted under it) cuts the whole `Wire`, so that there is one way
to recover: `amqp_link` makes a new one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import aio_pika
import pamqp.frame
import structlog
from aiormq import spec
from aiormq.abc import AbstractConnection, ChannelFrame, DeliveredMessage
from aiormq.channel import Channel
from aiormq.connection import TCPTransportFactory, TLSTransportFactory, TransportFactory
from aiormq.exceptions import ChannelNotFoundEntity, ChannelPreconditionFailed
from pamqp.base import Frame
from pamqp.body import ContentBody
from pamqp.header import ContentHeader
from yarl import URL

from runtime.errors import BrokerAway, StartError, TroupeError

log = structlog.get_logger()

DIAL_S = 2.0
"""To connect to one host, handshake included."""
CLOSE_S = 5.0
"""To part in good order; then the socket is cut."""


@contextmanager
def away() -> Iterator[None]:
    """Whatever the library raises inside becomes `BrokerAway`.

    It rejects a waiting call with whatever closed its channel, even a bare `Exception` or a `CancelledError` that
    nobody asked for. Only a cancellation of this very task passes, also one that it has answered with another error.
    """
    try:
        yield
    except TroupeError:
        raise
    except (Exception, asyncio.CancelledError) as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise asyncio.CancelledError from error
        raise BrokerAway("the message broker") from error


class Held:
    """A message that the broker keeps until it is settled; see `runtime.ports.Delivery`."""

    __slots__ = ("_lane", "_message")

    def __init__(self, lane: Lane, message: DeliveredMessage) -> None:
        self._lane = lane
        self._message = message

    @property
    def body(self) -> bytes:
        return self._message.body

    @property
    def redelivered(self) -> bool:
        # a quorum queue counts, and the count outlives a change of its leader; the flag need not
        headers = self._message.header.properties.headers or {}
        return bool(self._message.redelivered or headers.get("x-delivery-count"))

    def ack(self) -> None:
        self._lane.settle(spec.Basic.Ack(self._message.delivery_tag or 0))

    def requeue(self) -> None:
        self._lane.settle(spec.Basic.Nack(self._message.delivery_tag or 0, requeue=True))


class Lane(Channel):
    """A channel that sends by appending to its wire's buffer, and hands over what comes by a plain call.

    It overrides aiormq's handlers of deliver, return and confirm frames: the inherited ones make a task for each
    delivery, need a message id for each return, and walk all open confirms for each multiple ack.

    :ivar on_return: receives routing key and body of a mandatory message that no queue took (not confirmed ones).
    """

    on_return: Callable[[str, bytes], None] | None = None

    def __init__(self, wire: Wire, connection: AbstractConnection, number: int, *, confirms: bool) -> None:
        super().__init__(connection, number, publisher_confirms=confirms)
        self._wire = wire
        self._deliver: Callable[[Held], None] | None = None
        self._unconfirmed: dict[int, asyncio.Future[bool]] = {}
        self._published = 0
        self._consumer = ""
        self._no_ack = False
        self.on_consumer_cancel_callbacks.add(lambda _: wire.cut("the broker cancelled a consumer: its queue is gone"))

    def publish(
        self, exchange: str, key: str, body: bytes, *, ttl_ms: int | None = None, mandatory: bool = False
    ) -> None:
        """Send a transient message, at once and without waiting."""
        expiration = None if ttl_ms is None else str(ttl_ms)
        self._send(exchange, key, body, spec.Basic.Properties(delivery_mode=1, expiration=expiration), mandatory)

    def publish_surely(self, exchange: str, key: str, body: bytes, *, id: str, mandatory: bool) -> asyncio.Future[bool]:
        """Send a persistent message on a lane with confirms.

        The future says whether the broker has it safe; False too when it was returned or the connection was lost.
        """
        confirmed: asyncio.Future[bool] = self.loop.create_future()
        if self._wire.lost.done():
            confirmed.set_result(False)
            return confirmed
        self._published += 1
        self._unconfirmed[self._published] = confirmed
        # a return names no delivery tag, so that the tag travels along: correct also for two of one message id
        properties = spec.Basic.Properties(delivery_mode=2, message_id=id, correlation_id=str(self._published))
        self._send(exchange, key, body, properties, mandatory)
        return confirmed

    def declare_exchange(self, name: str) -> None:
        """A durable topic exchange. Declarations are sent without a wait each; `declared` waits for all."""
        self._tell(spec.Exchange.Declare(exchange=name, exchange_type="topic", durable=True, nowait=True))

    def declare_queue(self, name: str, arguments: Mapping[str, Any]) -> None:
        """A durable queue."""
        self._tell(spec.Queue.Declare(queue=name, durable=True, arguments=dict(arguments), nowait=True))

    def declare_private_queue(self, name: str) -> None:
        """A queue of this connection, gone with it, or with its consumer."""
        self._tell(spec.Queue.Declare(queue=name, exclusive=True, auto_delete=True, nowait=True))

    def bind(self, queue: str, exchange: str, key: str) -> None:
        self._tell(spec.Queue.Bind(queue=queue, exchange=exchange, routing_key=key, nowait=True))

    async def sync(self) -> None:
        """Returns when the broker has done all that was sent on this lane."""
        self._wire.flush()
        with away():
            # any call with an answer would do; `consume` sets its own prefetch again
            await self.basic_qos(prefetch_count=0)

    async def declared(self) -> None:
        """Returns when all declarations are done. :raises StartError: what exists has other arguments."""
        try:
            await self.sync()
        except BrokerAway as error:
            refusal = self.closing.exception() if self.is_closed and not self.closing.cancelled() else None
            if isinstance(refusal, ChannelPreconditionFailed):
                raise StartError(
                    f"the broker has a queue of that name with other arguments: {refusal}; "
                    "delete it there once it is empty, or set another BROKER_PREFIX"
                ) from error
            raise

    async def consume(
        self, queue: str, deliver: Callable[[Held], None], *, prefetch: int = 0, no_ack: bool = False
    ) -> None:
        """Take messages of a queue; one consumer a lane. After `cancel` it may be called again."""
        self._deliver, self._no_ack = deliver, no_ack
        with away():
            await self.basic_qos(prefetch_count=prefetch)
            started = await self.rpc(spec.Basic.Consume(queue=queue, no_ack=no_ack))
        self._consumer = started.consumer_tag or ""

    async def cancel(self) -> None:
        """Returns when no further delivery will come. What was delivered can still be settled."""
        with away():
            await self.basic_cancel(self._consumer)

    async def consumers_of(self, queue: str) -> int:
        """How many consumers a queue has, over all processes. A queue that does not exist cuts the wire."""
        with away():
            return (await self.queue_declare(queue, passive=True)).consumer_count or 0

    async def delete_unused(self, queue: str) -> None:
        """Where nobody consumes from it any more. (RabbitMQ has no such call for a quorum queue: who comes in between
        finds it gone, and declares it anew.)"""
        if await self.consumers_of(queue) == 0:
            with away():
                await self.queue_delete(queue)

    async def check_exchange(self, name: str) -> None:
        """One that does not exist cuts the wire."""
        with away():
            await self.exchange_declare(name, passive=True)

    def settle(self, verdict: spec.Basic.Ack | spec.Basic.Nack) -> None:
        """Send it without waiting; on a lane that is closed nothing, for the message went back to its queue."""
        if not self.is_closed:
            self._tell(verdict)

    def give_up(self) -> None:
        """The connection is lost: nothing that is unconfirmed will be."""
        for confirmed in self._unconfirmed.values():
            if not confirmed.done():
                confirmed.set_result(False)
        self._unconfirmed.clear()

    def _send(self, exchange: str, key: str, body: bytes, properties: spec.Basic.Properties, mandatory: bool) -> None:
        room = self.max_content_size
        frames: list[Frame | ContentHeader | ContentBody] = [
            spec.Basic.Publish(exchange=exchange, routing_key=key, mandatory=mandatory),
            ContentHeader(properties=properties, body_size=len(body)),
            *(ContentBody(body[at : at + room]) for at in range(0, len(body), room)),
        ]
        self._wire.write(ChannelFrame.marshall(self.number, frames).payload)

    def _tell(self, frame: Frame) -> None:
        self._wire.write(pamqp.frame.marshal(frame, self.number))

    async def _content(self, frame: spec.Basic.Deliver | spec.Basic.Return) -> DeliveredMessage:
        header = await self._get_frame()
        if not isinstance(header, ContentHeader):
            raise TypeError(f"expected a content header, got {header!r}")
        return await self._read_content(frame, header)

    async def _on_deliver_frame(self, frame: spec.Basic.Deliver) -> None:
        held = Held(self, await self._content(frame))
        try:
            if self._deliver is not None:
                self._deliver(held)
        except Exception:
            log.exception("a consumer's callback failed; what it can settle is requeued")
            if not self._no_ack:
                held.requeue()

    async def _on_return_frame(self, frame: spec.Basic.Return) -> None:
        message = await self._content(frame)
        if self.publisher_confirms:
            # the ack of a returned message follows; it then finds the future done
            self._confirm(int(message.header.properties.correlation_id or 0), safe=False)
        elif self.on_return is not None:
            self.on_return(frame.routing_key or "", message.body)

    async def _on_confirm_frame(self, frame: spec.Basic.Ack | spec.Basic.Nack | spec.Basic.Reject) -> None:
        tag, safe = frame.delivery_tag or 0, isinstance(frame, spec.Basic.Ack)
        if not getattr(frame, "multiple", False):
            self._confirm(tag, safe=safe)
            return
        while self._unconfirmed and (oldest := next(iter(self._unconfirmed))) <= tag:
            self._confirm(oldest, safe=safe)

    def _confirm(self, tag: int, *, safe: bool) -> None:
        confirmed = self._unconfirmed.pop(tag, None)
        if confirmed is not None and not confirmed.done():
            confirmed.set_result(safe)


class Gate(asyncio.Event):
    """aiormq's record of connection.blocked, made to tell of its changes: the library offers no callback."""

    def __init__(self, changed: Callable[[], None]) -> None:
        super().__init__()
        super().set()
        self._changed = changed

    def set(self) -> None:
        super().set()
        self._changed()

    def clear(self) -> None:
        super().clear()
        self._changed()


class Socket(TransportFactory):
    """Connects as aiormq does and keeps the writer, so that we can write once per tick, and cut. asyncio and uvloop
    set TCP_NODELAY themselves."""

    writer: asyncio.StreamWriter

    async def create(self, url: URL, **kwargs: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        factory = TLSTransportFactory() if url.scheme == "amqps" else TCPTransportFactory()
        reader, self.writer = await factory.create(url, **kwargs)
        return reader, self.writer


class Wire:
    """One live connection.

    :ivar lost: done, with the reason, when it is lost or cut.
    """

    def __init__(self, connection: aio_pika.Connection, writer: asyncio.StreamWriter, changed: Callable[[], None]):
        if connection.transport is None:
            raise BrokerAway("the message broker")
        self.connection = connection
        self._loop = asyncio.get_running_loop()
        self.lost: asyncio.Future[str] = self._loop.create_future()
        self._amqp = connection.transport.connection
        self._writer = writer
        self._out: list[bytes] = []
        self._lanes: list[Lane] = []
        self._gate = Gate(changed)
        # mypy cannot know a name-mangled attribute
        self._amqp._Connection__connection_unblocked = self._gate  # type: ignore[attr-defined]
        self._amqp.closing.add_done_callback(lambda closed: self.cut(_reason(closed)))

    @classmethod
    async def dial(cls, url: str, name: str, changed: Callable[[], None]) -> Wire:
        """:raises BrokerAway: no answer, or a refusal, within `DIAL_S`."""
        socket = Socket()
        connection = aio_pika.Connection(URL(url), client_properties={"connection_name": name})
        connection.kwargs["transport_factory"] = socket
        try:
            with away():
                await connection.connect(timeout=DIAL_S)
            return cls(connection, socket.writer, changed)
        except BaseException:
            await connection.close()  # else its destructor makes a task that does
            raise

    @property
    def blocked(self) -> bool:
        """The broker has run out of memory or disk and takes no messages from this connection."""
        return not self._gate.is_set()

    async def lane(self, *, confirms: bool = False) -> Lane:
        """A new channel. When it is closed by anyone but us, the wire is cut."""
        # aiormq's `channel()` makes channels of its own class only, so ours enters itself into the table
        number = max(self._amqp.channels, default=0) + 1
        lane = Lane(self, self._amqp, number, confirms=confirms)
        self._amqp.channels[number] = lane
        self._lanes.append(lane)
        lane.closing.add_done_callback(lambda closed: self.cut(_reason(closed)))
        with away():
            await lane.open()
        return lane

    async def depth(self, queue: str) -> int:
        """How many messages are ready; 0 where there is no such queue. On a channel of its own, which a missing
        queue closes.

        :raises BrokerAway: no answer.
        """
        with away():
            # a channel that is given up half open breaks the whole connection: whoever asks can leave, it goes on
            return await asyncio.shield(self._count(queue))

    async def _count(self, queue: str) -> int:
        async with self.connection.channel() as channel:
            try:
                declared = await channel.declare_queue(queue, passive=True)
            except ChannelNotFoundEntity:
                return 0
            return declared.declaration_result.message_count or 0

    def write(self, frames: bytes) -> None:
        """Send whole frames; those of one tick leave in one write."""
        if not self._out:
            self._loop.call_soon(self.flush)
        self._out.append(frames)

    def flush(self) -> None:
        """Send what the tick has gathered so far."""
        if self._out and not self._writer.transport.is_closing():
            self._writer.write(b"".join(self._out))
        self._out.clear()

    def give_up(self) -> None:
        """Answer all that is unconfirmed with False."""
        for lane in self._lanes:
            lane.give_up()

    def cut(self, why: str) -> None:
        """Drop the connection at once; what is unconfirmed stays so. Never raises."""
        if not self.lost.done():
            self.lost.set_result(why)
            self._writer.transport.abort()
            self.give_up()

    async def close(self) -> None:
        """See that what was sent has arrived, then part; what is lost already is only put away. Never raises."""
        try:
            async with asyncio.timeout(CLOSE_S):
                with away():
                    if not self.lost.done():
                        for lane in self._lanes:
                            await lane.sync()
                    await self.connection.close()
        except (TimeoutError, BrokerAway):
            log.warning("the broker connection was cut, for the broker did not part in order")
        finally:
            self.cut("closed")


def _reason(closed: asyncio.Future[Any]) -> str:
    error = None if closed.cancelled() else closed.exception()
    return str(error) if error is not None and str(error) else "closed by the broker"
