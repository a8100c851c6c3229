"""Files at signed addresses, and who gets one, over HTTP on embedded twins."""

from __future__ import annotations

import asyncio
import os
import re
import time
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from edge import file_answer
from runtime.keys import Keys
from runtime.signed_urls import SignedUrls
from tests.edge.whole_house import SECRET_KEY, House, Uploader, house_of
from tests.pictures import claims, image, noise, opened
from tests.system.world import Answer

TEXT = b"0123456789"


@pytest.fixture(scope="module")
async def ada(house: House) -> Uploader:
    return await house.person()


@pytest.fixture(scope="module")
async def media(ada: Uploader) -> Any:
    return await ada.upload(TEXT, "ten.txt")


@pytest.fixture(scope="module")
async def path(house: House, ada: Uploader, media: Any) -> str:
    """A signed address without its origin."""
    return (await ada.url(media)).removeprefix(house.address)


async def refused(house: House, path: str, method: str = "GET") -> None:
    answer = await house.anyone(method, path)
    assert answer.status == 403, path
    assert method == "HEAD" or answer.problem() == "media.signature_invalid"


async def test_an_address_serves_the_file_to_anyone(house: House, media: Any, path: str) -> None:
    answer = await house.anyone("GET", path)
    assert (answer.status, answer.body) == (200, TEXT)
    headers = answer.headers
    assert headers["Content-Type"] == "text/plain"
    assert headers["Content-Disposition"] == 'attachment; filename="ten.txt"'
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in headers["Content-Security-Policy"]
    assert headers["ETag"] == f'"{media["sha256"]}"'
    assert headers["Accept-Ranges"] == "bytes"


async def test_an_image_is_shown_and_an_empty_file_has_a_type(house: House, ada: Uploader) -> None:
    for content, name, kind, how in (
        (image("GIF"), "x.gif", "image/gif", "inline"),
        (b"", "x.csv", "text/csv", "attachment"),
    ):
        media = await ada.upload(content, name)
        answer = await house.anyone("GET", (await ada.url(media)).removeprefix(house.address))
        assert (len(answer.body), answer.headers["Content-Type"]) == (media["size"], kind)
        assert answer.headers["Content-Disposition"] == f'{how}; filename="{name}"'


async def test_head_says_what_get_would(house: House, path: str) -> None:
    got, head = await house.anyone("GET", path), await house.anyone("HEAD", path)
    assert (head.status, head.body) == (200, b"")
    for name in ("Content-Length", "Content-Type", "ETag", "Content-Disposition", "Accept-Ranges"):
        assert head.headers[name] == got.headers[name]


async def test_who_has_it_is_told_so(house: House, media: Any, path: str) -> None:
    tag = f'"{media["sha256"]}"'
    for value in (tag, f"W/{tag}", f'"x", {tag}', "*"):
        answer = await house.anyone("GET", path, if_none_match=value)
        assert (answer.status, answer.body, answer.headers["ETag"]) == (304, b"", tag)
    assert (await house.anyone("GET", path, if_none_match='"x"')).status == 200


@pytest.mark.parametrize(
    ("wanted", "content", "where"),
    [
        ("bytes=0-3", b"0123", "0-3"),
        ("bytes=4-", b"456789", "4-9"),
        ("bytes=-3", b"789", "7-9"),
        ("bytes=-99", TEXT, "0-9"),
        ("bytes=8-99", b"89", "8-9"),
        ("Bytes=9-9", b"9", "9-9"),
    ],
)
async def test_one_range_is_served(house: House, path: str, wanted: str, content: bytes, where: str) -> None:
    answer = await house.anyone("GET", path, range=wanted)
    assert (answer.status, answer.body) == (206, content)
    assert answer.headers["Content-Range"] == f"bytes {where}/10"
    assert answer.headers["Content-Length"] == str(len(content))


@pytest.mark.parametrize(
    "wanted",
    [
        "bytes=0-1,4-5",
        "bytes=" + ",".join(f"{n}-{n}" for n in range(1000)),
        "bytes=-",
        "bytes=5-2",
        "bytes=--1",
        "bytes=-1-2",
        "lines=1-2",
        "bytes=x-",
        "bytes 0-1",
    ],
)
async def test_b101_what_is_no_single_range_is_answered_with_the_whole(house: House, path: str, wanted: str) -> None:
    answer = await house.anyone("GET", path, range=wanted)
    assert (answer.status, answer.body) == (200, TEXT)


@pytest.mark.parametrize("wanted", ["bytes=10-", "bytes=99-100", "bytes=-0"])
async def test_b101_a_range_behind_the_end_is_refused(house: House, path: str, wanted: str) -> None:
    answer = await house.anyone("GET", path, range=wanted)
    assert (answer.status, answer.problem()) == (416, "request.range")
    assert answer.headers["Content-Range"] == "bytes */10"


