"""The listening side of HTTP: aiohttp's server and protocol, with limits on time that they lack."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from edge.problems import internal, malformed

HEAD_S = 10.0
"""From the first byte of a request's head (at first: from the connection) to its end, at most."""

KEEPALIVE_S = 75.0
"""How long a connection may lie idle between requests."""

READ_AHEAD = 16 << 10
"""Bytes of a body that are read before they are asked for: twice as many stop the reading, but the event loop takes up
to 256 KiB at once."""

FRESH_ID = "-"
"""The request id of what could not be read as a request."""


class Connection(RequestHandler):
    """One client connection. A head that is not complete after `head_s` ends it; only slow ones cost a timer."""

    __slots__ = ("_head_s", "_head_timer")

    def __init__(self, manager: web.Server, *, loop: asyncio.AbstractEventLoop, head_s: float, **options: Any) -> None:
        super().__init__(manager, loop=loop, **options)
        self._head_s = head_s
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._head_timer = self._loop.call_later(self._head_s, self.force_close)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._waiter is not None and not self._waiter.done():  # still idle: the head is not complete
            if self._head_timer is None:
                self._head_timer = self._loop.call_later(self._head_s, self.force_close)
        elif self._head_timer is not None:
            self._stop_timer()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The parser refused the request: a problem document that repeats nothing of it, and the end."""
        problem = malformed("This is not an HTTP request that can be read.") if status == 400 else internal()
        problem.close = True
        return problem.answer(FRESH_ID)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


class Listener(web.Server):
    """Makes `Connection`s; the handler gets each request that the parser took."""

    def __init__(
        self, handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]], *, head_s: float = HEAD_S
    ) -> None:
        super().__init__(handler)
        self._head_s = head_s

    def __call__(self) -> RequestHandler:
        return Connection(
            self,
            loop=asyncio.get_running_loop(),
            head_s=self._head_s,
            keepalive_timeout=KEEPALIVE_S,
            access_log=None,
            auto_decompress=False,  # a compressed body is refused, never inflated
            lingering_time=2.0,
            read_bufsize=READ_AHEAD,
        )
