"""Clients of `GET /v1/events`, thousands in one process: each a socket and the times at which something came."""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from bench.contest import Failure

AT_ONCE = 100
"""Streams that are being opened."""

HEAD = "GET /v1/events HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n"
SPARE = 256
"""Descriptors that a process needs beside those of its streams."""


class Stream(asyncio.Protocol):
    """One client.

    :ivar came: when each `task_created` arrived, by the clock of `time.perf_counter`.
    """

    def __init__(self, head: bytes) -> None:
        self.head = head
        self.came: list[float] = []
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport | None = None
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # TCP is one
        self.transport = transport
        transport.write(self.head)

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        *whole, self._rest = (self._rest + data).split(b"\n\n")
        self.came += [now for each in whole if b"event: task_created" in each]
        if whole and not self.opened.done():
            if whole[0].startswith(b"HTTP/1.1 200"):
                self.opened.set_result(None)
            else:
                self.opened.set_exception(Failure(f"a stream was answered with {whole[0][:200]!r}"))

    def connection_lost(self, error: Exception | None) -> None:
        if not self.opened.done():
            self.opened.set_exception(Failure(f"a stream was closed: {error} {self._rest[:300]!r}"))


@asynccontextmanager
async def streams(address: str, tokens: Sequence[str], count: int) -> AsyncIterator[Sequence[Stream]]:
    """So many, open; the tokens in turn. :raises Failure: one was not let in."""
    allow(count)
    loop, gate = asyncio.get_running_loop(), asyncio.Semaphore(AT_ONCE)
    where = urlsplit(address).netloc
    host, _, port = where.partition(":")
    opened: list[Stream] = []

    async def one(token: str) -> None:
        async with gate:
            head = HEAD.format(host=where, token=token).encode()
            _, stream = await loop.create_connection(lambda: Stream(head), host, int(port))
            opened.append(stream)
            async with asyncio.timeout(30):
                await stream.opened

    try:
        await asyncio.gather(*(one(tokens[number % len(tokens)]) for number in range(count)))
        yield opened
    finally:
        for stream in opened:
            if stream.transport is not None:
                stream.transport.abort()


def allow(count: int) -> None:
    """Let this process, and those that it starts, have so many connections. :raises Failure: the system forbids it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = count + SPARE
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise Failure(f"{count} streams need {needed} file descriptors, and `ulimit -Hn` is {hard}")
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
