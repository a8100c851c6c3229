"""An HTTP answer whose body is a file, or a range of it: pieces from the object store, or a file of this host."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, closing
from functools import partial
from typing import ParamSpec, TypeVar

from aiohttp import web

from edge.answer import WRITE_S, Answer
from runtime.errors import BlobsAway
from runtime.ports import LocalFile
from runtime.telemetry import logger

P = ParamSpec("P")
T = TypeVar("T")

AT_ONCE = 4 << 20
"""Bytes that one call of sendfile(2) may send; it ends where the socket's buffer is full."""


class FileAnswer(Answer):
    """The head alone, as for a HEAD. :param length: of the body, in bytes."""

    policy = "default-src 'none'; frame-ancestors 'none'; sandbox"

    def __init__(self, status: int, length: int, *, media_type: str, headers: Sequence[tuple[str, str]]) -> None:
        super().__init__(status, headers=headers)
        self.length = self._length = length
        self.media_type = media_type


class PiecesAnswer(FileAnswer):
    """:param pieces: the body, sent as fast as the client takes it."""

    def __init__(
        self,
        status: int,
        length: int,
        pieces: AsyncGenerator[bytes, None],
        *,
        media_type: str,
        headers: Sequence[tuple[str, str]],
    ) -> None:
        super().__init__(status, length, media_type=media_type, headers=headers)
        self._pieces = pieces

    async def write_eof(self, data: bytes = b"") -> None:
        """:raises ConnectionResetError: the client is gone."""
        async with aclosing(self._pieces) as pieces:
            await super().write_eof()
            request = self._request
            try:
                async for piece in pieces:
                    if request is None or request.transport is None or request.transport.is_closing():
                        raise ConnectionResetError("the client is gone")
                    request.transport.write(piece)
                    await self._drain(request)
            except (BlobsAway, KeyError) as error:
                _cut_off(request, str(error))


class LocalFileAnswer(FileAnswer):
    """A file that the kernel sends by itself (sendfile(2)): its bytes are never in this process.

    Event loops have it for their own transports, but for uvloop, so this is past the transport: on a duplicate of its
    socket, once all is sent that was written before. Nobody else writes until the answer is over.

    :param start: where the body begins in `local`.
    """

    def __init__(
        self,
        status: int,
        length: int,
        local: LocalFile,
        start: int,
        *,
        media_type: str,
        headers: Sequence[tuple[str, str]],
    ) -> None:
        super().__init__(status, length, media_type=media_type, headers=headers)
        self._local = local
        self._first = start

    async def write_eof(self, data: bytes = b"") -> None:
        """:raises ConnectionResetError: the client is gone."""
        with closing(self._local.file):
            request = self._request
            if request is None or request.transport is None:
                raise ConnectionResetError("the client is gone")
            transport = request.transport
            transport.set_write_buffer_limits(high=0)  # so that it is drained when it is empty
            await super().write_eof()
            transport.set_write_buffer_limits()
            if transport.is_closing():
                raise ConnectionResetError("the client is gone")
            target = os.dup(transport.get_extra_info("socket").fileno())
            try:
                await self._send(request, target)
            finally:
                os.close(target)

    async def _send(self, request: web.BaseRequest, target: int) -> None:
        end = min(self._first + self._length, self._local.size)
        place, source = self._first, self._local.file.fileno()
        while place < end:
            try:
                sent = await _in_thread(os.sendfile, target, source, place, min(end - place, AT_ONCE))
            except BlockingIOError:
                if not await _writable(target):
                    _cut_off(request, "the client has taken nothing for too long")
                    return
                continue
            except OSError as error:
                raise ConnectionResetError("the client is gone") from error
            if not sent:
                break
            place += sent
        if place < self._first + self._length:
            _cut_off(request, "the file is shorter than it was")


async def _writable(target: int) -> bool:
    """Whether the socket takes more within `WRITE_S`."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_writer(target, ready.set)
    try:
        async with asyncio.timeout(WRITE_S):
            await ready.wait()
    except TimeoutError:
        return False
    finally:
        loop.remove_writer(target)
    return True


async def _in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The disk may have to be waited for. A cancelled caller still waits: the descriptors are in use until then."""
    future = asyncio.get_running_loop().run_in_executor(None, partial(work, *args, **kwargs))
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        await asyncio.wait([future])
        raise


def _cut_off(request: web.BaseRequest | None, reason: str) -> None:
    """The head has promised more: only an end without it can tell the client."""
    logger().warning("file.cut_off", reason=reason)
    if request is not None and request.transport is not None:
        request.transport.abort()
