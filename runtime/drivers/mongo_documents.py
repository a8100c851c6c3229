"""Documents in MongoDB: how a server is reached, what can be asked of it, and what pymongo's errors mean."""

from __future__ import annotations

import asyncio
import re
import warnings
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from bson import Int64
from bson.errors import BSONError
from pymongo import AsyncMongoClient, ReturnDocument
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import (
    BulkWriteError,
    ConnectionFailure,
    DocumentTooLarge,
    InvalidOperation,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WaitQueueTimeoutError,
)

from runtime.errors import ConnectionLost, Invalid, SettingError, StoreAway
from runtime.ports import Duplicate, Row

ACQUIRE_S = 0.9
"""Seconds to find the server, to connect and to wait for a free connection, each."""
STATEMENT_S = 5.0
"""Seconds for a statement; the server ends one whose asker has hung up."""
READERS = 4
"""Connections beyond those of transactions."""

DUPLICATE = 11000
REFUSED: Final = {13, 18, 8000}
"""Codes: not authorized, authentication failed, likewise at Atlas."""
MISSED: Final = {50, 262}
"""Codes: the time for a statement has passed."""

T = TypeVar("T")
Document = dict[str, Any]
Database = AsyncDatabase[Document]
Work = Callable[[AsyncClientSession | None], Awaitable[T]]

NOW = {"$toLong": "$$NOW"}
"""The server's clock, ms since the epoch, when a statement begins."""

NO_ORDER: Mapping[str, int] = MappingProxyType({})


class Conflict(Exception):
    """Another transaction has changed what this one wants to, or the server has given this one up: nothing is kept."""


def split(url: str, *, actor: str) -> str:
    """The name of the actor's database: that of the address, with the actor's behind it."""
    try:
        parts = urlsplit(url)
        name = f"{parts.path.strip('/') or 'troupe'}_{actor}"
    except ValueError:
        parts, name = None, ""
    if parts is None or not parts.hostname or not re.fullmatch(r"[A-Za-z0-9_-]{1,63}", name):
        raise SettingError(
            "a store in MongoDB is mongodb://user:password@host:port/database?replicaSet=name, "
            "the database named with letters, digits, _ and -"
        )
    return name


