"""What `Store` promises of statements, transactions and migrations, each as one function over a world of stores."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import pytest

from runtime.drivers.store_tables import TABLES
from runtime.errors import Invalid, StartError, StoreAway
from runtime.ports import Duplicate, Migration, Row, Scope, Store, Transaction
from tests.conformance.store_worlds import THINGS, World
from tests.sql import sql

Promise = Callable[[World], Awaitable[None]]

ENDLESS = """
with recursive n (i) as (select 1 union all select i + 1 from n where i < 2000000000) select count(*) as n from n
"""
PROMPT_S = 2.0
"""A promise that something does not wait is broken after this."""


async def put(scope: Scope, *ids: str) -> None:
    await sql(scope).insert("thing", ["id"], [[id] for id in ids])


async def fail_after(store: Store, work: Callable[[Transaction], Awaitable[None]]) -> None:
    """A transaction that is left by an exception after `work`."""

    async def fail() -> None:
        async with store.transaction() as transaction:
            await work(transaction)
            raise LookupError

    with pytest.raises(LookupError):
        await fail()


async def ids(store: Store) -> list[str]:
    return [row["id"] for row in await sql(store.reader).fetch("select id from thing order by id")]


# ---------------------------------------------------------------------------------------------- statements


async def promise_rows_come_back_as_they_were_put(world: World) -> None:
    store = await world.store()
    rows: list[Row] = [
        {"id": "a", "number": 2**63 - 1, "name": "Zoë 🐌 \\ ' \" $1", "body": bytes(range(256)), "weight": 0.1},
        {"id": "b", "number": -(2**63), "name": "", "body": b"", "weight": -1e300},
        {"id": "c", "number": None, "name": None, "body": None, "weight": None},
    ]
    async with store.transaction() as transaction:
        await sql(transaction).insert("thing", list(rows[0]), [list(row.values()) for row in rows])
        assert await sql(transaction).fetch("select id, number, name, body, weight from thing order by id") == rows
    assert await sql(store.reader).fetch("select id, number, name, body, weight from thing order by id") == rows
    assert await sql(store.reader).row("select * from thing where number = $1", -(2**63)) == rows[1]


async def promise_row_is_the_first_or_none(world: World) -> None:
    store = await world.store()
    assert await sql(store.reader).row("select id from thing") is None
    async with store.transaction() as transaction:
        await put(transaction, "b", "a")
        assert await sql(transaction).row("select id from thing order by id") == {"id": "a"}


async def promise_execute_says_how_many_rows_it_touched(world: World) -> None:
    store = await world.store()
    async with store.transaction() as transaction:
        assert await sql(transaction).execute("insert into thing (id) values ($1), ($2), ($3)", "a", "b", "c") == 3
        assert await sql(transaction).execute("update thing set number = 1 where id = $1", "a") == 1
        assert await sql(transaction).execute("delete from thing where id <> $1 returning id", "a") == 2
        assert await sql(transaction).execute("delete from thing where id = $1", "none") == 0


async def promise_a_list_is_compared_with_any(world: World) -> None:
    store = await world.store()
    async with store.transaction() as transaction:
        await sql(transaction).insert("thing", ["id", "number"], [['a"\\u0041', 1], ["b", 2], ["ç", 3]])
    reader = store.reader
    for texts in ([], ["b"], ['a"\\u0041', "ç", "b", "b"], ("b", "other")):
        found = await sql(reader).fetch("select id from thing where id = any($1)", texts)
        assert sorted(row["id"] for row in found) == sorted(set(texts) - {"other"})
    found = await sql(reader).fetch("select id from thing where id <> $1 and number = ANY ( $2 )", "b", [2, 3])
    assert found == [{"id": "ç"}]


async def promise_a_read_sees_what_was_committed_before(world: World) -> None:
    store, other = await world.store(), await world.store()
    for n in range(20):
        async with store.transaction() as transaction:
            await put(transaction, str(n))
        assert len(await ids(store)) == len(await ids(other)) == n + 1


async def promise_a_read_sees_nothing_uncommitted(world: World) -> None:
    store = await world.store()
    async with store.transaction() as transaction:
        await put(transaction, "a")
        assert await ids(store) == []


async def promise_insert_is_all_or_none(world: World) -> None:
    store = await world.store()
    async with store.transaction() as transaction:
        await sql(transaction).insert("thing", ["id"], [])
        await put(transaction, "taken")
    with pytest.raises(Duplicate):
        async with store.transaction() as transaction:
            await put(transaction, "a", "b", "taken")
    assert await ids(store) == ["taken"]


async def promise_a_duplicate_names_its_constraint(world: World) -> None:
    store = await world.store()
    async with store.transaction() as transaction:
        await sql(transaction).insert("thing", ["id", "number", "name"], [["a", 1, "x"]])
        await sql(transaction).insert("pair", ["a", "b"], [["a", 1]])
    for statement, constraint in (
        ("insert into thing (id) values ('a')", "thing_pkey"),
        ("insert into thing (id, number) values ('b', 1)", "thing_number_key"),
        ("insert into thing (id, name) values ('b', 'x')", "thing_by_name"),
        ("insert into pair (a, b) values ('a', 1)", "pair_a_b_key"),
    ):
        with pytest.raises(Duplicate) as caught:
            async with store.transaction() as transaction:
                await sql(transaction).execute(statement)
        assert caught.value.constraint == constraint


async def promise_what_cannot_be_stored_is_the_clients_fault(world: World) -> None:
    store = await world.store()
    text, number = "select * from thing where name = $1", "select * from thing where number = $1"
    cases: list[tuple[str, Any]] = [(text, "a\0b"), (text, "\ud800"), (number, 2**63), (number, -(2**63) - 1)]
    cases += [(asked.replace("= $1", "= any($1)"), [value]) for asked, value in cases]
    reader = sql(store.reader)
    for asked, value in cases:
        for work in (reader.fetch, reader.execute, reader.row):
            with pytest.raises(Invalid) as caught:
                await work(asked, value)
            assert caught.value.code == "request.invalid"
        with pytest.raises(Invalid):
            async with store.transaction() as transaction:
                await sql(transaction).insert(
                    "thing", ["id", "number" if "number" in asked else "name"], [["a", value]]
                )
        assert await ids(store) == []


# -------------------------------------------------------------------------------------------- transactions


async def promise_a_transaction_left_normally_is_kept(world: World) -> None:
    store = await world.store()
    async with store.transaction() as transaction:
        await put(transaction, "a")
    await world.stop()
    assert await ids(await world.store()) == ["a"]


async def promise_a_transaction_left_by_an_exception_is_undone(world: World) -> None:
    store = await world.store()
    for _ in range(12):  # more than there are connections
        await fail_after(store, lambda transaction: put(transaction, uuid4().hex))
    assert await ids(store) == []


async def promise_after_a_failed_statement_there_is_only_rollback(world: World) -> None:
    store = await world.store()

    async def handle() -> None:
        async with store.transaction() as transaction:
            await put(transaction, "a")
            with pytest.raises(Duplicate):
                await put(transaction, "a")
            with pytest.raises(RuntimeError, match="rolled back"):
                await put(transaction, "b")

    with pytest.raises(RuntimeError, match="rolled back"):
        await handle()
    assert await ids(store) == []


async def promise_a_cancelled_transaction_is_undone_and_its_connection_usable(world: World) -> None:
    store = await world.store()

    async def handle(reached: asyncio.Event) -> None:
        async with store.transaction() as transaction:
            await put(transaction, "a")
            reached.set()
            await asyncio.Event().wait()

    for _ in range(12):
        reached = asyncio.Event()
        task = asyncio.create_task(handle(reached))
        await reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    async with asyncio.timeout(PROMPT_S), store.transaction() as transaction:
        await put(transaction, "b")
    assert await ids(store) == ["b"]


async def promise_a_statement_that_is_cancelled_ends(world: World) -> None:
    store = await world.store()

    async def handle() -> None:
        async with store.transaction() as transaction:
            await put(transaction, "a")
            await sql(transaction).fetch(ENDLESS)

    for work in (handle, lambda: sql(store.reader).fetch(ENDLESS)):
        for _ in range(3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await work()
    async with asyncio.timeout(PROMPT_S), store.transaction() as transaction:
        await put(transaction, "a")
    assert await ids(store) == ["a"]


async def promise_transactions_are_served_in_order(world: World) -> None:
    store = await world.store(pool_size=1)
    served: list[int] = []

    async def handle(n: int) -> None:
        async with store.transaction() as transaction:
            await sql(transaction).fetch("select 1 as one")
            served.append(n)

    async with store.transaction() as transaction:
        await sql(transaction).fetch("select 1 as one")
        waiting = [asyncio.create_task(handle(n)) for n in range(20)]
        waiting[7].cancel()  # whoever gives up is in nobody's way
        await asyncio.sleep(0)
    await handle(20)  # and a late comer overtakes nobody
    await asyncio.gather(*waiting, return_exceptions=True)
    assert served == [n for n in range(21) if n != 7]


async def promise_only_one_is_in_an_exclusive_block(world: World) -> None:
    stores = [await world.store(), await world.store(), await world.store()]
    inside = 0

    async def work(store: Store, n: int) -> None:
        nonlocal inside
        async with store.exclusive("boot") as transaction:
            inside += 1
            await asyncio.sleep(0)
            await put(transaction, str(n))
            assert inside == 1
            inside -= 1

    await asyncio.gather(*(work(store, n) for n, store in enumerate(stores * 3)))
    assert len(await ids(stores[0])) == 9


async def promise_a_closed_store_says_that_it_is_away(world: World) -> None:
    store = await world.store()
    await ids(store)
    await world.stop()
    with pytest.raises(StoreAway):
        await ids(store)
    with pytest.raises(StoreAway):
        async with store.transaction() as transaction:
            await put(transaction, "a")
    with pytest.raises(StoreAway):
        await store.ping()


async def promise_ping_says_that_it_would_take_a_write(world: World) -> None:
    await (await world.bare()).ping()


# ---------------------------------------------------------------------------------------------- migrations

SECOND = Migration("0002_second", "insert into pair (a, b) values ('x', 1)\n--\nupdate pair set b = b + 1")
"""Applied twice, it leaves two rows; half applied, the number 1."""


async def applied(store: Store) -> list[int]:
    return [row["b"] for row in await sql(store.reader).fetch("select b from pair")]


async def promise_migrations_are_applied_once_in_order(world: World) -> None:
    store = await world.bare()
    assert await store.migrate([THINGS]) == ["0001_things"]
    assert await store.migrate([THINGS, SECOND]) == ["0002_second"]
    assert await store.migrate([THINGS, SECOND]) == []
    await world.stop()
    again = await world.bare()
    assert await again.migrate([THINGS, SECOND]) == []
    assert await applied(again) == [2]


async def promise_it_says_whether_migrations_are_applied_and_applies_none(world: World) -> None:
    store = await world.bare()
    for known, expected in (([], [False, False]), ([THINGS], [True, False]), ([THINGS, SECOND], [True, True])):
        if known:
            await store.migrate(known)
        assert [await store.migrated(each) for each in ([THINGS], [THINGS, SECOND])] == expected


async def promise_ten_that_migrate_at_once_apply_each_once(world: World) -> None:
    stores = await asyncio.gather(*(world.bare() for _ in range(10)))
    names = await asyncio.gather(*(store.migrate([THINGS, SECOND]) for store in stores))
    assert sorted(map(list, names)) == [[]] * 9 + [["0001_things", "0002_second"]]
    assert await applied(stores[0]) == [2]


async def promise_a_changed_migration_is_named(world: World) -> None:
    await world.store([THINGS, SECOND])
    for changed in (Migration("0002_second", "select 1"), Migration("0002_second", SECOND.text + " ")):
        with pytest.raises(StartError, match="0002_second"):
            await world.store([THINGS, changed])


async def promise_a_missing_migration_is_named(world: World) -> None:
    await world.store([THINGS, SECOND])
    with pytest.raises(StartError, match="0002_second"):
        await world.store([THINGS])


async def promise_a_migration_that_fails_leaves_nothing(world: World) -> None:
    broken = Migration("0002_broken", "insert into thing (id) values ('a')\n--\nthis is no sql")
    store = await world.bare()
    with pytest.raises(Exception, match="syntax error"):
        await store.migrate([THINGS, broken])
    assert await store.migrate([THINGS, SECOND]) == ["0001_things", "0002_second"]


async def promise_the_own_tables_come_first(world: World) -> None:
    seen = Migration("0001_seen", "create table seen as select count(*) as n from outbox")
    store = await world.store([seen])
    assert await sql(store.reader).row("select n from seen") == {"n": 0}
    assert await store.migrate([seen]) == []
    assert TABLES.name not in await store.migrate([seen, THINGS])
