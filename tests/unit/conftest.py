"""The counter on each kind of store."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from runtime.connect import store_at
from runtime.context import system_clock
from runtime.ports import Store
from tests.servers.answers import drop_documents
from tests.unit.counter import IN_DOCUMENTS, MIGRATIONS
from tests.unit.house import House
from tests.unit.line import Brokers, Line


@pytest.fixture(scope="session")
def schemas() -> Iterator[int]:
    """Numbers of schemas; all go with the database of the run."""
    return count(1)


OF_RACES = {"test_dispatch", "test_outbox", "test_outside"}
"""Suites that run on MongoDB, too."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "store_url" in metafunc.fixturenames:
        more = ["mongodb"] if metafunc.module.__name__.rpartition(".")[2] in OF_RACES else []
        metafunc.parametrize("store_url", ["sqlite", "postgresql", *more], indirect=True)


@pytest.fixture
def store_url(request: pytest.FixtureRequest, tmp_path: Path, schemas: Iterator[int], run_id: str) -> str:
    """The address of an empty store: a file, then a schema, then a database."""
    if request.param == "sqlite":
        return f"sqlite:{tmp_path}/counter.db?synchronous=normal"
    if request.param == "mongodb":
        server: str = request.getfixturevalue("mongo_url")
        return urlsplit(server)._replace(path=f"/unit{run_id}-{next(schemas)}").geturl()
    url: str = request.getfixturevalue("postgres_url")
    return f"{url}{'&' if '?' in url else '?'}schema=unit{next(schemas)}"


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[Store]:
    """A store with the counter's tables."""
    store = store_at(store_url, "counter", system_clock, pool_size=6)
    await store.open()
    await store.migrate(IN_DOCUMENTS if store.reader.dialect == "mongo" else MIGRATIONS)
    yield store
    await store.close()
    if store_url.startswith("mongodb"):
        await drop_documents(store_url, f"{urlsplit(store_url).path[1:]}_counter")


@pytest.fixture
def house(store: Store) -> House:
    return House(store)


@pytest.fixture
async def file_store(tmp_path: Path) -> AsyncIterator[Store]:
    """A store with the counter's tables, where its kind does not matter."""
    store = store_at(f"sqlite:{tmp_path}/counter.db?synchronous=normal", "counter", system_clock)
    await store.open()
    await store.migrate(MIGRATIONS)
    yield store
    await store.close()


@pytest.fixture(params=["memory", "amqp"])
def brokers(request: pytest.FixtureRequest) -> Brokers:
    """Each kind of broker."""
    if request.param == "memory":
        return Brokers()
    return Brokers(request.getfixturevalue("amqp_url"), f"unit-{secrets.token_hex(6)}")


@pytest.fixture
async def line(brokers: Brokers, file_store: Store) -> AsyncIterator[Line]:
    """The counter behind it."""
    line = await Line(brokers, file_store).open()
    yield line
    await line.close()


@pytest.fixture
async def memory_line(file_store: Store) -> AsyncIterator[Line]:
    """Likewise, in memory."""
    line = await Line(Brokers(), file_store).open()
    yield line
    await line.close()