def client_of(url: str, *, actor: str, size: int) -> AsyncMongoClient[Document]:
    """A client that has not connected yet; what it writes is safe on a majority of the replica set.

    :raises SettingError: no such URL.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # so it is told of an option that there is not
            return AsyncMongoClient(
                url,
                appname=f"troupe {actor}",
                maxPoolSize=size + READERS,
                serverSelectionTimeoutMS=int(ACQUIRE_S * 1000),
                connectTimeoutMS=int(ACQUIRE_S * 1000),
                waitQueueTimeoutMS=int(ACQUIRE_S * 1000),
                socketTimeoutMS=int(STATEMENT_S * 1000),
                retryReads=False,  # whoever asked knows better whether to ask again
                retryWrites=False,
                w="majority",
                readConcernLevel="majority",
                tz_aware=True,
            )
    except (PyMongoError, UserWarning, ValueError) as error:
        raise SettingError(f"the store of {actor}: {_without_address(error)}") from None


def is_refused(error: StoreAway) -> bool:
    """Trying again would not help: the user or the password is wrong."""
    return isinstance(error.__cause__, OperationFailure) and error.__cause__.code in REFUSED


async def translating(work: Awaitable[T]) -> T:
    """What `work` returns.

    :raises Conflict, StoreAway, Invalid, Duplicate: what the error means; others, bugs of ours, come as they are.
    """
    try:
        return await _heeding(work)
    except (OverflowError, UnicodeEncodeError, DocumentTooLarge, BSONError) as error:
        raise Invalid("request.invalid", f"the database cannot hold a value: {error}") from error
    except (PyMongoError, OSError) as error:
        meaning = _translated(error)
        if meaning is None:
            raise
        raise meaning from error


async def _heeding(work: Awaitable[T]) -> T:
    """What `work` returns, unless this task was cancelled meanwhile: pymongo sends with `asyncio.wait_for`, and before
    Python 3.12 that forgets a cancellation which comes at the moment when it is done."""
    task = asyncio.current_task()
    asked = task.cancelling() if task else 0
    try:
        return await work
    finally:
        if task and task.cancelling() > asked:
            raise asyncio.CancelledError


def _translated(error: PyMongoError | OSError) -> Exception | None:
    """None: a bug of ours, which says more as it is."""
    match error:
        case BulkWriteError():
            failures = error.details.get("writeErrors") or [{}]
            if failures[0].get("code") == DUPLICATE:
                return _duplicate(failures[0])
            return None
        case OperationFailure(code=code) if code == DUPLICATE:
            return _duplicate(error.details or {})
        case ServerSelectionTimeoutError() | WaitQueueTimeoutError():
            return StoreAway("the database does not answer")
        case OperationFailure(code=code) if code in REFUSED:
            return StoreAway("the database does not let us in")
        case PyMongoError(timeout=True):
            return StoreAway("the database does not answer in time")
        case ConnectionFailure() | OSError():
            return ConnectionLost("the connection to the database was lost")
        case OperationFailure(code=code) if code in MISSED:
            return StoreAway("the database does not answer in time")
        case PyMongoError() if error.has_error_label("TransientTransactionError"):
            return Conflict()
        case PyMongoError() if error.has_error_label("UnknownTransactionCommitResult"):
            return ConnectionLost("whether the database has kept a transaction is not known")
        case InvalidOperation() if "after close" in str(error) or "ended session" in str(error):
            return StoreAway("the store is closed")
    return None


def _duplicate(details: Mapping[str, Any]) -> Duplicate:
    """By the name of the index, which the message has (https://www.mongodb.com/docs/manual/core/index-unique/)."""
    found = re.search(r"collection: \S+?\.(\S+) index: (\S+)", str(details.get("errmsg", "")))
    if found is None:
        return Duplicate("")
    return Duplicate(f"{found[1]}_pkey" if found[2] == "_id_" else found[2])


def _without_address(error: Exception) -> str:
    """A message may repeat the address, and with it a password."""
    return re.sub(r"//[^\s/]*@", "//", str(error))


class Collections(ABC):
    """`Documents` over whatever `_run` runs it on."""

    dialect: Final = "mongo"

    def __init__(self, database: Database) -> None:
        self._database = database

    @abstractmethod
    async def _run(self, work: Work[T]) -> T: ...

    async def find(
        self, collection: str, where: Row, *, sort: Mapping[str, int] = NO_ORDER, limit: int = 0
    ) -> Sequence[Row]:
        _check(where)
        place, order = self._place(collection), list(sort.items()) or None

        async def work(session: AsyncClientSession | None) -> list[Row]:
            cursor = place.find(where, sort=order, limit=limit, session=session)
            return [plain(each) for each in await cursor.to_list()]

        return await self._run(work)

    async def one(self, collection: str, where: Row, *, sort: Mapping[str, int] = NO_ORDER) -> Row | None:
        found = await self.find(collection, where, sort=sort, limit=1)
        return found[0] if found else None

    async def insert(self, collection: str, documents: Sequence[Row]) -> None:
        if not documents:
            return
        _check(documents)
        place = self._place(collection)

        async def work(session: AsyncClientSession | None) -> None:
            await place.insert_many([dict(each) for each in documents], session=session)

        await self._run(work)

    async def update(self, collection: str, where: Row, change: Row | Sequence[Row]) -> int:
        _check((where, change))
        place = self._place(collection)

        async def work(session: AsyncClientSession | None) -> int:
            return (await place.update_many(where, change, session=session)).matched_count

        return await self._run(work)

    async def change(
        self, collection: str, where: Row, change: Row | Sequence[Row], *, upsert: bool = False
    ) -> Row | None:
        _check((where, change))
        place, after = self._place(collection), ReturnDocument.AFTER

        async def work(session: AsyncClientSession | None) -> Row | None:
            found = await place.find_one_and_update(
                where, change, upsert=upsert, return_document=after, session=session
            )
            return found and plain(found)

        return await self._run(work)

    async def delete(self, collection: str, where: Row) -> int:
        _check(where)
        place = self._place(collection)

        async def work(session: AsyncClientSession | None) -> int:
            return (await place.delete_many(where, session=session)).deleted_count

        return await self._run(work)

    def _place(self, collection: str) -> AsyncCollection[Document]:
        return self._database[collection]


class Reader(Collections):
    """Each statement by itself; of a reader, and of what the store does beside all transactions."""

    async def _run(self, work: Work[T]) -> T:
        return await translating(work(None))

    async def now(self) -> int:
        """The server's clock, ms since the epoch."""

        async def work(_: AsyncClientSession | None) -> int:
            answer = await self._database.command("hello")
            local: datetime = answer["localTime"]
            return round(local.timestamp() * 1000)

        return await self._run(work)


def plain(value: Any) -> Any:
    """As it was put: integers come back as a class of the driver's own."""
    if type(value) is Int64:
        return int(value)
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    return value


def _check(value: Any) -> None:
    """:raises Invalid: a text with NUL, which MongoDB would hold and no other store does."""
    if isinstance(value, str):
        if "\0" in value:
            raise Invalid("request.invalid", "the database cannot hold a value: a text with NUL")
    elif isinstance(value, Mapping):
        for each in value.values():
            _check(each)
    elif isinstance(value, list | tuple):
        for each in value:
            _check(each)


async def shielded(work: Awaitable[None]) -> None:
    """To its end, whoever is cancelled meanwhile."""
    await asyncio.shield(asyncio.ensure_future(work))
