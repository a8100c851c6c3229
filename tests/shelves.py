"""Looking into a store past its actor, and meddling with it, whatever kind it is."""

from __future__ import annotations

from typing import Any

from runtime.ports import Store, Table, Transaction, Value
from tests.sql import documents, sql


async def rows_of(store: Store, name: str) -> list[dict[str, Any]]:
    """All rows of a table, by its key."""
    async with store.transaction() as transaction:
        table = await _table(transaction, name)
        pages = [page async for page in transaction.rows(table)]
    return [dict(zip(table.columns, row, strict=True)) for page in pages for row in page]


async def alter(store: Store, name: str, key: Value, **values: Value) -> None:
    """Change the row that has this key."""
    async with store.transaction() as transaction:
        if transaction.dialect == "mongo":
            assert await documents(transaction).update(name, {"_id": key}, {"$set": values})
        else:
            (column,) = (await _table(transaction, name)).key
            changes = ", ".join(f"{each} = ${n}" for n, each in enumerate(values, 2))
            statement = f"update {name} set {changes} where {column} = $1"
            assert await sql(transaction).execute(statement, key, *values.values())


async def lapse(store: Store, name: str) -> None:
    """As if the time of every lease in a table were over."""
    for row in await rows_of(store, name):
        await alter(store, name, row["id"], leased_until=0)


async def take_out(store: Store, name: str, key: Value) -> None:
    """Delete the row that has this key."""
    async with store.transaction() as transaction:
        if transaction.dialect == "mongo":
            assert await documents(transaction).delete(name, {"_id": key})
        else:
            (column,) = (await _table(transaction, name)).key
            assert await sql(transaction).execute(f"delete from {name} where {column} = $1", key)


async def put_in(store: Store, name: str, key: Value, **values: Value) -> None:
    """Add a row with this key."""
    async with store.transaction() as transaction:
        if transaction.dialect == "mongo":
            await documents(transaction).insert(name, [{"_id": key, **values}])
        else:
            columns = [*(await _table(transaction, name)).key, *values]
            await sql(transaction).insert(name, columns, [[key, *values.values()]])


async def _table(transaction: Transaction, name: str) -> Table:
    (found,) = (table for table in await transaction.tables() if table.name == name)
    return found
