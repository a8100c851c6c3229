"""One transaction in MongoDB.

It sees one state of the data (read concern `snapshot`) and is kept by a majority. MongoDB lets no transaction wait for
another: whoever wants to change what another one has in hand is undone at once. So a transaction begins anew by itself,
a moment later, and does again what it has done; where all that it was told is as before, nobody can tell that from
having waited for a lock. Else it was `Raced`.
(https://www.mongodb.com/docs/manual/core/transactions-production-consideration/)

An id is claimed by a document in `claim`, and so is the asking that it is claimed for. Both are deleted before the
commit: nobody ever sees them but by running into them.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec
import pymongo
from pymongo import UpdateOne
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from runtime.drivers.mongo_contents import Contents
from runtime.drivers.mongo_documents import (
    NOW,
    Collections,
    Conflict,
    Database,
    Document,
    T,
    Work,
    shielded,
    translating,
)
from runtime.drivers.store_rows import parked_row
from runtime.errors import Locked
from runtime.ports import Busy, Claim, Claimed, Duplicate, Outgoing, ParkedRow, Raced, Row, Saved, Settled

PAUSE_S = 0.002, 0.03
"""Bounds of the seconds between two tries, uniform in between."""
UNDO_S = 0.5
"""Seconds for telling the server that a transaction is given up."""


class MongoTransaction(Collections, Contents):
    """:param line: of those transactions of this process that have run into another: one at a time goes on, to its end
        or into the next; all at once would run into each other for ever.
    :param patience_s: how long it begins anew when it is in another's way.
    """

    def __init__(self, database: Database, session: AsyncClientSession, line: asyncio.Lock, patience_s: float) -> None:
        super().__init__(database)
        self._session = session
        self._line = line
        self._first_in_line = False
        self._patience_s = patience_s
        self._failed = False
        self._done: list[tuple[Callable[[], Awaitable[Any]], Any]] = []
        self._repeats = True
        self._claims: list[str] = []
        self._claimed: dict[str, str | None] = {}  # with the lease that its row in the inbox has

    async def __aenter__(self) -> MongoTransaction:
        await self._start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                if self._claims:
                    await self.delete("claim", {"_id": {"$in": list(self._claims)}})
                await self._run(lambda session: self._session.commit_transaction())
        finally:
            self._leave_line()
            await shielded(self._undo())

    # ------------------------------------------------------------------------------------------ inbox

    async def begin(self, claims: Sequence[Claim]) -> Sequence[Claimed]:
        busy: dict[str, Busy] = {}

        async def find_out() -> None:
            for claim in claims:
                if claim.id not in busy and (held := await self._held(claim)):
                    busy[claim.id] = held

        return await self._step(lambda: self._look(claims, busy), between=find_out)

    async def resume(self, id: str, lease: str) -> bool:
        busy: list[Busy] = []

        async def find_out() -> None:
            if held := await self._held(Claim(id)):
                busy.append(held)

        async def work() -> bool:
            rows = await self._inbox({"_id": id, "lease": lease, "settled_at": None})
            if busy or not rows:
                return False
            if not rows[0]["leased"]:  # else nobody may claim it, and nobody has
                await self._take([Claim(id)])
            self._claimed[id] = lease
            return True

        return await self._step(work, between=find_out)

    async def _look(self, claims: Sequence[Claim], busy: Mapping[str, Busy]) -> list[Claimed]:
        """:param busy: those that are known to be in another's hand. :raises Conflict: one more is."""
        known = {row["_id"]: row for row in await self._inbox({"_id": {"$in": [claim.id for claim in claims]}})}
        found: list[Claimed] = []
        taken: list[Claim] = []
        for claim in claims:
            row = known.get(claim.id, {})
            if claim.id in self._claimed:
                found.append(Busy())
            elif row.get("settled_at") is not None:
                found.append(Saved(row["reply"], row["hash"]))
            elif row.get("leased"):
                found.append(Busy(same=row["asking"] == claim.asking != ""))
            elif claim.id in busy:
                found.append(busy[claim.id])
            else:
                self._claimed[claim.id] = row.get("lease")
                taken.append(claim)
                found.append(None)
        await self._take(taken)
        return found

    async def _inbox(self, where: Document) -> list[Document]:
        """Rows, and whether each is `leased`."""
        leased = {"$gt": ["$leased_until", NOW]}
        columns: Document = {"hash": 1, "reply": 1, "settled_at": 1, "asking": 1, "lease": 1, "leased": leased}
        pipeline: list[Document] = [{"$match": where}, {"$project": columns}]
        cursor = await translating(self._database["inbox"].aggregate(pipeline, session=self._session))
        return await translating(cursor.to_list())

    async def _take(self, claims: Sequence[Claim]) -> None:
        keys = [key for claim in claims for key in _keys(claim)]
        if keys:
            await translating(self._database["claim"].insert_many(_named(keys), session=self._session))
            self._claims += keys

    async def _held(self, claim: Claim) -> Busy | None:
        """Whether another has it in hand, found out by running into it; this transaction would not survive that."""
        async with self._database.client.start_session() as session:
            await session.start_transaction()
            try:
                for key in _keys(claim):
                    await translating(self._database["claim"].insert_one({"_id": key}, session=session))
            except Conflict:
                return Busy(same=key != claim.id)
            finally:
                await shielded(session.abort_transaction())
        return None

    async def lease(self, claim: Claim, lease: str, lease_ms: int) -> None:
        """Write it down for an id that was claimed."""
        values = literally({"hash": claim.hash, "lease": lease, "asking": claim.asking, "settled_at": None})
        until = {"leased_until": {"$add": [NOW, lease_ms]}}
        await self.change("inbox", {"_id": claim.id}, [{"$set": {**values, **until}}], upsert=True)

    async def finish(
        self, settled: Sequence[Settled], outgoing: Sequence[Outgoing], *, unpark: Sequence[str] = (), lease_ms: int
    ) -> None:
        leases = dict(self._claimed)

        async def work(session: AsyncClientSession | None) -> None:
            for collection, changes in (
                ("inbox", [_settling(each, leases.get(each.claim.id)) for each in settled]),
                ("outbox", [_sending(each, lease_ms) for each in outgoing]),
            ):
                if changes:
                    await self._database[collection].bulk_write(changes, session=session)
            if unpark:
                await self._database["parked"].delete_many({"_id": {"$in": list(unpark)}}, session=session)

        try:
            await self._run(work)
        except Duplicate as error:
            raise Raced from error

    # ------------------------------------------------------------------------------------ dead letters

    async def letter(self, letter: str) -> ParkedRow | None:
        return await letter_of(self, letter)

    async def revive_letter(self, letter: str, envelope: bytes | None = None) -> bool:
        return await self.update("parked", {"letter": letter, "due_at": None}, reviving(envelope)) == 1

    async def revive_type(self, type: str) -> int:
        return await self.update("parked", {"type": type, "due_at": None}, reviving(None))

    async def discard_letter(self, letter: str) -> bool:
        return await self.delete("parked", {"letter": letter, "due_at": None}) == 1

    # ------------------------------------------------------------------------------------------- steps

    async def hold(self, collection: str, name: str) -> None:
        """Wait for a document that one transaction at a time can have in hand."""

        async def work(session: AsyncClientSession | None) -> None:
            await self._database[collection].update_one({"_id": name}, {"$inc": {"held": 1}}, True, session=session)

        await self._run(work)

    async def _run(self, work: Work[T]) -> T:
        return await self._step(lambda: translating(work(self._session)))

    async def _step(
        self, work: Callable[[], Awaitable[T]], *, between: Callable[[], Awaitable[None]] | None = None
    ) -> T:
        """What `work` returns, as if it had waited for those who were in its way.

        :param between: what to do before it is tried again, instead of waiting.
        """
        if self._failed:
            raise RuntimeError("a statement of this transaction has failed; it can only be rolled back")
        self._failed = True  # until it has succeeded
        deadline = asyncio.get_running_loop().time() + self._patience_s
        anew = False
        while True:
            try:
                if anew:
                    await self._begin_anew()
                result = await work()
                break
            except Conflict as error:
                if not self._repeats:
                    raise Raced from error
                try:
                    async with asyncio.timeout_at(deadline):
                        await (between or self._wait_in_line)()
                except TimeoutError:
                    raise Locked("the database holds what this needs for others") from error
                anew = True
        if self._repeats:
            self._done.append((work, result))
        self._failed = False
        return result

    async def _wait_in_line(self) -> None:
        self._leave_line()
        await asyncio.sleep(random.uniform(*PAUSE_S))
        await self._line.acquire()
        self._first_in_line = True

    def _leave_line(self) -> None:
        if self._first_in_line:
            self._first_in_line = False
            self._line.release()

    def only_once(self) -> None:
        self._repeats = False
        self._done.clear()

    async def _begin_anew(self) -> None:
        """:raises Raced: something that was done before has another result now."""
        await self._undo()
        await self._start()
        for work, result in self._done:
            if await work() != result:
                raise Raced

    async def _undo(self) -> None:
        if self._session.in_transaction:
            await given_up(self._session.abort_transaction())

    async def _start(self) -> None:
        self._claims, self._claimed = [], {}
        await self._session.start_transaction(ReadConcern("snapshot"), WriteConcern("majority"))


