"""The counter in a process of its own, where counting `poison` kills it: `python -m tests.unit.counter_process …`."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from runtime.connect import store_at
from runtime.consumer import Consumer
from runtime.context import system_clock
from runtime.parked import ParkedLoop
from runtime.seams import Seams
from tests.unit.counter import MIGRATIONS
from tests.unit.house import KEY, House
from tests.unit.line import Brokers


async def poisoned(name: str) -> None:
    if name == "poison":
        os.kill(os.getpid(), signal.SIGKILL)


async def main(broker_url: str, prefix: str, store_url: str) -> None:
    store = store_at(store_url, "counter", system_clock)
    await store.open()
    await store.migrate(MIGRATIONS)
    house = House(store)
    house.actor.during = poisoned
    broker = await Brokers(broker_url, prefix).open()
    consumer = Consumer(broker, house.dispatch, key=KEY, in_flight=512, metrics=house.metrics, seams=Seams(""))
    await consumer.start()
    await ParkedLoop(house.dispatch).run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
