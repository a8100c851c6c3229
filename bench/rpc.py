"""Echo over RabbitMQ, one client process and one server process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import msgspec

from bench.contest import TROUPE, Case, Contest, Options, Sample
from bench.processes import ROOT, output_of, python, running
from bench.servers import broker

AIO_PIKA, MOLECULER = "aio-pika", "moleculer"
AT_LEAST: Mapping[int, Mapping[str, float]] = {
    1: {MOLECULER: 0.7},
    32: {AIO_PIKA: 6.0, MOLECULER: 2.0},
    256: {AIO_PIKA: 12.0, MOLECULER: 3.0},
}
"""Requests in flight → what we want to be, in times the peer."""


@asynccontextmanager
async def contest(directory: Path, options: Options) -> AsyncIterator[Contest]:
    """The servers run for all rounds; a client is a new process each time, and compares every answer itself."""
    commands = _commands(options.node)
    async with AsyncExitStack() as stack:
        url, prefix = await stack.enter_async_context(broker())
        servers = {
            name: (await stack.enter_async_context(running((*command, "serve", url, prefix), directory))).pid
            for name, command in commands.items()
        }

        async def measure(name: str, in_flight: int) -> Sample:
            arguments = (url, prefix, str(in_flight), str(options.seconds), str(servers[name]))
            printed = await output_of((*commands[name], "ask", *arguments), directory)
            return msgspec.json.decode(printed, type=Sample)

        yield Contest(
            [
                Case(
                    title=f"RPC echo, {in_flight} in flight",
                    unit="requests/s",
                    variants={name: partial(measure, name, in_flight) for name in commands},
                    at_least={peer: ratio for peer, ratio in at_least.items() if peer in commands},
                )
                for in_flight, at_least in AT_LEAST.items()
            ],
            check=_nothing,
        )


def _commands(node: Path | None) -> dict[str, Sequence[str]]:
    commands: dict[str, Sequence[str]] = {
        TROUPE: python("bench.rpc_troupe"),
        AIO_PIKA: python("bench.rpc_aio_pika"),
    }
    if node is not None:
        commands[MOLECULER] = ("node", str(ROOT / "bench" / "rpc_moleculer.js"), str(node))
    return commands


async def _nothing() -> None:
    """Every answer was compared when it came."""
