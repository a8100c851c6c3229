"""The process is killed at each step of an upload: nothing is lost or there twice, and rows and objects agree after the
sweep."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from actors.contracts.media import RemoveObjects, RenderImage
from actors.media_actor import MediaActor
from config.settings import Settings
from runtime import connect
from runtime.message import decoder, unframe, wire_name
from runtime.testing import Stage
from tests.edge.whole_house import BOUNDARY, form
from tests.pictures import image
from tests.sql import sql
from tests.system.world import Answer, Api, World

TEXT = b"a line of text\n"
STEPS = [
    "open_upload:after_commit",
    "finish_upload:before",
    "finish_upload:after_commit",
    "render_image:before",
    "begin_upload:after_commit",
    "complete_upload:before",
    "complete_upload:after_commit",
    "delete_media:after_commit",
    "remove_objects:after_commit",
]


class Site:
    """A process that is started again when it dies, and a client that does not give up."""

    def __init__(self, world: World, port: int) -> None:
        self._world = world
        self._world.settings |= {"EDGE_PORT": str(port), "PUBLIC_URL": f"http://127.0.0.1:{port}", "RATE_LIMITS": "off"}
        self.address = f"http://127.0.0.1:{port}"
        self._keeper: asyncio.Task[None] | None = None

    async def open(self, crash_at: str) -> None:
        self._running = await self._world.start(CRASH_AT=crash_at)
        self._keeper = asyncio.create_task(self._keep(crash_at))

    async def _keep(self, crash_at: str) -> None:
        while await self._running.process.wait() == -signal.SIGKILL:
            self._running = await self._world.start(CRASH_AT=crash_at)

    async def kill(self) -> None:
        self._running.process.kill()
        await asyncio.sleep(0)

    async def close(self) -> None:
        assert self._keeper is not None
        await self._running.stop()
        await self._keeper


async def insist(ask: Callable[[], Awaitable[Answer]], *allowed: int) -> Answer:
    """The answer, however often it takes; what is over capacity or away is asked again."""
    deadline = time.monotonic() + 30
    while True:
        try:
            answer = await ask()
        except (aiohttp.ClientError, TimeoutError):
            pass
        else:
            if answer.status in allowed:
                return answer
            assert answer.status in (409, 503, 504), answer
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


@pytest.fixture
async def site(embedded: World, free_port: Callable[[], int]) -> Site:
    return Site(embedded, free_port())


async def upload(api: Api, content: bytes, name: str) -> Any:
    body = form([("file", name, content)])

    async def ask() -> Answer:
        kind = f"multipart/form-data; boundary={BOUNDARY}"
        return await api("POST", "/v1/media", body=body, content_type=kind, idempotency_key=f"upload {name}"[7:])

    return (await insist(ask, 201)).json


async def direct(api: Api, content: bytes) -> Any:
    announced = {"filename": "direct.txt", "content_type": "text/plain", "size": len(content)}
    begun = (await insist(lambda: api("POST", "/v1/media/uploads", announced, idempotency_key="begin"), 201)).json
    anyone = Api(api._session, api.address)
    path = begun["upload"]["url"].removeprefix(api.address)
    await insist(lambda: anyone("PUT", path, body=content), 204)
    where = f"/v1/media/{begun['media']['id']}/complete"
    return (await insist(lambda: api("POST", where, idempotency_key="complete"), 200)).json


@pytest.mark.parametrize("crash_at", STEPS)
async def test_killed_at_a_step_of_an_upload(
    site: Site, client: Callable[[str], Api], crash_at: str, tmp_path: Path
) -> None:
    await site.open(crash_at)
    ada = await client(site.address).person("Ada")
    picture = await upload(ada, image("PNG", (600, 300)), "a.png")
    doomed = await upload(ada, b"soon gone", "b.txt")
    text = await direct(ada, TEXT)
    await insist(lambda: ada("DELETE", f"/v1/media/{doomed['id']}", idempotency_key="delete"), 204)
    for media, content in ((picture, None), (text, TEXT)):
        url = (await insist(partial(ada, "GET", f"/v1/media/{media['id']}/url"), 200)).json["url"]
        served = await insist(partial(Api(ada._session, site.address), "GET", url.removeprefix(site.address)), 200)
        assert content in (None, served.body)
    await site.close()
    assert (tmp_path / "var" / "crashed").exists(), "it was not killed there"
    await agree(tmp_path / "var", {picture["id"]: {"image", "thumbnail"}, text["id"]: {"original"}})


async def test_f34_killed_in_the_middle_of_a_body(site: Site, client: Callable[[str], Api], tmp_path: Path) -> None:
    await site.open("")
    ada = await client(site.address).person("Ada")
    body = form([("file", "a.txt", TEXT * 100_000)])

    async def pieces() -> AsyncIterator[bytes]:
        yield body[: len(body) // 2]
        await site.kill()
        yield body[len(body) // 2 :]

    headers = {"Authorization": f"Bearer {ada.token}", "Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    with pytest.raises(aiohttp.ClientError):
        async with ada._session.post(f"{site.address}/v1/media", data=pieces(), headers=headers) as answer:
            await answer.read()
    await insist(lambda: ada("GET", "/readyz"), 200)
    await site.close()
    await agree(tmp_path / "var", {})


async def agree(var: Path, expected: dict[str, set[str]]) -> None:
    """Two days later, swept: these objects are there and no others, and these rows."""
    settings = Settings(blob_url=f"file:{var}/media")
    blobs = connect.blobs(settings)
    await blobs.open()
    actor = MediaActor(blobs=blobs, settings=settings, signing_keys=[b"key"])
    async with Stage(actor, store_url=lambda name: f"sqlite:{var}/{name}.db") as stage:
        stage.now = time.time_ns() // 1_000_000 + 2 * 24 * 3600 * 1000 + 60_000
        rows = stage.dispatches["media"].store
        kinds = {wire_name(kind): kind for kind in (RemoveObjects, RenderImage)}
        for row in await rows.lease_outgoing(limit=500, lease_ms=0):
            (envelope,), _ = unframe(row.envelope[1:], b"")
            if envelope.type in kinds:  # what waited for its lease to lapse
                await stage.given(decoder(kinds[envelope.type]).decode(envelope.body))
        await stage.tick("media", "sweep")
        await stage.given(RemoveObjects(unfinished=True))
        media = await sql(rows.reader).fetch("select id, status from media")
        assert {row["id"]: row["status"] for row in media} == dict.fromkeys(expected, "ready")
    there = {blob.key async for blob in blobs.list("")}
    assert there == {f"media/{id}/{name}" for id, names in expected.items() for name in names}
    await blobs.close()
