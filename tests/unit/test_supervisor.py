"""Every loop belongs to a supervisor, and a failed one is started again, alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from runtime.supervisor import Supervisor
from runtime.telemetry import Metrics
from tests.unit.stopwatch import run_at_once


class Loops:
    """:ivar starts: loop's name → when it was started."""

    def __init__(self) -> None:
        self.starts: dict[str, list[float]] = {}

    def failing(
        self, name: str, error: BaseException | None, *, after: float = 0, times: int = 1000
    ) -> Callable[[], Coroutine[Any, Any, None]]:
        async def loop() -> None:
            starts = self.starts.setdefault(name, [])
            starts.append(asyncio.get_running_loop().time())
            await asyncio.sleep(after)
            if error is not None and len(starts) <= times:
                raise error
            await asyncio.Event().wait()

        return loop


def test_a_failed_loop_is_started_again_alone_after_a_growing_pause() -> None:
    async def main() -> None:
        loops, supervisor = Loops(), Supervisor(Metrics())
        supervisor.start("bad", loops.failing("bad", ZeroDivisionError(), times=3))
        supervisor.start("good", loops.failing("good", None))
        await asyncio.sleep(30)
        assert [round(each, 3) for each in loops.starts["bad"]] == [0, 0.1, 0.3, 0.7]
        assert loops.starts["good"] == [0]
        assert not supervisor.broken.done()
        await supervisor.stop()

    run_at_once(main())


def test_the_sixth_failure_within_a_minute_is_the_end() -> None:
    async def main() -> None:
        loops, supervisor = Loops(), Supervisor(Metrics())
        supervisor.start("bad", loops.failing("bad", ZeroDivisionError()))
        assert await supervisor.broken == "bad"
        assert len(loops.starts["bad"]) == 6
        await supervisor.stop()

    run_at_once(main())


def test_a_failure_now_and_then_is_never_the_end() -> None:
    async def main() -> None:
        loops, supervisor = Loops(), Supervisor(Metrics())
        supervisor.start("bad", loops.failing("bad", ZeroDivisionError(), after=15))
        await asyncio.sleep(3600)
        assert len(loops.starts["bad"]) > 200
        assert not supervisor.broken.done()
        await supervisor.stop()

    run_at_once(main())


def test_a_cancellation_from_inside_is_a_failure_like_any_other() -> None:
    async def main() -> None:
        loops, supervisor = Loops(), Supervisor(Metrics())
        supervisor.start("bad", loops.failing("bad", asyncio.CancelledError(), times=1))
        await asyncio.sleep(1)
        assert len(loops.starts["bad"]) == 2
        await supervisor.stop()

    run_at_once(main())


def test_stop_ends_the_loops_it_names_or_all() -> None:
    async def main() -> None:
        ended: list[str] = []

        def loop(name: str) -> Callable[[], Coroutine[Any, Any, None]]:
            async def run() -> None:
                try:
                    await asyncio.Event().wait()
                finally:
                    ended.append(name)

            return run

        supervisor = Supervisor(Metrics())
        for name in "abc":
            supervisor.start(name, loop(name))
        await asyncio.sleep(0)
        await supervisor.stop("b")
        assert ended == ["b"]
        await supervisor.stop()
        assert sorted(ended) == ["a", "b", "c"]

    run_at_once(main())
