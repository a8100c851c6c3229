"""Health and metrics of a process without the edge, over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

import pytest

from config.settings import Settings
from runtime import ops
from runtime.errors import StartError
from runtime.ops import OpsServer

WELL = {"broker": "ok", "task_store": "ok", "cache": "ok"}


class Probe:
    """A server, and what a probe sees of it; `found` is what it says of its dependencies."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.found: Mapping[str, str] = WELL
        self.server = self.another()

    def another(self, **settings: str) -> OpsServer:
        """On the same port."""
        return OpsServer(
            Settings(ops_port=self.port, **settings),  # type: ignore[arg-type] # those of the tests are texts
            readiness=self._readiness,
            metrics=lambda: b"troupe_in_flight 0\n",
        )

    async def _readiness(self) -> Mapping[str, str]:
        return self.found

    async def raw(self, sent: bytes) -> bytes:
        """What comes back until the server closes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(sent)
        try:
            async with asyncio.timeout(10):
                return await reader.read()
        except ConnectionResetError:  # it closed before it had read all
            return b""
        finally:
            writer.close()

    async def get(self, path: str, *fields: str) -> tuple[int, bytes]:
        """Status and body."""
        lines = [f"GET {path} HTTP/1.1", "Host: probe", *fields, "", ""]
        head, _, body = (await self.raw("\r\n".join(lines).encode())).partition(b"\r\n\r\n")
        assert f"content-length: {len(body)}".encode() in head
        return int(head.split()[1]), body


@pytest.fixture
async def probe(free_port: Callable[[], int]) -> AsyncIterator[Probe]:
    probe = Probe(free_port())
    await probe.server.start()
    yield probe
    await probe.server.stop()


async def test_a_process_that_lives_is_healthy_and_each_dependency_is_named(probe: Probe) -> None:
    assert await probe.get("/healthz") == (200, b'{"status":"ok"}')
    assert await probe.get("/readyz") == (200, b'{"broker":"ok","task_store":"ok","cache":"ok"}')
    probe.found = WELL | {"task_store": "away"}
    assert await probe.get("/readyz") == (503, b'{"broker":"ok","task_store":"away","cache":"ok"}')
    assert (await probe.get("/healthz"))[0] == 200


async def test_without_its_cache_a_process_is_ready(probe: Probe) -> None:
    probe.found = WELL | {"cache": "away"}
    assert (await probe.get("/readyz"))[0] == 200


async def test_metrics_are_for_all_or_for_who_has_the_token(probe: Probe) -> None:
    assert await probe.get("/metrics") == (200, b"troupe_in_flight 0\n")
    await probe.server.stop()
    probe.server = probe.another(metrics_token="a token")
    await probe.server.start()
    for fields in (
        [],
        ["Authorization: Bearer another"],
        ["Authorization: a token"],
        ["X-Authorization: Bearer a token"],
    ):
        assert (await probe.get("/metrics", *fields))[0] == 404
    for name in ("Authorization", "authorization"):
        assert (await probe.get("/metrics", f"{name}:  Bearer a token "))[0] == 200


@pytest.mark.parametrize(
    "sent",
    [b"POST /healthz HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"GET /healthz\r\n\r\n", b"\xff\r\n\r\n"],
)
async def test_all_else_is_not_found(probe: Probe, sent: bytes) -> None:
    assert (await probe.raw(sent)).startswith(b"HTTP/1.1 404 Not Found\r\n")


async def test_who_never_speaks_or_never_ends_is_cut(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ops, "READ_S", 0.1)
    for sent in (b"", b"GET /healthz HTTP/1.1\r\n", b"x" * 100_000):
        assert await probe.raw(sent) == b""
    assert (await probe.get("/healthz"))[0] == 200


async def test_a_port_in_use_is_said(probe: Probe) -> None:
    with pytest.raises(StartError, match=rf"cannot listen on 127\.0\.0\.1:{probe.port} \(OPS_PORT\): .*in use"):
        await probe.another().start()
