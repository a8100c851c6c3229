"""Large files on their way out, from a process as it is run: past its event loop's transports (sendfile)."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.edge.whole_house import Uploader
from tests.system.world import Api, Running, World

CONTENT = b"".join(b"%015d\n" % n for n in range(12 * 65536))  # 12 MiB, more than sockets hold


class Download:
    """A file that is served, and its address without the origin."""

    def __init__(self, running: Running, path: str) -> None:
        self.pid = running.process.pid
        self.path = path
        self._host, self._port = urlsplit(running.address).hostname, urlsplit(running.address).port

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(self._host, self._port, limit=1 << 16)

    def request(self, wanted: str = "", *, close: bool = False) -> bytes:
        fields = f"Range: bytes={wanted}\r\n" if wanted else ""
        fields += "Connection: close\r\n" if close else ""
        return f"GET {self.path} HTTP/1.1\r\nHost: x\r\n{fields}\r\n".encode()

    async def closed(self) -> None:
        """Until the process has no object open."""
        async with asyncio.timeout(10):
            while any("/media/" in target for target in _open_files(self.pid)):
                await asyncio.sleep(0.02)


def _open_files(pid: int) -> Iterator[str]:
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed since
            yield os.readlink(link)


async def body(reader: asyncio.StreamReader) -> bytes:
    """Of the next answer."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"Content-Length: (\d+)", head)
    assert length is not None, head
    return await reader.readexactly(int(length[1]))


@pytest.fixture
async def download(embedded: World, client: Callable[[str], Api]) -> Download:
    running = await embedded.start(RATE_LIMITS="off")
    ada = Uploader(await client(running.address).person("Ada"))
    url = urlsplit(await ada.url(await ada.upload(CONTENT, "lines.txt")))
    return Download(running, f"{url.path}?{url.query}")


async def test_files_and_ranges_of_them_come_whole_one_after_the_other_on_one_connection(download: Download) -> None:
    reader, writer = await download.connect()
    writer.write(download.request() + download.request("5000000-9999999") + download.request(close=True))
    async with asyncio.timeout(30):
        assert await body(reader) == CONTENT
        assert await body(reader) == CONTENT[5_000_000:10_000_000]
        assert await body(reader) == CONTENT
        assert await reader.read() == b""
    writer.close()
    await download.closed()


async def test_many_at_once_come_whole_also_for_readers_that_rest(download: Download) -> None:
    async def fetch(rests: bool) -> bytes:
        reader, writer = await download.connect()
        writer.write(download.request(close=True))
        if rests:
            await reader.readuntil(b"\r\n\r\n")
            await asyncio.sleep(0.2)
            content = await reader.read()
        else:
            content = await body(reader)
        writer.close()
        return content

    async with asyncio.timeout(60):
        assert all(content == CONTENT for content in await asyncio.gather(*(fetch(n % 2 == 0) for n in range(12))))
    await download.closed()


async def test_whoever_leaves_in_the_middle_leaves_nothing_open(download: Download) -> None:
    for _ in range(5):
        reader, writer = await download.connect()
        writer.write(download.request())
        await reader.readexactly(100_000)
        writer.transport.abort()
    await download.closed()
    reader, writer = await download.connect()
    writer.write(download.request("0-9"))
    assert await body(reader) == CONTENT[:10]
    writer.close()
