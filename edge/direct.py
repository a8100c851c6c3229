"""Files that clients put into the object store, where that has no addresses of its own: `PUT /uploads/{id}?…`.

The address is the permission; no token is looked at. As a store does, this takes the bytes and judges nothing but their
number: what they are is looked at when the upload is completed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from actors.contracts.media import GetUploadTicket
from actors.contracts.values import Ticket
from edge.answer import Answer
from edge.body import BODY_S, go_on, next_piece, too_slow
from edge.call import Call
from edge.problems import Problem, of_failed, of_unavailable
from edge.uploads import UNKNOWN_TYPE
from runtime.client import Client
from runtime.context import Clock
from runtime.errors import BlobsAway, Refusal, Unavailable
from runtime.message import failed
from runtime.ports import Blobs
from runtime.signed_urls import SignedUrls

ASK_MS = 5_000

SLOWEST = 32 << 10
"""Bytes a second that a client has to send, in all."""


class DirectUploads:
    """The bytes of a file that was announced.

    :param urls: with the key that the media actor signs with.
    """

    path = "/uploads/{id}"

    def __init__(self, *, client: Client, blobs: Blobs, urls: SignedUrls, clock: Clock) -> None:
        self._client = client
        self._blobs = blobs
        self._urls = urls
        self._clock = clock

    async def answer(self, call: Call) -> Answer:
        """:raises Problem: 403 a changed or expired address, 404 the file is not awaited, 400, 408, 413, 422, 503."""
        request = call.request
        if self._urls.variant("PUT", call.path, call.query, self._clock() // 1000) is None:
            raise Problem(403, "media.signature_invalid", "This address was changed, or has expired.", close=True)
        ticket = await self._ticket(call.values[0])
        if (request.content_length or 0) > ticket.limit:
            raise _too_large(ticket)
        if "Content-Encoding" in request.headers:
            raise Problem(415, "request.media_type", "A file must not be compressed on its way.", close=True)
        if (expectation := request.headers.get("Expect")) is not None:
            go_on(request, expectation)
        try:
            async with asyncio.timeout(BODY_S + ticket.limit / SLOWEST):
                await self._blobs.put(ticket.key, _exactly(call, ticket), content_type=UNKNOWN_TYPE)
        except TimeoutError:
            raise too_slow() from None
        except BlobsAway as error:
            problem = of_unavailable(error, "media")
            problem.close = True
            raise problem from None
        return Answer(204)

    async def _ticket(self, id: str) -> Ticket:
        try:
            return await self._client.ask(GetUploadTicket(id=id), budget_ms=ASK_MS)
        except Refusal as refusal:
            problem = of_failed(failed(refusal), "media", replayed=False)
        except Unavailable as error:
            problem = of_unavailable(error, "media")
        problem.close = True  # the body is not read
        raise problem


async def _exactly(call: Call, ticket: Ticket) -> AsyncIterator[bytes]:
    """The body. :raises Problem: it has more bytes, or fewer, than were announced."""
    size = 0
    while piece := await next_piece(call.request):
        size += len(piece)
        if size > ticket.limit:
            raise _too_large(ticket)
        yield piece
    if size < ticket.limit:
        raise Problem(422, "media.mismatch", f"The file was announced with {ticket.limit} bytes; {size} came.")


def _too_large(ticket: Ticket) -> Problem:
    return Problem(413, "request.too_large", f"The file was announced with {ticket.limit} bytes.", close=True)
