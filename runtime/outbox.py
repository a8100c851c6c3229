"""The outbox relay: what a transaction wanted to send is published after it, at least once.

The process that commits a row holds its lease and publishes it at once from memory. When it cannot, the lease
lapses and any replica takes the row up. A row is deleted when the broker has confirmed it; dying in between sends
it twice, and the consumer's inbox drops the second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from runtime.closing import OUTBOX_LEASE_MS
from runtime.errors import MessageError, StoreAway
from runtime.keys import Sealer
from runtime.ports import Broker, Outgoing, Publication, Store
from runtime.seams import Seams
from runtime.telemetry import Metrics, logger
from runtime.waiting import wait

POLL_S = 0.2
"""How often rows whose lease has lapsed are looked for."""

WINDOW = 500
"""Rows published together, before their confirms are awaited."""

ROUNDS = 8
"""Windows that are under way at a time."""


class Relay:
    """Publishes the outbox of one actor."""

    def __init__(
        self,
        actor: str,
        store: Store,
        broker: Broker,
        *,
        key: bytes,
        metrics: Metrics,
        seams: Seams | None = None,
    ) -> None:
        self._actor = actor
        self._store = store
        self._broker = broker
        self._sealer = Sealer(key)
        self._metrics = metrics
        self._seams = seams or Seams("")
        self._fresh: list[tuple[float, Outgoing]] = []  # with the loop's time at which the lease lapses
        self._wake = asyncio.Event()

    def offer(self, rows: Sequence[Outgoing]) -> None:
        """Rows that were just committed under a lease of this process."""
        lapses = asyncio.get_running_loop().time() + OUTBOX_LEASE_MS / 1000
        self._fresh += ((lapses, row) for row in rows)
        self._wake.set()

    async def run(self) -> None:
        """For ever: publish what is offered, and what others have left behind.

        A round does not wait for the one before it: a broker may confirm an event only when it was handled.
        """
        async with asyncio.TaskGroup() as rounds:
            room = asyncio.Semaphore(ROUNDS)
            while True:
                rows, again = await self._take()
                if rows:
                    await room.acquire()
                    rounds.create_task(self._send(rows, again=again)).add_done_callback(lambda _: room.release())
                else:
                    await self._rest()

    async def step(self) -> int:
        """One round, awaited; how many rows the broker has confirmed."""
        rows, again = await self._take()
        return await self._send(rows, again=again)

    async def _take(self) -> tuple[Sequence[Outgoing], bool]:
        """What was offered, or rows whose lease has lapsed (True); nothing while the broker is away."""
        now = asyncio.get_running_loop().time()
        if self._fresh and self._fresh[0][0] <= now:  # those are found in the store, by whoever is first
            self._fresh = [each for each in self._fresh if each[0] > now]
        if not self._broker.available:
            return (), False
        rows, self._fresh = [row for _, row in self._fresh[:WINDOW]], self._fresh[WINDOW:]
        if rows:
            return rows, False
        try:
            return await self._store.lease_outgoing(limit=WINDOW, lease_ms=OUTBOX_LEASE_MS), True
        except StoreAway as error:
            logger().warning("outbox.store_away", actor=self._actor, reason=str(error))
            return (), False

    async def _send(self, rows: Sequence[Outgoing], *, again: bool) -> int:
        confirmed = await self._publish(rows, again=again) if rows else []
        if confirmed:
            try:
                await self._store.delete_outgoing(confirmed)
            except StoreAway as error:
                # they go out once more when their lease has lapsed, and meet the inbox
                logger().warning("outbox.store_away", actor=self._actor, reason=str(error))
        self._metrics.published.labels(self._actor).inc(len(confirmed))
        return len(confirmed)

    async def _rest(self) -> None:
        self._wake.clear()
        if not self._fresh or not self._broker.available:
            await wait(self._wake, POLL_S)

    async def _publish(self, rows: Sequence[Outgoing], *, again: bool) -> list[str]:
        publications: list[Publication] = []
        for row in rows:
            try:
                body = self._sealer.unwrap(row.envelope)
            except MessageError as error:
                logger().error("outbox.unreadable", actor=self._actor, id=row.id, reason=str(error))
                continue
            publications.append(Publication(row.id, row.route, body, row.direct, again))
        safe = await self._broker.publish(publications)
        for publication in publications:
            self._seams.at("published", publication.route)
        return [publication.id for publication, ok in zip(publications, safe, strict=True) if ok]
