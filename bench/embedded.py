"""Tasks over HTTP without servers: everything in one process on the embedded twins, against a monolith on SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path

from bench.contest import Contest, Options
from bench.duel import duel, monolith
from bench.troupe_side import ALL, environment, troupe

AT_LEAST = 0.7


@asynccontextmanager
async def contest(directory: Path, options: Options) -> AsyncIterator[Contest]:
    """Both sides on the same disk, running for all rounds."""
    async with AsyncExitStack() as stack:
        started = troupe(directory, environment(directory), (ALL,), _rows(directory / "var" / "task.db"))
        ours = await stack.enter_async_context(started)
        file = directory / "monolith.db"
        theirs = await stack.enter_async_context(monolith("bench.monolith_sqlite", str(file), directory, _rows(file)))
        yield duel("embedded, ", ours, theirs, options.seconds, at_least=AT_LEAST)


def _rows(file: Path) -> Callable[[], Awaitable[int]]:
    async def count() -> int:
        with closing(sqlite3.connect(file)) as connection:
            (rows,) = connection.execute("select count(*) from task").fetchone()
            return int(rows)

    return count
