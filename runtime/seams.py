"""Seams: named moments between two steps, where a test may kill the process from outside, by a setting."""

from __future__ import annotations

import os
import signal
from pathlib import Path


class Seams:
    """Kills the process at the moment that `CRASH_AT` names, once; does nothing without it.

    :param crash_at: `message_type:seam`, or empty; the seams are before, after_commit, after_reply and, of events,
        before_ack and, where they come from, published: confirmed, and still in the outbox.
    :param memory: a file that remembers that it happened, over the restart.
    """

    def __init__(self, crash_at: str, memory: Path | None = None) -> None:
        self._crash_at = crash_at
        self._memory = memory

    def at(self, seam: str, kind: str) -> None:
        """This is the moment `seam` of a message of type `kind`."""
        if self._crash_at and self._crash_at == f"{kind}:{seam}" and self._first_time():
            os.kill(os.getpid(), signal.SIGKILL)

    def _first_time(self) -> bool:
        if self._memory is None:
            return True
        self._memory.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._memory.touch(exist_ok=False)
        except FileExistsError:
            return False
        return True
