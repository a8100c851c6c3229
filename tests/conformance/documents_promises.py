"""What `Documents` promises, each as one function over a world of stores that keep documents."""

from __future__ import annotations

from typing import Any

import pytest

from runtime.errors import Invalid
from runtime.ports import Duplicate, Row
from tests.conformance.store_worlds import World
from tests.sql import documents


async def promise_documents_come_back_as_they_were_put(world: World) -> None:
    store = await world.store()
    rows: list[Row] = [
        {"_id": "a", "number": 2**63 - 1, "name": "Zoë 🐌 \\ ' \" $1", "body": bytes(range(256)), "weight": 0.1},
        {"_id": "b", "number": -(2**63), "name": "", "body": b"", "weight": -1e300},
        {"_id": "c", "body": None, "weight": None},
    ]
    async with store.transaction() as transaction:
        await documents(transaction).insert("thing", rows)
        assert await documents(transaction).find("thing", {}, sort={"_id": 1}) == rows
    reader = documents(store.reader)
    assert await reader.find("thing", {}, sort={"_id": 1}) == rows
    assert await reader.find("thing", {}, sort={"_id": -1}, limit=2) == [rows[2], rows[1]]
    assert await reader.one("thing", {"number": -(2**63)}) == rows[1]
    assert await reader.one("thing", {"_id": "none"}) is None


async def promise_changes_say_what_they_touched(world: World) -> None:
    store = await world.store()
    async with store.transaction() as transaction:
        things = documents(transaction)
        assert await things.change("thing", {"_id": "a"}, {"$inc": {"weight": 1}}) is None
        assert await things.change("thing", {"_id": "a"}, {"$inc": {"weight": 1}}, upsert=True) == {
            "_id": "a",
            "weight": 1,
        }
        await world.put(transaction, "b", "c")
        assert await things.update("thing", {"_id": {"$in": ["a", "b"]}}, {"$set": {"weight": 2}}) == 2
        assert await things.change("thing", {"_id": "b"}, [{"$set": {"weight": {"$add": ["$weight", 1]}}}]) == {
            "_id": "b",
            "weight": 3,
        }
        assert await things.delete("thing", {"weight": 2}) == 1
        assert await things.delete("thing", {"weight": 2}) == 0
    assert await world.ids(store) == ["b", "c"]


async def promise_a_duplicate_names_its_index(world: World) -> None:
    store = await world.store()
    async with store.transaction() as transaction:
        await documents(transaction).insert(
            "thing", [{"_id": "a", "number": 1, "name": "x"}, {"_id": "c"}, {"_id": "d"}]
        )
        await documents(transaction).insert("pair", [{"a": "a", "b": 1}])
    for collection, document, constraint in (
        ("thing", {"_id": "a"}, "thing_pkey"),
        ("thing", {"_id": "b", "number": 1}, "thing_number_key"),
        ("thing", {"_id": "b", "name": "x"}, "thing_by_name"),
        ("pair", {"a": "a", "b": 1}, "pair_a_b_key"),
    ):
        with pytest.raises(Duplicate) as caught:
            async with store.transaction() as transaction:
                await documents(transaction).insert(collection, [document])
        assert caught.value.constraint == constraint


async def promise_what_cannot_be_stored_is_the_clients_fault(world: World) -> None:
    store = await world.store()
    values: list[Any] = ["a\0b", "\ud800", 2**63, -(2**63) - 1]
    for value in values:
        for asked in ({"name": value}, {"name": {"$in": [value]}}):
            with pytest.raises(Invalid) as caught:
                await documents(store.reader).find("thing", asked)
            assert caught.value.code == "request.invalid"
        with pytest.raises(Invalid):
            async with store.transaction() as transaction:
                await documents(transaction).insert("thing", [{"_id": "a", "name": value}])
        with pytest.raises(Invalid):
            async with store.transaction() as transaction:
                await documents(transaction).update("thing", {}, {"$set": {"name": value}})
        assert await world.ids(store) == []
