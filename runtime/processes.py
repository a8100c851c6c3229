"""`--processes`: a parent that runs one process per actor, restarts those that die and stops them all together."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress

from runtime.supervisor import RESTARTS, WINDOW_S
from runtime.telemetry import logger

STOP_S = 30.0


class Processes:
    """The parent of one process per name.

    A child that dies is started again after 0.1, 0.2, 0.4 … s while its siblings go on. One that dies for the
    sixth time within 60 s, or says that its settings are wrong (exit 2), takes the whole down with its own code. One
    that does not stop in order, when all are asked to, is named, and its code is that of the whole (1 if killed).

    :param commands: name → arguments of this Python.
    :param stop_s: what a child has for stopping before it is killed.
    """

    def __init__(self, commands: Mapping[str, Sequence[str]], *, stop_s: float = STOP_S) -> None:
        self._commands = commands
        self._stop_s = stop_s
        self._stop = asyncio.Event()
        self._code = 0

    async def run(self) -> int:
        """Until SIGTERM, Ctrl-C or a child that keeps dying; the exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        await asyncio.gather(*(self._keep(name, command) for name, command in self._commands.items()))
        return self._code

    async def _keep(self, name: str, command: Sequence[str]) -> None:
        loop = asyncio.get_running_loop()
        deaths: deque[float] = deque()
        while not self._stop.is_set():
            # a session of its own: Ctrl-C on the terminal reaches the parent alone, which stops its children in order
            child = await asyncio.create_subprocess_exec(sys.executable, *command, start_new_session=True)
            code = await self._until_dead(child)
            if self._stop.is_set():
                if code not in (0, -signal.SIGTERM):  # it may be asked before it listens
                    logger().error("process.stopped_badly", name=name, code=code)
                    self._code = self._code or max(code, 1)
                return
            deaths.append(loop.time())
            while deaths[0] < loop.time() - WINDOW_S:
                deaths.popleft()
            logger().error("process.died", name=name, code=code, deaths=len(deaths))
            if code == 2 or len(deaths) > RESTARTS:  # 2: a setting is wrong, and stays so
                self._code = code if code > 0 else 1
                self._stop.set()
                return
            try:
                async with asyncio.timeout(0.1 * 2 ** (len(deaths) - 1)):
                    await self._stop.wait()
            except TimeoutError:
                continue

    async def _until_dead(self, child: asyncio.subprocess.Process) -> int:
        dead = asyncio.ensure_future(child.wait())
        stop = asyncio.ensure_future(self._stop.wait())
        await asyncio.wait({dead, stop}, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if not dead.done():
            with suppress(ProcessLookupError):  # it has just died
                child.terminate()
                done, _ = await asyncio.wait({dead}, timeout=self._stop_s)
                if not done:
                    child.kill()
        return await dead
