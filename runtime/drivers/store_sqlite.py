"""The store in a file: SQLite in WAL mode, for one host; any number of processes may share the file.

One connection writes and a few read, each in a thread of its own. Writers queue up here, first come, first served,
and processes at the file's lock, so `database is locked` never shows. What a transaction can put off it puts off:
`begin immediate` travels with its first statement and `finish` with the commit, so that these and one statement of
the handler are three trips to the thread. (https://sqlite.org/wal.html, https://sqlite.org/lang_transaction.html)
"""

from __future__ import annotations

import asyncio
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Final
from urllib.parse import parse_qsl

from runtime.context import Clock, system_clock
from runtime.drivers.sqlite_connection import (
    WAIT_S,
    Connection,
    QuickReader,
    T,
    Work,
    is_busy,
    rows_of,
    run,
    run_many,
    touched,
)
from runtime.drivers.store_contents import Contents
from runtime.drivers.store_pool import Pool
from runtime.drivers.store_tables import SETTLED, Letters, SqlTransaction, Tables
from runtime.errors import SettingError, StartError, StoreAway
from runtime.ports import Busy, Claim, Claimed, Outgoing, Raced, Row, Saved, Session, Settled, Store, Value

TURN_S = 5.0
"""Seconds that a transaction waits for those before it in this process."""
BOOT_S = 600.0
"""Seconds that `exclusive` waits for its turn."""
READERS = 4

_LOOK_UP = """
select id, hash, reply, settled_at is not null as settled, asking from inbox
where id = any($1) and (settled_at is not null or leased_until > now_ms())
"""
_SETTLE = f"""
insert into inbox (id, hash, reply, lease, settled_at, type, request_id, cause, caller, made)
values ($1, $2, $3, $4, now_ms(), $5, $6, $7, $8, $9) {SETTLED}
"""  # noqa: S608 # constants
_SEND = """
insert into outbox (id, route, envelope, direct, request_id, created_at, leased_until)
values ($1, $2, $3, $4, $5, now_ms(), now_ms() + $6)
"""


def connect(
    url: str, *, actor: str, clock: Clock = system_clock, read_url: str | None = None, pool_size: int = 10
) -> Store:
    """A store in the file of `sqlite:relative/or/absolute.db`, whose directory is made when it is opened.

    `?synchronous=normal` gives up the last commits on a power cut (never on a crash of the process) for speed; the
    default, `full`, syncs the log at each commit (https://sqlite.org/pragma.html#pragma_synchronous).

    :raises SettingError: the URL is wrong, or a replica is asked for.
    """
    path, _, query = url.removeprefix("sqlite:").partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    synchronous = options.pop("synchronous", "full")
    if not path or path == ":memory:" or options or synchronous not in {"full", "normal"}:
        raise SettingError(f"the store of {actor}: sqlite:path/to/file.db is right, not {url}")
    if read_url is not None:
        raise SettingError(f"the store of {actor}: a SQLite file has no replica to read from")
    return SqliteStore(Path(path), clock=clock, synchronous=synchronous, readers=min(READERS, pool_size))


