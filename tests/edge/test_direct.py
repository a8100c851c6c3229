"""Files that clients put into the object store themselves, over HTTP: at the edge's own addresses, and at S3's."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.edge.whole_house import House, Uploader, house_of
from tests.pictures import image

TEXT = b"a line of text\n"


@pytest.fixture(scope="module")
async def ada(house: House) -> Uploader:
    return await house.person()


async def begin(ada: Uploader, size: int = len(TEXT), **fields: Any) -> Any:
    body = {"filename": "a.txt", "content_type": "text/plain", "size": size, **fields}
    answer = await ada.api("POST", "/v1/media/uploads", body)
    assert answer.status == 201, answer
    assert answer.headers["Location"] == f"/v1/media/{answer.json['media']['id']}"
    return answer.json


async def put(begun: Any, content: Any, url: str | None = None, **headers: str) -> tuple[int, str]:
    """Status and code."""
    upload = begun["upload"]
    async with (
        aiohttp.ClientSession() as session,
        session.put(url or upload["url"], data=content, headers=headers or upload["headers"]) as answer,
    ):
        return answer.status, "" if answer.status < 300 else (await answer.json()).get("code", "")


async def complete(ada: Uploader, begun: Any) -> Any:
    return await ada("POST", f"/v1/media/{begun['media']['id']}/complete")


async def test_a_file_is_announced_sent_and_completed(house: House, ada: Uploader) -> None:
    begun = await begin(ada)
    assert begun["media"]["status"] == "pending"
    assert begun["upload"]["url"].startswith(f"{house.address}/uploads/")
    assert await put(begun, TEXT) == (204, "")
    done = await complete(ada, begun)
    assert (done.status, done.json["status"], done.headers["ETag"]) == (200, "ready", '"2"')
    again = await complete(ada, begun)
    assert (again.status, again.json) == (200, done.json)
    url = await ada.url(done.json)
    assert (await house.anyone("GET", url.removeprefix(house.address))).body == TEXT


async def test_what_is_not_what_was_announced_is_rejected_for_good(ada: Uploader) -> None:
    begun = await begin(ada, sha256="0" * 64)
    assert (await put(begun, TEXT))[0] == 204
    for _ in range(2):
        answer = await complete(ada, begun)
        assert (answer.status, answer.problem()) == (422, "media.mismatch")
    where = f"/v1/media/{begun['media']['id']}"
    assert (await ada("GET", where)).json["status"] == "rejected"
    answer = await ada("GET", f"{where}/url")
    assert (answer.status, answer.problem()) == (409, "media.not_ready")
    nothing = await begin(ada)
    answer = await complete(ada, nothing)
    assert (answer.status, answer.problem()) == (422, "media.mismatch")


async def test_b91_no_more_and_no_less_than_announced_is_taken(ada: Uploader) -> None:
    begun = await begin(ada)
    assert await put(begun, TEXT + b"x", **{"Content-Type": "text/plain"}) == (413, "request.too_large")
    assert await put(begun, TEXT[:-1], **{"Content-Type": "text/plain"}) == (422, "media.mismatch")

    async def pieces(count: int) -> AsyncIterator[bytes]:
        for _ in range(count):
            yield TEXT

    assert await put(begun, pieces(2), **{"Content-Type": "text/plain"}) == (413, "request.too_large")
    assert await put(begun, pieces(1), **{"Content-Type": "text/plain"}) == (204, "")
    assert (await complete(ada, begun)).status == 200


async def test_b99_an_upload_has_one_address_and_one_method(house: House, ada: Uploader) -> None:
    begun, other = await begin(ada), await begin(ada)
    url: str = begun["upload"]["url"]
    for changed in (
        url.replace(begun["media"]["id"], other["media"]["id"]),
        url.replace("expires=", "expires=1"),
        url + "&x=1",
        url[:-1],
    ):
        assert await put(begun, TEXT, changed) == (403, "media.signature_invalid")
    for method in ("GET", "POST", "DELETE"):
        answer = await house.anyone(method, url.removeprefix(house.address))
        assert (answer.status, answer.problem()) == (405, "route.method_not_allowed")
    # an address to read from is none to write to, and the other way round
    assert (await put(begun, TEXT))[0] == 204
    media = (await complete(ada, begun)).json
    read = await ada.url(media)
    assert await put(begun, TEXT, read.replace("/media/", "/uploads/")) == (403, "media.signature_invalid")
    wrong = await house.anyone("GET", url.removeprefix(house.address).replace("/uploads/", "/media/"))
    assert (wrong.status, wrong.problem()) == (403, "media.signature_invalid")
    # and a file that is ready is awaited no longer
    assert await put(begun, TEXT) == (404, "media.not_found")


async def test_faults_of_an_announcement_are_named(ada: Uploader) -> None:
    answer = await ada.api("POST", "/v1/media/uploads", {"filename": "x", "content_type": "image/png", "size": -1})
    assert (answer.status, answer.problem()) == (422, "request.invalid")
    answer = await ada.api("POST", "/v1/media/uploads", {"filename": "x", "content_type": "text/html", "size": 1})
    assert (answer.status, answer.problem()) == (415, "media.type_not_allowed")
    size = (1 << 30) + 1
    answer = await ada.api("POST", "/v1/media/uploads", {"filename": "x", "content_type": "text/csv", "size": size})
    assert (answer.status, answer.problem()) == (413, "request.too_large")
    answer = await ada("POST", "/v1/media/01a20bcc-acb5-7000-971e-45359f8ce9c4/complete")
    assert (answer.status, answer.problem()) == (404, "media.not_found")


async def test_s3_takes_the_bytes_itself(tmp_path: Path, s3_url: str) -> None:
    async with house_of(tmp_path, blob_url=s3_url) as house:
        ada = await house.person()
        content = image("PNG", (600, 300))
        begun = await begin(ada, len(content), filename="a.png", content_type="image/png")
        assert not begun["upload"]["url"].startswith(house.address)
        async with aiohttp.ClientSession() as session:
            for data, status in ((content + b"x", 403), (content, 200)):
                headers = begun["upload"]["headers"] | {"Content-Length": str(len(data))}
                async with session.put(begun["upload"]["url"], data=data, headers=headers) as answer:
                    assert answer.status == status
            media = (await complete(ada, begun)).json
            assert (media["status"], media["width"]) == ("ready", 600)
            deadline = time.monotonic() + 10
            query = f"/v1/media/{media['id']}/url?variant=thumbnail"
            while (made := await ada("GET", query)).status != 200:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.05)
            async with session.get(made.json["url"]) as answer:
                assert (answer.status, answer.headers["Content-Type"]) == (200, "image/webp")
