"""One SQLite connection and the thread that it lives in: parameters in, rows out, errors translated."""

from __future__ import annotations

import asyncio
import re
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import msgspec

from runtime.context import Clock
from runtime.errors import Invalid, StoreAway
from runtime.ports import Duplicate, Row, Value

WAIT_S = 5.0
"""Seconds that a writer waits at the file's lock for writers of other processes."""
STATEMENT_S = 10.0
"""Seconds after which a statement is interrupted; more than `WAIT_S`, which it may spend waiting."""

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]

_AWAY = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_READONLY,
    }
)
_TAKEN = frozenset(
    {sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_ROWID, sqlite3.SQLITE_CONSTRAINT_UNIQUE}
)


QUICK_S = 0.002
"""Seconds that a read may hold up the event loop."""

SLOW_S = 60.0
"""Seconds for which a statement that was too slow for that stays away from the event loop: data and machines change."""

INSTRUCTIONS = 1000
"""Steps of SQLite's machine, some 10 µs, between two looks at the clock."""


class Connection:
    """Work runs in the thread in the order in which it was handed over, also when who waits for it is cancelled.

    SQL has `now_ms()`, the time by `clock`.
    """

    def __init__(self, thread: ThreadPoolExecutor, connection: sqlite3.Connection) -> None:
        self._thread = thread
        self._connection = connection
        self._closed = False

    @classmethod
    async def open(cls, path: Path, pragmas: str, clock: Clock) -> Connection:
        """:raises StoreAway: the file cannot be opened or is locked."""
        thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"sqlite {path.name}")
        try:
            connection = await asyncio.get_running_loop().run_in_executor(thread, _open, path, pragmas, clock)
        except BaseException:
            thread.shutdown(wait=False)
            raise
        return cls(thread, connection)

    async def run(self, work: Work[T]) -> T:
        """What `work` returns. Interrupted after `STATEMENT_S`, or when the caller is cancelled.

        :raises StoreAway, Invalid, Duplicate: what SQLite's error means; others, bugs of ours, come as they are.
        """
        loop = asyncio.get_running_loop()
        limit = loop.call_later(STATEMENT_S, self._connection.interrupt)
        try:
            return await loop.run_in_executor(self._thread, _translating, work, self._connection)
        except asyncio.CancelledError:
            self._connection.interrupt()
            raise
        finally:
            limit.cancel()

    def is_closed(self) -> bool:
        return self._closed

    def terminate(self) -> None:
        if not self._closed:
            self._closed = True
            self._thread.submit(self._connection.close)
            self._thread.shutdown(wait=False)

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            await asyncio.get_running_loop().run_in_executor(self._thread, self._connection.close)
            self._thread.shutdown()