class SqliteStore(Tables):
    """See `connect`."""

    lacks: ClassVar[frozenset[str]] = frozenset({"concurrent_transactions"})
    skip_locked = ""  # there is one writer

    def __init__(self, path: Path, *, clock: Clock, synchronous: str, readers: int) -> None:
        pragmas = (
            f"pragma busy_timeout = {WAIT_S * 1000:.0f}; pragma foreign_keys = on; pragma synchronous = {synchronous};"
            " pragma secure_delete = on;"  # what was deleted is not left in free pages
        )
        self._path = path
        self._writers = Pool(partial(Connection.open, path, pragmas, clock), size=1, timeout_s=TURN_S)
        pragmas += "pragma query_only = on"
        self._readers = Pool(partial(Connection.open, path, pragmas, clock), size=readers, timeout_s=TURN_S)
        self._writer = _Pooled(self._writers)
        self._reader = _Reader(self._readers, partial(QuickReader, path, pragmas, clock))

    @property
    def writer(self) -> Session:
        return self._writer

    @property
    def reader(self) -> Session:
        return self._reader

    @property
    def primary(self) -> Session:
        return self._reader

    async def open(self) -> None:
        if sqlite3.sqlite_version_info < (3, 35):  # `returning`
            raise StartError(f"SQLite 3.35 or later is needed; this Python has {sqlite3.sqlite_version}")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.touch(mode=0o600)
            async with self._writers.acquire() as connection:
                await _switch_to_wal(connection)
        except OSError as error:
            raise StartError(f"cannot make {self._path}: {error.strerror}") from error
        except sqlite3.DatabaseError as error:
            raise StartError(f"cannot use {self._path}: {error}") from error

    async def close(self) -> None:
        self._reader.close()
        await self._readers.close()
        await self._writers.close()

    async def ping(self) -> None:
        async with self._writers.acquire() as connection:
            await connection.run(_try_to_write)

    async def prepare(self, transaction: SqlTransaction) -> None:
        """A file has no schemas."""

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[_Transaction]:
        async with self._writers.acquire() as connection, _Transaction(connection, [_begin]) as transaction:
            yield transaction

    @asynccontextmanager
    async def exclusive(self, name: str) -> AsyncIterator[_Transaction]:
        """There is but one write transaction at a time, so all names are one."""
        async with self._writers.acquire() as connection, _Transaction(connection, []) as transaction:
            await transaction.begin_patiently()
            yield transaction


class _Statements(ABC):
    """A `Session` over whatever `_run` runs it on."""

    dialect: Final = "sqlite"

    @abstractmethod
    async def _run(self, work: Work[T]) -> T: ...

    async def fetch(self, sql: str, *args: Value | Sequence[Value]) -> Sequence[Row]:
        return await self._run(lambda connection: rows_of(run(connection, sql, args)))

    async def row(self, sql: str, *args: Value | Sequence[Value]) -> Row | None:
        rows = await self.fetch(sql, *args)
        return rows[0] if rows else None

    async def execute(self, sql: str, *args: Value | Sequence[Value]) -> int:
        return await self._run(lambda connection: touched(run(connection, sql, args)))

    async def insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Value]]) -> None:
        places = ", ".join(f"${n}" for n in range(1, len(columns) + 1))
        sql = f"insert into {table} ({', '.join(columns)}) values ({places})"  # noqa: S608 # the names are code
        await self._run(lambda connection: run_many(connection, sql, rows))


class _Pooled(_Statements):
    """Each statement on a connection from the pool, committed by itself."""

    def __init__(self, pool: Pool[Connection]) -> None:
        self._pool = pool

    async def _run(self, work: Work[T]) -> T:
        async with self._pool.acquire() as connection:
            return await connection.run(work)


class _Reader(_Pooled):
    """Quick statements at once, on the loop's thread; others on a connection from the pool."""

    def __init__(self, pool: Pool[Connection], connect: Callable[[], QuickReader]) -> None:
        super().__init__(pool)
        self._connect = connect
        self._quick: QuickReader | None = None
        self._closed = False

    async def fetch(self, sql: str, *args: Value | Sequence[Value]) -> Sequence[Row]:
        if self._closed:
            raise StoreAway("the store is closed")
        if self._quick is None:
            self._quick = self._connect()
        rows = self._quick.fetch(sql, args)
        return await super().fetch(sql, *args) if rows is None else rows

    def close(self) -> None:
        self._closed = True
        if self._quick is not None:
            self._quick.close()


