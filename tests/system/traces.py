"""Everything that a world has kept after it was stopped: files, logs, tables, queues, keys of the cache."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aio_pika
import asyncpg
import redis.asyncio

from runtime import stagehands
from tests.system.world import World


class Spy:
    """Reads along what a world publishes while it runs: a queue of its own that is bound to every event."""

    def __init__(self, world: World) -> None:
        self._url = world.settings["BROKER_URL"]
        self._prefix = world.settings["BROKER_PREFIX"]

    async def __aenter__(self) -> Spy:
        self._connection = await aio_pika.connect(self._url)
        channel = await self._connection.channel()
        exchange = await channel.get_exchange(f"{self._prefix}.events", ensure=False)
        self._queue = await channel.declare_queue(exclusive=True)
        await self._queue.bind(exchange, "#")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._connection.close()

    async def seen(self) -> list[bytes]:
        """Every event until now."""
        found = []
        while message := await self._queue.get(no_ack=True, fail=False):
            found.append(message.body)
        return found


async def kept(world: World) -> AsyncIterator[tuple[str, bytes]]:
    """Where, and what; all that its processes have left behind, mail that was sent among it."""
    for path in sorted(world.directory.rglob("*")):
        if path.is_file():
            yield str(path.relative_to(world.directory)), path.read_bytes()
    if "BROKER_URL" in world.settings:
        for source in (_tables(world), _queues(world), _cache(world)):
            async for each in source:
                yield each


def holds(content: bytes, trace: str) -> bool:
    """Whether it is there as text, or as the hex digits that PostgreSQL shows for bytes."""
    raw = trace.encode()
    return raw in content or raw.hex().encode() in content


async def _tables(world: World) -> AsyncIterator[tuple[str, bytes]]:
    for actor in stagehands.actor_names():
        address, _, schema = world.settings[f"{actor.upper()}_STORE_URL"].rpartition("schema=")
        connection = await asyncpg.connect(address.rstrip("?&"))
        for (table,) in await connection.fetch("select tablename from pg_tables where schemaname = $1", schema):
            rows = await connection.fetch(f'select t::text from "{schema}"."{table}" t')  # names from its catalogue
            yield f"table {actor}.{table}", "\n".join(row[0] for row in rows).encode()
        await connection.close()


async def _queues(world: World) -> AsyncIterator[tuple[str, bytes]]:
    prefix = world.settings["BROKER_PREFIX"]
    async with await aio_pika.connect(world.settings["BROKER_URL"]) as connection:
        channel = await connection.channel()
        for actor in stagehands.topology().actors:
            for kind in ("requests", "events", "dead"):
                queue = await channel.get_queue(f"{prefix}.{actor}.{kind}")
                content = b""
                while message := await queue.get(no_ack=True, fail=False):
                    content += message.body
                yield f"queue {queue.name}", content


async def _cache(world: World) -> AsyncIterator[tuple[str, bytes]]:
    """Names of keys, and the texts under them."""
    async with redis.asyncio.from_url(world.settings["CACHE_URL"]) as client:
        async for key in client.scan_iter(count=1000):
            text = await client.get(key) if await client.type(key) == b"string" else b""
            yield f"cache {key!r}", key + (text or b"")
