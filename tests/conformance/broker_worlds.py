"""Worlds of brokers to ask promises of."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from uuid import uuid4

import aio_pika

from runtime.drivers.broker_amqp import WATCH_S, AmqpBroker, QueueType, hosts
from runtime.drivers.broker_memory import MemoryBroker, Queues
from runtime.ports import Broker, Topology
from tests.conformance.broker_promises import TOPOLOGY


def leave_as_it_is(_: Broker) -> None:
    """Set no callbacks."""


class MemoryWorld:
    """Brokers of one kind on the same queues."""

    def __init__(self, kind: type[MemoryBroker] = MemoryBroker, *, patience_s: float = 2.0) -> None:
        self.patience_s = patience_s
        self._kind = kind
        self._queues = Queues()
        self._brokers: list[Broker] = []

    async def broker(self, prepare: Callable[[Broker], None] = leave_as_it_is) -> Broker:
        broker = self._kind(self._queues, prefix="t")
        self._brokers.append(broker)
        prepare(broker)
        await broker.open(TOPOLOGY)
        return broker

    async def restart(self) -> None:
        for broker in self._brokers:
            await broker.close()
        self._brokers.clear()
        self._queues = Queues()


class AmqpWorld:
    """Brokers with a prefix of their own on a real server."""

    patience_s = 15.0

    def __init__(self, url: str, request_queue_type: QueueType = "classic", *, watch_s: float = WATCH_S) -> None:
        self.url = url
        self.prefix = f"test-{uuid4().hex[:12]}"
        self._request_queue_type = request_queue_type
        self._watch_s = watch_s
        self._brokers: list[Broker] = []

    async def broker(self, prepare: Callable[[Broker], None] = leave_as_it_is, topology: Topology = TOPOLOGY) -> Broker:
        broker = AmqpBroker(
            hosts(self.url), prefix=self.prefix, request_queue_type=self._request_queue_type, watch_s=self._watch_s
        )
        self._brokers.append(broker)
        prepare(broker)
        await broker.open(topology)
        return broker

    async def restart(self) -> None:
        await asyncio.gather(*(broker.close() for broker in self._brokers))
        self._brokers.clear()

    async def clean(self, url: str) -> None:
        """Leave nothing behind on the server."""
        await self.restart()
        async with await aio_pika.connect(url) as connection, connection.channel() as channel:
            for actor in TOPOLOGY.actors:
                for queue in ("requests", "events", "dead"):
                    await channel.queue_delete(f"{self.prefix}.{actor}.{queue}")
            await channel.exchange_delete(f"{self.prefix}.events")
