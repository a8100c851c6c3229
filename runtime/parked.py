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


class ParkedLoop:
    """Dispatches the due rows of one actor; any replica takes any row, one at a time each."""

    def __init__(self, dispatch: Dispatch) -> None:
        self._dispatch = dispatch

    async def run(self) -> None:
        """For ever."""
        while True:
            if not await self.step():
                await asyncio.sleep(POLL_S)

    async def step(self) -> int:
        """One round: the row that has been due for longest, if any; how many were tried."""
        store = self._dispatch.store
        try:
            # one at a time: leasing counts an attempt, and only what takes the process down itself should pay with one
            rows = await store.lease_parked(limit=1, lease_ms=LEASE_MS)
        except StoreAway as error:
            logger().warning("parked.store_away", actor=self._dispatch.actor.name, reason=str(error))
            return 0
        for row in rows:
            await self._try(row)
        return len(rows)

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
