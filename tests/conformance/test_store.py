"""Both stores keep the port's promises, and broken twins are found out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType

import pytest

from runtime.drivers.store_mongo import MongoStore
from runtime.drivers.store_postgres import PostgresStore
from runtime.drivers.store_sqlite import SqliteStore
from tests.conformance import (
    contents_promises,
    documents_promises,
    inbox_promises,
    outbox_promises,
    sql_promises,
    store_promises,
)
from tests.conformance.broken_stores import BROKEN
from tests.conformance.store_promises import Promise
from tests.conformance.store_worlds import MongoWorld, PostgresWorld, SqliteWorld


def named(prefix: str, *modules: ModuleType) -> dict[str, Promise]:
    """The promises whose functions begin so, by the rest of their names."""
    everything = {name: each for module in modules for name, each in vars(module).items()}
    return {name.removeprefix(prefix): each for name, each in everything.items() if name.startswith(prefix)}


OF_ANY_STORE = (store_promises, contents_promises, inbox_promises, outbox_promises)
PROMISES = named("promise_", *OF_ANY_STORE, sql_promises)
CONCURRENT_PROMISES = named("concurrent_promise_", *OF_ANY_STORE)
OF_DOCUMENTS = named("promise_", *OF_ANY_STORE, documents_promises) | CONCURRENT_PROMISES


@pytest.fixture
async def sqlite_world(tmp_path: Path) -> AsyncIterator[SqliteWorld]:
    world = SqliteWorld(tmp_path)
    yield world
    await world.stop()


@pytest.fixture
async def postgres_world(postgres_url: str) -> AsyncIterator[PostgresWorld]:
    world = PostgresWorld(postgres_url)
    yield world
    await world.drop()


@pytest.fixture
async def mongo_world(mongo_url: str) -> AsyncIterator[MongoWorld]:
    world = MongoWorld(mongo_url)
    yield world
    await world.drop()


@pytest.mark.parametrize("promise", OF_DOCUMENTS.values(), ids=OF_DOCUMENTS)
async def test_mongodb_keeps_its_promise(promise: Promise, mongo_world: MongoWorld) -> None:
    await promise(mongo_world)


@pytest.mark.parametrize("promise", PROMISES.values(), ids=PROMISES)
async def test_sqlite_keeps_its_promise(promise: Promise, sqlite_world: SqliteWorld) -> None:
    await promise(sqlite_world)


@pytest.mark.parametrize(
    "promise", [*PROMISES.values(), *CONCURRENT_PROMISES.values()], ids=[*PROMISES, *CONCURRENT_PROMISES]
)
async def test_postgresql_keeps_its_promise(promise: Promise, postgres_world: PostgresWorld) -> None:
    await promise(postgres_world)


def test_what_is_not_promised_is_declared() -> None:
    assert SqliteStore.lacks == {"concurrent_transactions"}
    assert PostgresStore.lacks == set()
    assert MongoStore.lacks == {"numbers"}


@pytest.mark.parametrize(
    ("twin", "broken"),
    [(twin, name) for twin, names in BROKEN.items() for name in names],
    ids=lambda it: it if isinstance(it, str) else it.__name__,
)
async def test_a_broken_twin_is_found_out(twin: type[SqliteStore], broken: str, tmp_path: Path) -> None:
    world = SqliteWorld(tmp_path, twin)
    try:
        with pytest.raises((AssertionError, pytest.fail.Exception, TimeoutError)):
            await PROMISES[broken](world)
    finally:
        await world.stop()
