"""So many callers, each of which asks again as soon as it has its answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from itertools import count

from bench.contest import Failure, Sample
from bench.processes import cpu_s

WARM_UP_S = 0.5
TEXT = "x" * 200


async def drive(call: Callable[[str], Awaitable[str]], *, in_flight: int, seconds: float, server: int) -> Sample:
    """Requests a second; every answer is compared with what was asked.

    :param server: process id of whoever answers.
    :raises Failure: an answer was another's.
    """
    await _loop(call, in_flight, WARM_UP_S)
    own, theirs, started = time.process_time(), cpu_s(server), time.perf_counter()
    latencies = await _loop(call, in_flight, seconds)
    elapsed, number = time.perf_counter() - started, len(latencies)
    latencies.sort()
    cpu_us = {
        "client": (time.process_time() - own) / number * 1e6,
        "server": (cpu_s(server) - theirs) / number * 1e6,
    }
    return Sample(number / elapsed, latencies[number // 2] * 1000, latencies[number * 99 // 100] * 1000, cpu_us)


async def _loop(call: Callable[[str], Awaitable[str]], in_flight: int, seconds: float) -> list[float]:
    latencies: list[float] = []
    numbers = count()
    end = time.perf_counter() + seconds

    async def caller() -> None:
        while (asked := time.perf_counter()) < end:
            text = f"{next(numbers)} {TEXT}"
            if await call(text) != text:
                raise Failure("an answer belongs to another question")
            latencies.append(time.perf_counter() - asked)

    await asyncio.gather(*(caller() for _ in range(in_flight)))
    return latencies
