"""Parked messages: events and tells whose handling failed, tried again when they are due."""

from __future__ import annotations

import asyncio

from runtime.dispatch import Dispatch
from runtime.errors import MessageError, StoreAway
from runtime.ports import ParkedRow
from runtime.telemetry import logger
from runtime.verdict import Settle

POLL_S = 0.25
LEASE_MS = 60_000
"""After that long another replica takes a row up whose process has died; its attempt has been counted."""

OUTSIDE_AT_ONCE = 8
"""Rows of `outside` handlers that are tried at the same time: they wait for mail servers and the like. While there are
so many, no row is taken."""


class ParkedLoop:
    """Dispatches the due rows of one actor; any replica takes any row.

    Leasing counts an attempt, and only what takes the process down itself should pay with one: so rows are leased one
    at a time, and tried so too, but for those that work outside of a transaction, beside which the others go on.
    """

    def __init__(self, dispatch: Dispatch) -> None:
        self._dispatch = dispatch

    async def run(self) -> None:
        """For ever."""
        async with asyncio.TaskGroup() as outside:
            room = asyncio.Semaphore(OUTSIDE_AT_ONCE)
            while True:
                async with room:
                    row = await self._lease()
                if row is None:
                    await asyncio.sleep(POLL_S)
                elif (handler := self._dispatch.table.get(row.type)) is not None and handler.outside:
                    await room.acquire()  # free: nobody else takes it
                    outside.create_task(self._try(row)).add_done_callback(lambda _: room.release())
                else:
                    await self._try(row)

    async def step(self) -> int:
        """One round: the row that has been due for longest, if any; how many were tried."""
        row = await self._lease()
        if row is None:
            return 0
        await self._try(row)
        return 1

    async def _lease(self) -> ParkedRow | None:
        try:
            rows = await self._dispatch.store.lease_parked(limit=1, lease_ms=LEASE_MS)
        except StoreAway as error:
            logger().warning("parked.store_away", actor=self._dispatch.actor.name, reason=str(error))
            return None
        return rows[0] if rows else None

    async def _try(self, row: ParkedRow) -> None:
        try:
            received = self._dispatch.parking.received(row)
        except MessageError as error:
            logger().error("parked.unreadable", actor=self._dispatch.actor.name, id=row.id, reason=str(error))
            await self._dispatch.parking.give_up(row, str(error))
            return
        handler = self._dispatch.table.get(row.type)
        if handler is not None and row.attempt > handler.retry.attempts:
            # only a crash leaves a row behind that has no try left
            await self._dispatch.parking.give_up(row, row.reason)
            return
        (verdict,) = await self._dispatch([received])
        if verdict is Settle.HOLD:
            logger().warning("parked.held", actor=self._dispatch.actor.name, id=row.id)
