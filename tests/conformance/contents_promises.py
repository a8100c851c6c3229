"""What `Store` promises of whole tables, which is how an installation moves to other servers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from runtime.errors import ContractError
from runtime.ports import Store, Table
from tests.conformance.store_worlds import World
from tests.sql import sql

MANY = 1201
"""More rows than are read at once, twice."""


async def made(world: World) -> Store:
    store = await world.bare()
    await store.migrate([world.house])
    return store


async def tables(store: Store) -> dict[str, Table]:
    async with store.transaction() as transaction:
        return {table.name: table for table in await transaction.tables()}


async def read(store: Store, table: Table) -> list[Sequence[Any]]:
    async with store.transaction() as transaction:
        return [row async for page in transaction.rows(table) for row in page]


async def pages(*given: Sequence[Sequence[Any]]) -> AsyncIterator[Sequence[Sequence[Any]]]:
    for page in given:
        yield page


async def fill(store: Store, table: Table, *given: Sequence[Sequence[Any]]) -> None:
    async with store.transaction() as transaction:
        await transaction.fill(table, pages(*given))


async def promise_every_table_is_told_behind_those_that_it_refers_to(world: World) -> None:
    found = await tables(await made(world))
    assert found.keys() == {"house", "attic", "guest", "heap", "inbox", "outbox", "parked"}
    names = list(found)
    assert names.index("house") < names.index("attic")
    assert found["attic"] == Table("attic", ("house_id", "number"), ("number", "house_id"))


async def promise_all_rows_come_by_their_key(world: World) -> None:
    store = await made(world)
    known = await tables(store)
    rows = [(f"h{n % 7}", n // 7) for n in range(MANY)]
    await fill(store, known["house"], [(f"h{n}", bytes([n])) for n in range(7)])
    await fill(store, known["attic"], rows)
    assert await read(store, known["attic"]) == sorted(rows, key=lambda row: (row[1], row[0]))
    assert await read(store, known["house"]) == [(f"h{n}", bytes([n])) for n in range(7)]


async def promise_a_filled_table_has_these_rows_and_no_others(world: World) -> None:
    store = await made(world)
    table = (await tables(store))["house"]
    await fill(store, table, [("a", None)])
    await fill(store, table, [("b", b"x")], [], [("c", b"")])
    assert await read(store, table) == [("b", b"x"), ("c", b"")]
    with pytest.raises(LookupError):
        async with store.transaction() as transaction:
            await transaction.fill(table, pages([("d", None)]))
            raise LookupError
    assert await read(store, table) == [("b", b"x"), ("c", b"")]


async def promise_numbers_go_on_behind_those_that_were_filled_in(world: World) -> None:
    store = await made(world)
    table = (await tables(store))["guest"]
    await fill(store, table, [(7, "Ada"), (41, "Eve")])
    if "numbers" in store.lacks:
        assert await read(store, table) == [(7, "Ada"), (41, "Eve")]
        return
    async with store.transaction() as transaction:
        await sql(transaction).insert("guest", ["name"], [["Zoë"]])
    assert await read(store, table) == [(7, "Ada"), (41, "Eve"), (42, "Zoë")]


async def promise_a_table_without_a_key_is_named(world: World) -> None:
    store = await made(world)
    table = (await tables(store))["heap"]
    with pytest.raises(ContractError, match="heap"):
        await read(store, table)
