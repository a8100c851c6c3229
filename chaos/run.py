"""Running the suite's commands: whoever ends them ends the servers and processes that they started."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any

import uvloop

INTERRUPTED = 130
"""What a shell says of a command that Ctrl-C ended."""


def run(work: Coroutine[Any, Any, int]) -> int:
    """Its exit code. SIGTERM, by which time limits end us, does as Ctrl-C: `work` is cancelled, and cleans up."""

    async def cancellable() -> int:
        task = asyncio.ensure_future(work)
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        try:
            return await task
        except asyncio.CancelledError:
            return INTERRUPTED

    return uvloop.run(cancellable())