async def test_a_range_of_something_else_is_answered_with_the_whole(house: House, media: Any, path: str) -> None:
    tag = f'"{media["sha256"]}"'
    assert (await house.anyone("GET", path, range="bytes=0-3", if_range=tag)).status == 206
    for other in ('"x"', f"W/{tag}", "Tue, 24 Nov 2026 00:00:00 GMT"):
        assert (await house.anyone("GET", path, range="bytes=0-3", if_range=other)).status == 200


async def test_b99_a_changed_address_is_refused(house: House, ada: Uploader, media: Any, path: str) -> None:
    other = await ada.upload(TEXT)
    where, _, query = path.partition("?")
    expires = int(re.search(r"expires=(\d+)", query)[1])  # type: ignore[index] # it is there
    signature = query.rpartition("=")[2]
    first, last = signature[0], signature[-1]
    changed = [
        where,
        f"{where}?",
        f"/media/{other['id']}?{query}",
        f"/media/{media['id'].upper()}?{query}",
        f"/media/x?{query}",
        path.replace(f"expires={expires}", f"expires={expires + 1}"),
        path.replace(f"expires={expires}", f"expires=0{expires}"),
        path.replace("variant=original", "variant=thumbnail"),
        path.replace("key=", "key=0"),
        f"{path}&x=1",
        f"{path}&",
        f"{path}&variant=original",
        f"{path}&expires={expires}",
        f"{path}&signature={signature}",
        f"{where}?x=1&{query}",
        f"{where}?{'&'.join(query.split('&')[::-1])}",
        f"{path}=",
        path[:-1],
        path[:-1] + ("A" if last != "A" else "B"),
        path.replace(f"signature={first}", f"signature={'A' if first != 'A' else 'B'}"),
    ]
    for each in changed:
        await refused(house, each)
    await refused(house, changed[-1], "HEAD")
    assert (await house.anyone("GET", path)).status == 200


def test_b99_there_is_one_spelling_of_each_address() -> None:
    urls = SignedUrls([b"key"])
    path, _, query = urls.sign("GET", "/media/0", "original", 100).partition("?")
    assert urls.variant("GET", path, query, 99) == "original"
    assert urls.variant("GET", "/media/%30", query, 99) is None
    assert urls.variant("GET", path, query.replace("original", "origina%6c"), 99) is None
    assert urls.variant("GET", path, query.replace("&", "%26"), 99) is None
    assert urls.variant("GET", path, query + "\udcff", 99) is None


async def test_b99_another_method_is_refused(house: House, path: str) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        answer = await house.anyone(method, path)
        assert (answer.status, answer.problem()) == (405, "route.method_not_allowed")
        assert answer.headers["Allow"] == "GET, HEAD, OPTIONS"


async def test_b100_an_expired_address_is_refused(house: House, media: Any) -> None:
    where, now = f"/media/{media['id']}", int(time.time())
    urls = SignedUrls(Keys(SECRET_KEY.encode()).signing("media", "1"))
    assert (await house.anyone("GET", urls.sign("GET", where, "original", now + 60))).status == 200
    await refused(house, urls.sign("GET", where, "original", now))
    await refused(house, urls.sign("GET", where, "original", now - 1))
    await refused(house, SignedUrls([b"another key"]).sign("GET", where, "original", now + 60))


async def test_an_address_is_good_as_long_as_was_asked_for(ada: Uploader, media: Any) -> None:
    for query, seconds in (("", 300), ("?expires_in=1", 1), ("?expires_in=604800&variant=original", 604_800)):
        answer = await ada("GET", f"/v1/media/{media['id']}/url{query}")
        expires = datetime.fromisoformat(answer.json["expires_at"]).timestamp()
        assert abs(expires - time.time() - seconds) < 5
        assert f"expires={int(expires)}&" in answer.json["url"]
    for query in ("?expires_in=0", "?expires_in=604801", "?variant=large", "?x=1", "?expires_in=1&expires_in=2"):
        wrong = await ada("GET", f"/v1/media/{media['id']}/url{query}")
        assert (wrong.status, wrong.problem()) == (422, "request.invalid")


