"""The media actor beside the task actor, with its files in a folder, on each kind of store."""

from __future__ import annotations

import contextlib
import hashlib
import uuid
from collections.abc import AsyncIterator

import pytest

from actors.contracts.media import (
    Attachments,
    AttachmentsCounted,
    CancelUpload,
    FinishUpload,
    GetMedia,
    GetMediaUrl,
    GetStoredFile,
    GetSubject,
    ListAttachments,
    ListRecentMedia,
    Media,
    MediaAttached,
    MediaDeleted,
    OpenUpload,
)
from actors.contracts.task import DeleteTask, GetTask
from actors.contracts.task_project import DeleteProject
from actors.contracts.values import Upload
from runtime.errors import Conflict, Forbidden, Invalid, NotFound, PreconditionFailed, Unavailable, Unsupported
from runtime.signed_urls import SignedUrls
from tests.actors.conftest import schemas
from tests.actors.office import KEY, Office, office_of


@pytest.fixture(scope="module")
async def stand(database: str | None, run_id: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Office]:
    async with contextlib.AsyncExitStack() as stack:
        store_url = await stack.enter_async_context(schemas(database, f"media_{run_id}")) if database else None
        yield await stack.enter_async_context(
            office_of(store_url, f"file:{tmp_path_factory.mktemp('blobs')}", upload_limit=1000)
        )


@pytest.fixture
def office(stand: Office) -> Office:
    return stand.another()


async def test_a_finished_upload_is_what_its_content_says(office: Office) -> None:
    media = await office.file(b"a;b\n", "../list.csv")
    assert media == Media(
        id=media.id,
        filename="list.csv",
        content_type="text/csv",
        size=4,
        sha256=hashlib.sha256(b"a;b\n").hexdigest(),
        visibility="private",
        status="ready",
        width=None,
        height=None,
        owner_id=office.ada,
        task_id=None,
        created_at=media.created_at,
        version=1,
    )
    assert await office.stage.ask(GetMedia(id=media.id), caller=office.ada) == media
    assert f"media/{media.id}/original" in await office.objects()


async def test_a_ticket_says_how_much_is_taken(office: Office) -> None:
    ticket = await office.stage.ask(OpenUpload(), caller=office.ada)
    assert (ticket.limit, ticket.key) == (1000, f"media/{ticket.id}/original")


async def test_an_empty_file_is_text(office: Office) -> None:
    media = await office.file(b"", "empty.png")
    assert (media.size, media.content_type, media.filename) == (0, "text/plain", "empty.png")


async def test_a_file_that_is_not_allowed_is_refused_and_removed(office: Office) -> None:
    ticket = await office.ticket(b"MZ\0\0")
    with pytest.raises(Unsupported, match=r"media\.type_not_allowed"):
        await office.stage.ask(FinishUpload(upload=Upload(id=ticket.id, filename="x.png")), caller=office.ada)
    assert ticket.key not in await office.objects()
    with pytest.raises(NotFound):
        await office.stage.ask(GetMedia(id=ticket.id), caller=office.ada)


async def test_what_never_arrived_or_is_finished_or_anothers_cannot_be_finished(office: Office) -> None:
    opened = await office.stage.ask(OpenUpload(), caller=office.ada)
    finished = await office.file()
    others = await office.ticket(b"text", office.bob)
    for id in (opened.id, finished.id, others.id, str(uuid.uuid4())):
        for _ in range(2):  # and that is not kept for the next try with the same key, which has another ticket
            with pytest.raises(Unavailable, match="given up"):
                await office.stage.ask(
                    FinishUpload(upload=Upload(id=id, filename="x")), caller=office.ada, id=f"k:{id}"
                )
    mine = await office.ticket(b"text")
    command = FinishUpload(upload=Upload(id=mine.id, filename="x"))
    assert (await office.stage.ask(command, caller=office.ada, id=f"k:{opened.id}")).status == "ready"


async def test_a_pending_upload_has_no_address(office: Office) -> None:
    ticket = await office.ticket(b"text")
    with pytest.raises(Conflict, match=r"media\.not_ready"):
        await office.stage.ask(GetMediaUrl(id=ticket.id), caller=office.ada)
    with pytest.raises(NotFound):
        await office.stage.ask(GetStoredFile(id=ticket.id))


async def test_a_cancelled_upload_leaves_nothing_and_a_finished_one_stays(office: Office) -> None:
    ticket, media = await office.ticket(b"text"), await office.file()
    others = await office.ticket(b"text", office.bob)
    for id in (ticket.id, ticket.id, media.id, others.id):
        await office.stage.ask(CancelUpload(id=id), caller=office.ada)
    kept = await office.objects()
    assert ticket.key not in kept
    assert {others.key, f"media/{media.id}/original"} <= kept


