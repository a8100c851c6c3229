"""An edge on its feet: real broker, store, client and dispatch, embedded, and actors of the test's choice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from config.settings import Settings
from edge.app import Edge
from runtime import connect, stagehands
from runtime.actor import Actor
from runtime.beat import Beat
from runtime.client import Client
from runtime.consumer import Consumer
from runtime.context import Clock, system_clock
from runtime.dispatch import Dispatch
from runtime.keys import Keys
from runtime.late_blobs import LateBlobs
from runtime.ports import Cache, Topology
from runtime.seams import Seams
from runtime.telemetry import Metrics

SECRET = b"a secret of tests, nowhere else used"


@asynccontextmanager
async def client_of(folder: Path, *actors: Actor[Any]) -> AsyncIterator[Client]:
    """A client, and the actors that it can ask."""
    keys, metrics, settings = Keys(SECRET), Metrics(), Settings()
    async with AsyncExitStack() as stack:
        broker = connect.broker(settings)
        client = Client(broker, keys, metrics)
        broker.on_change(lambda available: client.reconnected() if available else None)
        await broker.open(Topology(("media", "task", "user"), {}))
        stack.push_async_callback(broker.close)
        for actor in actors:
            store = connect.store_at(f"sqlite:{folder}/{actor.name}.db", actor.name, system_clock)
            await store.open()
            stack.push_async_callback(store.close)
            await store.migrate(stagehands.migrations(actor.name, store.reader.dialect))
            key = keys.of(actor.name)
            dispatch = Dispatch(actor, store, key=key, metrics=metrics, offer=lambda rows: None)
            consumer = Consumer(broker, dispatch, key=key, in_flight=64, metrics=metrics, seams=Seams(""))
            await consumer.start()
            stack.push_async_callback(consumer.drain, 5.0)
            beating = asyncio.create_task(Beat(actor, store, broker).run())
            stack.callback(beating.cancel)
        yield client


@asynccontextmanager
async def edge_of(
    folder: Path, *actors: Actor[Any], clock: Clock = system_clock, **settings: Any
) -> AsyncIterator[tuple[Edge, str]]:
    """An edge that listens, and its address. :param settings: those that are not the default."""
    chosen = Settings(**{"edge_port": 0, "public_url": "http://edge.test", "rate_limits": "off", **settings})
    async with client_of(folder, *actors) as client, _opened(connect.cache(chosen, clock)) as cache:
        edge = Edge(
            settings=chosen,
            client=client,
            clock=clock,
            cache=cache,
            blobs=LateBlobs(connect.blobs(chosen)),
            readiness=_all_well,
            metrics=Metrics(),
            keys=Keys(SECRET),
        )
        address = await edge.start()
        following = asyncio.gather(edge.access.run(), edge.live.run())
        try:
            yield edge, address
        finally:
            following.cancel()
            await edge.stop()


@asynccontextmanager
async def _opened(cache: Cache) -> AsyncIterator[Cache]:
    await cache.open()
    try:
        yield cache
    finally:
        await cache.close()


async def _all_well() -> Mapping[str, str]:
    return {"broker": "ok"}
