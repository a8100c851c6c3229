"""From the start of a process until it is ready, and the memory that it then has."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

from bench.contest import TROUPE, Case, Contest, Options, Sample
from bench.processes import resident_mib, running
from bench.servers import broker, database
from bench.troupe_side import ALL, environment, runtime

ONE, EMBEDDED = "one actor on RabbitMQ and PostgreSQL", "everything embedded"
SECONDS = {ONE: 0.5, EMBEDDED: 1.5}
MIB = {ONE: 60.0, EMBEDDED: 130.0}
ACTORS = {ONE: "task", EMBEDDED: ALL}


@asynccontextmanager
async def contest(directory: Path, _: Options) -> AsyncIterator[Contest]:
    """Each process is started anew each time, on a store that has its tables."""
    async with AsyncExitStack() as stack:
        url, prefix = await stack.enter_async_context(broker())
        dsn = await stack.enter_async_context(database())
        settings = {
            ONE: environment(directory, BROKER_URL=url, BROKER_PREFIX=prefix, TASK_STORE_URL=dsn),
            EMBEDDED: environment(directory),
        }
        for what in ACTORS:
            await _boot(what, settings[what], directory)  # makes the tables
        yield Contest(
            [
                Case(
                    title=f"{title}, {what}",
                    unit=unit,
                    variants={TROUPE: partial(measure, what, settings[what], directory)},
                    at_most=targets[what],
                )
                for what in ACTORS
                for title, unit, measure, targets in (
                    ("boot to ready", "s", _boot, SECONDS),
                    ("resident memory", "MiB", _memory, MIB),
                )
            ],
            check=_nothing,
        )


async def _boot(what: str, settings: Mapping[str, str], directory: Path) -> Sample:
    started = time.perf_counter()
    async with running(runtime(ACTORS[what]), directory, settings):
        return Sample(time.perf_counter() - started)


async def _memory(what: str, settings: Mapping[str, str], directory: Path) -> Sample:
    async with running(runtime(ACTORS[what]), directory, settings) as child:
        return Sample(resident_mib(child.pid))


async def _nothing() -> None:
    """A process that says that it is ready has done what it must."""
