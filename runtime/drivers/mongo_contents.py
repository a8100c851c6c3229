"""What collections there are in a store in MongoDB: migrations say it, and moving an installation asks for it.

A migration's statements are JSON. `{"collection": "attempt", "columns": […], "key": ["network", "account"],
"unique": {"name of the index": ["column"]}, "index": {…}, "behind": ["other"]}` says what a collection is like from
then on; it is made, and its indexes are, where they are missing. Its columns are those of the table of that name in
SQL: so a store can be moved to the other kind. A key of one column is `_id`, of several a document of them, in order.
`{"insert": "attempt", "documents": […]}` and `{"update": "attempt", "where": {…}, "change": {…}}` are about data.

A column that is unique and may be null is left out where it is: an index counts a null, but not what is missing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, AsyncIterator, Mapping, Sequence
from typing import Any

import msgspec
from pymongo.errors import CollectionInvalid, OperationFailure

from runtime.drivers.mongo_documents import NO_ORDER, Database, Document, translating
from runtime.drivers.store_migrations import statements
from runtime.errors import ContractError
from runtime.ports import Migration, Row, Table, Value

PAGE = 500
"""Documents that are held in memory at once."""
EXISTS = 48
"""The code for a collection that is there already."""


class Collection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a collection is like; names of indexes → columns."""

    collection: str
    columns: tuple[str, ...]
    key: tuple[str, ...] = ()
    unique: dict[str, tuple[str, ...]] = {}
    index: dict[str, tuple[str, ...]] = {}
    behind: tuple[str, ...] = ()

    @property
    def table(self) -> Table:
        return Table(self.collection, self.columns, self.key)

    @property
    def left_out(self) -> set[str]:
        """Columns that are left out where they are null."""
        return {column for columns in self.unique.values() for column in columns}


class Insert(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    insert: str
    documents: list[Document]


class Update(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    update: str
    where: Document
    change: Document


Step = Collection | Insert | Update

_STEPS: Mapping[str, type[Step]] = {"collection": Collection, "insert": Insert, "update": Update}

OUR = Migration(
    "store_0001_collections",
    """
{"collection": "inbox", "key": ["id"], "columns": ["id", "hash", "reply", "lease", "leased_until", "settled_at", "type",
 "request_id", "cause", "caller", "made", "asking"], "index": {"inbox_settled": ["settled_at"],
 "inbox_leased": ["leased_until"]}}
--
{"collection": "outbox", "key": ["id"], "columns": ["id", "route", "envelope", "direct", "created_at", "leased_until",
 "request_id"], "index": {"outbox_oldest": ["created_at", "_id"]}}
--
{"collection": "parked", "key": ["id"], "columns": ["id", "type", "envelope", "attempt", "due_at", "reason",
 "first_failed_at", "last_failed_at", "request_id", "letter"], "index": {"parked_due": ["due_at", "_id"],
 "parked_letter": ["letter"]}}
""",
)
"""The tables that the port owns, as in SQL."""

OF_PROCESSES = ("instance", "lock", "claim", "migration")
"""Collections that say what this very database has been through, and what happens in it now."""


def steps(migration: Migration) -> list[Step]:
    """:raises ContractError: a statement cannot be read."""
    found: list[Step] = []
    for text in statements(migration.text):
        try:
            values = msgspec.json.decode(text, type=dict[str, Any])
            kind = _STEPS[next(iter(values), "")]
            found.append(msgspec.convert(values, kind))
        except (msgspec.MsgspecError, KeyError) as error:
            raise ContractError(f"the migration {migration.name} has a syntax error: {error}: {text[:100]}") from None
    return found


def shapes(migrations: Sequence[Migration]) -> dict[str, Collection]:
    """What the last of them says of each collection."""
    all_steps = [step for migration in migrations for step in steps(migration)]
    return {step.collection: step for step in all_steps if isinstance(step, Collection)}


async def shape(database: Database, collections: Sequence[Collection]) -> None:
    """Make what is missing; any number of processes may do it at once. No transaction makes an index, nor waits for
    one that makes a collection."""
    for name in [*OF_PROCESSES, *(each.collection for each in collections)]:
        await make(database, name)
    for each in collections:
        for unique, indexes in ((True, each.unique), (False, each.index)):
            for name, columns in indexes.items():
                keys = [(_field(column, each.key), 1) for column in columns]
                await translating(database[each.collection].create_index(keys, name=name, unique=unique, sparse=unique))


async def make(database: Database, collection: str) -> None:
    """Unless it is there."""
    try:
        await translating(database.create_collection(collection, check_exists=False))
    except CollectionInvalid:
        pass
    except OperationFailure as error:
        if error.code != EXISTS:
            raise


class Contents(ABC):
    """The part of a `Transaction` that is about whole collections."""

    @abstractmethod
    async def find(
        self, collection: str, where: Row, *, sort: Mapping[str, int] = NO_ORDER, limit: int = 0
    ) -> Sequence[Row]: ...

    @abstractmethod
    async def insert(self, collection: str, documents: Sequence[Row]) -> None: ...

    @abstractmethod
    async def delete(self, collection: str, where: Row) -> int: ...

    @abstractmethod
    def only_once(self) -> None:
        """From here on the transaction does nothing again, and keeps nothing for that: too much goes through it."""

    async def _shapes(self) -> dict[str, Collection]:
        recorded = await self.find("migration", {}, sort={"at": 1, "_id": 1})
        return shapes([Migration(row["_id"], row["text"]) for row in recorded])

    async def tables(self) -> Sequence[Table]:
        known, told = await self._shapes(), dict[str, Table]()

        def tell(name: str) -> None:
            if name not in told:
                for other in known[name].behind:
                    tell(other)
                told[name] = known[name].table

        for name in known:
            tell(name)
        return list(told.values())

    async def rows(self, table: Table) -> AsyncIterator[Sequence[Sequence[Value]]]:
        if not table.key:
            raise ContractError(f"the collection {table.name} has no key, by which its rows could be read in turn")
        self.only_once()
        where: Document = {}
        while documents := await self.find(table.name, where, sort={"_id": 1}, limit=PAGE):
            yield [_row(each, table) for each in documents]
            where = {"_id": {"$gt": documents[-1]["_id"]}}

    async def fill(self, table: Table, pages: AsyncIterable[Sequence[Sequence[Value]]]) -> None:
        self.only_once()
        left_out = (await self._shapes())[table.name].left_out
        await self.delete(table.name, {})
        async for rows in pages:
            documents = [_document(row, table) for row in rows]
            await self.insert(
                table.name,
                [{k: v for k, v in each.items() if v is not None or k not in left_out} for each in documents],
            )


def _field(column: str, key: Sequence[str]) -> str:
    """Where a column lies in a document."""
    if column not in key:
        return column
    return "_id" if len(key) == 1 else f"_id.{column}"


def _row(document: Row, table: Table) -> Sequence[Value]:
    keyed = {table.key[0]: document["_id"]} if len(table.key) == 1 else document["_id"]
    return tuple((keyed if column in table.key else document).get(column) for column in table.columns)


def _document(row: Sequence[Value], table: Table) -> Document:
    values: Document = dict(zip(table.columns, row, strict=True))
    keyed = {column: values.pop(column) for column in table.key}
    if not keyed:
        return values
    return {"_id": next(iter(keyed.values())) if len(keyed) == 1 else keyed, **values}
