"""A broker that doubles, delays and reorders, made of a real one.

Edge, task actor and the others live behind queue prefixes of their own, so that nothing they send one another arrives
by itself: the ferry carries it over, as often and as late as it is told to.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable
from types import TracebackType

import aio_pika
from aio_pika.abc import AbstractIncomingMessage

from chaos.house import House
from runtime import stagehands


class Ferry:
    """Carries requests and events between the parts of a house; replies go their own way.

    :param copies: of each message. :param delay_s: of each copy of an event, uniform from 0.
    :ivar carried: how many messages were taken over.
    """

    def __init__(self, house: House, *, copies: int = 1, delay_s: float = 0.0) -> None:
        self._house = house
        self._copies = copies
        self._delay_s = delay_s
        self._under_way: set[asyncio.Task[None]] = set()
        self.carried = 0
        prefix = house.world.settings["BROKER_PREFIX"]
        self._prefixes = {part: f"{prefix}-{part}" for part in house.own}
        for part, own in house.own.items():
            own["BROKER_PREFIX"] = self._prefixes[part]

    async def __aenter__(self) -> Ferry:
        """Begin, once the house has booted and so declared its queues."""
        self._connection = await aio_pika.connect(self._house.world.settings["BROKER_URL"])
        channel = await self._connection.channel()
        await channel.set_qos(prefetch_count=1000)
        self._exchange = channel.default_exchange
        for source, target in self._routes():
            queue = await channel.get_queue(source)
            await queue.consume(lambda message, target=target: self._carry(message, target))  # type: ignore[misc]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.gather(*self._under_way)
        channel = await self._connection.channel()
        for prefix in self._prefixes.values():
            for actor in stagehands.topology().actors:
                for kind_of_queue in ("requests", "events", "dead"):
                    await channel.queue_delete(f"{prefix}.{actor}.{kind_of_queue}")
        await self._connection.close()

    def _routes(self) -> Iterable[tuple[str, str]]:
        """From each queue that nobody serves under its prefix to the one where its actor lives."""
        for prefix in self._prefixes.values():
            for actor in stagehands.topology().actors:
                home = self._prefixes["task" if actor == "task" else "others"]
                if prefix != home:
                    for kind in ("requests", "events"):
                        yield f"{prefix}.{actor}.{kind}", f"{home}.{actor}.{kind}"

    async def _carry(self, message: AbstractIncomingMessage, target: str) -> None:
        self.carried += 1
        is_event = target.endswith(".events")
        deliveries = [
            asyncio.ensure_future(self._deliver(message, target, random.uniform(0, self._delay_s) if is_event else 0))
            for _ in range(self._copies)
        ]
        for each in deliveries:
            self._under_way.add(each)
            each.add_done_callback(self._under_way.discard)
        await asyncio.gather(*deliveries)
        await message.ack()

    async def _deliver(self, message: AbstractIncomingMessage, target: str, after_s: float) -> None:
        await asyncio.sleep(after_s)
        copy = aio_pika.Message(message.body, delivery_mode=message.delivery_mode, expiration=message.expiration)
        await self._exchange.publish(copy, target)
