"""RabbitMQ, PostgreSQL and Redis: named by the environment, or obtained as the tests do; left as they were found."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace

import aio_pika

from runtime import stagehands
from tests.servers import answers
from tests.servers.obtain import BROKER, CACHE, STORE, Kind, obtain


@asynccontextmanager
async def broker() -> AsyncIterator[tuple[str, str]]:
    """The address of a RabbitMQ, and a prefix for names: queues and exchanges under it are gone at the end."""
    with ExitStack() as stack:
        url = await _address(BROKER, "BENCH_AMQP_URL", stack)
        prefix = f"bench-{secrets.token_hex(4)}"
        try:
            yield url, prefix
        finally:
            await _sweep(url, prefix)


@asynccontextmanager
async def database() -> AsyncIterator[str]:
    """The address of an empty PostgreSQL database, dropped at the end."""
    with ExitStack() as stack:
        url, name = await _address(STORE, "BENCH_POSTGRES_URL", stack), f"bench_{secrets.token_hex(4)}"
        made = await answers.create_database(url, name)
        try:
            yield made
        finally:
            await answers.drop_database(url, name)


@asynccontextmanager
async def redis() -> AsyncIterator[str]:
    """The address of a Redis; what is put there goes by its time to live."""
    with ExitStack() as stack:
        yield await _address(CACHE, "BENCH_REDIS_URL", stack)


async def _address(kind: Kind, variable: str, stack: ExitStack) -> str:
    if variable in os.environ:
        kind = replace(kind, variable=variable)
    return (await obtain(kind, stack, print)).url


async def _sweep(url: str, prefix: str) -> None:
    """AMQP cannot list names, so those that can be there are deleted; to delete one that is not is no error."""
    connection = await aio_pika.connect(url)
    async with connection, connection.channel() as channel:
        for actor in ("echo", *stagehands.actor_names()):
            for queue in ("requests", "events", "dead"):
                await channel.queue_delete(f"{prefix}.{actor}.{queue}")
        await channel.exchange_delete(f"{prefix}.events")
