"""Images that are uploaded: what is served of them, and what is made of them; on each kind of store and with S3."""

from __future__ import annotations

import contextlib
import hashlib
import uuid
from collections.abc import AsyncIterator

import pytest

from actors.contracts.media import DeleteMedia, FinishUpload, GetMediaUrl, GetStoredFile, VouchForAvatar
from actors.contracts.values import Upload
from runtime.errors import Conflict, Invalid, NotFound, Unsupported
from tests.actors.conftest import schemas
from tests.actors.office import Office, office_of
from tests.pictures import GPS, claims, image, noise, opened, photograph


@pytest.fixture(scope="module")
async def stand(database: str | None, blob_url: str, run_id: str) -> AsyncIterator[Office]:
    async with contextlib.AsyncExitStack() as stack:
        name = f"images_{blob_url[:2]}_{run_id}"
        store_url = await stack.enter_async_context(schemas(database, name)) if database else None
        yield await stack.enter_async_context(office_of(store_url, blob_url))


@pytest.fixture
def office(stand: Office) -> Office:
    return stand.another()


async def test_a_photograph_is_served_upright_and_says_nothing_of_its_place(office: Office) -> None:
    media = await office.file(photograph(), "here.jpg")
    served = await office.content(media)
    assert (media.content_type, media.width, media.height) == ("image/jpeg", 30, 40)
    assert (media.size, media.sha256) == (len(served), hashlib.sha256(served).hexdigest())
    assert opened(served).size == (30, 40)
    assert GPS not in served
    # and what was uploaded is nowhere any more
    await office.stage.drain()
    left = [b"".join([piece async for piece in office.blobs.get(key)]) for key in await office.folder(media)]
    assert not any(GPS in each for each in left)


@pytest.mark.parametrize("kind", ["PNG", "GIF", "WEBP"])
async def test_an_image_stays_of_its_kind(office: Office, kind: str) -> None:
    media = await office.file(image(kind), "x")
    assert media.content_type == f"image/{kind.lower()}"
    assert opened(await office.content(media)).format == kind


async def test_an_image_is_shown(office: Office) -> None:
    media = await office.file(image("GIF"), "x.gif")
    assert (await office.stage.ask(GetStoredFile(id=media.id))).disposition == 'inline; filename="x.gif"'


@pytest.mark.parametrize(
    "content", [claims(50_000, 50_000), image("GIF", (2, 2), frames=1500)], ids=["pixels", "frames"]
)
async def test_b94_too_large_an_image_is_refused_and_gone(office: Office, content: bytes) -> None:
    await refused(office, content)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP"])
async def test_b95_a_broken_image_is_refused_and_gone(office: Office, kind: str) -> None:
    content = noise(kind, (100, 100))
    await refused(office, content[: len(content) // 2])


async def refused(office: Office, content: bytes) -> None:
    ticket = await office.ticket(content)
    with pytest.raises(Invalid, match=r"media\.image_invalid"):
        await office.stage.ask(FinishUpload(upload=Upload(id=ticket.id, filename="x")), caller=office.ada)
    assert not [key for key in await office.objects() if ticket.id in key]
    with pytest.raises(NotFound):
        await office.stage.ask(GetMediaUrl(id=ticket.id), caller=office.ada)


async def test_b93_an_image_with_a_script_in_it_is_refused_or_loses_it(office: Office) -> None:
    with pytest.raises(Unsupported, match=r"media\.type_not_allowed"):
        await office.file(image("GIF", comment=b"<script>alert(1)</script>"), "x.gif")
    media = await office.file(image("GIF", comment=b"javascript:alert(1)"), "x.gif")
    assert b"alert" not in await office.content(media)


async def test_a_thumbnail_is_there_soon_after(office: Office) -> None:
    media = await office.file(photograph(size=(1200, 600)), "Größe.jpg")
    query = GetMediaUrl(id=media.id, variant="thumbnail")
    with pytest.raises(Conflict, match=r"media\.not_ready"):
        await office.stage.ask(query, caller=office.ada)
    with pytest.raises(NotFound):
        await office.stage.ask(GetStoredFile(id=media.id, variant="thumbnail"))
    await office.stage.drain()
    assert "thumbnail" in (await office.stage.ask(query, caller=office.ada)).url
    small = opened(await office.content(media, "thumbnail"))
    assert (small.format, small.size) == ("WEBP", (256, 512))
    stored = await office.stage.ask(GetStoredFile(id=media.id, variant="thumbnail"))
    assert stored.content_type == "image/webp"
    assert stored.disposition.startswith('inline; filename="Gr__e-thumbnail.webp"')


async def test_what_is_no_image_has_no_thumbnail(office: Office) -> None:
    media = await office.file(b"text")
    await office.stage.drain()
    with pytest.raises(NotFound, match=r"media\.not_found"):
        await office.stage.ask(GetMediaUrl(id=media.id, variant="thumbnail"), caller=office.ada)


async def test_an_image_that_is_removed_takes_its_thumbnail_along(office: Office) -> None:
    media = await office.file(image(), "x.png")
    await office.stage.drain()
    assert len(await office.folder(media)) == 2
    await office.stage.ask(DeleteMedia(id=media.id), caller=office.ada)
    assert not await office.folder(media)
    # also when it is removed before the thumbnail is made
    media = await office.file(image(), "x.png")
    await office.stage.ask(DeleteMedia(id=media.id), caller=office.ada)
    assert not await office.folder(media)


async def test_the_same_image_twice_is_stored_once(office: Office) -> None:
    first, second = [await office.file(image(), name) for name in ("a.png", "b.png")]
    await office.stage.drain()
    assert await office.content(first, "thumbnail") == await office.content(second, "thumbnail")
    assert not await office.folder(second)
    await office.stage.ask(DeleteMedia(id=first.id), caller=office.ada)
    await office.stage.drain()
    assert opened(await office.content(second)).format == "PNG"
    await office.stage.ask(DeleteMedia(id=second.id), caller=office.ada)
    assert not await office.folder(first)


async def test_a_public_image_can_be_the_picture_of_its_owner(office: Office) -> None:
    private, public = (
        await office.file(image(size=(300, 200))),
        await office.file(image(size=(300, 200)), visibility="public"),
    )
    others = await office.file(image(), caller=office.bob, visibility="public")
    text = await office.file(b"text", visibility="public")
    grant = await office.stage.ask(VouchForAvatar(media_id=public.id), caller=office.ada)
    assert (grant.fact, grant.subject) == ("avatar", public.id)
    assert grant.value.decode() == f"http://edge.test/avatars/{public.id}/256"
    for id in (private.id, others.id, text.id, str(uuid.uuid4())):
        with pytest.raises(NotFound, match=r"media\.not_found"):
            await office.stage.ask(VouchForAvatar(media_id=id), caller=office.ada)
    await office.stage.drain()
    for side in (64, 128, 256):
        assert opened(await office.content(public, f"avatar-{side}")).size == (side, side)
        with pytest.raises(NotFound):
            await office.stage.ask(GetStoredFile(id=private.id, variant=f"avatar-{side}"))
