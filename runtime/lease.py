"""Keeping a lease while its holder is at work: it lapses when the process has died, and not because work is slow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from runtime.errors import StoreAway
from runtime.ports import Store

LEASE_MS = 60_000
"""How long after its last sign of life the work of a process is taken up by another."""


@asynccontextmanager
async def keeping(store: Store, id: str, lease: str, *, lease_ms: int) -> AsyncIterator[None]:
    """Prolong it three times in its time, until the block is left or another has it."""
    prolonging = asyncio.create_task(_keep(store, id, lease, lease_ms))
    try:
        yield
    finally:
        prolonging.cancel()


async def _keep(store: Store, id: str, lease: str, lease_ms: int) -> None:
    ours = True
    while ours:
        await asyncio.sleep(lease_ms / 3000)
        try:
            ours = await store.prolong(id, lease, lease_ms=lease_ms)
        except StoreAway:
            continue  # then nobody else can take it either
