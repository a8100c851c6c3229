"""Echo over RabbitMQ, one client process and one server process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import msgspec

from bench.contest import TROUPE, Case, Contest, Sample
from bench.processes import output_of, running
from bench.servers import broker

VARIANTS = {TROUPE: "bench.rpc_troupe", "aio-pika": "bench.rpc_aio_pika"}
AT_LEAST: Mapping[int, Mapping[str, float]] = {1: {}, 32: {"aio-pika": 6.0}, 256: {"aio-pika": 12.0}}
"""Requests in flight → what we want to be, in times the peer."""


@asynccontextmanager
async def contest(directory: Path, seconds: float) -> AsyncIterator[Contest]:
    """The servers run for all rounds; a client is a new process each time, and compares every answer itself."""
    async with AsyncExitStack() as stack:
        url, prefix = await stack.enter_async_context(broker())
        servers = {
            name: (await stack.enter_async_context(running(module, "serve", url, prefix, directory=directory))).pid
            for name, module in VARIANTS.items()
        }

        async def measure(name: str, in_flight: int) -> Sample:
            arguments = (url, prefix, str(in_flight), str(seconds), str(servers[name]))
            printed = await output_of(VARIANTS[name], "ask", *arguments, directory=directory)
            return msgspec.json.decode(printed, type=Sample)

        yield Contest(
            [
                Case(
                    title=f"RPC echo, {in_flight} in flight",
                    unit="requests/s",
                    variants={name: partial(measure, name, in_flight) for name in VARIANTS},
                    at_least=at_least,
                )
                for in_flight, at_least in AT_LEAST.items()
            ],
            check=_nothing,
        )


async def _nothing() -> None:
    """Every answer was compared when it came."""
