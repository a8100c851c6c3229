"""Time is a message: a tick's id is its timer's name and slot."""

from __future__ import annotations

import asyncio

from runtime.connect import store_at
from runtime.context import system_clock
from runtime.timers import Timer
from tests.unit.house import House
from tests.unit.stopwatch import run_at_once

HOUR = 3_600_000


def timer(house: House, now: int) -> Timer:
    return Timer(house.dispatch, house.dispatch.table["tick:sweep"], lambda: now)


async def test_of_two_replicas_one_handles_the_slot(house: House) -> None:
    replica = house.replica()
    await asyncio.gather(timer(house, 5 * HOUR).tick(), timer(replica, 5 * HOUR + 90_000).tick())
    assert await house.total("sweeps") == 1
    await timer(replica, 6 * HOUR).tick()
    assert await house.total("sweeps") == 2


async def test_a_clock_that_jumps_back_repeats_no_slot(house: House) -> None:
    """F43, F44"""
    for now in (7 * HOUR, 6 * HOUR + 5, 7 * HOUR + 5):
        await timer(house, now).tick()
    assert await house.total("sweeps") == 2, "one for each slot"


async def test_a_failed_tick_is_parked_and_tried_again(house: House) -> None:
    async def during(name: str) -> None:
        raise ZeroDivisionError

    house.actor.during = during
    await timer(house, 5 * HOUR).tick()
    assert (await house.row(f"tick:sweep:{5 * HOUR}")).attempt == 1


def test_a_timer_fires_at_the_beginning_of_each_slot() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        begun: list[float] = []

        class Ticks(Timer):
            async def tick(self) -> None:
                begun.append(loop.time())

        house = House(store_at("sqlite:never-opened.db", "counter", system_clock))
        task = asyncio.ensure_future(
            Ticks(house.dispatch, house.dispatch.table["tick:sweep"], lambda: int(loop.time() * 1000)).run()
        )
        await asyncio.sleep(3 * 3600 - loop.time() % 3600 + 1)
        task.cancel()
        assert len(begun) == 3
        assert all(0 <= each % 3600 < 0.06 for each in begun)

    run_at_once(main())
