"""Timers: time is a message too. A tick's id is its timer's name and slot, so one of all replicas handles it."""

from __future__ import annotations

import asyncio
import random

from runtime.actor import Handler
from runtime.context import Clock, system_clock
from runtime.dispatch import Dispatch
from runtime.message import Envelope, Tick, encode
from runtime.verdict import Received, Settle

SPREAD_S = 0.05
"""Replicas look at a slot within this time after each other, so that most find it taken rather than in the making."""

RETRY_S = 1.0


class Timer:
    """One `@every` method in one process."""

    def __init__(self, dispatch: Dispatch, handler: Handler, clock: Clock = system_clock) -> None:
        self._dispatch = dispatch
        self._handler = handler
        self._clock = clock

    async def run(self) -> None:
        """For ever: a tick at the beginning of each slot."""
        period = self._handler.every_ms
        while True:
            now = self._clock()
            await asyncio.sleep((period - now % period) / 1000 + random.uniform(0, SPREAD_S))
            await self.tick()

    async def tick(self) -> None:
        """The tick of the present slot; nothing when another replica has had it. Waits for a store that is away."""
        slot = self._clock() // self._handler.every_ms * self._handler.every_ms
        kind = self._handler.type
        envelope = Envelope(f"{kind}:{slot}", kind, self._dispatch.actor.name, encode(Tick(slot=slot)))
        while (await self._dispatch([Received(envelope)]))[0] is Settle.HOLD:  # noqa: ASYNC110 - a store tells nobody it is back
            await asyncio.sleep(RETRY_S)
