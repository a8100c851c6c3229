"""A request's body: read within limits of size and time, and decoded as strictly as RFC 8259 and RFC 7493 allow."""

from __future__ import annotations

import asyncio
import json
import math
from typing import Any, NoReturn

from aiohttp import web
from aiohttp.web_protocol import RequestPayloadError

from edge.headers import media_type_is_json
from edge.problems import Problem, malformed

STALL_S = 30.0
"""How long a body may make no progress, by default."""

BODY_S = 300.0
"""How long a body may take in all."""

PIECE = 64 << 10
"""Bytes of a body that is not held as a whole that are taken at once. On their way to the object store they are there
about five times (parser, form, driver), so this is what many uploads at once cost, beside what the sockets hold."""

DEPTH = 32
"""How deep arrays and objects may be nested."""


async def read_body(request: web.BaseRequest, limit: int, *, stall_s: float = STALL_S) -> bytes:
    """The bytes of the body.

    :param limit: bytes, at most.
    :param stall_s: how long it may make no progress.
    :raises Problem: 408 it stalls, 413 it is too long, 415 it is not plain JSON, 417 an unknown expectation, 400 its
        framing is broken or the client went away.
    """
    headers = request.headers
    length = request.content_length
    if length is not None and length > limit:
        raise _too_large(limit)
    if length == 0:
        return b""
    if "Content-Encoding" in headers:
        raise Problem(415, "request.media_type", "A body must not be compressed.", close=True)
    expectation = headers.get("Expect")
    if expectation is not None:
        go_on(request, expectation)
    try:
        return await _read(request, limit, stall_s)
    except TimeoutError:
        raise too_slow() from None
    except (RequestPayloadError, ConnectionError):
        raise Problem(400, "request.malformed", "The body did not arrive whole.", close=True) from None


async def next_piece(request: web.BaseRequest) -> bytes:
    """The next bytes of a body that is not held as a whole; none at its end.

    :raises Problem: 408 it stalls, 400 it does not arrive whole.
    """
    try:
        async with asyncio.timeout(STALL_S):
            return await request.content.read(PIECE)
    except TimeoutError:
        raise too_slow() from None
    except (RequestPayloadError, ConnectionError):
        raise Problem(400, "request.malformed", "The body did not arrive whole.", close=True) from None


def too_slow() -> Problem:
    """A body that stalls, or takes too long in all."""
    return Problem(408, "request.timeout", "The body did not arrive in time.", close=True)


def check_media_type(request: web.BaseRequest) -> None:
    """:raises Problem: 415, the body does not say that it is JSON in UTF-8."""
    if not media_type_is_json(request.headers.get("Content-Type")):
        raise Problem(415, "request.media_type", "Content-Type must be application/json, in UTF-8.")


async def _read(request: web.BaseRequest, limit: int, stall_s: float) -> bytes:
    content = request.content
    if content.is_eof():  # small bodies arrive together with the head
        body = content.read_nowait(-1)
        if len(body) > limit:
            raise _too_large(limit)
        return body
    parts: list[bytes] = []
    size = 0
    async with asyncio.timeout(BODY_S):
        while True:
            async with asyncio.timeout(stall_s):
                part = await content.readany()
            if not part:
                return b"".join(parts)
            size += len(part)
            if size > limit:
                raise _too_large(limit)
            parts.append(part)


def go_on(request: web.BaseRequest, expectation: str) -> None:
    """RFC 9110 section 10.1.1: the client waits for a word before it sends the body."""
    if expectation.lower() != "100-continue":
        raise Problem(417, "request.expectation", "The only expectation that can be met is 100-continue.", close=True)
    if request.transport is not None and not request.content.is_eof():
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")


def _too_large(limit: int) -> Problem:
    return Problem(413, "request.too_large", f"A body may have {limit} bytes at most.", close=True)


def decode_json(body: bytes) -> Any:
    """The value that the body holds.

    :raises Problem: 400: not JSON in UTF-8, a byte order mark, a duplicate key, NaN or an infinity, a lone surrogate,
        nested too deeply.
    """
    if not body:
        raise malformed("The body is empty.")
    if body.startswith(b"\xef\xbb\xbf"):
        raise malformed("The body begins with a byte order mark.")
    try:
        value = _decoder.decode(body.decode())
    except UnicodeDecodeError:
        raise malformed("The body is not UTF-8.") from None
    except RecursionError:
        raise _too_deep() from None
    except json.JSONDecodeError as error:
        raise malformed(f"The body is not JSON: {error.msg} at character {error.pos}.") from None
    except ValueError:  # int() refuses more than 4300 digits
        raise malformed("The body has a number that is too long.") from None
    if body.count(b"[") + body.count(b"{") > DEPTH and _is_deep(value):
        raise _too_deep()
    if b"\\u" in body and not _is_text(value):
        raise malformed("The body has a lone surrogate.")
    return value


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise malformed("The body has an object with a duplicate key.")
    return value


def _no_constant(name: str) -> NoReturn:
    raise malformed(f"The body is not JSON: {name} is no number.")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise malformed("The body has a number that is too large.")
    return number


def _too_deep() -> Problem:
    return malformed(f"The body is nested more than {DEPTH} deep.")


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(DEPTH):
        level = [
            child
            for each in level
            if isinstance(each, dict | list)
            for child in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return False
    return any(isinstance(each, dict | list) for each in level)


def _is_text(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


_decoder = json.JSONDecoder(object_pairs_hook=_pairs, parse_constant=_no_constant, parse_float=_finite)