async def given_up(ending: Awaitable[None]) -> None:
    """Tell the server so, if it can be told: else it ends the transaction at its limit."""
    with pymongo.timeout(UNDO_S):
        await ending  # which raises nothing


def _keys(claim: Claim) -> list[str]:
    """What is taken for it, in this order: a copy of the same asking runs into the first."""
    return [f"{claim.id} {claim.asking}", claim.id] if claim.asking else [claim.id]


def _named(keys: Sequence[str]) -> list[Document]:
    return [{"_id": key} for key in keys]


def literally(values: Row) -> Document:
    """For a pipeline, which would take a text with `$` for a field."""
    return {name: {"$literal": value} for name, value in values.items()}


def _settling(settled: Settled, lease: str | None) -> UpdateOne:
    """Breaks the key where another has settled it. :param lease: that its row was seen with, ours or a lapsed one."""
    values = {"hash": settled.claim.hash, "reply": settled.reply, **msgspec.structs.asdict(settled.about)}
    gone = dict.fromkeys(("lease", "leased_until", "asking"))
    change = [{"$set": {**literally({**values, **gone}), "settled_at": NOW}}]
    return UpdateOne({"_id": settled.claim.id, "settled_at": None, "lease": lease}, change, upsert=True)


def _sending(row: Outgoing, lease_ms: int) -> UpdateOne:
    values = {"route": row.route, "envelope": row.envelope, "direct": int(row.direct), "request_id": row.request_id}
    times = {"created_at": NOW, "leased_until": {"$add": [NOW, lease_ms]}}
    return UpdateOne({"_id": row.id}, [{"$set": {**literally(values), **times}}], upsert=True)


def reviving(envelope: bytes | None) -> list[Document]:
    more = {} if envelope is None else literally({"envelope": envelope})
    return [{"$set": {"due_at": NOW, "attempt": 0, **more}}]


def parked_of(row: Row) -> ParkedRow:
    return parked_row({**row, "id": row["_id"]})


async def letter_of(place: Collections, letter: str) -> ParkedRow | None:
    row = await place.one("parked", {"letter": letter, "due_at": None})
    return None if row is None else parked_of(row)
