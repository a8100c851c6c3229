"""What is special to the store in PostgreSQL: lost connections, time-outs, schemas, round trips."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest

from runtime.drivers import postgres_connection, store_postgres
from runtime.drivers.store_postgres import connect
from runtime.errors import ConnectionLost, Locked, SettingError, StartError, StoreAway
from runtime.ports import Claim, Outgoing, Parked, Raced, Settled, Store
from tests.conformance.inbox_promises import LONG, X, claimed
from tests.conformance.proxy import Proxy
from tests.conformance.store_worlds import ENDLESS, PostgresWorld, ids, put
from tests.sql import sql

RECOVERY_S = 2.0


@pytest.fixture
async def world(postgres_url: str) -> AsyncIterator[PostgresWorld]:
    world = PostgresWorld(postgres_url)
    yield world
    await world.drop()


@pytest.fixture
async def proxy(world: PostgresWorld) -> AsyncIterator[Proxy]:
    parts = urlsplit(world.database)
    async with Proxy(parts.hostname or "", parts.port or 5432) as proxy:
        yield proxy


def through(proxy: Proxy, world: PostgresWorld, **options: str) -> str:
    """The world's database behind the proxy."""
    parts = urlsplit(world.database)
    user, _, _ = parts.netloc.rpartition("@")
    address = f"{user}@127.0.0.1:{proxy.port}" if user else f"127.0.0.1:{proxy.port}"
    return world.url_by(parts._replace(netloc=address).geturl(), **options)


async def terminate_all(world: PostgresWorld) -> None:
    connection = await asyncpg.connect(world.database)
    await connection.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1", f"troupe {world.name}"
    )
    await connection.close()


async def until_back(store: Store) -> None:
    """Only `StoreAway` comes, and not for long."""
    async with asyncio.timeout(RECOVERY_S):
        while True:
            try:
                await ids(store)
                async with store.transaction() as transaction:
                    await sql(transaction).fetch("select 1")
                return
            except StoreAway:
                await asyncio.sleep(0.01)


# -------------------------------------------------------------------------------------------------- faults


async def test_a_connection_that_the_server_ends_in_a_transaction_is_lost(world: PostgresWorld) -> None:
    store = await world.store()
    with pytest.raises(ConnectionLost):
        async with store.transaction() as transaction:
            await sql(transaction).fetch("select 1")
            await terminate_all(world)
            await sql(transaction).fetch("select 1")


async def test_connections_that_the_server_ends_are_replaced(world: PostgresWorld) -> None:
    store = await world.store(pool_size=3)

    async def handle(entered: asyncio.Event) -> None:
        async with store.transaction() as transaction:
            await put(transaction, "a")
            entered.set()
            while True:
                await sql(transaction).fetch("select 1")

    for _ in range(3):
        entered = asyncio.Event()
        handling = asyncio.create_task(handle(entered))
        await entered.wait()
        await terminate_all(world)
        with pytest.raises(StoreAway):
            await handling
        await until_back(store)
    assert await ids(store) == []


async def test_f23_a_restarted_server_is_found_again(world: PostgresWorld, proxy: Proxy) -> None:
    await world.store()
    store = connect(through(proxy, world), actor="other", pool_size=3)
    await store.open()
    await asyncio.gather(*(ids(store) for _ in range(3)))
    for _ in range(2):
        await proxy.down()
        for _ in range(4):
            began = time.monotonic()
            with pytest.raises(StoreAway):
                await ids(store)
            assert time.monotonic() - began < 1
        await proxy.up()
        await until_back(store)
    await store.close()


async def test_f25_a_black_hole_is_the_store_being_away(
    world: PostgresWorld, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_postgres, "STATEMENT_S", 0.2)
    await world.store()
    store = connect(through(proxy, world), actor="other", pool_size=2)
    await store.open()

    async def handle() -> None:
        async with store.transaction() as transaction:
            await sql(transaction).fetch("select 1")

    proxy.silent = True
    for work in (lambda: ids(store), handle, handle):
        with pytest.raises(StoreAway):
            await work()
    proxy.silent = False
    await until_back(store)
    await store.close()


async def test_f26_an_exhausted_pool_is_the_store_being_away_within_a_second_and_reads_go_on(
    world: PostgresWorld,
) -> None:
    store = await world.store(pool_size=4)

    async def hold(entered: asyncio.Event) -> None:
        async with store.transaction() as transaction:
            entered.set()
            await sql(transaction).fetch("select pg_sleep(4)")

    both = [asyncio.Event(), asyncio.Event()]
    holding = [asyncio.create_task(hold(each)) for each in both]
    for each in both:
        await each.wait()
    began = time.monotonic()
    with pytest.raises(StoreAway):
        async with store.transaction():
            pass
    assert time.monotonic() - began < 1
    assert await ids(store) == []
    assert not any(each.done() for each in holding)
    await asyncio.gather(*holding)