async def test_b98_what_nobody_finishes_is_swept_away(office: Office) -> None:
    ticket, media = await office.ticket(b"text"), await office.file()
    await office.stage.tick("media", "sweep")
    assert ticket.key in await office.objects()
    office.stage.advance(hours=1, seconds=1)
    young = await office.ticket(b"text")
    await office.stage.tick("media", "sweep")
    kept = await office.objects()
    assert ticket.key not in kept
    assert {young.key, f"media/{media.id}/original"} <= kept
    with pytest.raises(NotFound):
        await office.stage.ask(GetMedia(id=ticket.id), caller=office.ada)


async def test_a_private_file_is_its_owners_alone(office: Office) -> None:
    media = await office.file()
    assert await office.sees(media, office.ada)
    assert not await office.sees(media, office.bob)
    with pytest.raises(NotFound, match=r"media\.not_found"):
        await office.delete(media, office.bob)


async def test_a_public_file_is_seen_by_all_and_removed_by_its_owner(office: Office) -> None:
    media = await office.file(visibility="public")
    assert await office.sees(media, office.bob)
    with pytest.raises(Forbidden, match=r"auth\.forbidden"):
        await office.delete(media, office.bob)
    await office.delete(media, office.ada)
    assert f"media/{media.id}/original" not in await office.objects()
    with pytest.raises(NotFound):
        await office.delete(media, office.ada)


async def test_an_attached_file_is_for_who_sees_the_task(office: Office) -> None:
    project = await office.project()
    await office.join(project, office.bob, "viewer")
    task = await office.task(project)
    media = await office.file(task_id=task.id)
    assert media.task_id == task.id
    for caller, expected in ((office.ada, True), (office.bob, True), (office.eve, False)):
        assert await office.sees(media, caller) is expected


async def test_anothers_grant_is_no_grant(office: Office) -> None:
    task = await office.task(await office.project())
    media = await office.file(task_id=task.id)
    stolen = await office.word(task.id, office.ada)
    with pytest.raises(NotFound):
        await office.stage.ask(GetMedia(id=media.id), caller=office.eve, grants=stolen)


async def test_attaching_needs_a_task_that_can_be_written(office: Office) -> None:
    project = await office.project()
    await office.join(project, office.bob, "viewer")
    task, trashed = await office.task(project), await office.task(project)
    await office.stage.ask(DeleteTask(id=trashed.id), caller=office.ada)
    before = await office.objects()
    for task_id, caller in ((task.id, office.eve), (str(uuid.uuid4()), office.ada)):
        with pytest.raises(Invalid, match=r"request\.invalid") as caught:
            await office.file(caller=caller, task_id=task_id)
        assert [fault.pointer for fault in caught.value.faults] == ["/task_id"]
    with pytest.raises(Forbidden, match=r"auth\.forbidden"):
        await office.file(caller=office.bob, task_id=task.id)
    with pytest.raises(Conflict, match=r"task\.deleted"):
        await office.file(task_id=trashed.id)
    assert await office.objects() == before


async def test_an_attachment_is_removed_by_its_uploader_or_an_owner(office: Office) -> None:
    project = await office.project()
    await office.join(project, office.bob)
    await office.join(project, office.eve)
    task = await office.task(project)
    first, second = [await office.file(caller=office.bob, task_id=task.id) for _ in range(2)]
    with pytest.raises(Forbidden, match=r"auth\.forbidden"):
        await office.delete(first, office.eve)
    await office.delete(first, office.bob)
    await office.delete(second, office.ada)


async def test_attachments_of_a_task_in_the_trash_stay(office: Office) -> None:
    task = await office.task(await office.project())
    media = await office.file(task_id=task.id)
    await office.stage.ask(DeleteTask(id=task.id), caller=office.ada)
    with pytest.raises(Conflict, match=r"task\.deleted"):
        await office.delete(media, office.ada)
    assert await office.sees(media, office.ada)


async def test_a_stale_tag_keeps_a_file(office: Office) -> None:
    media = await office.file()
    with pytest.raises(PreconditionFailed, match=r"request\.precondition_failed"):
        await office.delete(media, office.ada, if_match=(7,))
    await office.delete(media, office.ada, if_match=(7, 1))


