"""Images off the event loop: a few processes of `actors/image_worker.py`, started when they are first needed."""

from __future__ import annotations

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from actors.image_jobs import Done, Job
from runtime.errors import Overloaded

WORKERS: Final = 2
"""Images that are worked on at a time."""

WAITING: Final = 32
"""Images that may wait for a worker; one of a phone's camera takes about half a second."""

JOBS: Final = 200
"""A worker is replaced after so many: what its decoders have lost of its memory comes back."""

_HOUSE = Path(__file__).parents[1]


_decode = msgspec.json.Decoder(Done).decode


class Images:
    """Does jobs, at most `workers` at a time."""

    def __init__(self, *, workers: int = WORKERS, waiting: int = WAITING) -> None:
        self._turn = asyncio.Semaphore(workers)
        self._places = workers + waiting
        self._idle: list[_Worker] = []
        self._closed = False

    async def make(self, job: Job) -> Done:
        """What became of it. An image on which a worker dies twice is at fault itself.

        :raises Overloaded: too many wait already.
        """
        if self._places == 0:
            raise Overloaded("media: too many images are being worked on")
        self._places -= 1
        try:
            async with self._turn:
                return await self._try(job) or await self._try(job) or Done(fault="cannot be decoded")
        finally:
            self._places += 1

    async def close(self) -> None:
        """End all workers that do nothing; those that work end with their job."""
        self._closed = True
        while self._idle:
            await self._idle.pop().end()

    async def _try(self, job: Job) -> Done | None:
        """None: the worker died."""
        worker = self._idle.pop() if self._idle else await _Worker.start()
        try:
            done = await worker.do(job)
        except BaseException:
            worker.kill()
            await asyncio.shield(worker.end())
            raise
        if done is not None and worker.jobs < JOBS and not self._closed:
            self._idle.append(worker)
            return done
        code = await worker.end()
        return Done(fault="takes too long to decode") if code == -signal.SIGALRM else done


class _Worker:
    def __init__(self, process: Process) -> None:
        self._process = process
        self.jobs = 0

    @classmethod
    async def start(cls) -> _Worker:
        """With nothing of our environment, and in a session of its own: a Ctrl-C is ours to handle."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "actors.image_worker",
            stdin=PIPE, stdout=PIPE, cwd=_HOUSE, env={}, start_new_session=True,
        )  # fmt: skip
        return cls(process)

    async def do(self, job: Job) -> Done | None:
        """None: it died."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None  # noqa: S101 # both are pipes
        assert stdout is not None  # noqa: S101
        self.jobs += 1
        with suppress(ConnectionError):
            stdin.write(msgspec.json.encode(job) + b"\n")
            await stdin.drain()
            line = await stdout.readline()
            if line.endswith(b"\n"):
                return _decode(line)
        return None

    def kill(self) -> None:
        """End what it does."""
        with suppress(ProcessLookupError):
            self._process.kill()

    async def end(self) -> int:
        """Wait for its end, which is that of its input, of its job or its own; its exit code."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        return await self._process.wait()