class _Transaction(_Statements, Letters, Contents):
    """:param deferred: what goes along with the first statement."""

    def __init__(self, connection: Connection, deferred: list[Work[Any]]) -> None:
        self._connection = connection
        self._deferred = deferred
        self._open = False
        self._failed = False
        self._claimed: set[str] = set()
        self._leases: dict[str, str] = {}

    async def __aenter__(self) -> _Transaction:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                await self._run(_commit)
                self._open = False
        finally:
            if self._open:
                await self._roll_back()

    async def begin(self, claims: Sequence[Claim]) -> Sequence[Claimed]:
        rows = await self.fetch(_LOOK_UP, [claim.id for claim in claims])
        known = {row["id"]: row for row in rows}
        found: list[Claimed] = []
        for claim in claims:
            if claim.id in self._claimed:
                found.append(Busy())
            elif (row := known.get(claim.id)) is None:
                self._claimed.add(claim.id)
                found.append(None)
            elif row["settled"]:
                found.append(Saved(row["reply"], row["hash"]))
            else:
                found.append(Busy(same=row["asking"] == claim.asking != ""))
        return found

    async def resume(self, id: str, lease: str) -> bool:
        ours = await self.row("select 1 from inbox where id = $1 and lease = $2 and settled_at is null", id, lease)
        if ours is not None:
            self._leases[id] = lease
        return ours is not None

    async def finish(
        self, settled: Sequence[Settled], outgoing: Sequence[Outgoing], *, unpark: Sequence[str] = (), lease_ms: int
    ) -> None:
        """Runs with the commit, which raises what it raises."""
        self._deferred.append(partial(_finish, settled, outgoing, unpark, lease_ms, self._leases))

    async def begin_patiently(self) -> None:
        """Try for the file's lock again and again; between two tries the one who waits can be cancelled."""
        deadline = asyncio.get_running_loop().time() + BOOT_S
        self._open = True
        while True:
            try:
                return await self._connection.run(_begin)
            except StoreAway as error:
                if not is_busy(error) or asyncio.get_running_loop().time() > deadline:
                    raise

    async def _run(self, work: Work[T]) -> T:
        if self._failed:
            raise RuntimeError("a statement of this transaction has failed; it can only be rolled back")
        steps, self._deferred = self._deferred, []
        self._open = True
        try:
            return await self._connection.run(partial(_in_order, steps, work))
        except BaseException:
            self._failed = True
            raise

    async def _roll_back(self) -> None:
        """Behind whatever still runs; shielded, because a rollback that is interrupted is none."""
        try:
            await asyncio.shield(self._connection.run(_roll_back))
        except Exception:
            self._connection.terminate()
            raise


async def _switch_to_wal(connection: Connection) -> None:
    """Two that switch at the same moment do not wait for each other, whatever `busy_timeout` says."""
    deadline = asyncio.get_running_loop().time() + TURN_S
    while True:
        try:
            return await connection.run(_use_wal)
        except StoreAway as error:
            if not is_busy(error) or asyncio.get_running_loop().time() > deadline:
                raise
        await asyncio.sleep(0.01)


def _use_wal(connection: sqlite3.Connection) -> None:
    if connection.execute("pragma journal_mode").fetchone() != ("wal",):
        connection.execute("pragma journal_mode = wal").fetchone()
    connection.execute("pragma journal_size_limit = 67108864").fetchone()


def _try_to_write(connection: sqlite3.Connection) -> None:
    connection.executescript("begin immediate; rollback")


def _begin(connection: sqlite3.Connection) -> None:
    connection.execute("begin immediate")


def _commit(connection: sqlite3.Connection) -> None:
    connection.execute("commit")


def _roll_back(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        connection.execute("rollback")


def _in_order(steps: Sequence[Work[Any]], work: Work[T], connection: sqlite3.Connection) -> T:
    for step in steps:
        step(connection)
    return work(connection)


def _finish(
    settled: Sequence[Settled],
    outgoing: Sequence[Outgoing],
    unpark: Sequence[str],
    lease_ms: int,
    leases: Mapping[str, str],
    connection: sqlite3.Connection,
) -> None:
    inbox = [
        (
            each.claim.id, each.claim.hash, each.reply, leases.get(each.claim.id),
            each.about.type, each.about.request_id, each.about.cause, each.about.caller, each.about.made,
        )
        for each in settled
    ]  # fmt: skip
    if run_many(connection, _SETTLE, inbox) < len(inbox):
        raise Raced
    run_many(connection, _SEND, [(o.id, o.route, o.envelope, int(o.direct), o.request_id, lease_ms) for o in outgoing])
    if unpark:
        run(connection, "delete from parked where id = any($1)", [unpark])