async def test_f26_a_lock_that_another_holds_is_waited_for_less_than_a_second_and_then_briefly(
    world: PostgresWorld,
) -> None:
    store, other = await world.store(pool_size=4), await world.store()

    async def write(id: str) -> None:
        async with store.transaction() as transaction:
            await put(transaction, id)
            await transaction.finish([], [Outgoing(id, "t", b"")], lease_ms=LONG)

    async with other.exclusive("lock") as holder:
        await sql(holder).execute("lock table thing in share mode")
        for seconds in (1, 0.4, 0.4):
            began = time.monotonic()
            with pytest.raises(Locked):
                await write("a")
            assert time.monotonic() - began < seconds
            assert await ids(store) == []
            await store.park([Parked("p", "t", b"", 1, None, "a write that needs no lock changes nothing")])
    await write("a")
    await asyncio.sleep(store_postgres.BRIEFLY_S)
    async with other.exclusive("lock") as holder:
        await sql(holder).execute("lock table thing in share mode")
        patient = asyncio.create_task(write("b"))
        await asyncio.sleep(0.3)
    await patient
    assert await ids(store) == ["a", "b"]


async def test_f27_a_database_that_is_read_only_is_still_read(world: PostgresWorld) -> None:
    writable = await world.store()
    async with writable.transaction() as transaction:
        await put(transaction, "a")
    store = connect(world.url_by(world.database, default_transaction_read_only="on"), actor="other")
    await store.open()

    async def write() -> None:
        async with store.transaction() as transaction:
            await put(transaction, "b")

    for work in (write, store.ping, lambda: store.park([Parked("a", "t", b"", 1, None, "oh")])):
        with pytest.raises(StoreAway):
            await work()
        assert await ids(store) == ["a"]
    await store.close()


async def test_a_statement_without_end_is_the_store_being_away(
    world: PostgresWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_postgres, "STATEMENT_S", 0.2)
    store = await world.store()

    async def handle() -> None:
        async with store.transaction() as transaction:
            await put(transaction, "a")
            await sql(transaction).fetch(ENDLESS)

    for work in (handle, lambda: sql(store.reader).fetch(ENDLESS)):
        with pytest.raises(StoreAway):
            await work()
    assert await ids(store) == []
    async with store.transaction() as transaction:
        await put(transaction, "a")  # and holds no lock


