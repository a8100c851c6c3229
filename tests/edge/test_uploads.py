"""Uploads over HTTP, on embedded twins."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from actors.media_actor import MediaActor
from config.settings import Settings
from edge.form import FormReader
from edge.listener import Listener
from edge.problems import Problem
from runtime import connect
from runtime.late_blobs import LateBlobs
from tests.edge.key_keeper import USER, KeyKeeper
from tests.edge.stand import edge_of
from tests.edge.whole_house import BOUNDARY, House, Parts, Uploader, form, house_of
from tests.sql import sql
from tests.system.world import Api

LIMIT = 300_000


@pytest.fixture(scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    async with house_of(tmp_path_factory.mktemp("var"), upload_limit=LIMIT) as house:
        yield house


@pytest.fixture(scope="module")
async def ada(house: House) -> Uploader:
    return await house.person()


def files(house: House) -> set[Path]:
    """All that lies in the folder of objects, also what is being written."""
    folder = Path(house.app.settings.var_dir) / "media"
    return {Path(parent) / name for parent, _, names in os.walk(folder) for name in names}


async def until_only(house: House, kept: set[Path]) -> None:
    """Until nothing but that is there; of the same content twice, one may have gone meanwhile."""
    deadline = time.monotonic() + 10
    while not files(house) <= kept:
        assert time.monotonic() < deadline, files(house) - kept
        await asyncio.sleep(0.02)


async def test_the_parts_of_a_form_come_in_any_order(ada: Uploader) -> None:
    task = await ada.task()
    parts: Parts = [("file", "a.txt", b"text"), ("visibility", None, b"public"), ("task_id", None, task["id"].encode())]
    for order in (parts, parts[::-1], [parts[1], parts[0], parts[2]]):
        answer = await ada.post(order)
        assert answer.status == 201, answer
        media = answer.json
        assert (media["visibility"], media["task_id"], media["status"]) == ("public", task["id"], "ready")
        assert answer.headers["Location"] == f"/v1/media/{media['id']}"
        assert answer.headers["ETag"] == '"1"'
        got = await ada("GET", answer.headers["Location"])
        assert (got.status, got.json) == (200, media)
        assert (await ada("GET", answer.headers["Location"], if_none_match='"1"')).status == 304
    listed = await ada("GET", f"/v1/tasks/{task['id']}/attachments?limit=2")
    assert len(listed.json["items"]) == 2
    assert listed.json["next_cursor"]
    deadline = time.monotonic() + 5
    while (await ada("GET", f"/v1/tasks/{task['id']}")).json["attachment_count"] != 3:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


async def test_the_same_upload_with_the_same_key_is_made_once(house: House, ada: Uploader) -> None:
    first = await ada.post([("file", "a.txt", b"of its own")], idempotency_key="one")
    assert first.status == 201
    kept = files(house)
    again = await ada.post([("file", "a.txt", b"of its own")], boundary="another", idempotency_key="one")
    assert (again.status, again.body) == (201, first.body)
    assert again.headers["Idempotency-Replayed"] == "true"
    for parts in ([("file", "a.txt", b"texT")], [("file", "b.txt", b"of its own")]):
        reused = await ada.post(parts, idempotency_key="one")
        assert (reused.status, reused.problem()) == (422, "idempotency.key_reused")
    refused = [await ada.post([("file", "x.png", b"MZ\0\0")], idempotency_key="two") for _ in range(2)]
    assert [each.problem() for each in refused] == ["media.type_not_allowed"] * 2
    assert refused[1].headers["Idempotency-Replayed"] == "true"
    faulty: Parts = [("file", "a.txt", b"text"), ("visibility", None, b"hidden")]
    refused = [await ada.post(faulty, idempotency_key="three") for _ in range(2)]
    assert [each.problem() for each in refused] == ["request.invalid"] * 2
    assert refused[1].headers["Idempotency-Replayed"] == "true"
    assert (await ada.post([("file", "a.txt", b"text")], idempotency_key="three")).problem() == "idempotency.key_reused"
    await until_only(house, kept)


async def test_b91_a_file_of_the_limit_is_taken_and_one_byte_more_is_not(house: House, ada: Uploader) -> None:
    assert (await ada.upload(b"x" * LIMIT))["size"] == LIMIT
    kept = files(house)
    for size in (LIMIT + 1, 2 * LIMIT):
        answer = await ada.post([("file", "a.txt", b"x" * size)])
        assert (answer.status, answer.problem()) == (413, "request.too_large")
    await until_only(house, kept)


async def test_b91_a_length_that_is_too_much_is_refused_before_anything_is_sent(house: House, ada: Uploader) -> None:
    head = form([("file", "a.txt", b"")]).partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    status, _ = await raw(house, ada, [head], length=LIMIT * 10)
    assert status == 413


async def test_b91_a_length_that_lies_is_no_upload(house: House, ada: Uploader) -> None:
    kept = files(house)
    body = form([("file", "a.txt", b"text")])
    status, _ = await raw(house, ada, [body[:-20]], length=len(body) - 20)  # less than the form
    assert status == 400
    status, _ = await raw(house, ada, [body], length=len(body) + 1000, end=True)  # more than comes
    assert status in (400, None)
    await until_only(house, kept)


async def test_b91_chunked_bodies_are_counted_too(ada: Uploader) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, 3 * LIMIT, 1000):
            yield form([("file", "a.txt", b"")])[:-16] if start == 0 else b"x" * 1000

    async with aiohttp.ClientSession() as session:
        headers = {
            "Authorization": f"Bearer {ada.api.token}",
            "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
        }
        async with session.post(f"{ada.api.address}/v1/media", data=pieces(), headers=headers) as answer:
            assert answer.status == 413


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../x", "x"),
        ("C:\\dir\\x", "x"),
        ("a\0b", "ab"),
        ("x" * 5000, "x" * 255),
        (".htaccess", ".htaccess"),
        ("\u202egpj.exe", "gpj.exe"),
        ("", "file"),
        ("a%22b.txt", 'a"b.txt'),
    ],
)
async def test_b92_names_are_cleaned_and_keys_are_ours(house: House, ada: Uploader, given: str, kept: str) -> None:
    media = await ada.upload(ascii(given[:99]).encode(), given)
    assert media["filename"] == kept
    assert any(path.parts[-2:] == (media["id"], "original") for path in files(house))
    url = await ada.url(media)
    served = await house.anyone("GET", url.removeprefix(house.address))
    assert served.status == 200
    assert served.headers["Content-Disposition"].startswith("attachment; filename=")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.png", b"<html><script>alert(1)</script>"),
        ("x.svg", b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"),
        ("x.png", b"MZ\x90\0\3\0\0\0"),
        ("x.gif", b"GIF89a/*<script>alert(1)</script>*/"),
        ("x.php.png", b"<?php system($_GET[1]);"),
        ("x.txt.sh", b"#!/bin/sh\n"),
    ],
)
async def test_b93_scripts_and_programs_are_refused_and_gone(
    house: House, ada: Uploader, name: str, content: bytes
) -> None:
    kept = files(house)
    answer = await ada.post([("file", name, content)])
    assert (answer.status, answer.problem()) == (415, "media.type_not_allowed")
    await until_only(house, kept)


def _headed(*lines: str, content: bytes = b"x") -> bytes:
    return (
        f"--{BOUNDARY}\r\n".encode()
        + "\r\n".join(lines).encode()
        + b"\r\n\r\n"
        + content
        + f"\r\n--{BOUNDARY}--\r\n".encode()
    )


FILE_LINE = 'Content-Disposition: form-data; name="file"; filename="a.txt"'
BAD_FORMS = {
    "10 000 parts": form([("visibility", None, b"public"), *((f"f{n}", None, b"") for n in range(10_000))]),
    "10 000 times the same part": form([("visibility", None, b"public")] * 10_000),
    "a head of 8 kB": _headed(FILE_LINE, f"X-Long: {'x' * 8000}"),
    "a hundred head lines": _headed(FILE_LINE, *(f"X-{n}: x" for n in range(100))),
    "a head without an end": f"--{BOUNDARY}\r\n".encode() + b"X" * 200_000,
    "nested": _headed(FILE_LINE, "Content-Type: multipart/mixed; boundary=inner"),
    "encoded": _headed(FILE_LINE, "Content-Transfer-Encoding: base64"),
    "_charset_": form([("_charset_", None, b"utf-7"), ("file", "a.txt", b"x")]),
    "a long preamble": b"x" * 200_000 + form([("file", "a.txt", b"x")]),
    "a long field": form([("visibility", None, b"x" * 100_000), ("file", "a.txt", b"x")]),
    "another boundary": form([("file", "a.txt", b"x")], boundary="other"),
    "no end": form([("file", "a.txt", b"x")])[:-4],
    "nothing": b"",
    "only the end": f"--{BOUNDARY}--\r\n".encode(),
    "no name": _headed("Content-Disposition: form-data"),
    "no disposition": _headed("Content-Type: text/plain"),
    "not form-data": _headed('Content-Disposition: attachment; name="file"'),
    "a name that is no UTF-8": _headed(FILE_LINE).replace(b"a.txt", b"\xff.txt"),
    "a value that is no UTF-8": form([("visibility", None, b"\xff"), ("file", "a.txt", b"x")]),
    "line feeds alone": form([("file", "a.txt", b"x")]).replace(b"\r\n", b"\n"),
}


@pytest.mark.parametrize("body", BAD_FORMS.values(), ids=BAD_FORMS)
async def test_b97_a_form_that_is_none_is_refused(house: House, ada: Uploader, body: bytes) -> None:
    kept = files(house)
    started = time.monotonic()
    answer = await ada.send(body)
    assert answer.status in (400, 413, 422), answer
    assert answer.problem().startswith("request.")
    assert time.monotonic() - started < 2
    await until_only(house, kept)


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/json", 415),
        ("text/plain", 415),
        ("multipart/mixed; boundary=boundary", 415),
        ("multipart/form-data", 400),
        ("multipart/form-data; boundary=", 400),
        ('multipart/form-data; boundary=""', 400),
        (f"multipart/form-data; boundary={'x' * 71}", 400),
    ],
)
async def test_b97_what_says_that_it_is_no_form_is_refused(ada: Uploader, kind: str, status: int) -> None:
    answer = await ada.send(form([("file", "a.txt", b"x")]), content_type=kind)
    assert answer.status == status
    compressed = await ada.send(form([("file", "a.txt", b"x")]), content_encoding="gzip")
    assert compressed.status == 415


@pytest.mark.parametrize(
    ("parts", "pointers"),
    [
        ([("visibility", None, b"public")], ["/file"]),
        ([("file", "a.txt", b"x"), ("file", "b.txt", b"x")], ["/file"]),
        ([("visibility", None, b"public")] * 2, ["/visibility"]),
        ([("unknown", None, b"x"), ("file", "a.txt", b"x")], ["/unknown"]),
        ([("upload", None, b"x"), ("file", "a.txt", b"x")], ["/upload"]),
        ([("visibility", None, b"all"), ("task_id", None, b"1"), ("file", "a.txt", b"x")], ["/visibility", "/task_id"]),
        ([("task_id", None, b"01a20bcc-acb5-7000-971e-45359f8ce9c4"), ("file", "a.txt", b"x")], ["/task_id"]),
    ],
)
async def test_wrong_fields_are_named(house: House, ada: Uploader, parts: Parts, pointers: list[str]) -> None:
    kept = files(house)
    answer = await ada.post(parts)
    assert (answer.status, answer.problem()) == (422, "request.invalid")
    assert [fault["pointer"] for fault in answer.json["errors"]] == pointers
    await until_only(house, kept)


async def test_an_unknown_query_parameter_is_named(ada: Uploader) -> None:
    answer = await ada.api(
        "POST",
        "/v1/media?x=1",
        body=form([("file", "a.txt", b"x")]),
        content_type=f"multipart/form-data; boundary={BOUNDARY}",
    )
    assert [fault["pointer"] for fault in answer.json["errors"]] == ["?x"]


async def test_uploads_need_a_caller(house: House) -> None:
    answer = await house.anyone(
        "POST", "/v1/media", body=form([("file", "a", b"x")]), content_type=f"multipart/form-data; boundary={BOUNDARY}"
    )
    assert (answer.status, answer.problem()) == (401, "auth.required")


async def test_a_client_that_waits_is_told_to_go_on(house: House, ada: Uploader) -> None:
    body = form([("file", "a.txt", b"text")])
    status, said = await raw(house, ada, [body], length=len(body), expect=True)
    assert status == 201
    assert said.startswith(b"HTTP/1.1 100 Continue\r\n\r\n")


async def test_b98_a_hundred_aborted_uploads_leave_nothing(house: House, ada: Uploader) -> None:
    kept = files(house)
    begun = form([("file", "a.txt", b"x" * 100_000)])[:50_000]

    async def abort() -> None:
        await raw(house, ada, [begun], length=200_000, end=True)

    await asyncio.gather(*(abort() for _ in range(100)))
    await until_only(house, kept)
    store = house.app._stores["media"]
    deadline = time.monotonic() + 10
    while await sql(store.reader).fetch("select id from media where status = 'pending'"):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


async def test_while_the_task_actor_is_away_nobody_says_that_there_is_no_task(tmp_path: Path) -> None:
    blob_url, keeper = f"file:{tmp_path}/blobs", KeyKeeper()
    blobs = LateBlobs(connect.blobs(Settings(blob_url=blob_url)))
    media = MediaActor(blobs=blobs, settings=Settings(), signing_keys=[b"key"])
    async with edge_of(tmp_path, keeper, media, blob_url=blob_url) as (_, address), aiohttp.ClientSession() as session:
        ada = Uploader(Api(session, address, keeper.token(), {"id": USER}))
        assert (await ada.post([("file", "a.txt", b"x")])).status == 201
        answer = await ada.post([("task_id", None, USER.encode()), ("file", "a.txt", b"x")], prefer="wait=0.4")
        assert (answer.status, answer.problem()) == (504, "edge.timeout")
        assert "The task actor" in answer.json["detail"]
    await blobs.close()


async def test_a_store_that_is_slow_slows_the_client_down(tmp_path: Path) -> None:
    """What the store does not take stays with the client: neither here nor in buffers does the file pile up."""
    go_on = asyncio.Event()
    taken = 0

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        nonlocal taken

        async def store(content: AsyncIterator[bytes]) -> None:
            nonlocal taken
            reader.allow(1 << 30)
            async for piece in content:
                taken += len(piece)
                await go_on.wait()

        reader = FormReader(request, ())
        try:
            await reader.read(store)
        except Problem as problem:
            return problem.answer("-")
        return web.Response(status=204)

    runner = web.ServerRunner(Listener(handle))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    size, piece = 64 << 20, b"x" * (1 << 20)
    head, tail = form([("file", "a.txt", b"")])[:-16], form([])
    length = len(head) + size + len(tail) + 2
    writer.write(
        f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n".encode()
        + head
    )
    sent = 0
    while sent < size:
        writer.write(piece)
        sent += len(piece)
        try:
            async with asyncio.timeout(0.5):
                await writer.drain()
        except TimeoutError:
            break
    assert sent < 32 << 20
    assert taken < 1 << 20
    go_on.set()
    while sent < size:
        writer.write(piece)
        sent += len(piece)
        await writer.drain()
    writer.write(b"\r\n" + tail)
    assert b" 204 " in await reader.readline()
    assert taken == size
    writer.close()
    await runner.cleanup()


async def raw(
    house: House, ada: Uploader, pieces: list[bytes], *, length: int, end: bool = False, expect: bool = False
) -> tuple[int | None, bytes]:
    """Send exactly that, after a head that promises `length` bytes; the last status and all that came back.

    :param end: close the connection after it, in the middle of the body.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", int(house.address.rpartition(":")[2]))
    writer.write(
        f"POST /v1/media HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {ada.api.token}\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\nContent-Length: {length}\r\n".encode()
        + (b"Expect: 100-continue\r\n\r\n" if expect else b"\r\n")
    )
    said = b""
    if expect:
        said = await reader.readuntil(b"\r\n\r\n")
    for piece in pieces:
        writer.write(piece)
    await writer.drain()
    if end:
        writer.close()
        await writer.wait_closed()
        return None, b""
    said += await reader.read()
    writer.close()
    lines = [line for line in said.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]
    return (int(lines[-1].split()[1]) if lines else None), said
