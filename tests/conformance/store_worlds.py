"""Worlds of stores to ask promises of."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlencode, urlsplit
from uuid import uuid4

import asyncpg

from runtime.context import Clock, system_clock
from runtime.drivers import store_mongo, store_postgres
from runtime.drivers.store_sqlite import SqliteStore
from runtime.ports import Migration, Scope, Store, Transaction
from tests.servers.answers import drop_documents
from tests.sql import documents, sql

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


SECOND = Migration("0002_second", "insert into pair (a, b) values ('x', 1)\n--\nupdate pair set b = b + 1")
"""Applied twice, it leaves two rows; half applied, the number 1."""

ENDLESS = """
with recursive n (i) as (select 1 union all select i + 1 from n where i < 2000000000) select count(*) as n from n
"""

FIRST = """
insert into inbox (id, settled_at) values ($1, now_ms())
on conflict (id) do update set lease = null, leased_until = null, settled_at = excluded.settled_at
"""


NUMBERED = {"postgresql": "bigint generated always as identity primary key", "sqlite": "integer primary key"}


def house(numbered: str) -> Migration:
    return Migration(
        "0001_house",
        f"""
create table house (id text not null primary key, street bytea)
--
create table attic (
    house_id text not null references house (id) on delete cascade,
    number bigint not null,
    twice bigint generated always as (number * 2) stored,
    primary key (number, house_id)
)
--
create table guest (id {numbered}, name text)
--
create table heap (a text)
""",
    )


async def put(scope: Scope, *ids: str) -> None:
    """Things with these ids, by SQL."""
    await sql(scope).insert("thing", ["id"], [[id] for id in ids])


async def ids(store: Store) -> list[str]:
    """Those of all things, in order, by SQL."""
    return [row["id"] for row in await sql(store.reader).fetch("select id from thing order by id")]


class World:
    """Stores that stand to each other as processes on one database, and what promises about any store need to say in
    its own words."""

    things = THINGS
    second = SECOND
    house: Migration
    broken = Migration("0002_broken", "insert into thing (id) values ('a')\n--\nthis is no sql")

    async def put(self, scope: Scope, *ids: str) -> None:
        """Things with these ids."""
        await put(scope, *ids)

    async def ids(self, store: Store) -> list[str]:
        """Those of all things, in order."""
        return await ids(store)

    async def applied(self, store: Store) -> list[int]:
        """The numbers that `second` has left."""
        return [row["b"] for row in await sql(store.reader).fetch("select b from pair")]

    async def dawdle(self, scope: Scope) -> None:
        """A statement that takes longer than anybody waits."""
        await sql(scope).fetch(ENDLESS)

    async def settle_unseen(self, transaction: Transaction, id: str) -> None:
        """Settle an id without claiming it, as a process does whose connection was lost meanwhile."""
        await sql(transaction).execute(FIRST, id)

    def __init__(self, make: Callable[[int], Store]) -> None:
        self._make = make
        self._stores: list[Store] = []

    async def store(self, migrations: Sequence[Migration] | None = None, *, pool_size: int = 10) -> Store:
        """Another process's store, opened and migrated."""
        store = await self.bare(pool_size=pool_size)
        await store.migrate([self.things] if migrations is None else migrations)
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

    house = house(NUMBERED["sqlite"])

    def __init__(self, folder: Path, kind: type[SqliteStore] = SqliteStore, clock: Clock = system_clock) -> None:
        self.path = folder / "test.db"
        # a sync for each of hundreds of commits would be most of the time, and no test cuts the power
        super().__init__(lambda size: kind(self.path, clock=clock, synchronous="normal", readers=min(size, 4)))


class PostgresWorld(World):
    """Stores in one schema, which is nobody else's."""

    house = house(NUMBERED["postgresql"])

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


class MongoWorld(World):
    """Stores in one database, which is nobody else's."""

    things = Migration(
        "0001_things",
        """
{"collection": "thing", "columns": ["id", "number", "name", "body", "weight"], "key": ["id"],
 "unique": {"thing_number_key": ["number"], "thing_by_name": ["name"]}}
--
{"collection": "pair", "columns": ["a", "b"], "unique": {"pair_a_b_key": ["a", "b"]}}
""",
    )
    second = Migration(
        "0002_second",
        '{"insert": "pair", "documents": [{"a": "x", "b": 1}]}\n--\n'
        '{"update": "pair", "where": {}, "change": {"$inc": {"b": 1}}}',
    )
    broken = Migration("0002_broken", '{"insert": "thing", "documents": [{"_id": "a"}]}\n--\nthis is no JSON')
    house = Migration(
        "0001_house",
        """
{"collection": "attic", "columns": ["house_id", "number"], "key": ["number", "house_id"], "behind": ["house"]}
--
{"collection": "house", "columns": ["id", "street"], "key": ["id"]}
--
{"collection": "guest", "columns": ["id", "name"], "key": ["id"]}
--
{"collection": "heap", "columns": ["a"]}
""",
    )

    def __init__(self, server: str) -> None:
        self.server = server
        self.name = f"test{uuid4().hex[:12]}"
        super().__init__(lambda size: store_mongo.connect(server, actor=self.name, pool_size=size))

    async def put(self, scope: Scope, *ids: str) -> None:
        await documents(scope).insert("thing", [{"_id": id} for id in ids])

    async def ids(self, store: Store) -> list[str]:
        return [row["_id"] for row in await documents(store.reader).find("thing", {}, sort={"_id": 1})]

    async def applied(self, store: Store) -> list[int]:
        return [row["b"] for row in await documents(store.reader).find("pair", {})]

    async def dawdle(self, scope: Scope) -> None:
        await documents(scope).find("migration", {"$where": "sleep(60000) || true"})

    async def settle_unseen(self, transaction: Transaction, id: str) -> None:
        change = {"$set": {"settled_at": 1, "lease": None, "leased_until": None, "hash": None, "reply": None}}
        await documents(transaction).change("inbox", {"_id": id}, change, upsert=True)

    async def drop(self) -> None:
        """Leave nothing behind on the server."""
        await self.stop()
        await drop_documents(self.server, f"troupe_{self.name}")
