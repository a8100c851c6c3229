"""Files that go straight into the object store; on each kind of store, with a folder and with S3."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
import zipfile
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from actors.contracts.media import (
    BeginUpload,
    Begun,
    CompleteUpload,
    DeleteMedia,
    GetMedia,
    GetMediaUrl,
    GetUploadTicket,
    Media,
    MediaAttached,
    RemoveObjects,
)
from actors.contracts.task import DeleteTask
from runtime.errors import Conflict, Forbidden, Invalid, NotFound, TooLarge, Unsupported
from tests.actors.conftest import schemas
from tests.actors.office import Office, office_of
from tests.pictures import GPS, claims, image, noise, opened, photograph

TEXT = b"a line of text\n"
QUOTA = 100_000


@pytest.fixture(scope="module")
async def stand(database: str | None, blob_url: str, run_id: str) -> AsyncIterator[Office]:
    async with contextlib.AsyncExitStack() as stack:
        name = f"direct_{blob_url[:2]}_{run_id}"
        store_url = await stack.enter_async_context(schemas(database, name)) if database else None
        yield await stack.enter_async_context(
            office_of(store_url, blob_url, direct_upload_limit=50_000, quota_media_bytes_per_user=QUOTA)
        )


@pytest.fixture
def office(stand: Office) -> Office:
    return stand.another()


async def begin(office: Office, content: bytes, name: str = "a.txt", kind: str = "text/plain", **fields: Any) -> Begun:
    command = BeginUpload(filename=name, content_type=kind, **{"size": len(content), **fields})
    return await office.stage.ask(command, caller=office.ada, grants=await office.word(command.task_id, office.ada))


async def send(office: Office, begun: Begun, content: bytes) -> None:
    """What the client does, or the edge does for it."""
    if begun.upload.url.startswith("http://edge.test"):
        ticket = await office.stage.ask(GetUploadTicket(id=begun.media.id))

        async def pieces() -> AsyncIterator[bytes]:
            yield content

        await office.blobs.put(ticket.key, pieces(), content_type="application/octet-stream")
        return
    async with (
        aiohttp.ClientSession() as session,
        session.put(begun.upload.url, data=content, headers=begun.upload.headers) as answer,
    ):
        assert answer.status == 200


async def complete(office: Office, begun: Begun, caller: str | None = None) -> Media:
    caller = caller or office.ada
    grants = await office.word(begun.media.task_id, caller)
    return await office.stage.ask(CompleteUpload(id=begun.media.id), caller=caller, grants=grants)


async def direct(office: Office, content: bytes, *args: str, **fields: Any) -> Media:
    begun = await begin(office, content, *args, **fields)
    await send(office, begun, content)
    return await complete(office, begun)


async def left(office: Office, begun: Begun) -> set[str]:
    """What is in the object store of it."""
    await office.stage.drain()
    return {blob.key async for blob in office.blobs.list("") if begun.media.id in blob.key}


async def test_an_announced_file_is_pending_until_it_is_completed(office: Office) -> None:
    digest = hashlib.sha256(TEXT).hexdigest()
    begun = await begin(office, TEXT, "../x/list.csv", "Text/CSV; charset=utf-8", sha256=digest, visibility="public")
    media = begun.media
    assert (media.status, media.filename, media.content_type) == ("pending", "list.csv", "text/csv")
    assert (media.size, media.sha256, media.version, media.visibility) == (len(TEXT), digest, 1, "public")
    assert (begun.upload.method, begun.upload.headers["Content-Length"]) == ("PUT", str(len(TEXT)))
    with pytest.raises(Conflict, match=r"media\.not_ready"):
        await office.stage.ask(GetMediaUrl(id=media.id), caller=office.ada)
    await send(office, begun, TEXT)
    ready = await complete(office, begun)
    assert (ready.status, ready.size, ready.sha256, ready.version) == ("ready", len(TEXT), digest, 2)
    assert await office.content(ready) == TEXT
    assert await complete(office, begun) == ready
    assert await office.stage.ask(GetMedia(id=media.id), caller=office.ada) == ready


async def test_an_image_is_encoded_anew_and_has_a_thumbnail(office: Office) -> None:
    content = photograph()
    sent = hashlib.sha256(content).hexdigest()
    begun = await begin(office, content, "a.jpg", "image/jpeg", sha256=sent)
    await send(office, begun, content)
    media = await complete(office, begun)
    served = await office.content(media)
    assert (media.width, media.height, media.size) == (30, 40, len(served))
    assert media.sha256 == hashlib.sha256(served).hexdigest() != sent
    assert GPS not in served
    assert {key.rpartition("/")[2] for key in await left(office, begun)} == {"image", "thumbnail"}
    assert opened(await office.content(media, "thumbnail")).format == "WEBP"


@pytest.mark.parametrize(
    ("content", "fields"),
    [
        (TEXT, {"size": len(TEXT) + 1}),
        (TEXT, {"sha256": "0" * 64}),
        (TEXT, {"kind": "text/csv"}),
        (TEXT, {"kind": "image/png", "name": "a.png"}),
        (b"<html>", {}),
        (b"MZ\0\0", {"kind": "application/zip"}),
        (image("PNG"), {"kind": "image/jpeg"}),
        (None, {}),
    ],
)
async def test_what_is_not_what_was_announced_is_rejected(
    office: Office, content: bytes | None, fields: dict[str, Any]
) -> None:
    begun = await begin(office, content or TEXT, **fields)
    if content is not None:
        # past the address, which takes only what was announced, where the store looks at that
        async def pieces() -> AsyncIterator[bytes]:
            yield content or b""

        await office.blobs.put(f"incoming/{begun.media.id}", pieces(), content_type="application/octet-stream")
    await rejected(office, begun, "media.mismatch")


@pytest.mark.parametrize("content", [claims(50_000, 50_000), noise("PNG", (99, 99))[:9000]], ids=["pixels", "broken"])
async def test_b94_b95_an_image_that_cannot_be_decoded_is_rejected(office: Office, content: bytes) -> None:
    begun = await begin(office, content, "a.png", "image/png")
    await send(office, begun, content)
    await rejected(office, begun, "media.image_invalid")


async def rejected(office: Office, begun: Begun, code: str) -> None:
    for _ in range(2):
        with pytest.raises(Invalid, match=code):
            await complete(office, begun)
    assert not await left(office, begun)
    media = await office.stage.ask(GetMedia(id=begun.media.id), caller=office.ada)
    assert (media.status, media.version) == ("rejected", 2)
    with pytest.raises(Conflict, match=r"media\.not_ready"):
        await office.stage.ask(GetMediaUrl(id=media.id), caller=office.ada)
    with pytest.raises(NotFound):
        await office.stage.ask(GetUploadTicket(id=media.id))
    await office.stage.ask(DeleteMedia(id=media.id), caller=office.ada)
    # and its bytes no longer count
    await begin(office, b"", size=50_000)
    await begin(office, b"", size=50_000)


async def test_what_comes_after_completion_changes_nothing(office: Office) -> None:
    begun = await begin(office, TEXT)
    await send(office, begun, TEXT)
    media = await complete(office, begun)

    async def evil() -> AsyncIterator[bytes]:
        yield b"<html>" + TEXT[6:]

    await office.blobs.put(f"incoming/{media.id}", evil(), content_type="text/html")
    assert await complete(office, begun) == media
    assert await office.content(media) == TEXT
    await office.stage.given(RemoveObjects(unfinished=True))
    assert len(await left(office, begun)) == 2
    (arrived,) = [blob.modified_at async for blob in office.blobs.list(f"incoming/{media.id}")]
    now, office.stage.now = office.stage.now, arrived + 49 * 3_600_000  # the object store has a clock of its own
    await office.stage.given(RemoveObjects(unfinished=True))
    office.stage.now = now
    assert await left(office, begun) == {f"media/{media.id}/original"}


async def test_many_completions_at_once_are_one(office: Office) -> None:
    begun = await begin(office, TEXT)
    await send(office, begun, TEXT)
    office.events()
    replies = await asyncio.gather(*(complete(office, begun) for _ in range(5)), return_exceptions=True)
    ready = await complete(office, begun)
    assert ready in replies
    for reply in replies:
        assert reply == ready or "looked at" in str(reply), reply
    assert await office.content(ready) == TEXT


async def test_an_attempt_that_died_is_taken_up(office: Office) -> None:
    begun = await begin(office, TEXT)
    await send(office, begun, TEXT)
    await office.blobs.move(f"incoming/{begun.media.id}", f"media/{begun.media.id}/original")
    assert (await complete(office, begun)).status == "ready"


async def test_announcing_needs_an_allowed_type_room_and_a_task_that_can_be_written(office: Office) -> None:
    for kind in ("text/html", "image/svg+xml", "application/x-msdownload", "", "png"):
        with pytest.raises(Unsupported, match=r"media\.type_not_allowed"):
            await begin(office, TEXT, kind=kind)
    with pytest.raises(TooLarge, match=r"request\.too_large"):
        await begin(office, b"", size=50_001)
    task = await office.task(await office.project())
    with pytest.raises(Invalid, match=r"request\.invalid") as caught:
        await office.stage.ask(
            BeginUpload(filename="x", content_type="text/plain", size=1, task_id=task.id), caller=office.eve
        )
    assert [fault.pointer for fault in caught.value.faults] == ["/task_id"]
    await begin(office, b"", size=50_000)
    await begin(office, b"", size=50_000)
    with pytest.raises(Conflict, match=r"quota\.exceeded"):
        await begin(office, b"", size=1)


async def test_b84_announced_bytes_are_counted_once_and_at_once(office: Office) -> None:
    await begin(office, b"", size=50_000)
    replies = await asyncio.gather(*(begin(office, b"", size=40_000) for _ in range(20)), return_exceptions=True)
    assert sum(isinstance(reply, Begun) for reply in replies) == 1


async def test_an_attachment_is_one_when_it_is_completed(office: Office) -> None:
    project = await office.project()
    await office.join(project, office.bob)
    task, trashed = await office.task(project), await office.task(project)
    begun, late = await begin(office, TEXT, task_id=task.id), await begin(office, TEXT, task_id=trashed.id)
    await send(office, begun, TEXT)
    await office.stage.ask(DeleteTask(id=trashed.id), caller=office.ada)
    with pytest.raises(Conflict, match=r"task\.deleted"):
        await complete(office, late)
    with pytest.raises(Forbidden, match=r"auth\.forbidden"):
        await complete(office, begun, office.bob)
    with pytest.raises(NotFound, match=r"media\.not_found"):
        await complete(office, begun, office.eve)
    office.events()
    media = await complete(office, begun)
    (event,) = office.events()
    assert isinstance(event, MediaAttached)
    assert (event.media, event.attachments.files) == (media, 1)


async def test_b98_what_nobody_completes_is_swept_away(office: Office) -> None:
    begun = await begin(office, b"", size=50_000)
    begun = await begin(office, TEXT)
    await send(office, begun, TEXT)
    office.stage.advance(hours=23)
    await office.stage.tick("media", "sweep")
    assert await left(office, begun)
    office.stage.advance(hours=1, seconds=1)
    await office.stage.tick("media", "sweep")
    assert not await left(office, begun)
    with pytest.raises(NotFound):
        await complete(office, begun)
    await begin(office, b"", size=50_000)
    await begin(office, b"", size=50_000)


async def test_b96_archives_are_stored_as_they_are_and_never_unpacked(office: Office) -> None:
    link = zipfile.ZipInfo("link")
    link.external_attr = 0o120777 << 16
    for name, content in (("../../outside", b"x"), (link, b"/etc/passwd"), ("bomb", bytes(10 << 20))):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(name, content)
        sent = buffer.getvalue()
        for media in (
            await office.file(sent, "a.zip"),
            await direct(office, sent, "b.zip", "application/zip", visibility="public"),
        ):
            assert (media.content_type, media.size) == ("application/zip", len(sent))
            assert await office.content(media) == sent
            assert len(await office.folder(media)) <= 1


async def test_the_same_content_as_through_the_edge_is_stored_once(office: Office) -> None:
    first = await office.file(TEXT)
    begun = await begin(office, TEXT)
    await send(office, begun, TEXT)
    second = await complete(office, begun)
    assert not await left(office, begun)
    await office.stage.ask(DeleteMedia(id=first.id), caller=office.ada)
    assert await office.content(second) == TEXT
