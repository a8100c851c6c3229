"""The store in MongoDB, a replica set of version 5 or later, through pymongo; any number of processes and hosts.

`docs/operating.md` says what it was tested against. Each actor has a database of its own.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import ClassVar

from pymongo import UpdateOne
from pymongo.asynchronous.client_session import AsyncClientSession

from runtime.context import Clock, system_clock
from runtime.drivers.mongo_contents import OUR, Insert, Update, make, shape, shapes, steps
from runtime.drivers.mongo_documents import (
    ACQUIRE_S,
    NOW,
    Collections,
    Database,
    Document,
    Reader,
    client_of,
    is_refused,
    split,
    translating,
)
from runtime.drivers.mongo_transaction import MongoTransaction, given_up, letter_of, literally, parked_of, reviving
from runtime.drivers.store_migrations import digest, unrecorded
from runtime.drivers.store_rows import about, outgoing, storable
from runtime.errors import StartError, StoreAway
from runtime.ports import (
    Claim,
    Claimed,
    Handled,
    History,
    Migration,
    Outgoing,
    Parked,
    ParkedRow,
    Row,
    Scope,
    Store,
)

WAIT_S = 0.85
"""Seconds for which a transaction begins anew when others hold what it wants."""
BOOT_S = 600.0
"""Likewise that of `exclusive`, waiting for its turn."""
GOODBYE_S = 1.0
"""Seconds that transactions may take to end when the store is closed."""
SEEN_MS = 15_000
"""How long a process counts after it was seen."""


def connect(
    url: str, *, actor: str, clock: Clock = system_clock, read_url: str | None = None, pool_size: int = 10
) -> Store:
    """A store in the database of the URL, with `_` and the actor's name behind its name; `troupe_…` where it has none.

    :param clock: not used: the time is the database's.
    :param read_url: for `reader`: the replica set with another `readPreference`, say.
    :param pool_size: transactions at most.
    :raises SettingError: no such URL.
    """
    return MongoStore(url, actor=actor, read_url=read_url, pool_size=pool_size)


class MongoStore:
    """See `connect`."""

    lacks: ClassVar[frozenset[str]] = frozenset({"numbers"})

    def __init__(self, url: str, *, actor: str, read_url: str | None, pool_size: int) -> None:
        name = split(url, actor=actor)
        self._client = client_of(url, actor=actor, size=pool_size)
        self._database: Database = self._client[name]
        self._size = pool_size
        self._turns = asyncio.Semaphore(pool_size)
        self._line = asyncio.Lock()
        self._writer = self._reader = Reader(self._database)
        self._replica = self._client
        if read_url is not None:
            split(read_url, actor=actor)
            self._replica = client_of(read_url, actor=actor, size=pool_size)
            self._reader = Reader(self._replica[name])
        self._sessions: set[AsyncClientSession] = set()  # of open transactions
        self._closed = False

    @property
    def reader(self) -> Scope:
        return self._reader

    @property
    def primary(self) -> Scope:
        return self._writer

    async def open(self) -> None:
        """:raises StartError: the server answers, but has no transactions, or refuses the user or the password."""
        try:
            answer = await translating(self._database.command("hello"))
            await self._writer.one("migration", {})
        except StoreAway as error:
            if is_refused(error):
                raise StartError(f"the database does not let us in: {error.__cause__}") from error
            raise
        if "setName" not in answer and answer.get("msg") != "isdbgrid":
            raise StartError("a single mongod has no transactions: make a replica set of it, of one member if need be")

    async def close(self) -> None:
        """Who waits gets `StoreAway`, and so does who is at work for a second more: nobody else would end it at the
        server."""
        self._closed = True
        with suppress(TimeoutError):
            async with asyncio.timeout(GOODBYE_S):
                for _ in range(self._size):
                    await self._turns.acquire()
        for session in list(self._sessions):
            await given_up(session.end_session())
        await self._client.close()
        if self._replica is not self._client:
            await self._replica.close()

    async def ping(self) -> None:
        answer = await translating(self._database.command("hello"))
        if not answer["isWritablePrimary"]:
            raise StoreAway("the database takes no writes now")

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[MongoTransaction]:
        async with (
            self._turn(),
            self._session() as session,
            MongoTransaction(self._database, session, self._line, WAIT_S) as transaction,
        ):
            yield transaction

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Of as many transactions as may be open at once, first in, first out."""
        try:
            async with asyncio.timeout(ACQUIRE_S):
                await self._turns.acquire()
        except TimeoutError as error:
            raise StoreAway("no transaction of this process ended in time") from error
        try:
            if self._closed:
                raise StoreAway("the store is closed")
            yield
        finally:
            self._turns.release()

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[AsyncClientSession]:
        async with self._client.start_session() as session:
            self._sessions.add(session)
            try:
                yield session
            finally:
                self._sessions.discard(session)

    @asynccontextmanager
    async def exclusive(self, name: str) -> AsyncIterator[MongoTransaction]:
        """As long as the server lets a transaction last (`transactionLifetimeLimitSeconds`)."""
        await make(self._database, "lock")
        async with (
            self._session() as session,
            MongoTransaction(self._database, session, self._line, BOOT_S) as transaction,
        ):
            await transaction.hold("lock", name)
            yield transaction

    # ------------------------------------------------------------------------------------- migrations

    async def migrate(self, migrations: Sequence[Migration]) -> Sequence[str]:
        everything = (OUR, *migrations)
        if unrecorded(everything, await _recorded(self._writer)):
            await shape(self._database, list(shapes(everything).values()))
        async with self.exclusive("migrate") as transaction:
            new = unrecorded(everything, await _recorded(transaction))
            for order, each in enumerate(everything):
                if each in new:
                    for step in steps(each):
                        if isinstance(step, Insert):
                            await transaction.insert(step.insert, step.documents)
                        elif isinstance(step, Update):
                            await transaction.update(step.update, step.where, step.change)
                    record = {"_id": each.name, "digest": digest(each), "text": each.text, "at": order}
                    await transaction.insert("migration", [record])
        return [each.name for each in new if each is not OUR]

    async def migrated(self, migrations: Sequence[Migration]) -> bool:
        return (await _recorded(self._writer)).keys() >= {each.name for each in migrations}

    # ------------------------------------------------------------------------------------------ inbox

    async def claim(self, claim: Claim, lease: str, *, lease_ms: int) -> Claimed:
        async with self.transaction() as transaction:
            (found,) = await transaction.begin([claim])
            if found is None:
                await transaction.lease(claim, lease, lease_ms)
            return found

    async def prolong(self, id: str, lease: str, *, lease_ms: int) -> bool:
        ours = {"_id": id, "lease": lease, "settled_at": None}
        return await self._writer.update("inbox", ours, [{"$set": {"leased_until": {"$add": [NOW, lease_ms]}}}]) == 1

    async def release(self, id: str, lease: str) -> None:
        await self._writer.delete("inbox", {"_id": id, "lease": lease, "settled_at": None})

    async def prune(self, *, older_than_ms: int, limit: int) -> int:
        before, gone = await self._writer.now() - older_than_ms, 0
        for where in ({"settled_at": {"$lte": before}}, {"settled_at": None, "leased_until": {"$lte": before}}):
            found = await self._writer.find("inbox", where, limit=limit - gone) if gone < limit else []
            if found:
                gone += await self._writer.delete("inbox", {"_id": {"$in": [row["_id"] for row in found]}, **where})
        return gone

    # ----------------------------------------------------------------------------------------- outbox

    async def lease_outgoing(self, *, limit: int, lease_ms: int) -> Sequence[Outgoing]:
        rows = await self._lease("outbox", "leased_until", "created_at", limit, lease_ms, {})
        return [Outgoing(row["_id"], row["route"], row["envelope"], bool(row["direct"])) for row in rows]

    async def delete_outgoing(self, ids: Sequence[str]) -> None:
        if ids:
            await self._writer.delete("outbox", {"_id": {"$in": list(ids)}})

    async def _lease(
        self, collection: str, due: str, order: str, limit: int, lease_ms: int, more: Document
    ) -> Sequence[Row]:
        """Documents whose time has come, each for one caller: who changed it first has its name there."""
        now = await self._writer.now()
        where: Document = {due: {"$lte": now}}
        found = await self._writer.find(collection, where, sort={order: 1, "_id": 1}, limit=limit)
        if not found:
            return []
        lessee = os.urandom(8).hex()
        where["_id"] = {"$in": [row["_id"] for row in found]}
        await self._writer.update(collection, where, {"$set": {due: now + lease_ms, "lessee": lessee}, **more})
        ours = await self._writer.find(collection, {"_id": where["_id"], "lessee": lessee})
        rows = {row["_id"]: row for row in ours}
        return [rows[row["_id"]] for row in found if row["_id"] in rows]

    # ----------------------------------------------------------------------------------------- parked

    async def park(self, parked: Sequence[Parked]) -> None:
        changes = [_parking(each) for each in sorted(parked, key=lambda each: each.id)]
        if changes:
            await translating(self._database["parked"].bulk_write(changes, ordered=False))

    async def lease_parked(self, *, limit: int, lease_ms: int) -> Sequence[ParkedRow]:
        rows = await self._lease("parked", "due_at", "due_at", limit, lease_ms, {"$inc": {"attempt": 1}})
        return [parked_of(row) for row in rows]

    async def dead(self, *, type: str | None = None, after: str | None = None, limit: int = 50) -> Sequence[ParkedRow]:
        where: Document = {"due_at": None, "letter": {"$type": "string"}}
        if type is not None:
            where["type"] = type
        if after is not None:
            where["letter"] = {"$lt": after}
        return [parked_of(row) for row in await self._writer.find("parked", where, sort={"letter": -1}, limit=limit)]

    async def letter(self, letter: str) -> ParkedRow | None:
        return await letter_of(self._writer, letter)

    async def parked(self, id: str) -> ParkedRow | None:
        row = await self._writer.one("parked", {"_id": id})
        return None if row is None else parked_of(row)

    async def unpark(self, id: str) -> bool:
        return await self._writer.delete("parked", {"_id": id}) == 1

    async def revive(self, id: str, envelope: bytes | None = None) -> bool:
        return await self._writer.update("parked", {"_id": id, "due_at": None}, reviving(envelope)) == 1

    # ---------------------------------------------------------------------------- what is kept, and who is here

    async def history(self, request_id: str) -> History:
        where = {"request_id": request_id}
        settled = {**where, "settled_at": {"$ne": None}}
        handled = await self._writer.find("inbox", settled, sort={"settled_at": 1, "_id": 1})
        unsent = await self._writer.find("outbox", where, sort={"created_at": 1, "_id": 1})
        waiting = await self._writer.find("parked", where, sort={"first_failed_at": 1, "_id": 1})
        return History(
            [Handled(row["_id"], about(row), row["reply"], row["settled_at"]) for row in handled],
            [outgoing({**row, "id": row["_id"]}) for row in unsent],
            [parked_of(row) for row in waiting],
        )

    async def counts(self) -> Mapping[str, int]:
        now = await self._writer.now()
        oldest = await self._writer.one("outbox", {}, sort={"created_at": 1})
        here = await self._writer.find("instance", {"seen_at": {"$gt": now - SEEN_MS}})
        return {
            "outbox": await self._count("outbox", {}),
            "outbox_age_ms": now - oldest["created_at"] if oldest else 0,
            "parked": await self._count("parked", {"due_at": {"$ne": None}}),
            "dead": await self._count("parked", {"due_at": None}),
            "instances": len(here),
            "in_flight": sum(row["in_flight"] for row in here),
        }

    async def _count(self, collection: str, where: Document) -> int:
        return await translating(self._database[collection].count_documents(where))

    async def beat(self, instance: str, *, in_flight: int) -> None:
        await self._writer.delete("instance", {"seen_at": {"$lt": await self._writer.now() - 60_000}})
        change = [{"$set": {"in_flight": in_flight, "seen_at": NOW}}]
        await self._writer.change("instance", {"_id": instance}, change, upsert=True)

    async def leave(self, instance: str) -> None:
        await self._writer.delete("instance", {"_id": instance})


def _parking(row: Parked) -> UpdateOne:
    values = {"type": row.type, "envelope": row.envelope, "attempt": row.attempt, "reason": storable(row.reason)}
    change = {
        **literally(values),
        "due_at": None if row.due_in_ms is None else {"$add": [NOW, row.due_in_ms]},
        "first_failed_at": {"$ifNull": ["$first_failed_at", NOW]},
        "last_failed_at": NOW,
        "request_id": {"$ifNull": [{"$literal": row.request_id}, {"$ifNull": ["$request_id", None]}]},
        "letter": {"$ifNull": ["$letter", {"$literal": row.letter or row.id}]},
    }
    return UpdateOne({"_id": row.id}, [{"$set": change}], upsert=True)


async def _recorded(place: Collections) -> dict[str, str]:
    return {row["_id"]: row["digest"] for row in await place.find("migration", {})}
