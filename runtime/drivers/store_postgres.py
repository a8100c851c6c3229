"""The store in PostgreSQL 12 or later, through asyncpg; any number of processes and hosts.

Each actor has a schema of its own. A transaction makes a round trip for `begin`, one for all its claims, one for
all that is to be remembered and sent, one for `commit`, and those of the handler. An id is claimed by an advisory
lock, which never waits and goes with the transaction, and so is the asking that it is claimed for
(https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS).
"""

from __future__ import annotations

import asyncio
import hashlib
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import ClassVar, Final

from asyncpg import Connection

from runtime.context import Clock, system_clock
from runtime.drivers.postgres_connection import (
    STATEMENT_S,
    T,
    Work,
    connected,
    is_refused,
    split,
    translating,
)
from runtime.drivers.store_contents import Contents
from runtime.drivers.store_pool import Pool
from runtime.drivers.store_tables import SETTLED, Letters, SqlTransaction, Tables
from runtime.errors import Locked, StartError, StoreAway
from runtime.ports import (
    Busy,
    Claim,
    Claimed,
    Migration,
    Outgoing,
    Raced,
    Row,
    Saved,
    Session,
    Settled,
    Store,
    Value,
)

ACQUIRE_S = 0.9
"""Seconds to wait for a free connection, a new one included."""
FOR_READS = 2
"""Connections that transactions leave to reads: those that wait for a lock hold theirs meanwhile."""
BOOT_S = 600.0
"""Seconds for each statement of `exclusive`, waiting for its turn included."""

_BEGIN_BRIEFLY = "begin; set local lock_timeout = 100"
BRIEFLY_S = 0.5
"""Seconds after one has waited for a lock in vain, in which others wait for theirs but briefly: they have waited for
their turn already."""
_BEGIN_EXCLUSIVE = "begin; " + "; ".join(
    f"set local {limit} = 0" for limit in ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")
)

CLOCK = Migration(
    name="store_0000_clock",
    text="""
create function now_ms() returns bigint language sql stable
as 'select (extract(epoch from statement_timestamp()) * 1000)::bigint'
""",
)
"""The time at which the statement began: stable within it, so that an index on a time can be used."""

_BEGIN = """
select case
           when wish.asking = '' then pg_try_advisory_xact_lock(hashtextextended(wish.id, $3))
           when pg_try_advisory_xact_lock(hashtextextended(wish.id || ' ' || wish.asking, $3))
           then pg_try_advisory_xact_lock(hashtextextended(wish.id, $3))
       end as free,
       hash, reply, settled_at is not null as settled, leased_until > now_ms() as leased,
       inbox.asking = wish.asking as same
from unnest($1::text[], $2::text[]) with ordinality as wish (id, asking, n) left join inbox on inbox.id = wish.id
order by n
"""
"""`free` is null where another copy of the same asking is being handled: the lock on the asking comes before that on
the id, and is held as long."""
_RESUME = """
select pg_try_advisory_xact_lock(hashtextextended($1, $2))
       and exists (select from inbox where id = $1 and lease = $3 and settled_at is null) as ours
"""
_FINISH = f"""
with sent as (
    insert into outbox (id, route, envelope, direct, request_id, created_at, leased_until)
    select id, route, envelope, direct, request_id, now_ms(), now_ms() + $9
    from unnest($5::text[], $6::text[], $7::bytea[], $8::bigint[], $11::text[])
    as new (id, route, envelope, direct, request_id)
), gone as (
    delete from parked where id = any($10::text[])
), kept as (
    insert into inbox (id, hash, reply, lease, settled_at, type, request_id, cause, caller, made)
    select id, hash, reply, lease, now_ms(), type, request_id, cause, caller, made
    from unnest(
        $1::text[], $2::bytea[], $3::bytea[], $4::text[],
        $12::text[], $13::text[], $14::text[], $15::text[], $16::text[]
    ) as new (id, hash, reply, lease, type, request_id, cause, caller, made)
    {SETTLED}
    returning 1
)
select count(*) as kept from kept
"""  # noqa: S608 # put together from constants
_COLUMNS = """
select attname, format_type(atttypid, null) as type from pg_attribute
where attrelid = to_regclass($1) and attnum > 0 and not attisdropped
"""


def connect(
    url: str, *, actor: str, clock: Clock = system_clock, read_url: str | None = None, pool_size: int = 10
) -> Store:
    """A store in the schema `actor` of the database, or in that of `?schema=`; `migrate` creates it.

    :param clock: not used: the time is the database's.
    :param read_url: a replica, for `reader`; its schema is the same.
    :param pool_size: connections at most, to each of the two.
    :raises SettingError: no such URL.
    """
    address, schema = split(url, schema=actor)
    replica = address if read_url is None else split(read_url, schema=schema)[0]
    return PostgresStore(address, schema=schema, actor=actor, replica=replica, pool_size=pool_size)


