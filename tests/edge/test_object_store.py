"""Uploads into S3 and Cloudinary, and what becomes of them while S3 is away (rows F33 and F34)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import aiohttp
import pytest

from runtime import connect
from runtime.errors import SettingError
from tests.actors.importing import archive, issue
from tests.conformance.cloudinary_server import Asset, Cloudinary, cloudinary_server, cloudinary_url
from tests.conformance.proxy import Proxy
from tests.edge.whole_house import BOUNDARY, Uploader, form, house_of, objects
from tests.servers.processes import free_port


def bucket(s3_url: str, port: int | None = None) -> str:
    """A bucket of one's own on that server, behind another port where given."""
    before, _, endpoint = s3_url.partition("endpoint=")
    assert before.startswith("s3://")
    if port is not None:
        server = urlsplit(endpoint)
        endpoint = endpoint.replace(server.netloc.rpartition("@")[2], f"127.0.0.1:{port}")
    return f"s3://troupe-{uuid4().hex[:12]}?endpoint={endpoint}"


async def test_files_go_to_s3_and_are_fetched_there(tmp_path: Path, s3_url: str) -> None:
    url = bucket(s3_url)
    async with house_of(tmp_path, blob_url=url) as house:
        ada, eve = await house.person(), await house.person("Eve")
        task = await ada.task()
        large = b"a line\n" * 1_000_000
        media = await ada.upload(large, "Größe.csv", task_id=task["id"])
        assert (media["content_type"], media["size"]) == ("text/csv", len(large))
        address = await ada.url(media, "?expires_in=60")
        assert not address.startswith(house.address)
        assert "response-content-disposition=attachment" in address
        async with aiohttp.ClientSession() as session:
            async with session.get(address) as answer:
                assert (answer.status, await answer.read()) == (200, large)
            async with session.get(address.replace("Expires=60", "Expires=61")) as answer:
                assert answer.status == 403
        assert (await eve("GET", f"/v1/media/{media['id']}/url")).status == 404
        refused = await ada.post([("file", "x.png", b"MZ\0\0")])
        assert (refused.status, refused.problem()) == (415, "media.type_not_allowed")
        assert (await ada("DELETE", f"/v1/media/{media['id']}")).status == 204
        blobs = connect.blobs(house.app.settings)
        await blobs.open()
        deadline = time.monotonic() + 5
        while left := await objects(blobs):
            assert time.monotonic() < deadline, left
            await asyncio.sleep(0.05)
        await blobs.close()


async def _rest_works(ada: Uploader) -> None:
    await ada.task()
    assert (await ada("GET", "/v1/me")).status == 200


async def test_f33_while_the_object_store_is_away_only_uploads_fail(tmp_path: Path, s3_url: str) -> None:
    server = urlsplit(s3_url.partition("endpoint=")[2])
    assert server.hostname
    assert server.port
    port = free_port()
    async with house_of(tmp_path, blob_url=bucket(s3_url, port)) as house:  # it starts without the store
        ada = await house.person()
        started = time.monotonic()
        answer = await ada.post([("file", "a.txt", b"text")])
        assert (answer.status, answer.problem()) == (503, "edge.unavailable")
        assert answer.headers["Retry-After"]
        assert "object store" in answer.json["detail"]
        assert time.monotonic() - started < 2
        await _rest_works(ada)
        proxy = Proxy(server.hostname, server.port)
        proxy.port = port
        async with proxy:
            media = await ada.upload(b"text")
            await proxy.down()
            started = time.monotonic()
            again = await ada.post([("file", "a.txt", b"text")])
            assert again.status == 503
            assert time.monotonic() - started < 2
            assert (await ada("GET", f"/v1/media/{media['id']}")).status == 200
            await _rest_works(ada)
            # removed now, and its bytes when the store is back
            assert (await ada("DELETE", f"/v1/media/{media['id']}")).status == 204
            await proxy.up()
            assert (await ada.upload(b"text"))["status"] == "ready"


async def test_f34_a_store_that_fails_in_mid_upload_shows_no_half_object(tmp_path: Path, s3_url: str) -> None:
    server = urlsplit(s3_url.partition("endpoint=")[2])
    assert server.hostname
    assert server.port
    async with Proxy(server.hostname, server.port) as proxy:
        url = bucket(s3_url, proxy.port)
        async with house_of(tmp_path, blob_url=url) as house:
            ada = await house.person()
            body = form([("file", "a.txt", b"x" * (20 << 20))])

            async def pieces() -> AsyncIterator[bytes]:
                for start in range(0, len(body), 1 << 16):
                    if start == 14 << 20:  # more than buffers on the way hold: a first part has arrived
                        await proxy.down()
                    yield body[start : start + (1 << 16)]

            headers = {
                "Authorization": f"Bearer {ada.api.token}",
                "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
            }
            async with (
                aiohttp.ClientSession(headers=headers) as session,
                session.post(f"{house.address}/v1/media", data=pieces()) as answer,
            ):
                assert answer.status == 503
            await proxy.up()
            blobs = connect.blobs(house.app.settings)
            await blobs.open()
            assert await objects(blobs) == set()
            await blobs.sweep(older_than_ms=-60_000)
            assert (await ada.upload(b"text"))["status"] == "ready"
            await blobs.close()