async def test_a_thumbnail_has_an_address_once_it_is_made(house: House, ada: Uploader) -> None:
    media = await ada.upload(image("PNG", (1000, 500)), "x.png")
    deadline = time.monotonic() + 10
    while (answer := await ada("GET", f"/v1/media/{media['id']}/url?variant=thumbnail")).status != 200:
        assert (answer.status, answer.problem()) == (409, "media.not_ready")
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
    served = await house.anyone("GET", answer.json["url"].removeprefix(house.address))
    assert (served.status, served.headers["Content-Type"]) == (200, "image/webp")
    assert opened(served.body).size == (512, 256)
    text = await ada.upload(TEXT, "x.txt")
    nothing = await ada("GET", f"/v1/media/{text['id']}/url?variant=thumbnail")
    assert (nothing.status, nothing.problem()) == (404, "media.not_found")


async def test_b94_b95_what_cannot_be_decoded_is_refused(ada: Uploader) -> None:
    for content in (claims(50_000, 50_000), noise("PNG", (99, 99))[:9000]):
        answer = await ada.post([("file", "x.png", content)])
        assert (answer.status, answer.problem()) == (422, "media.image_invalid")


async def test_an_avatar_is_shown_to_anyone(house: House, ada: Uploader) -> None:
    media = await ada.upload(image("PNG", (1000, 500)), "x.png", visibility="public")
    deadline = time.monotonic() + 10
    while (answer := await house.anyone("GET", f"/avatars/{media['id']}/128")).status != 200:
        assert (answer.status, answer.problem()) == (404, "media.not_found")
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
    assert opened(answer.body).size == (128, 128)
    assert answer.headers["Cache-Control"] == "public, max-age=86400"
    again = await house.anyone("GET", f"/avatars/{media['id']}/128", if_none_match=answer.headers["ETag"])
    assert again.status == 304
    private = await ada.upload(image("PNG", (1000, 500)), "x.png")
    for path in (f"{media['id']}/127", f"{media['id']}/x", f"{media['id']}/thumbnail", f"{private['id']}/128", "x/128"):
        hidden = await house.anyone("GET", f"/avatars/{path}")
        assert (hidden.status, hidden.problem()) == (404, "media.not_found"), path


async def test_an_avatar_is_chosen_among_ones_own_public_images(house: House, ada: Uploader) -> None:
    eve = await house.person("Eve")
    media = await ada.upload(image("PNG", (90, 90)), "x.png", visibility="public")
    private = await ada.upload(image("PNG", (90, 80)), "x.png")
    others = await eve.upload(image("PNG", (90, 70)), "x.png", visibility="public")
    for refused in (private, others):
        answer = await ada.api("PATCH", "/v1/me", {"avatar_media_id": refused["id"]})
        assert [fault["pointer"] for fault in answer.json["errors"]] == ["/avatar_media_id"]
    answer = await ada.api("PATCH", "/v1/me", {"avatar_media_id": media["id"]})
    assert (answer.status, answer.json["avatar_url"]) == (200, f"{house.address}/avatars/{media['id']}/256")
    cleared = await ada.api("PATCH", "/v1/me", {"avatar_media_id": None})
    assert cleared.json["avatar_url"] is None


def test_an_address_outlives_the_change_of_its_key() -> None:
    keys = Keys(b"a secret")
    old, both, new = [SignedUrls(keys.signing("media", names)) for names in ("1", "2,1", "2")]
    before, after = old.sign("GET", "/media/0", "original", 100), both.sign("GET", "/media/0", "original", 100)
    assert before != after == new.sign("GET", "/media/0", "original", 100)

    def is_good(urls: SignedUrls, address: str) -> bool:
        path, _, query = address.partition("?")
        return urls.variant("GET", path, query, 99) == "original"

    assert [is_good(urls, before) for urls in (old, both, new)] == [True, True, False]
    assert [is_good(urls, after) for urls in (old, both, new)] == [False, True, True]
    # the name of a key cannot be changed for another's
    swapped = before.replace(before.partition("key=")[2][:8], after.partition("key=")[2][:8])
    assert not is_good(both, swapped)


async def test_media_base_url_is_where_files_are_fetched(tmp_path_factory: pytest.TempPathFactory) -> None:
    async with house_of(tmp_path_factory.mktemp("var"), media_base_url="https://files.example.org/") as house:
        ada = await house.person()
        url = await ada.url(await ada.upload(TEXT))
        assert url.startswith("https://files.example.org/media/")
        assert (await house.anyone("GET", url.removeprefix("https://files.example.org"))).body == TEXT


async def test_a_removed_file_has_no_address_any_more(house: House, ada: Uploader) -> None:
    media = await ada.upload()
    url = (await ada.url(media)).removeprefix(house.address)
    assert (await ada("DELETE", f"/v1/media/{media['id']}", idempotency_key="gone")).status == 204
    again = await ada("DELETE", f"/v1/media/{media['id']}", idempotency_key="gone")
    assert (again.status, again.headers["Idempotency-Replayed"]) == (204, "true")
    for answer in (
        await house.anyone("GET", url),
        await ada("GET", f"/v1/media/{media['id']}"),
        await ada("GET", f"/v1/media/{media['id']}/url"),
        await ada("DELETE", f"/v1/media/{media['id']}"),
    ):
        assert (answer.status, answer.problem()) == (404, "media.not_found")


