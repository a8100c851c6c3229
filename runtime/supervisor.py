"""Supervision: every background loop belongs to somebody, and a failed one is restarted alone."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from runtime.telemetry import Metrics, logger

RESTARTS = 5
WINDOW_S = 60.0


class Supervisor:
    """Runs loops by name. One that fails is started again after 0.1, 0.2, 0.4 … s; the sixth failure within 60 s
    ends the process, whose platform restarts it whole."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.broken: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """Resolved with the name of the loop that kept failing."""

    def start(self, name: str, loop: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run `loop` until `stop`."""
        self._tasks[name] = asyncio.get_running_loop().create_task(self._keep(name, loop), name=name)

    async def stop(self, *names: str) -> None:
        """End these loops, or all of them."""
        tasks = [self._tasks.pop(name) for name in names or list(self._tasks) if name in self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep(self, name: str, loop: Callable[[], Coroutine[Any, Any, None]]) -> None:
        clock = asyncio.get_running_loop().time
        failures: deque[float] = deque()
        while True:
            try:
                await loop()
                return
            except asyncio.CancelledError:
                if (task := asyncio.current_task()) is not None and task.cancelling():
                    raise
                # a library cancelled what we awaited: a failure like any other
                logger().error("loop.cancelled_from_inside", loop=name)
            except Exception:
                logger().error("loop.failed", loop=name, exc_info=True)
            failures.append(clock())
            while failures and failures[0] < clock() - WINDOW_S:
                failures.popleft()
            if len(failures) > RESTARTS:
                if not self.broken.done():
                    self.broken.set_result(name)
                return
            self._metrics.restarts.labels(name).inc()
            await asyncio.sleep(0.1 * 2 ** (len(failures) - 1))
