"""What only the driver of MongoDB does: waiting for others by beginning anew, and telling who is away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from actors.task_actor import TaskActor
from config.settings import Settings
from runtime import connect, stagehands
from runtime.drivers import mongo_documents, store_mongo
from runtime.errors import Locked, SettingError, StartError, StoreAway
from runtime.late_blobs import LateBlobs
from runtime.ports import Busy, Migration, Outgoing, Raced, Saved, Settled, Store
from tests.conformance.inbox_promises import LONG, X, claimed
from tests.conformance.proxy import Proxy
from tests.conformance.store_worlds import MongoWorld
from tests.servers import Unobtainable, local
from tests.sql import documents


@pytest.fixture
async def world(mongo_url: str) -> AsyncIterator[MongoWorld]:
    world = MongoWorld(mongo_url)
    yield world
    await world.drop()


@pytest.fixture
async def proxy(mongo_url: str) -> AsyncIterator[Proxy]:
    address = urlsplit(mongo_url)
    async with Proxy(address.hostname or "", address.port or 27017) as proxy:
        yield proxy


def through(proxy: Proxy, world: MongoWorld) -> Store:
    url = urlsplit(world.server)._replace(netloc=f"127.0.0.1:{proxy.port}").geturl()
    return store_mongo.connect(url, actor=world.name)


async def until_back(store: Store) -> None:
    async with asyncio.timeout(5):
        while True:
            try:
                return await store.ping()
            except StoreAway:
                await asyncio.sleep(0.05)


async def count(store: Store, id: str, *, also_read: str = "") -> None:
    """Add one to the weight of a thing, in a transaction that may have read another one."""
    async with store.transaction() as transaction:
        if also_read:
            await documents(transaction).one("thing", {"_id": also_read})
        await documents(transaction).change("thing", {"_id": id}, {"$inc": {"weight": 1}}, upsert=True)


async def weight(store: Store, id: str) -> int:
    row = await documents(store.reader).one("thing", {"_id": id})
    return int(row["weight"]) if row else 0


# ------------------------------------------------------------------------------------------ others in the way


async def test_a_transaction_waits_for_another_and_goes_on_where_it_was(world: MongoWorld) -> None:
    store, other = await world.store(), await world.store()
    async with store.transaction() as holder:
        await documents(holder).change("thing", {"_id": "a"}, {"$inc": {"weight": 1}}, upsert=True)
        waiting = asyncio.create_task(count(other, "a", also_read="b"))
        await asyncio.sleep(0.1)  # real time is the point
        assert not waiting.done()
    await waiting
    assert await weight(store, "a") == 2


async def test_many_that_count_the_same_at_once_all_count(world: MongoWorld) -> None:
    stores = [await world.store(), await world.store()]

    await asyncio.gather(*(count(stores[n % 2], "a") for n in range(16)))
    assert await weight(stores[0], "a") == 16


async def test_one_that_has_read_what_another_changed_meanwhile_was_second(world: MongoWorld) -> None:
    store, other = await world.store(), await world.store()
    with pytest.raises(Raced):
        async with store.transaction() as transaction:
            assert await documents(transaction).one("thing", {"_id": "b"}) is None
            await count(other, "b")
            await count(other, "a")
            await documents(transaction).change("thing", {"_id": "a"}, {"$inc": {"weight": 1}}, upsert=True)
    assert await weight(store, "a") == 1


async def test_its_claims_outlast_a_new_beginning_and_what_it_sent_goes_out_once(world: MongoWorld) -> None:
    store, other = await world.store(), await world.store()
    async with store.transaction() as transaction:
        assert await transaction.begin([X]) == [None]
        await documents(transaction).find("pair", {})
        await count(other, "a")
        await documents(transaction).change("thing", {"_id": "a"}, {"$inc": {"weight": 1}}, upsert=True)
        assert await claimed(other) == Busy()
        await transaction.finish([Settled(X, b"reply")], [Outgoing("o", "t", b"")], lease_ms=0)
    assert await weight(store, "a") == 2
    assert await claimed(other) == Saved(b"reply", b"hash")
    assert [row.id for row in await store.lease_outgoing(limit=9, lease_ms=LONG)] == ["o"]


async def test_what_nobody_lets_go_of_is_locked(world: MongoWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """A transaction of a process that was killed stays open until the server's limit for transactions."""
    monkeypatch.setattr(store_mongo, "WAIT_S", 0.2)
    store, other = await world.store(), await world.store()
    async with store.transaction() as holder:
        await documents(holder).change("thing", {"_id": "a"}, {"$inc": {"weight": 1}}, upsert=True)
        began = time.monotonic()
        with pytest.raises(Locked):
            await count(other, "a")
        assert time.monotonic() - began < 1
    await count(other, "a")
    assert await weight(store, "a") == 2


