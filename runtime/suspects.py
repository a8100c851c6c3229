"""Requests whose consumer went away while it held them: one of them may be why."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from runtime.dispatch import Dispatch
from runtime.errors import Kind, StoreAway
from runtime.message import Failed, failed
from runtime.verdict import Received, Verdict

CRASHES = 3
"""How often a request may take its process down before it is given up: once among others, then on trial."""


class Suspects:
    """Stands before dispatch for requests that were sent again, and puts suspects on trial, one at a time.

    A trial is written into the store as a dead letter before it begins and struck out after it. What takes its
    process down leaves it behind, counted; what was merely held beside it does not pay for that.
    """

    def __init__(self, dispatch: Dispatch) -> None:
        self._dispatch = dispatch
        self._turn = asyncio.Lock()

    async def __call__(self, batch: Sequence[Received]) -> list[Verdict]:
        """The verdict of one request. It is a suspect when it came back from a consumer that went away, or, sent again
        by its asker meanwhile, when a trial of it has been written down."""
        (received,) = batch
        try:
            if not received.envelope.crashes and await self._trials(received) == 0:
                return await self._dispatch(batch)
            async with self._turn:
                return [await self._try(received)]
        except StoreAway as error:
            return [failed(error)]

    async def _try(self, received: Received) -> Verdict:
        envelope, parking, store = received.envelope, self._dispatch.parking, self._dispatch.store
        crashes = 1 + await self._trials(received)
        if crashes >= CRASHES:
            if crashes == CRASHES:  # else it was given up before, and this is one more copy of it
                await parking.bury(envelope, f"it took its process down {crashes} times", attempt=crashes)
            return Failed(Kind.INTERNAL, "internal")
        await store.park([parking.form(envelope, crashes, None, "its process went away while it handled this")])
        try:
            (verdict,) = await self._dispatch([received])
        finally:
            await asyncio.shield(store.unpark(envelope.id))
        return verdict

    async def _trials(self, received: Received) -> int:
        row = await self._dispatch.store.parked(received.envelope.id)
        return 0 if row is None else row.attempt
