"""Files at signed addresses, where the object store has no addresses of its own: `GET /media/{id}?…`.

The address is the permission; no token is looked at. Pictures of people have addresses without a signature.
Conditional requests and ranges after RFC 9110 sections 13 and 14: one range is served, several are answered with the
whole, as is a range that cannot be read, and any where the store would have to send all that lies before it.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator

from actors.contracts.media import GetStoredFile, StoredFile
from actors.contracts.values import UUID
from edge.answer import Answer
from edge.call import Call
from edge.file_answer import FileAnswer, LocalFileAnswer, PiecesAnswer
from edge.headers import Headers, none_match
from edge.problems import Problem, not_found, of_failed, of_unavailable
from runtime.client import Client
from runtime.context import Clock
from runtime.errors import BlobsAway, Refusal, Unavailable
from runtime.message import failed
from runtime.ports import Blobs
from runtime.signed_urls import SignedUrls

ASK_MS = 5_000

_ID = re.compile(UUID)
_SIDE = re.compile(r"[0-9]{2,3}")
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII | re.IGNORECASE)


class Files:
    """The bytes of a file, for whoever has a signed address of it.

    :param blobs: where they are.
    :param urls: with the key that the media actor signs with.
    """

    path = "/media/{id}"

    def __init__(self, *, client: Client, blobs: Blobs, urls: SignedUrls, clock: Clock) -> None:
        self._client = client
        self._blobs = blobs
        self._urls = urls
        self._clock = clock

    async def answer(self, call: Call) -> Answer:
        """:raises Problem: 403 a changed or expired address, 404 the file was removed, 416, 503."""
        variant = self._urls.variant("GET", call.path, call.query, self._clock() // 1000)
        if variant is None:
            raise Problem(403, "media.signature_invalid", "This address was changed, or has expired.")
        return await self._serve(call, call.values[0], variant, cache="private, no-cache")

    async def _serve(self, call: Call, id: str, variant: str, *, cache: str) -> Answer:
        """:raises Problem: 404 there is no such file, 416, 503."""
        method, headers = call.request.method, call.request.headers
        try:
            file = await self._client.ask(GetStoredFile(id=id, variant=variant), budget_ms=ASK_MS)
        except Refusal as refusal:
            raise of_failed(failed(refusal), "media", replayed=False) from None
        except Unavailable as error:
            raise of_unavailable(error, "media") from None
        ranges = "none" if "ranges" in self._blobs.lacks else "bytes"
        common = [("ETag", f'"{file.etag}"'), ("Cache-Control", cache), ("Accept-Ranges", ranges)]
        if none_match(headers, file.etag):
            return Answer(304, headers=common)
        common.append(("Content-Disposition", file.disposition))
        start, end = 0, file.size
        wanted = _wanted(headers, file) if method == "GET" and ranges == "bytes" else None
        if wanted is not None:
            start, end = wanted
            if start >= end:
                raise Problem(
                    416,
                    "request.range",
                    f"The file has {file.size} bytes.",
                    headers=(("Content-Range", f"bytes */{file.size}"),),
                )
            common.append(("Content-Range", f"bytes {start}-{end - 1}/{file.size}"))
        status, length, kind = 200 if wanted is None else 206, end - start, file.content_type
        if method == "HEAD":
            return FileAnswer(status, length, media_type=kind, headers=common)
        try:
            local = await self._blobs.local_file(file.key)
            if local is not None:
                return LocalFileAnswer(status, length, local, start, media_type=kind, headers=common)
            pieces = self._blobs.get(file.key, start=start, end=end)
            first = await anext(pieces, b"")  # until it is there, an answer can still say that there is none
        except KeyError:
            raise not_found("media") from None
        except BlobsAway as error:
            raise of_unavailable(error, "media") from None
        return PiecesAnswer(status, length, _joined(first, pieces), media_type=kind, headers=common)


class Avatars(Files):
    """The picture of a person, for anyone: a public image as a square of 64, 128 or 256 pixels."""

    path = "/avatars/{id}/{side}"

    async def answer(self, call: Call) -> Answer:
        """:raises Problem: 404 there is none, or not of this size, 416, 503."""
        id, side = call.values
        if not (_ID.match(id) and _SIDE.fullmatch(side)):
            raise not_found("media")
        return await self._serve(call, id, f"avatar-{side}", cache="public, max-age=86400")


def _wanted(headers: Headers, file: StoredFile) -> tuple[int, int] | None:
    """The range of bytes, empty when it lies behind the end; None for the whole."""
    match = _RANGE.fullmatch(headers.get("Range") or "")
    if match is None or match.group() == "bytes=-":
        return None
    condition = headers.get("If-Range")
    if condition is not None and condition != f'"{file.etag}"':
        return None
    first, last = match.groups()
    if not first:
        return max(0, file.size - int(last)), file.size
    if last and int(last) < int(first):
        return None
    return int(first), min(int(last) + 1, file.size) if last else file.size


async def _joined(first: bytes, rest: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    yield first
    async for piece in rest:
        yield piece
