"""How much one account may keep, and that it keeps nothing twice; on each kind of store."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from actors.contracts.media import CancelUpload, DeleteMedia, FinishUpload
from actors.contracts.values import Upload
from runtime.errors import Conflict
from tests.actors.conftest import schemas
from tests.actors.office import Office, office_of

QUOTA = 1000


@pytest.fixture(scope="module")
async def stand(database: str | None, run_id: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Office]:
    async with contextlib.AsyncExitStack() as stack:
        store_url = await stack.enter_async_context(schemas(database, f"quota_{run_id}")) if database else None
        folder = tmp_path_factory.mktemp("blobs")
        yield await stack.enter_async_context(office_of(store_url, f"file:{folder}", quota_media_bytes_per_user=QUOTA))


@pytest.fixture
def office(stand: Office) -> Office:
    return stand.another()


async def test_b84_a_hundred_at_a_quotas_last_place_are_one(office: Office) -> None:
    await office.file(b"x" * 900)
    tickets = [await office.ticket(b"%d" % number + b"y" * 60) for number in range(100)]

    async def finish(id: str) -> bool:
        try:
            await office.stage.ask(FinishUpload(upload=Upload(id=id, filename="x")), caller=office.ada)
        except Conflict as refusal:
            assert refusal.code == "quota.exceeded"  # noqa: PT017 # most of them raise it, one does not
            return False
        return True

    assert sum(await asyncio.gather(*(finish(ticket.id) for ticket in tickets))) == 1


async def test_what_is_removed_makes_room(office: Office) -> None:
    media = await office.file(b"x" * QUOTA)
    with pytest.raises(Conflict, match=r"quota\.exceeded"):
        await office.file(b"y")
    await office.file(b"z" * QUOTA, caller=office.bob)
    await office.stage.ask(DeleteMedia(id=media.id), caller=office.ada)
    await office.file(b"y" * QUOTA)


async def test_what_is_refused_leaves_nothing_once_it_is_cancelled(office: Office) -> None:
    await office.file(b"x" * QUOTA)
    ticket = await office.ticket(b"y")
    with pytest.raises(Conflict, match=r"quota\.exceeded"):
        await office.stage.ask(FinishUpload(upload=Upload(id=ticket.id, filename="x")), caller=office.ada)
    await office.stage.ask(CancelUpload(id=ticket.id), caller=office.ada)
    assert not [key for key in await office.objects() if ticket.id in key]


async def test_the_same_content_is_stored_once_and_counted_each_time(office: Office) -> None:
    first, second = await office.file(b"x" * 400, "a.txt"), await office.file(b"x" * 400, "b.csv")
    others = await office.file(b"x" * 400, caller=office.bob)
    assert [len(await office.folder(each)) for each in (first, second, others)] == [1, 0, 1]
    assert (second.filename, second.content_type) == ("b.csv", "text/csv")
    with pytest.raises(Conflict, match=r"quota\.exceeded"):
        await office.file(b"x" * 400)
    await office.stage.ask(DeleteMedia(id=first.id), caller=office.ada)
    await office.stage.drain()
    assert await office.content(second) == b"x" * 400
    await office.stage.ask(DeleteMedia(id=second.id), caller=office.ada)
    assert not await office.folder(first)
    assert await office.content(others) == b"x" * 400


async def test_the_same_content_many_times_at_once_is_stored_once(office: Office) -> None:
    tickets = [await office.ticket(b"same") for _ in range(20)]
    commands = [FinishUpload(upload=Upload(id=ticket.id, filename="x")) for ticket in tickets]
    media = await asyncio.gather(*(office.stage.ask(command, caller=office.ada) for command in commands))
    assert sum([len(await office.folder(each)) for each in media]) == 1
    for each in media:
        assert await office.content(each) == b"same"
    await asyncio.gather(*(office.stage.ask(DeleteMedia(id=each.id), caller=office.ada) for each in media))
    assert sum([len(await office.folder(each)) for each in media]) == 0
