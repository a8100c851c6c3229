"""Exports over HTTP: an answer whose length nobody knows before its end."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any, Final, TypeVar

from aiohttp import web

from edge.answer import LAST_CHUNK, Answer, chunk, takes_chunks
from edge.call import Call
from edge.endpoint import BUDGET_S, ActorEndpoint
from edge.export_files import attached
from edge.exports import MEDIA_TYPES, pieces
from edge.headers import budget_ms
from edge.problems import of_failed, of_unavailable
from edge.route import Route
from runtime.errors import Refusal, TroupeError, Unavailable
from runtime.message import Grant, Query, failed
from runtime.ports import Blobs
from runtime.telemetry import logger

Reply = TypeVar("Reply")

ASKED: Final = "task"
"""The actor whose answers the file is made of."""


class ExportEndpoint(ActorEndpoint):
    """Answers with a project as a file. What is wrong before its first piece is a problem document; later, only an
    end that is missing can tell the client.

    :param blobs: where attachments are.
    """

    def __init__(self, route: Route, *, blobs: Blobs, **surroundings: Any) -> None:
        super().__init__(route, **surroundings)
        self._blobs = blobs

    async def answer(self, call: Call) -> Answer:
        """:raises Problem: any answer that is no success."""
        caller = await self._admit(call)
        message: Any = self._binder.bind(call.values, call.parameters, call.request.headers, b"")
        budget = budget_ms(call.request.headers, default_s=BUDGET_S, longest_s=self._deadline_max_s)

        async def ask(query: Query[Reply], /, *, grants: Sequence[Grant] = ()) -> Reply:
            return await self._client.ask(
                query, caller=caller, budget_ms=budget, grants=grants, request_id=call.request_id, trace=call.trace
            )

        try:
            project = await ask(message.project())
            file = pieces(ask, partial(attached, ask, self._blobs), project, message.format)
            first = await anext(file)
        except Refusal as refusal:
            raise of_failed(failed(refusal), ASKED, replayed=False) from None
        except Unavailable as error:
            raise of_unavailable(error, ASKED) from None
        name = f"{project.key}.{message.format}"
        headers = (("Content-Disposition", f'attachment; filename="{name}"'), ("Cache-Control", "no-store"))
        return StreamedAnswer(first, file, media_type=MEDIA_TYPES[message.format], headers=headers)


class StreamedAnswer(Answer):
    """:param first: of the body, what `rest` goes on with."""

    policy = "default-src 'none'; frame-ancestors 'none'; sandbox"

    def __init__(
        self,
        first: bytes,
        rest: AsyncGenerator[bytes, None],
        *,
        media_type: str,
        headers: Sequence[tuple[str, str]],
    ) -> None:
        super().__init__(200, headers=headers)
        self.media_type = media_type
        self.length = None
        self._first = first
        self._rest = rest

    async def write_eof(self, data: bytes = b"") -> None:
        """:raises ConnectionResetError: the client is gone."""
        request = self._request
        chunked = request is not None and takes_chunks(request)
        self.closes = self.closes or not chunked  # else nothing but the end of the connection ends the body
        async with aclosing(self._rest) as rest:
            await super().write_eof()
            if request is None or request.method == "HEAD":
                return
            try:
                await self._write(request, self._first, chunked=chunked)
                async for piece in rest:
                    await self._write(request, piece, chunked=chunked)
            except TroupeError as error:
                logger().warning("export.cut_off", reason=str(error))
                if request.transport is not None:
                    request.transport.abort()
                return
            if chunked and request.transport is not None:
                request.transport.write(LAST_CHUNK)

    async def _write(self, request: web.BaseRequest, piece: bytes, *, chunked: bool) -> None:
        if request.transport is None or request.transport.is_closing():
            raise ConnectionResetError("the client is gone")
        if piece:
            request.transport.write(chunk(piece) if chunked else piece)
        await self._drain(request)
