"""What `Session` promises, each as one function over a world of stores that speak SQL."""

from __future__ import annotations

from typing import Any

import pytest

from runtime.drivers.store_tables import TABLES
from runtime.errors import Invalid
from runtime.ports import Duplicate, Migration, Row
from tests.conformance.store_worlds import THINGS, World
from tests.sql import sql


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
        await world.put(transaction, "b", "a")
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
        assert await world.ids(store) == []


async def promise_the_own_tables_come_first(world: World) -> None:
    seen = Migration("0001_seen", "create table seen as select count(*) as n from outbox")
    store = await world.store([seen])
    assert await sql(store.reader).row("select n from seen") == {"n": 0}
    assert await store.migrate([seen]) == []
    assert TABLES.name not in await store.migrate([seen, THINGS])
