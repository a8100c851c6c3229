"""Forms with a file (multipart/form-data, RFC 7578), read as they come in: what is not yet asked for stays with the
client, and nothing is held but a piece of the file and the few small fields."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection
from contextlib import aclosing
from typing import Any

import msgspec
from aiohttp import web
from multipart import MultipartError, MultipartSegment, ParserLimitReached, PushMultipartParser, parse_options_header

from edge.body import BODY_S, go_on, next_piece, too_slow
from edge.problems import Problem, invalid, malformed
from runtime.errors import Fault

FILE = "file"

FIELD_BYTES = 64 << 10
"""Bytes of all other fields and of what stands between the parts, at most."""

PARTS = 16
HEADER_BYTES = 7 << 10
"""Bytes of one line in a part's head: a file name may be long, and is cut later."""

_BOUNDARY = 70
_ENCODINGS = frozenset({"7bit", "8bit", "binary"})

Store = Callable[[AsyncIterator[bytes]], Awaitable[None]]
Event = Any
"""A part begins (a `MultipartSegment`), more of it (bytes), it ends (None); its library has no types."""


class Form(msgspec.Struct, frozen=True):
    """A form that has been read.

    :param fields: but for the file.
    :param filename: as the client wrote it.
    :param sha256: of the file, where it was wanted.
    """

    fields: dict[str, str]
    filename: str
    sha256: bytes


class FormReader:
    """Reads one form.

    :param names: of the fields that it may have besides `file`; each may stand there once.
    :param digest: that of the file is wanted.
    :raises Problem: 415 it is no form, 417 an unknown expectation.
    """

    _limit: int | None = None

    def __init__(self, request: web.BaseRequest, names: Collection[str], *, digest: bool = False) -> None:
        kind, options = parse_options_header(request.headers.get("Content-Type", ""))
        if kind != "multipart/form-data" or "Content-Encoding" in request.headers:
            raise Problem(
                415, "request.media_type", "Content-Type must be multipart/form-data, not compressed.", close=True
            )
        boundary = options.get("boundary", "")
        if not (0 < len(boundary) <= _BOUNDARY and boundary.isascii() and boundary.isprintable()):
            raise _unreadable("the boundary is none")
        self._request = request
        self._names = names
        self._room = FIELD_BYTES
        self._parser = PushMultipartParser(boundary, max_header_size=HEADER_BYTES, max_segment_count=PARTS)
        self._digest = hashlib.sha256() if digest else None
        expectation = request.headers.get("Expect")
        if expectation is not None:
            go_on(request, expectation)

    def allow(self, size: int) -> None:
        """The file may have so many bytes. :raises Problem: 413, the request says that it has more."""
        self._limit = size
        if (self._request.content_length or 0) > size + FIELD_BYTES:
            raise _too_large(size)

    async def read(self, store: Store) -> Form:
        """All of it.

        :param store: is given the bytes of the file when it begins; has to call `allow` first, and to read them all.
        :raises Problem: 400 it cannot be read, 408 it stalls, 413 it is too large, 422 a field is missing, unknown or
            there twice.
        """
        try:
            async with asyncio.timeout(BODY_S), aclosing(self._events()) as events:
                return await self._read(events, store)
        except TimeoutError:
            raise too_slow() from None
        except ParserLimitReached as error:
            raise Problem(413, "request.too_large", f"The form is too large: {error}.", close=True) from None
        except MultipartError as error:
            raise _unreadable(str(error)) from None

    async def _read(self, events: AsyncIterator[Event], store: Store) -> Form:
        fields: dict[str, str] = {}
        filename: str | None = None
        async for event in events:
            name = self._name(event)
            if name in fields or (name == FILE and filename is not None):
                raise _refused(name, "must be there once")
            if name == FILE:
                filename = event.filename or ""
                await store(self._content(events))
            elif name in self._names:
                fields[name] = await _text(name, events)
            else:
                raise _refused(name, "is not known here")
        if filename is None:
            raise _refused(FILE, "is missing")
        return Form(fields, filename, b"" if self._digest is None else self._digest.digest())

    def _name(self, part: MultipartSegment) -> str:
        if part.disposition != "form-data" or part.name is None:
            raise _unreadable("a part is not form-data, or has no name")
        if (part.content_type or "").startswith("multipart/"):
            raise _unreadable("a part has parts itself")
        if part.header("Content-Transfer-Encoding", "binary").lower() not in _ENCODINGS:
            raise _unreadable("a part is encoded")
        name: str = part.name
        return name

    async def _content(self, events: AsyncIterator[Event]) -> AsyncIterator[bytes]:
        """Of the file, to its end."""
        size = 0
        async for piece in events:
            if piece is None:
                return
            size += len(piece)
            self._room += len(piece)
            if self._limit is None or size > self._limit:
                raise _too_large(self._limit)
            if self._digest is not None:
                self._digest.update(piece)
            yield bytes(piece)

    async def _events(self) -> AsyncGenerator[Event, None]:
        while piece := await next_piece(self._request):
            self._room -= len(piece)  # and what of it is the file's does not count
            for event in self._parser.parse(piece):
                yield event
            if self._room < 0:
                raise _too_large(None)
        self._parser.close()


async def _text(name: str, events: AsyncIterator[Event]) -> str:
    """A small part, to its end."""
    content = bytearray()
    async for piece in events:
        if piece is None:
            break
        content += piece
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise _refused(name, "must be UTF-8") from None


def _refused(name: str, detail: str) -> Problem:
    problem = invalid([Fault("/" + name[:200].replace("~", "~0").replace("/", "~1"), detail)])
    problem.close = True
    return problem


def _unreadable(why: str) -> Problem:
    problem = malformed(f"The form cannot be read: {why}.")
    problem.close = True
    return problem


def _too_large(limit: int | None) -> Problem:
    detail = "The form is too large." if limit is None else f"A file may have {limit} bytes at most."
    return Problem(413, "request.too_large", detail, close=True)