async def test_a_task_shows_how_many_files_it_has(office: Office) -> None:
    task = await office.task(await office.project())
    office.events()
    media = [await office.file(task_id=task.id) for _ in range(3)]
    await office.delete(media[1], office.ada)
    await office.stage.drain()
    shown = await office.stage.ask(GetTask(id=task.id), caller=office.ada)
    assert shown.attachment_count == 2
    counts = [Attachments(task_id=task.id, files=files, version=n) for n, files in enumerate((1, 2, 3, 2), 1)]
    assert office.events() == [
        *(
            MediaAttached(media=each, attachments=count, actor_id=office.ada, at=each.created_at)
            for each, count in zip(media, counts[:3], strict=True)
        ),
        MediaDeleted(media=media[1], attachments=counts[3], actor_id=office.ada, at=media[1].created_at),
    ]
    # whatever comes late says nothing new
    await office.stage.given(AttachmentsCounted(attachments=counts[0]))
    again = await office.stage.ask(GetTask(id=task.id), caller=office.ada)
    assert again == shown


async def test_files_go_with_the_project_of_their_tasks(office: Office) -> None:
    project, other = await office.project(), await office.project()
    task, elsewhere = await office.task(project), await office.task(other)
    gone = [await office.file(content, task_id=task.id) for content in (b"1", b"2")]
    kept = [
        await office.file(b"3", task_id=elsewhere.id),
        await office.file(b"4"),
        await office.file(b"5", visibility="public"),
    ]
    await office.stage.ask(DeleteProject(id=project.id), caller=office.ada)
    objects = await office.objects()
    for media in gone:
        assert f"media/{media.id}/original" not in objects
        assert not await office.sees(media, office.ada)
    for media in kept:
        assert f"media/{media.id}/original" in objects
        assert await office.sees(media, office.ada)


async def test_counts_are_told_again_on_resync(office: Office) -> None:
    task = await office.task(await office.project())
    await office.file(task_id=task.id)
    await office.stage.drain()
    office.events()
    after: str | None = ""
    while after is not None:
        after = await office.stage.dispatches["media"].resync(after)
    rows = await office.stage.dispatches["media"].store.lease_outgoing(limit=500, lease_ms=1000)
    assert "attachments_counted" in {row.route for row in rows}
    await office.stage.dispatches["media"].store.delete_outgoing([row.id for row in rows])


async def test_attachments_are_listed_newest_first_in_pages(office: Office) -> None:
    task = await office.task(await office.project())
    media = []
    for _ in range(5):
        office.stage.advance(seconds=1)
        media.append(await office.file(task_id=task.id))
    grants = await office.word(task.id, office.ada)
    seen: list[Media] = []
    cursor: str | None = None
    while True:
        query = ListAttachments(id=task.id, limit=2, cursor=cursor)
        page = await office.stage.ask(query, caller=office.ada, grants=grants)
        seen += page.items
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == media[::-1]
    with pytest.raises(NotFound, match=r"task\.not_found"):
        await office.stage.ask(ListAttachments(id=task.id), caller=office.eve)


async def test_the_newest_files_are_ones_own(office: Office) -> None:
    await office.file(caller=office.bob, visibility="public")
    office.stage.advance(seconds=1)
    first = await office.file()
    office.stage.advance(seconds=1)
    second = await office.file()
    await office.ticket(b"pending")
    assert await office.stage.ask(ListRecentMedia(), caller=office.ada) == [second, first]
    assert await office.stage.ask(ListRecentMedia(limit=1), caller=office.ada) == [second]


async def test_the_edge_learns_what_access_hangs_on(office: Office) -> None:
    task = await office.task(await office.project())
    attached, alone = await office.file(task_id=task.id), await office.file()
    assert (await office.stage.ask(GetSubject(id=attached.id))).task_id == task.id
    assert (await office.stage.ask(GetSubject(id=alone.id))).task_id is None
    with pytest.raises(NotFound):
        await office.stage.ask(GetSubject(id=str(uuid.uuid4())))


async def test_an_address_is_signed_and_says_when_it_expires(office: Office) -> None:
    media = await office.file(b"x", "Größe.txt")
    answer = await office.stage.ask(GetMediaUrl(id=media.id, expires_in=90), caller=office.ada)
    path, _, query = answer.url.removeprefix("http://edge.test").partition("?")
    now = office.stage.now // 1000
    urls = SignedUrls([KEY])
    assert path == f"/media/{media.id}"
    assert [urls.variant("GET", path, query, at) for at in (now, now + 89, now + 90)] == ["original", "original", None]
    stored = await office.stage.ask(GetStoredFile(id=media.id))
    assert stored.disposition.startswith('attachment; filename="Gr__e.txt"; filename*=UTF-8')
    assert (stored.key, stored.size, stored.etag) == (f"media/{media.id}/original", 1, media.sha256)


async def test_all_but_images_is_saved(office: Office) -> None:
    media = await office.file(b"a;b", "x.csv")
    assert (await office.stage.ask(GetStoredFile(id=media.id))).disposition == 'attachment; filename="x.csv"'