async def test_a_store_that_is_closed_lets_go_of_what_its_transactions_hold(world: MongoWorld) -> None:
    store, other = await world.store(), await world.store()
    with pytest.raises(StoreAway):
        async with store.transaction() as holder:
            await documents(holder).change("thing", {"_id": "a"}, {"$inc": {"weight": 1}}, upsert=True)
            await store.close()
            await count(other, "a")
    assert await weight(other, "a") == 1


# ------------------------------------------------------------------------------------------------ servers away


async def test_f23_a_server_that_went_away_is_found_again(world: MongoWorld, proxy: Proxy) -> None:
    await world.store()
    store = through(proxy, world)
    await store.open()
    await proxy.down()
    for work in (lambda: world.ids(store), lambda: count(store, "a"), store.ping):
        began = time.monotonic()
        with pytest.raises(StoreAway):
            await work()
        assert time.monotonic() - began < 2.5
    await proxy.up()
    await until_back(store)
    await count(store, "a")
    assert await weight(store, "a") == 1
    await store.close()


async def test_f25_a_black_hole_is_the_store_being_away(
    world: MongoWorld, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mongo_documents, "STATEMENT_S", 0.3)
    await world.store()
    store = through(proxy, world)
    await store.open()
    proxy.silent = True
    for work in (lambda: world.ids(store), lambda: count(store, "a")):
        began = time.monotonic()
        with pytest.raises(StoreAway):
            await work()
        assert time.monotonic() - began < 2.5
    proxy.silent = False
    await until_back(store)
    await store.close()


async def test_a_server_without_transactions_is_refused() -> None:
    with ExitStack() as stack:
        try:
            single = local.mongo(stack, print, replicated=False)
        except Unobtainable as error:
            pytest.skip(str(error))
        store = store_mongo.connect(single.url, actor="user")
        with pytest.raises(StartError, match="replica set"):
            async with asyncio.timeout(30):
                while True:
                    with suppress(StoreAway):  # it is not up yet
                        await store.open()
        await store.close()


# ---------------------------------------------------------------------------------------------------- settings


@pytest.mark.parametrize(
    "url",
    [
        "mongodb:",
        "mongodb:///users",
        "mongodb://127.0.0.1/a.b",
        "mongodb://127.0.0.1/a/b",
        "mongodb://127.0.0.1:x/",
        "mongodb://ada:hush@127.0.0.1/?w=x&readPreference=nobody",
        "mongodb://ada:hush@127.0.0.1:70000/",
        f"mongodb://127.0.0.1/{'a' * 60}",
    ],
)
def test_a_wrong_address_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(SettingError) as caught:
        connect.store_at(url, "user", lambda: 0)
    assert "hush" not in str(caught.value)


async def test_an_actor_without_records_for_documents_says_where_it_can_keep_its_data(tmp_path: Path) -> None:
    settings = Settings(blob_url=f"file:{tmp_path}")
    task = TaskActor(blobs=LateBlobs(connect.blobs(settings)), settings=settings)
    store = connect.store_at("mongodb://127.0.0.1/", "task", lambda: 0)
    for ask in (lambda: stagehands.records_of(task, store), lambda: stagehands.migrations("task", "mongo")):
        with pytest.raises(SettingError, match=r"TASK_STORE_URL.*SQLite or PostgreSQL"):
            ask()
    await store.close()


async def test_a_migration_that_cannot_be_read_is_named_before_anything_is_done(world: MongoWorld) -> None:
    store = await world.bare()
    for text in ('{"collecton": "a"}', '{"collection": "a"}', '{"insert": "a", "rows": []}', "[]", "{"):
        with pytest.raises(Exception, match="0001_wrong"):
            await store.migrate([Migration("0001_wrong", text)])
    assert await store.migrate([world.things]) == ["0001_things"]
