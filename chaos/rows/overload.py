"""F21 and F22: an actor that is too slow for what is asked of it."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from chaos.row import recovers, row
from chaos.scene import Scene, quantile
from tests.system.oracle import DEADLINE_S, Load
from tests.system.world import Running

SLICE_S = 0.1
"""A slowed process runs for a part of each slice and stands still for the rest."""


@asynccontextmanager
async def slowed(running: Running, share: float) -> AsyncIterator[None]:
    """Let a process run for this share of the time only."""
    ended = asyncio.Event()

    async def meter() -> None:
        while not ended.is_set():
            running.process.send_signal(signal.SIGSTOP)
            await asyncio.sleep(SLICE_S * (1 - share))
            running.process.send_signal(signal.SIGCONT)
            await asyncio.sleep(SLICE_S * share)

    metering = asyncio.ensure_future(meter())
    try:
        yield
    finally:
        ended.set()
        await metering


@row(
    "F21", "one actor ten times slower, asked for twice what it can do then",
    "its requests are shed; p99 of other actors grows by at most 10 % (or 25 ms)",
    recovers(5), tasks=1, settings={"IN_FLIGHT": "16"},
)  # fmt: skip
async def one_is_slow(scene: Scene) -> None:
    house = scene.house
    await scene.calm(2)
    before = await _me(scene, 6)
    async with scene.fault("ten times slower"), slowed(house.tasks[0], 0.1):
        more = Load(house.apis, house.project, per_second=2 * await _capacity(scene, scene.either(10, 4)))
        ends = time.monotonic() + scene.either(20, 8)
        asking = asyncio.ensure_future(more.run(lambda: time.monotonic() > ends))
        during = await _me(scene, ends - time.monotonic())
        await asking
    await scene.calm(DEADLINE_S)
    scene.complaints += (await more.reckoning()).complaints()
    shed = sum(each.status == 503 for each in more.all)
    scene.note(
        f"p99 of another actor: {before * 1000:.0f} ms before, {during * 1000:.0f} ms during it; "
        f"{shed} of {len(more.all)} were shed"
    )
    scene.expect(shed > 0, "nothing was shed")
    scene.expect(during <= max(1.1 * before, before + 0.025), f"p99 of another actor grew to {during * 1000:.0f} ms")


async def _me(scene: Scene, seconds: float) -> float:
    """p99 of what the user actor answers, in seconds."""
    took = []
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        began = time.monotonic()
        answer = await scene.house.ada("GET", "/v1/me")
        took.append(time.monotonic() - began)
        scene.expect(answer.status == 200, f"another actor answered {answer.status}")
        await asyncio.sleep(0.02)
    return quantile(took, 0.99)


@row(
    "F22", "five times overload for 60 s", "goodput is at least 80 % of capacity", recovers(5), tasks=1, per_second=20,
    settings={"IN_FLIGHT": "16"},
)  # fmt: skip
async def overloaded(scene: Scene) -> None:
    """The actor is slowed down, so that the client on the same machine can overload it."""
    house = scene.house
    async with slowed(house.tasks[0], 0.1):
        capacity = await _capacity(scene, scene.either(15, 5))
        seconds = scene.either(60, 10)
        more = Load(house.apis, house.project, per_second=5 * capacity)
        async with scene.fault("five times overload"):
            began = time.monotonic()
            await more.run(lambda: time.monotonic() > began + seconds)
        done = sum(not each.failed for each in more.all) / seconds
        scene.note(f"capacity {capacity:.0f}/s; under {5 * capacity:.0f}/s it did {done:.0f}/s")
        scene.expect(done >= 0.8 * capacity, f"goodput was {done / capacity:.0%} of capacity")
        await scene.calm(6)
    reckoning = await more.reckoning()
    scene.complaints += reckoning.complaints()


async def _capacity(scene: Scene, seconds: float) -> float:
    """Operations a second that 32 clients get done, one after the other each."""
    load = Load(scene.house.apis, scene.house.project, per_second=1)
    ends = time.monotonic() + seconds
    await load.saturate(32, lambda: time.monotonic() > ends)
    return sum(not each.failed for each in load.all) / seconds
