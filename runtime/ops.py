"""Health and metrics of a process without the edge: `GET /healthz`, `/readyz`, `/metrics`, on a port of their own."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus

import msgspec

from config.settings import Settings
from runtime.errors import StartError

READ_S = 5.0


class OpsServer:
    """The smallest HTTP/1.1 server that a probe needs: one GET a connection. Importing a whole one would cost a
    process of one actor half of its boot time."""

    def __init__(
        self,
        settings: Settings,
        *,
        readiness: Callable[[], Awaitable[Mapping[str, str]]],
        metrics: Callable[[], bytes],
    ) -> None:
        self._settings = settings
        self._readiness = readiness
        self._metrics = metrics
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """:raises StartError: the port is in use."""
        host, port = self._settings.edge_host, self._settings.ops_port
        try:
            self._server = await asyncio.start_server(self._serve, host, port, limit=8192)
        except OSError as error:
            raise StartError(f"cannot listen on {host}:{port} (OPS_PORT): {error.strerror}") from error

    async def stop(self) -> None:
        """Close the port."""
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(READ_S):
                head = await reader.readuntil(b"\r\n\r\n")
                status, kind, body = await self._answer(head.decode("latin-1"))
                writer.write(
                    f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: {kind}\r\n"
                    f"content-length: {len(body)}\r\nconnection: close\r\n\r\n".encode()
                    + body
                )
                await writer.drain()
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
            pass  # a probe that went away or never spoke HTTP needs no answer
        finally:
            writer.close()

    async def _answer(self, head: str) -> tuple[HTTPStatus, str, bytes]:
        first, *fields = head.split("\r\n")
        match first.split(" "):
            case ["GET", "/healthz", _]:
                return HTTPStatus.OK, "application/json", b'{"status":"ok"}'
            case ["GET", "/readyz", _]:
                found = await self._readiness()
                return readiness_status(found), "application/json", msgspec.json.encode(found)
            case ["GET", "/metrics", _] if self._may_read_metrics(fields):
                return HTTPStatus.OK, "text/plain; version=0.0.4; charset=utf-8", self._metrics()
        return HTTPStatus.NOT_FOUND, "application/json", b'{"status":"not found"}'

    def _may_read_metrics(self, fields: list[str]) -> bool:
        wanted = self._settings.metrics_token
        given = next(
            (each.partition(":")[2].strip() for each in fields if each.lower().startswith("authorization:")), ""
        )
        return not wanted or hmac.compare_digest(given.encode(), f"Bearer {wanted}".encode())


def readiness_status(found: Mapping[str, str]) -> HTTPStatus:
    """503 while a dependency is away without which nothing works; the cache is none of those."""
    ready = all(word == "ok" for name, word in found.items() if name != "cache")
    return HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE
