"""Tasks over HTTP: edge, task actor and user actor as processes on RabbitMQ and PostgreSQL, against a monolith."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import asyncpg

from bench.contest import Contest, Options
from bench.duel import duel, monolith
from bench.servers import broker, database
from bench.troupe_side import environment, troupe

AT_LEAST = 0.8


@asynccontextmanager
async def contest(directory: Path, options: Options) -> AsyncIterator[Contest]:
    """Both sides in one database, all processes running for all rounds."""
    async with AsyncExitStack() as stack:
        url, prefix = await stack.enter_async_context(broker())
        dsn = await stack.enter_async_context(database())
        settings = environment(directory, BROKER_URL=url, BROKER_PREFIX=prefix, TASK_STORE_URL=dsn, USER_STORE_URL=dsn)
        started = troupe(directory, settings, ("task", "user", "edge"), _rows(dsn, "task.task"))
        ours = await stack.enter_async_context(started)
        started = monolith("bench.monolith_postgres", dsn, directory, _rows(dsn, "monolith.task"))
        theirs = await stack.enter_async_context(started)
        yield duel("", ours, theirs, options.seconds, at_least=AT_LEAST)


def _rows(dsn: str, table: str) -> Callable[[], Awaitable[int]]:
    async def count() -> int:
        connection = await asyncpg.connect(dsn)
        try:
            rows: int = await connection.fetchval(f"select count(*) from {table}")
            return rows
        finally:
            await connection.close()

    return count
