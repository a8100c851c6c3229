"""Worlds of stores to ask promises of."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlencode, urlsplit
from uuid import uuid4

import asyncpg

from runtime.context import Clock, system_clock
from runtime.drivers import store_postgres
from runtime.drivers.store_sqlite import SqliteStore
from runtime.ports import Migration, Store

THINGS = Migration(
    name="0001_things",
    text="""
create table thing (
    id text primary key,
    number bigint unique,
    name text,
    body bytea,
    weight double precision
)
--
create unique index thing_by_name on thing (name)
--
create table pair (a text not null, b bigint not null, unique (a, b))
""",
)


class World:
    """Stores that stand to each other as processes on one database."""

    def __init__(self, make: Callable[[int], Store]) -> None:
        self._make = make
        self._stores: list[Store] = []

    async def store(self, migrations: Sequence[Migration] = (THINGS,), *, pool_size: int = 10) -> Store:
        """Another process's store, opened and migrated."""
        store = await self.bare(pool_size=pool_size)
        await store.migrate(migrations)
        return store

    async def bare(self, *, pool_size: int = 10) -> Store:
        """Another process's store, opened."""
        store = self._make(pool_size)
        self._stores.append(store)
        await store.open()
        return store

    async def stop(self) -> None:
        """Every process is gone; what is stored stays."""
        stores, self._stores = self._stores, []
        await asyncio.gather(*(store.close() for store in stores))


class SqliteWorld(World):
    """Stores of one kind on one file."""

    def __init__(self, folder: Path, kind: type[SqliteStore] = SqliteStore, clock: Clock = system_clock) -> None:
        self.path = folder / "test.db"
        # a sync for each of hundreds of commits would be most of the time, and no test cuts the power
        super().__init__(lambda size: kind(self.path, clock=clock, synchronous="normal", readers=min(size, 4)))


class PostgresWorld(World):
    """Stores in one schema, which is nobody else's."""

    def __init__(self, database: str) -> None:
        self.database = database
        self.schema = f"test_{uuid4().hex[:12]}"
        self.name = f"actor{self.schema}"
        self.url = self.url_by(database)
        super().__init__(lambda size: store_postgres.connect(self.url, actor=self.name, pool_size=size))

    def url_by(self, database: str, **options: str) -> str:
        """This world's database at another address, or with further options."""
        mark = "&" if urlsplit(database).query else "?"
        return f"{database}{mark}{urlencode({'schema': self.schema, **options})}"

    async def drop(self) -> None:
        """Leave nothing behind on the server."""
        await self.stop()
        connection = await asyncpg.connect(self.database)
        await connection.execute(f'drop schema if exists "{self.schema}" cascade')
        await connection.close()
