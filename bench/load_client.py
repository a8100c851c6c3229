"""Our own load generator, a process of its own: `URL FILE TOKEN CONNECTIONS SECONDS`; prints a `Loaded`.

Keep-alive connections without pipelining: each sends its next request when the last is answered. It reads of an
answer what it must: status, Content-Length, and so where it ends.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import msgspec
import uvloop

from bench.load import Loaded

LATEST_S = 10.0
"""How long the last answers may take."""


class Tally:
    """What all connections of a run have seen."""

    def __init__(self, seconds: float) -> None:
        self.end = time.perf_counter() + seconds
        self.latencies: list[float] = []
        self.failed = 0


class Connection(asyncio.Protocol):
    """:ivar closed: done when the time is over and the last answer is there, or the server has closed."""

    def __init__(self, requests: Iterator[bytes], tally: Tally) -> None:
        self._requests = requests
        self._tally = tally
        self._buffer = b""
        self._sent = 0.0
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class
        self._send()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found or len(body) < _content_length(head):
            return
        self._buffer = b""
        now = time.perf_counter()
        self._tally.latencies.append(now - self._sent)
        self._tally.failed += head[9:10] >= b"4"
        if now < self._tally.end:
            self._send()
        else:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._tally.failed += time.perf_counter() < self._tally.end  # the server has closed it
        self.closed.set_result(None)

    def _send(self) -> None:
        self._sent = time.perf_counter()
        self._transport.write(next(self._requests))


def _content_length(head: bytes) -> int:
    _, found, rest = head.lower().partition(b"\r\ncontent-length:")
    return int(rest.partition(b"\r\n")[0]) if found else 0


async def run(url: str, requests: Iterator[bytes], connections: int, seconds: float) -> Loaded:
    """The load, from the first connection to the last answer. :raises TimeoutError: one never came."""
    address = urlsplit(url)
    started, tally = time.perf_counter(), Tally(seconds)
    loop = asyncio.get_running_loop()
    opened = [
        await loop.create_connection(lambda: Connection(requests, tally), address.hostname or "", address.port or 80)
        for _ in range(connections)
    ]
    async with asyncio.timeout(seconds + LATEST_S):
        await asyncio.wait([connection.closed for _, connection in opened])
    latencies = sorted(tally.latencies)
    number = len(latencies)
    return Loaded(
        number,
        tally.failed,
        time.perf_counter() - started,
        latencies[number // 2] * 1000,
        latencies[number * 99 // 100] * 1000,
    )


def _request(method: str, path: str, body: str, *, host: str, token: str) -> bytes:
    octets = body.encode()
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(octets)}\r\n\r\n"
    )
    return head.encode() + octets


def main(url: str, file: str, token: str, connections: str, seconds: str) -> None:
    lines = Path(file).read_text().splitlines()
    host = urlsplit(url).netloc
    requests = cycle([_request(*line.split("\t"), host=host, token=token) for line in lines])
    loaded = uvloop.run(run(url, requests, int(connections), float(seconds)))
    print(msgspec.json.encode(loaded).decode())


if __name__ == "__main__":
    main(*sys.argv[1:])