class QuickReader:
    """Reads on the loop's own thread, for those that are done at once.

    A trip to another thread costs more than a read by key, and there each row waits for the interpreter's lock. A
    statement that takes longer than `QUICK_S` is stopped, and its text is known as slow for `slow_s`.
    """

    def __init__(self, path: Path, pragmas: str, clock: Clock, *, slow_s: float = SLOW_S) -> None:
        self._connection = _open(path, f"{pragmas}; pragma busy_timeout = 0", clock)
        self._connection.set_progress_handler(self._too_long, INSTRUCTIONS)
        self._stop_at = 0.0
        self._slow_s = slow_s
        self._slow_until: dict[str, float] = {}

    def fetch(self, sql: str, args: Sequence[Value | Sequence[Value]]) -> Sequence[Row] | None:
        """All rows; None when the statement is not for here: too slow, or the file is locked just now."""
        now = time.perf_counter()
        if now < self._slow_until.get(sql, 0.0):
            return None
        self._stop_at = now + QUICK_S
        try:
            return _translating(lambda connection: rows_of(run(connection, sql, args)), self._connection)
        except StoreAway as error:
            if getattr(error.__cause__, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT:
                self._slow_until[sql] = now + self._slow_s
            return None

    def close(self) -> None:
        self._connection.close()

    def _too_long(self) -> bool:
        return time.perf_counter() > self._stop_at


def run(connection: sqlite3.Connection, sql: str, args: Sequence[Value | Sequence[Value]]) -> sqlite3.Cursor:
    """One statement, with its parameters `$1` …"""
    return connection.execute(_portable(sql), _bound(args))


def run_many(connection: sqlite3.Connection, sql: str, rows: Sequence[Sequence[Value]]) -> int:
    """One statement for each of `rows`; how many rows were touched in all."""
    return connection.executemany(sql, map(_bound, rows)).rowcount


def rows_of(cursor: sqlite3.Cursor) -> Sequence[Row]:
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def touched(cursor: sqlite3.Cursor) -> int:
    """How many rows a statement changed, once it has come to its end: `returning` makes them one by one."""
    cursor.fetchall()
    return max(0, cursor.rowcount)


def is_busy(error: StoreAway) -> bool:
    """Another connection held the file's lock for longer than `WAIT_S`."""
    return getattr(error.__cause__, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY


def _open(path: Path, pragmas: str, clock: Clock) -> sqlite3.Connection:
    try:
        connection = sqlite3.connect(path, isolation_level=None, cached_statements=512)
    except sqlite3.OperationalError as error:
        raise StoreAway("the database file cannot be opened") from error
    try:
        connection.create_function("now_ms", 0, clock)
        _translating(lambda con: con.executescript(pragmas), connection)
    except BaseException:
        connection.close()
        raise
    return connection


@lru_cache(maxsize=4096)
def _portable(sql: str) -> str:
    """A list travels as JSON text, so `= any($1)` becomes a look into that (https://sqlite.org/json1.html)."""
    return re.sub(r"=\s*any\s*\(\s*(\$\d+)\s*\)", r"in (select value from json_each(\1))", sql, flags=re.IGNORECASE)


def _bound(args: Sequence[Value | Sequence[Value]]) -> dict[str, Value]:
    """`$1` is to SQLite the parameter that is named `1`."""
    return {str(n): _value(arg) for n, arg in enumerate(args, 1)}


def _value(arg: Value | Sequence[Value]) -> Value:
    if isinstance(arg, str):
        if "\0" in arg:
            raise _unstorable("NUL in a text")
        return arg
    if arg is None or isinstance(arg, int | float | bytes):
        return arg
    for each in arg:
        if isinstance(each, str):
            _value(each)
        elif not isinstance(each, int):
            raise TypeError(f"a list argument holds text or ints, not {type(each).__name__}")
        elif not -(2**63) <= each < 2**63:
            raise OverflowError
    return msgspec.json.encode(arg).decode()


def _unstorable(what: str) -> Invalid:
    return Invalid("request.invalid", f"the database cannot hold a value: {what}")


def _translating(work: Work[T], connection: sqlite3.Connection) -> T:
    try:
        return work(connection)
    except OverflowError as error:
        raise _unstorable("an integer beyond 64 bits") from error
    except UnicodeEncodeError as error:
        raise _unstorable("a lone surrogate in a text") from error
    except sqlite3.DatabaseError as error:
        meaning = _translated(error, connection)
        if meaning is None:
            raise
        raise meaning from error


def _translated(error: sqlite3.DatabaseError, connection: sqlite3.Connection) -> Exception | None:
    """None: a bug of ours, which says more as it is."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    if code & 0xFF in _AWAY:
        return StoreAway("the database takes no statement now")
    if code & 0xFF == sqlite3.SQLITE_TOOBIG:
        return _unstorable("a text or bytes beyond 1 GB")
    if code in _TAKEN:
        return Duplicate(_constraint(str(error), connection))
    return None


def _constraint(message: str, connection: sqlite3.Connection) -> str:
    """The name that PostgreSQL would give: SQLite tells only the columns, `UNIQUE constraint failed: t.a, t.b`."""
    failed = message.partition(": ")[2]
    if failed.startswith("index "):
        return failed.removeprefix("index ").strip("'")
    table = failed.partition(".")[0]
    columns = [part.partition(".")[2] for part in failed.split(", ")]
    unique = "select name, origin from pragma_index_list($1) where \"unique\" and origin <> 'pk'"
    for name, origin in connection.execute(unique, {"1": table}).fetchall():
        indexed = connection.execute("select name from pragma_index_info($1) order by seqno", {"1": name}).fetchall()
        if [column for (column,) in indexed] == columns:
            return str(name) if origin == "c" else f"{table}_{'_'.join(columns)}_key"
    return f"{table}_pkey"
