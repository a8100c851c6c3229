"""Files go with their tasks and with their owner, in the object store too; on each kind of store."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import AsyncIterator

import pytest

from actors.contracts.media import (
    BeginUpload,
    CompleteUpload,
    DeleteMedia,
    GetMedia,
    ListRecentMedia,
    MediaDeleted,
    OpenUpload,
    RemoveFiles,
)
from actors.contracts.user import UserDeleted
from actors.media_removal import AT_ONCE
from runtime.errors import Conflict, Invalid, NotFound
from tests.actors.conftest import schemas
from tests.actors.office import Office, office_of


@pytest.fixture(scope="module")
async def stand(database: str | None, run_id: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Office]:
    async with contextlib.AsyncExitStack() as stack:
        store_url = await stack.enter_async_context(schemas(database, f"removal_{run_id}")) if database else None
        folder = tmp_path_factory.mktemp("blobs")
        yield await stack.enter_async_context(office_of(store_url, f"file:{folder}", quota_media_bytes_per_user=5000))


@pytest.fixture
def office(stand: Office) -> Office:
    return stand.another()


async def test_files_go_with_their_tasks(office: Office) -> None:
    project = await office.project()
    gone, kept = await office.task(project), await office.task(project)
    removed = [await office.file(b"%d" % number, task_id=gone.id) for number in range(3)]
    stay = [await office.file(b"0", task_id=kept.id), await office.file(b"x")]
    await office.stage.drain()
    office.events()
    await office.stage.given(RemoveFiles(task_ids=[gone.id, str(uuid.uuid4())]))
    told = [event.media.id for event in office.events() if isinstance(event, MediaDeleted)]
    assert sorted(told) == sorted(media.id for media in removed)
    for media in removed:
        assert not await office.sees(media, office.ada)
        # the first has the same content as a file that stays
        assert len(await office.folder(media)) == (1 if media == removed[0] else 0)
    assert [await office.content(media) for media in stay] == [b"0", b"x"]
    await office.file(b"x" * 4900)  # and there is room again
    await office.stage.given(RemoveFiles(task_ids=[gone.id]))


async def test_more_files_than_go_at_once_all_go(office: Office) -> None:
    task = await office.task(await office.project())
    media = [await office.file(b"%d" % number, task_id=task.id) for number in range(AT_ONCE + 5)]
    await office.stage.given(RemoveFiles(task_ids=[task.id]))
    left = await office.objects()
    assert not [each for each in media if any(each.id in key for key in left)]


async def test_nothing_is_attached_to_a_task_that_is_gone_not_even_on_an_old_grant(office: Office) -> None:
    task = await office.task(await office.project())
    begun = await office.stage.ask(
        BeginUpload(filename="x", content_type="text/plain", size=4, task_id=task.id),
        caller=office.ada,
        grants=await office.word(task.id, office.ada),
    )
    await office.stage.given(RemoveFiles(task_ids=[task.id]))
    with pytest.raises(Invalid, match=r"request\.invalid"):
        await office.file(b"late", task_id=task.id)
    with pytest.raises(NotFound):
        grants = await office.word(task.id, office.ada)
        await office.stage.ask(CompleteUpload(id=begun.media.id), caller=office.ada, grants=grants)


async def test_files_go_with_their_owner_and_attachments_stay(office: Office) -> None:
    project = await office.project()
    await office.join(project, office.bob, "owner")
    task = await office.task(project)
    alone, public = await office.file(b"alone"), await office.file(b"public", visibility="public")
    attached, twice = await office.file(b"attached", task_id=task.id), await office.file(b"attached")
    pending = await office.ticket(b"pending")
    others = await office.file(b"alone", caller=office.bob)
    await office.stage.given(UserDeleted(user_id=office.ada, version=7))
    left = await office.objects()
    for id in (alone.id, public.id, twice.id, pending.id):
        assert not any(id in key for key in left)
        with pytest.raises(NotFound):
            await office.stage.ask(GetMedia(id=id), caller=office.ada)
    assert await office.content(others) == b"alone"
    grants = await office.word(task.id, office.bob)
    shown = await office.stage.ask(GetMedia(id=attached.id), caller=office.bob, grants=grants)
    assert (shown.owner_id, shown.id) == (None, attached.id)
    assert await office.content(shown) == b"attached"
    assert await office.stage.ask(ListRecentMedia(), caller=office.ada) == []
    # an owner of the project can still remove it, and then nothing is left
    await office.stage.ask(DeleteMedia(id=attached.id), caller=office.bob, grants=grants)
    assert not await office.folder(attached)


async def test_nothing_is_kept_for_an_owner_who_is_gone(office: Office) -> None:
    late = await office.ticket(b"late")
    await office.stage.given(RemoveFiles(owner_id=office.ada))
    with pytest.raises(NotFound):
        await office.file(b"later")
    with pytest.raises(Conflict, match=r"quota\.exceeded"):
        await office.stage.ask(BeginUpload(filename="x", content_type="text/plain", size=1), caller=office.ada)
    assert late.key not in await office.objects()
    await office.stage.ask(OpenUpload(), caller=office.bob)
