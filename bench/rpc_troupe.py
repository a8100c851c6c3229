"""One process of the echo contest, on our runtime: `serve URL PREFIX` or `ask URL PREFIX IN_FLIGHT SECONDS PID`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import msgspec
import uvloop

from bench.closed_loop import drive
from bench.echo import Echo, EchoActor
from runtime.client import Client
from runtime.consumer import Consumer
from runtime.dispatch import Dispatch
from runtime.drivers import broker_amqp, store_sqlite
from runtime.keys import Keys
from runtime.ports import Topology
from runtime.seams import Seams
from runtime.telemetry import Metrics, configure_logging

KEYS = Keys(b"the contest signs as an installation does")
TOPOLOGY = Topology((EchoActor.name,), {})
BUDGET_MS = 10_000
IN_FLIGHT = 512
"""The default of the setting of that name."""


async def serve(url: str, prefix: str) -> None:
    """Until it is ended."""
    metrics, key = Metrics(), KEYS.of(EchoActor.name)
    store = store_sqlite.connect(f"sqlite:{Path.cwd()}/echo.db", actor=EchoActor.name)
    await store.open()
    await store.migrate([])
    broker = broker_amqp.connect(url, prefix=prefix)
    await broker.open(TOPOLOGY)
    dispatch = Dispatch(EchoActor(), store, key=key, metrics=metrics, offer=lambda _: None)
    consumer = Consumer(broker, dispatch, key=key, in_flight=IN_FLIGHT, metrics=metrics, seams=Seams(""))
    await consumer.start()
    print("ready", flush=True)
    await asyncio.Event().wait()


async def ask(url: str, prefix: str, in_flight: int, seconds: float, server: int) -> None:
    """Print a `Sample`."""
    broker = broker_amqp.connect(url, prefix=prefix)
    client = Client(broker, KEYS, Metrics())
    await broker.open(TOPOLOGY)

    async def call(text: str) -> str:
        return (await client.ask(Echo(text=text), budget_ms=BUDGET_MS)).text

    sample = await drive(call, in_flight=in_flight, seconds=seconds, server=server)
    await broker.close()
    print(msgspec.json.encode(sample).decode())


def main(role: str, url: str, prefix: str, *rest: str) -> None:
    configure_logging(format="json", level="warning")
    if role == "serve":
        uvloop.run(serve(url, prefix))
    else:
        uvloop.run(ask(url, prefix, int(rest[0]), float(rest[1]), int(rest[2])))


if __name__ == "__main__":
    main(*sys.argv[1:])
