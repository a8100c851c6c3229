"""All that a store holds, table by table: how it is read, and filled, when an installation moves to other servers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from graphlib import TopologicalSorter
from typing import Literal

from runtime.errors import ContractError
from runtime.ports import Row, Table, Value

PAGE = 500
"""Rows that are held in memory at once."""

OF_PROCESSES = {"instance", "migration"}
"""Tables that say what this very database has been through."""

_COLUMNS = {
    "postgresql": """
select c.relname as name, a.attname as field, array_position(cast(i.indkey as int2[]), a.attnum) as place
from pg_namespace n
join pg_class c on c.relnamespace = n.oid and c.relkind = 'r'
join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
left join pg_index i on i.indrelid = c.oid and i.indisprimary
where n.nspname = current_schema() order by c.relname, a.attnum
""",
    "sqlite": """
select t.name, c.name as field, nullif(c.pk, 0) as place
from sqlite_master t join pragma_table_info(t.name) c
where t.type = 'table' and t.name not like 'sqlite_%' and t.sql not like 'create virtual%' order by t.name, c.cid
""",
}
"""Each column, and its place in the primary key, if it has one; without those that the database computes."""

_REFERENCES = {
    "postgresql": """
select child.relname as child, parent.relname as parent
from pg_namespace n
join pg_constraint k on k.connamespace = n.oid and k.contype = 'f'
join pg_class child on child.oid = k.conrelid
join pg_class parent on parent.oid = k.confrelid
where n.nspname = current_schema()
""",
    "sqlite": """
select t.name as child, f."table" as parent
from sqlite_master t join pragma_foreign_key_list(t.name) f where t.type = 'table'
""",
}

_NUMBERED = """
select attname as field from pg_attribute where attrelid = to_regclass($1) and attidentity <> '' and not attisdropped
"""


class Contents(ABC):
    """The part of a `Transaction` that is about whole tables."""

    @property
    @abstractmethod
    def dialect(self) -> Literal["postgresql", "sqlite"]: ...

    @abstractmethod
    async def fetch(self, sql: str, *args: Value | Sequence[Value]) -> Sequence[Row]: ...

    @abstractmethod
    async def execute(self, sql: str, *args: Value | Sequence[Value]) -> int: ...

    @abstractmethod
    async def insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Value]]) -> None: ...

    async def tables(self) -> Sequence[Table]:
        columns: dict[str, dict[str, int | None]] = {}
        for row in await self.fetch(_COLUMNS[self.dialect]):
            columns.setdefault(row["name"], {})[row["field"]] = row["place"]
        order = TopologicalSorter({name: set[str]() for name in columns})
        for row in await self.fetch(_REFERENCES[self.dialect]):
            if row["child"] != row["parent"]:
                order.add(row["child"], row["parent"])
        return [_table(name, columns[name]) for name in order.static_order() if name not in OF_PROCESSES]

    async def rows(self, table: Table) -> AsyncIterator[Sequence[Sequence[Value]]]:
        if not table.key:
            raise ContractError(f"the table {table.name} has no primary key, by which its rows could be read in turn")
        key = ", ".join(table.key)
        places = ", ".join(f"${n}" for n in range(1, len(table.key) + 1))
        select = f"select {', '.join(table.columns)} from {table.name}"  # noqa: S608 # names of our own tables
        order = f"order by {key} limit {PAGE}"
        rows = await self.fetch(f"{select} {order}")
        while rows:
            yield [tuple(row.values()) for row in rows]
            last = [rows[-1][column] for column in table.key]
            rows = await self.fetch(f"{select} where ({key}) > ({places}) {order}", *last)

    async def fill(self, table: Table, pages: AsyncIterable[Sequence[Sequence[Value]]]) -> None:
        await self.execute(f"delete from {table.name}")  # noqa: S608 # likewise
        async for rows in pages:
            await self.insert(table.name, table.columns, rows)
        if self.dialect == "postgresql":  # SQLite goes on behind the highest by itself
            for row in await self.fetch(_NUMBERED, table.name):
                field = row["field"]
                following = f"(select coalesce(max({field}), 0) + 1 from {table.name})"  # noqa: S608 # likewise
                sql = f"select setval(pg_get_serial_sequence($1, $2), {following}, false)"
                await self.fetch(sql, table.name, field)


def _table(name: str, places: dict[str, int | None]) -> Table:
    keyed = sorted((place, column) for column, place in places.items() if place is not None)
    return Table(name, tuple(places), tuple(column for _, column in keyed))
