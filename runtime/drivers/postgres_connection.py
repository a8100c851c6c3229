"""One PostgreSQL connection: how it is made, how a statement ends, and what asyncpg's errors mean."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Awaitable, Callable
from typing import TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import asyncpg
from asyncpg import Connection

from runtime.errors import ConnectionLost, Invalid, Locked, SettingError, StoreAway
from runtime.ports import Duplicate, Raced

CONNECT_S = 0.9
"""Seconds in which a connection must be made."""
STATEMENT_S = 5.0
"""Seconds for a statement; the server gives up a second later, should we be gone."""
CANCEL_S = 0.5
"""Seconds for telling the server that nobody waits for a statement any more."""
IDLE_S = 0.6
"""Seconds that a transaction of a process that stands still may hold its locks. Its siblings wait for them, each with a
connection in hand: so less than anybody waits for a connection."""
LOCK_S = 0.65, 0.85
"""Bounds of the seconds that a statement waits for a lock: more than a process that stands still may hold it, and less
than the server takes to look for a deadlock. Each connection has its own time, uniform in between, so that of two that
wait for each other one gives up first and lets the other go on."""

_PLANS = {
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "join_collapse_limit": "1",
    "max_parallel_workers_per_gather": "0",
}
"""The server keeps a prepared statement's plan until the table is analyzed, and one made while the table was small
would read all of it, or join from its wrong end, when it has grown. So plans do not depend on how large a table is:
joins are made in the order in which they are written, row by row, through indexes, and by one process alone
(https://www.postgresql.org/docs/current/runtime-config-query.html)."""

_ERRORS = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)

T = TypeVar("T")
Work = Callable[[Connection], Awaitable[T]]


def split(url: str, *, schema: str) -> tuple[str, str]:
    """The address without `?schema=`, and the schema, else the one given."""
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    schema = options.pop("schema", schema)
    if parts.scheme not in {"postgresql", "postgres"} or not parts.hostname:
        raise SettingError("a store in PostgreSQL is postgresql://user:password@host:port/database")
    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", schema):
        raise SettingError(f"a schema is named with a-z, 0-9 and _, not {schema!r}")
    return urlunsplit(parts._replace(query=urlencode(options))), schema


async def connected(address: str, schema: str, name: str) -> Connection:
    """A connection that looks for tables in `schema` and is listed under `name`. :raises StoreAway: none to be had."""
    try:
        return await asyncpg.connect(
            address,
            timeout=CONNECT_S,
            command_timeout=STATEMENT_S,
            statement_cache_size=500,
            server_settings={
                "application_name": name,
                "search_path": f'"{schema}"',
                **_PLANS,
                "jit": "off",  # compiling costs more than our short statements take
                "statement_timeout": f"{STATEMENT_S + 1:.0f}s",
                "lock_timeout": f"{random.uniform(*LOCK_S) * 1000:.0f}ms",
                "idle_in_transaction_session_timeout": f"{IDLE_S * 1000:.0f}ms",
            },
        )
    except asyncpg.TooManyConnectionsError as error:
        raise StoreAway("the database takes no more connections") from error
    except _ERRORS as error:
        raise StoreAway("the database does not answer") from error


def is_refused(error: StoreAway) -> bool:
    """Trying again would not help `connected`: the URL, the user, the password or the database is wrong."""
    return isinstance(
        error.__cause__,
        asyncpg.InvalidAuthorizationSpecificationError
        | asyncpg.InvalidCatalogNameError
        | asyncpg.ClientConfigurationError,
    )


async def translating(work: Work[T], connection: Connection) -> T:
    """What `work` returns.

    :raises StoreAway, Invalid, Duplicate, Raced: what the error means; others, bugs of ours, come as they are.
    """
    try:
        return await work(connection)
    except (asyncio.CancelledError, TimeoutError) as error:
        await _hang_up(connection)
        if isinstance(error, TimeoutError):
            raise StoreAway("the database does not answer in time") from error
        raise
    except _ERRORS as error:
        meaning = _translated(error, connection)
        if meaning is None:
            raise
        if isinstance(meaning, StoreAway) and not isinstance(meaning, Locked):
            connection.terminate()
        raise meaning from error


async def _hang_up(connection: Connection) -> None:
    """After a statement that was cut short: the server is told to cancel it, and rolls back when we are gone."""
    try:
        await connection.close(timeout=CANCEL_S)
    except _ERRORS:
        connection.terminate()
    except asyncio.CancelledError:
        connection.terminate()
        raise


def _translated(error: Exception, connection: Connection) -> Exception | None:
    """None: a bug of ours, which says more as it is."""
    match error:
        case asyncpg.UniqueViolationError():
            return Duplicate(error.constraint_name)
        case asyncpg.DataError(sqlstate="22000", __cause__=TypeError()):
            return None  # not the column's type
        case asyncpg.DataError(sqlstate="22000" | "22003" | "22021" | "22P02" | "22P05"):
            return Invalid("request.invalid", f"the database cannot hold a value: {error.args[0]}")
        case asyncpg.DeadlockDetectedError() | asyncpg.SerializationError() | asyncpg.InvalidCachedStatementError():
            return Raced()
        case asyncpg.LockNotAvailableError():
            return Locked("the database holds what this needs for others")
        case (
            OSError()
            | asyncpg.PostgresConnectionError()  # class 08
            | asyncpg.AdminShutdownError()
            | asyncpg.IdleInTransactionSessionTimeoutError()
            | asyncpg.InternalClientError()  # so it says when the server's last word came between two statements
        ):
            return ConnectionLost("the connection to the database was lost")
        case asyncpg.InterfaceError() if connection.is_closed():
            return ConnectionLost("the connection to the database was lost")
        case (
            asyncpg.InsufficientResourcesError()  # 53: too many connections, disk or memory full
            | asyncpg.OperatorInterventionError()  # 57: shutting down, starting up, cancelled
            | asyncpg.PostgresSystemError()  # 58: input or output failed
            | asyncpg.ReadOnlySQLTransactionError()
        ):
            return StoreAway("the database takes no statement now")
    return None