@pytest.mark.parametrize("url", ["ftp://x", "s3://bucket?endpoint=nonsense"])
async def test_a_wrong_address_of_the_store_is_noticed_at_boot(tmp_path: Path, url: str) -> None:
    with pytest.raises(SettingError):
        async with house_of(tmp_path, blob_url=url):
            pass


async def test_imports_go_through_s3_and_leave_nothing(tmp_path: Path, s3_url: str) -> None:
    async with house_of(tmp_path, blob_url=bucket(s3_url)) as house:
        ada = await house.person()
        results = []
        for content in (archive(*map(issue, range(1, 121))), archive(), b"no archive"):
            begun = await ada.send_import([("format", None, b"github-archive"), ("file", "a.json", content)])
            assert begun.status == 202, begun
            result = await ada.ended(begun)
            results.append((result["status"], result["done"], result["created"]))
        assert results == [("done", 120, 120), ("done", 0, 0), ("failed", 0, 0)]
        blobs = connect.blobs(house.app.settings)
        await blobs.open()
        deadline = time.monotonic() + 5
        while left := await objects(blobs):
            assert time.monotonic() < deadline, left
            await asyncio.sleep(0.05)
        await blobs.close()


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[tuple[Cloudinary, str]]:
    """And its address."""
    port = free_port()
    (tmp_path / "cloud").mkdir()
    async with cloudinary_server(tmp_path / "cloud", port) as cloud:
        yield cloud, cloudinary_url(port)


async def test_where_a_store_signs_nothing_and_has_no_ranges_the_edge_serves_the_whole(
    tmp_path: Path, cloud: tuple[Cloudinary, str]
) -> None:
    assets, blob_url = cloud[0].assets, cloud[1]
    async with house_of(tmp_path, blob_url=blob_url) as house:
        ada = await house.person()
        text = b"a line\n" * 1_000_000
        media = await ada.upload(text, "a.txt")
        address = await ada.url(media)
        assert address.startswith(house.address)
        path = address.removeprefix(house.address)
        for wanted in ("bytes=0-3", f"bytes={len(text)}-"):
            answer = await house.anyone("GET", path, range=wanted)
            assert (answer.status, answer.body) == (200, text)
            assert answer.headers["Accept-Ranges"] == "none"
            assert answer.headers["Content-Type"] == "text/plain"
        assert (await ada("DELETE", f"/v1/media/{media['id']}")).status == 204
        await _emptied(assets)


async def test_where_a_store_takes_nothing_from_clients_the_edge_does(
    tmp_path: Path, cloud: tuple[Cloudinary, str]
) -> None:
    async with house_of(tmp_path, blob_url=cloud[1]) as house, aiohttp.ClientSession() as session:
        ada = await house.person()
        wanted = {"filename": "a.txt", "content_type": "text/plain", "size": 4}
        begun = (await ada.api("POST", "/v1/media/uploads", wanted)).json
        assert begun["upload"]["url"].startswith(house.address)
        async with session.put(begun["upload"]["url"], data=b"text", headers=begun["upload"]["headers"]) as answer:
            assert answer.status == 204
        done = await ada("POST", f"/v1/media/{begun['media']['id']}/complete")
        assert (done.status, done.json["status"]) == (200, "ready")
        address = await ada.url(done.json)
        assert (await house.anyone("GET", address.removeprefix(house.address))).body == b"text"


async def test_imports_go_through_cloudinary_and_leave_nothing(tmp_path: Path, cloud: tuple[Cloudinary, str]) -> None:
    async with house_of(tmp_path, blob_url=cloud[1]) as house:
        ada = await house.person()
        begun = await ada.send_import(
            [("format", None, b"github-archive"), ("file", "a.json", archive(issue(1), issue(2)))]
        )
        assert (await ada.ended(begun))["created"] == 2
        await _emptied(cloud[0].assets)


async def _emptied(assets: dict[str, Asset]) -> None:
    deadline = time.monotonic() + 5
    while assets:
        assert time.monotonic() < deadline, assets
        await asyncio.sleep(0.05)
