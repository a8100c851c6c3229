"""An HTTP answer whose bytes come from the object store as fast as the client takes them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from edge.answer import Answer
from runtime.errors import BlobsAway
from runtime.telemetry import logger


class FileAnswer(Answer):
    """A file, or a range of it.

    :param length: of the body, in bytes.
    :param pieces: the body; not looked at when the request is a HEAD.
    """

    policy = "default-src 'none'; frame-ancestors 'none'; sandbox"

    def __init__(
        self,
        status: int,
        length: int,
        pieces: AsyncGenerator[bytes, None],
        *,
        media_type: str,
        headers: Sequence[tuple[str, str]],
    ) -> None:
        super().__init__(status, headers=headers)
        self.length = length
        self.media_type = media_type
        self._pieces = pieces

    async def write_eof(self, data: bytes = b"") -> None:
        """:raises ConnectionResetError: the client is gone."""
        await super().write_eof()
        request = self._request
        if request is None or request.method == "HEAD":
            return
        async with aclosing(self._pieces) as pieces:
            try:
                async for piece in pieces:
                    if request.transport is None or request.transport.is_closing():
                        raise ConnectionResetError("the client is gone")
                    request.transport.write(piece)
                    await self._drain(request)
            except (BlobsAway, KeyError) as error:
                # the head has promised more: only an end without it can tell the client
                logger().warning("file.cut_off", reason=str(error))
                if request.transport is not None:
                    request.transport.abort()