async def test_access_to_a_file_is_access_to_its_task(house: House, ada: Uploader) -> None:
    bob, eve = await house.person("Bob"), await house.person("Eve")
    task = await ada.task()
    attached = await ada.upload(task_id=task["id"])
    paths = {
        f"/v1/media/{attached['id']}": "media.not_found",
        f"/v1/media/{attached['id']}/url": "media.not_found",
        f"/v1/tasks/{task['id']}/attachments": "task.not_found",
    }
    for path, code in paths.items():
        assert (await ada("GET", path)).status == 200
        hidden = await bob("GET", path)
        assert (hidden.status, hidden.problem()) == (404, code)
    await ada.join(task["project_id"], bob, "viewer")
    for path in paths:
        assert (await bob("GET", path)).status == 200
    viewer = await bob.post([("task_id", None, task["id"].encode()), ("file", "a.txt", b"x")])
    assert (viewer.status, viewer.problem()) == (403, "auth.forbidden")
    forbidden = await bob("DELETE", f"/v1/media/{attached['id']}")
    assert (forbidden.status, forbidden.problem()) == (403, "auth.forbidden")
    unseen = await eve("DELETE", f"/v1/media/{attached['id']}")
    assert (unseen.status, unseen.problem()) == (404, "media.not_found")
    await ada.join(task["project_id"], bob, "owner")
    stale = await bob("DELETE", f"/v1/media/{attached['id']}", if_match='"7"')
    assert (stale.status, stale.problem()) == (412, "request.precondition_failed")
    assert (await bob("DELETE", f"/v1/media/{attached['id']}", if_match='"1"')).status == 204
    assert (await ada("GET", f"/v1/tasks/{task['id']}/attachments")).json == {"items": [], "next_cursor": None}


async def test_what_is_no_id_is_not_found(ada: Uploader) -> None:
    for path in ("/v1/media/1", "/v1/media/1/url"):
        answer = await ada("GET", path)
        assert (answer.status, answer.problem()) == (404, "media.not_found")
    answer = await ada("GET", "/v1/tasks/1/attachments")
    assert (answer.status, answer.problem()) == (404, "task.not_found")


async def test_a_large_file_is_served_as_fast_as_it_is_read(house: House, ada: Uploader) -> None:
    content = b"a line of the file\n" * 1_000_000
    url = await ada.url(await ada.upload(content, "large.txt"))
    async with aiohttp.ClientSession(read_bufsize=1 << 12) as session, session.get(url) as answer:
        first = await answer.content.readexactly(1000)
        await asyncio.sleep(0.1)  # meanwhile buffers fill up, and the edge waits
        assert first + await answer.content.read() == content


async def test_the_document_knows_all_calls(house: House) -> None:
    document: Answer = await house.anyone("GET", "/openapi.json")
    paths = document.json["paths"]
    body = paths["/v1/media"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]["$ref"]
    schema = document.json["components"]["schemas"][body.rpartition("/")[2]]
    assert set(schema["properties"]) == {"file", "visibility", "task_id"}
    assert schema["required"] == ["file"]
    assert {"get", "delete"} == set(paths["/v1/media/{id}"])
    assert {"200", "206", "304", "403", "416"} <= set(paths["/media/{id}"]["get"]["responses"])


async def test_b22_who_does_not_read_a_large_file_is_cut_off(
    house: House, ada: Uploader, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = b"".join(b"%015d\n" % n for n in range(12 * 65536))
    path = (await ada.url(await ada.upload(content, "lines.txt"))).removeprefix(house.address)
    monkeypatch.setattr(file_answer, "WRITE_S", 0.1)
    address = urlsplit(house.address)
    reader, writer = await asyncio.open_connection(address.hostname, address.port, limit=1 << 10)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    await asyncio.sleep(0.5)  # what is measured: not to read for that long
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await reader.readexactly(len(content))
    writer.close()


async def test_a_file_that_was_cut_short_ends_without_its_end(house: House, ada: Uploader) -> None:
    media = await ada.upload(b"line\n" * 2000, "lines.txt")
    objects = (Path(house.app.settings.var_dir) / "media").rglob("*")
    (stored,) = [path for path in objects if path.is_file() and path.read_bytes().startswith(b"line\n")]
    os.truncate(stored, 5_512)
    with pytest.raises(aiohttp.ClientPayloadError):
        await house.anyone("GET", (await ada.url(media)).removeprefix(house.address))