class PostgresStore(Tables):
    """See `connect`."""

    lacks: ClassVar[frozenset[str]] = frozenset()
    skip_locked = "for update skip locked"
    before_tables = (CLOCK,)

    def __init__(self, address: str, *, schema: str, actor: str, replica: str, pool_size: int) -> None:
        self._schema = schema
        # Advisory locks belong to the whole database: two actors that handle one event must not meet there.
        self._seed = int.from_bytes(hashlib.sha256(schema.encode()).digest()[:8], signed=True)
        self._inserts: dict[tuple[str, ...], str] = {}
        name = f"troupe {actor}"
        self._locked_at = float("-inf")
        self._turns = asyncio.Semaphore(max(1, pool_size - FOR_READS))
        self._pool = Pool(partial(connected, address, schema, name), size=pool_size, timeout_s=ACQUIRE_S)
        self._replicas = self._pool
        if replica != address:
            self._replicas = Pool(partial(connected, replica, schema, name), size=pool_size, timeout_s=ACQUIRE_S)
        self._writer = _Pooled(self._pool, self._inserts)
        self._reader = _Pooled(self._replicas, self._inserts)

    @property
    def writer(self) -> Session:
        return self._writer

    @property
    def reader(self) -> Session:
        return self._reader

    @property
    def primary(self) -> Session:
        return self._writer

    async def open(self) -> None:
        """:raises StartError: the server answers, but refuses the user, the password or the database."""
        for pool in {self._pool, self._replicas}:
            try:
                async with pool.acquire():
                    pass
            except StoreAway as error:
                if is_refused(error):
                    raise StartError(f"the database does not let us in: {error.__cause__}") from error
                raise

    async def close(self) -> None:
        await self._pool.close()
        await self._replicas.close()

    async def ping(self) -> None:
        row = await self._writer.row("select current_setting('transaction_read_only') as read_only")
        if row is None or row["read_only"] == "on":
            raise StoreAway("the database is read-only")

    async def prepare(self, transaction: SqlTransaction) -> None:
        if await transaction.row("select 1 from pg_namespace where nspname = $1", self._schema) is None:
            await transaction.execute(f'create schema "{self._schema}"')

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[_Transaction]:
        async with self._turn(), self._pool.acquire() as connection:
            now = asyncio.get_running_loop().time
            begin = _BEGIN_BRIEFLY if now() - self._locked_at < BRIEFLY_S else "begin"
            async with _Transaction(connection, self._inserts, self._seed, begin, STATEMENT_S) as transaction:
                try:
                    yield transaction
                except Locked:
                    self._locked_at = now()
                    raise

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Of as many transactions as may be open at once, first in, first out."""
        if self._turns.locked():
            try:
                async with asyncio.timeout(ACQUIRE_S):
                    await self._turns.acquire()
            except TimeoutError as error:
                raise StoreAway("no connection to the database in time") from error
        else:
            await self._turns.acquire()
        try:
            yield
        finally:
            self._turns.release()

    @asynccontextmanager
    async def exclusive(self, name: str) -> AsyncIterator[_Transaction]:
        async with (
            self._pool.acquire() as connection,
            _Transaction(connection, self._inserts, self._seed, _BEGIN_EXCLUSIVE, BOOT_S) as transaction,
        ):
            await transaction.execute("select pg_advisory_xact_lock(hashtextextended($1, $2))", name, self._seed)
            yield transaction


class _Statements(ABC):
    """A `Session` over whatever `_run` runs it on.

    :param inserts: a table and its columns → the statement, made when it is first needed.
    """

    dialect: Final = "postgresql"

    def __init__(self, inserts: dict[tuple[str, ...], str], timeout_s: float) -> None:
        self._inserts = inserts
        self._timeout_s = timeout_s

    @abstractmethod
    async def _run(self, work: Work[T]) -> T: ...

    async def fetch(self, sql: str, *args: Value | Sequence[Value]) -> Sequence[Row]:
        rows = await self._run(lambda connection: connection.fetch(sql, *args, timeout=self._timeout_s))
        return [dict(row) for row in rows]

    async def row(self, sql: str, *args: Value | Sequence[Value]) -> Row | None:
        row = await self._run(lambda connection: connection.fetchrow(sql, *args, timeout=self._timeout_s))
        return row and dict(row)

    async def execute(self, sql: str, *args: Value | Sequence[Value]) -> int:
        status = await self._run(lambda connection: connection.execute(sql, *args, timeout=self._timeout_s))
        count = status.rpartition(" ")[2]  # `INSERT 0 5`, `UPDATE 5`, `CREATE TABLE`
        return int(count) if count.isdigit() else 0

    async def insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Value]]) -> None:
        if rows:
            sql = self._inserts.get((table, *columns)) or await self._insert_into(table, columns)
            await self.execute(sql, *zip(*rows, strict=True))

    async def _insert_into(self, table: str, columns: Sequence[str]) -> str:
        types = {row["attname"]: row["type"] for row in await self.fetch(_COLUMNS, table)}
        arrays = ", ".join(f"${n}::{types[column]}[]" for n, column in enumerate(columns, 1))
        into = f"insert into {table} ({', '.join(columns)})"
        sql = f"{into} overriding system value select * from unnest({arrays})"  # noqa: S608 # names are code
        self._inserts[table, *columns] = sql
        return sql


class _Pooled(_Statements):
    """Each statement on a connection from the pool, committed by itself."""

    def __init__(self, pool: Pool[Connection], inserts: dict[tuple[str, ...], str]) -> None:
        super().__init__(inserts, STATEMENT_S)
        self._pool = pool

    async def _run(self, work: Work[T]) -> T:
        async with self._pool.acquire() as connection:
            return await translating(work, connection)


class _Transaction(_Statements, Letters, Contents):
    """:param begin: the statement that begins it."""

    def __init__(
        self,
        connection: Connection,
        inserts: dict[tuple[str, ...], str],
        seed: int,
        begin: str,
        timeout_s: float,
    ) -> None:
        super().__init__(inserts, timeout_s)
        self._connection = connection
        self._seed = seed
        self._begin = begin
        self._failed = False
        self._claimed: set[str] = set()
        self._leases: dict[str, str] = {}

    async def __aenter__(self) -> _Transaction:
        await self.execute(self._begin)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                await self.execute("commit")
        finally:
            if not self._connection.is_closed() and self._connection.is_in_transaction():
                await translating(lambda connection: connection.execute("rollback"), self._connection)

    async def begin(self, claims: Sequence[Claim]) -> Sequence[Claimed]:
        wishes = [claim.id for claim in claims], [claim.asking for claim in claims], self._seed
        rows = await self.fetch(_BEGIN, *wishes)
        if any(row["free"] is False for row in rows):
            # whoever held it may have let go of one lock and not yet of the other: what it settled is seen now
            rows = await self.fetch(_BEGIN, *wishes)
        found: list[Claimed] = []
        for claim, row in zip(claims, rows, strict=True):
            if row["settled"]:
                found.append(Saved(row["reply"], row["hash"]))
            elif row["leased"]:
                found.append(Busy(same=bool(claim.asking) and bool(row["same"])))
            elif not row["free"] or claim.id in self._claimed:
                found.append(Busy(same=row["free"] is None))
            else:
                self._claimed.add(claim.id)
                found.append(None)
        return found

    async def resume(self, id: str, lease: str) -> bool:
        (row,) = await self.fetch(_RESUME, id, self._seed, lease)
        if row["ours"]:
            self._leases[id] = lease
        return bool(row["ours"])

    async def finish(
        self, settled: Sequence[Settled], outgoing: Sequence[Outgoing], *, unpark: Sequence[str] = (), lease_ms: int
    ) -> None:
        if not settled and not outgoing and not unpark:
            return
        (row,) = await self.fetch(
            _FINISH,
            [each.claim.id for each in settled],
            [each.claim.hash for each in settled],
            [each.reply for each in settled],
            [self._leases.get(each.claim.id) for each in settled],
            [each.id for each in outgoing],
            [each.route for each in outgoing],
            [each.envelope for each in outgoing],
            [int(each.direct) for each in outgoing],
            lease_ms,
            unpark,
            [each.request_id for each in outgoing],
            [each.about.type for each in settled],
            [each.about.request_id for each in settled],
            [each.about.cause for each in settled],
            [each.about.caller for each in settled],
            [each.about.made for each in settled],
        )
        if row["kept"] < len(settled):
            self._failed = True
            raise Raced

    async def _run(self, work: Work[T]) -> T:
        if self._failed:
            raise RuntimeError("a statement of this transaction has failed; it can only be rolled back")
        try:
            return await translating(work, self._connection)
        except BaseException:
            self._failed = True
            raise