async def test_a_process_that_stands_still_loses_its_transaction(
    world: PostgresWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await world.store()
    idle = await world.store()

    async def handle() -> None:
        async with idle.transaction() as transaction:
            assert await transaction.begin([X]) == [None]
            async with asyncio.timeout(5):
                while await claimed(store) is not None:
                    await asyncio.sleep(0.05)
            await transaction.finish([Settled(X)], [], lease_ms=LONG)

    with pytest.raises(StoreAway):
        await handle()
    await until_back(idle)


async def test_of_two_that_wait_for_each_other_one_goes_on(
    world: PostgresWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await world.store()
    monkeypatch.setattr(postgres_connection, "LOCK_S", (0.2, 0.2))
    hasty = await world.store()
    async with store.transaction() as transaction:
        await put(transaction, "a", "b")
    both = asyncio.Barrier(2)

    async def handle(store: Store, first: str, second: str) -> str:
        async with store.transaction() as transaction:
            await sql(transaction).execute("update thing set weight = 1 where id = $1", first)
            await both.wait()
            await sql(transaction).execute("update thing set weight = 2 where id = $1", second)
        return "done"

    works = handle(store, "a", "b"), handle(hasty, "b", "a")
    done, locked = await asyncio.gather(*works, return_exceptions=True)
    assert done == "done"
    assert isinstance(locked, Locked)


async def test_a_table_that_changed_under_a_known_statement_is_a_lost_race(world: PostgresWorld) -> None:
    store = await world.store(pool_size=1)

    async def handle() -> None:
        async with store.transaction() as transaction:
            await sql(transaction).fetch("select * from thing")

    await handle()
    other = await world.bare()
    async with other.transaction() as transaction:
        await sql(transaction).execute("alter table thing add column more text")
    with pytest.raises(Raced):
        await handle()
    await handle()


# ------------------------------------------------------------------------------------------------- start


async def test_a_server_that_is_not_there_is_away(world: PostgresWorld, proxy: Proxy) -> None:
    url = through(proxy, world)
    await proxy.down()
    with pytest.raises(StoreAway):
        await connect(url, actor="other").open()


async def test_a_database_that_is_not_there_is_named(world: PostgresWorld) -> None:
    url = urlsplit(world.database)._replace(path="/nowhere").geturl()
    with pytest.raises(StartError, match="nowhere"):
        await connect(url, actor="other").open()


@pytest.mark.parametrize(
    "url", ["postgresql:", "mysql://localhost/db", "postgresql://localhost/db?schema=a-b", "postgresql://h/d?schema="]
)
def test_another_url_is_refused(url: str) -> None:
    with pytest.raises(SettingError):
        connect(url, actor="task")


# ----------------------------------------------------------------------------------------- one database


async def test_two_actors_in_one_database_do_not_meet(world: PostgresWorld, postgres_url: str) -> None:
    neighbour = PostgresWorld(postgres_url)
    store, other = await world.store(), await neighbour.store()
    async with store.transaction() as transaction:
        assert await transaction.begin([X]) == [None]
        await transaction.finish([Settled(X)], [], lease_ms=LONG)
        assert await claimed(other) is None
    assert await claimed(other) is None
    await neighbour.drop()


async def test_the_hosts_clock_does_not_matter(world: PostgresWorld) -> None:
    await world.store()
    store = connect(world.url, actor=world.name, clock=lambda: 0)
    await store.claim(X, "mine", lease_ms=LONG)
    assert await claimed(await world.store()) is not None
    await store.close()


async def test_reads_go_to_the_replica(world: PostgresWorld, proxy: Proxy) -> None:
    await world.store()
    store = connect(world.url, actor=world.name, read_url=through(proxy, world))
    async with store.transaction() as transaction:
        await put(transaction, "a")
    assert proxy.connections == 0
    assert await ids(store) == ["a"]
    assert proxy.connections == 1
    await store.close()


async def test_a_transaction_makes_five_round_trips(world: PostgresWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    statements: list[str] = []
    connected = postgres_connection.connected

    async def watched(address: str, schema: str, name: str) -> Any:
        connection = await connected(address, schema, name)
        connection.add_query_logger(lambda record: statements.append(record.query.split()[0]))
        return connection

    monkeypatch.setattr(store_postgres, "connected", watched)
    store = await world.store(pool_size=1)
    for n in range(2):
        await asyncio.sleep(0)  # asyncpg tells its loggers a step later
        statements.clear()
        claim = Claim(str(n))
        async with store.transaction() as transaction:
            await transaction.begin([claim])
            await sql(transaction).insert("thing", ["id"], [[str(n)]])
            await transaction.finish([Settled(claim)], [Outgoing(str(n), "t", b"")], unpark=["p"], lease_ms=LONG)
    await asyncio.sleep(0)
    assert statements == ["begin", "select", "insert", "with", "commit"]
    statements.clear()
    await ids(store)
    await asyncio.sleep(0)
    assert statements == ["select"]


async def test_a_plan_made_for_a_small_table_serves_a_large_one(world: PostgresWorld) -> None:
    store = await world.store(pool_size=1)
    for statement in (
        "create table place (id text primary key) with (autovacuum_enabled = false)",
        "create table guest (place_id text, name text) with (autovacuum_enabled = false)",
        "create index guest_place on guest (place_id)",
        "insert into place select 'p' || n from generate_series(1, 20) as n",
        "insert into guest select 'p' || n, 'g' from generate_series(1, 20) as n",
        "analyze place",
        "analyze guest",
    ):
        await sql(store.reader).execute(statement)
    asked = "select g.name from place p join guest g on g.place_id = p.id where p.id = any($1)"
    for _ in range(6):  # the server keeps the plan of the sixth execution
        await sql(store.reader).fetch(asked, ["p1"])
    await sql(store.reader).execute("insert into guest select 'q', 'g' from generate_series(1, 20000) as n")
    row = await sql(store.reader).row("select name from pg_prepared_statements where statement = $1", asked)
    assert row is not None
    rows = await sql(store.reader).fetch(f"explain (analyze, costs off) execute {row['name']}('{{p1}}')")
    plan = "\n".join(row["QUERY PLAN"] for row in rows)
    assert plan.startswith("Nested Loop")
    assert "Index Cond: (place_id = p.id)" in plan
    assert "Seq Scan" not in plan
