"""The counter behind a broker, and somebody who asks it: what the tests of consumer, relay and client stand on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import aio_pika

from runtime.client import Client
from runtime.consumer import Consumer
from runtime.drivers.broker_amqp import AmqpBroker, hosts
from runtime.drivers.broker_memory import MemoryBroker, Parcel, Queues
from runtime.keys import Keys
from runtime.message import Envelope, frame
from runtime.ports import Broker, Publication, Store, Topology
from runtime.seams import Seams
from runtime.telemetry import Metrics
from tests.unit.counter import CounterActor
from tests.unit.house import KEY, House

T = TypeVar("T")

EVENTS = ("added", "mailed", "issued")
TOPOLOGY = Topology(("counter",), dict.fromkeys(EVENTS, ("counter",)))
KEYS = Keys(None, {"counter": KEY})


class Brokers:
    """Brokers that meet: in memory, or with a prefix of their own on a server."""

    def __init__(self, url: str = "memory:", prefix: str = "t") -> None:
        self._url = url
        self._prefix = prefix
        self._queues = Queues()
        self._open: list[Broker] = []

    async def open(self, prepare: Callable[[Broker], object] = lambda _: None) -> Broker:
        """:param prepare: sets the callbacks."""
        broker: Broker = MemoryBroker(self._queues, prefix=self._prefix)
        if self._url != "memory:":
            broker = AmqpBroker(hosts(self._url), prefix=self._prefix)
        self._open.append(broker)
        prepare(broker)
        await broker.open(TOPOLOGY)
        return broker

    async def bury(self, body: bytes) -> None:
        """Put a message into the counter's `dead` queue, as a broker does with what was delivered too often."""
        if self._url == "memory:":
            self._queues.actors["counter"].dead.put(Parcel(body))
            return
        async with await aio_pika.connect(self._url) as connection, connection.channel() as channel:
            await channel.default_exchange.publish(aio_pika.Message(body), f"{self._prefix}.counter.dead")

    async def close(self) -> None:
        for broker in self._open:
            await broker.close()
        if self._url != "memory:":
            async with await aio_pika.connect(self._url) as connection, connection.channel() as channel:
                for kind in ("requests", "events", "dead"):
                    await channel.queue_delete(f"{self._prefix}.counter.{kind}")
                await channel.exchange_delete(f"{self._prefix}.events")


class Line:
    """Replicas of the counter on one store, on brokers of their own, and a client."""

    def __init__(self, brokers: Brokers, store: Store) -> None:
        self.brokers = brokers
        self.store = store
        self.metrics = Metrics()
        self._consumers: list[Consumer] = []
        self._loops: list[asyncio.Task[None]] = []

    async def open(self) -> Line:
        def prepare(broker: Broker) -> None:
            self.client = Client(broker, KEYS, self.metrics)
            broker.on_change(lambda available: self.client.reconnected() if available else None)

        self.asking = await self.brokers.open(prepare)
        return self

    async def replica(
        self, *, in_flight: int = 100, actor: CounterActor | None = None
    ) -> tuple[House, Consumer, Broker]:
        """Another process of the counter, as far as one process can play several."""
        broker = await self.brokers.open()
        house = House(self.store, actor)
        consumer = Consumer(
            broker, house.dispatch, key=KEY, in_flight=in_flight, metrics=house.metrics, seams=Seams("")
        )
        self._consumers.append(consumer)
        await consumer.start()
        return house, consumer, broker

    def loop(self, work: Coroutine[Any, Any, None]) -> None:
        """Run until the test ends."""
        self._loops.append(asyncio.ensure_future(work))

    async def send(self, *envelopes: Envelope, key: bytes | None = KEY) -> None:
        """Put requests into the counter's queue as one message, or any bytes."""
        self.asking.request("counter", frame(envelopes, key), ttl_ms=10_000)

    async def publish(self, event: Envelope) -> None:
        """Give an event to the broker. In memory it is confirmed when it was settled: nobody waits for that here."""
        publication = Publication(event.id, event.type, frame([event]))
        self.loop(_ignoring(self.asking.publish([publication])))

    async def close(self) -> None:
        for consumer in self._consumers:
            await consumer.drain(0)
        for task in self._loops:
            task.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        await self.brokers.close()


async def _ignoring(work: Awaitable[object]) -> None:
    await work


async def until(what: Callable[[], Awaitable[T]], *, seconds: float = 10) -> T:
    """What `what` returns once that is true."""
    async with asyncio.timeout(seconds):
        while not (found := await what()):
            await asyncio.sleep(0.01)
    return found
