"""What both stores share: the tables that reliability needs, and their SQL, one text for both databases.

The drivers bring `now_ms()`, an SQL function: ms since the epoch, by the database's clock where it has one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import ClassVar, Protocol

from runtime.drivers.store_migrations import digest, statements, unrecorded
from runtime.drivers.store_rows import about, outgoing, parked_row, storable
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
    Session,
    Transaction,
    Value,
)

TABLES = Migration(
    name="store_0001_tables",
    text="""
create table inbox (
    id text not null primary key,
    hash bytea,
    reply bytea,
    lease text,
    leased_until bigint,
    settled_at bigint
)
--
create index inbox_age on inbox (coalesce(settled_at, leased_until))
--
create table outbox (
    id text not null primary key,
    route text not null,
    envelope bytea not null,
    direct bigint not null,
    created_at bigint not null,
    leased_until bigint not null
)
--
create index outbox_oldest on outbox (created_at, id)
--
create table parked (
    id text not null primary key,
    type text not null,
    envelope bytea not null,
    attempt bigint not null,
    due_at bigint,
    reason text not null,
    first_failed_at bigint not null,
    last_failed_at bigint not null
)
--
create index parked_due on parked (due_at, id) where due_at is not null
--
create index parked_dead on parked (id) where due_at is null
""",
)
"""`settled_at` is null while an inbox row is only a lease. Nothing indexes `outbox.leased_until`: leasing then
leaves the indexes alone (a heap-only update in PostgreSQL), and only what is in flight is stepped over."""

ABOUT = Migration(
    name="store_0002_about",
    text="""
alter table inbox add column type text
--
alter table inbox add column request_id text
--
alter table inbox add column cause text
--
alter table inbox add column caller text
--
alter table inbox add column made text
--
alter table outbox add column request_id text
--
alter table parked add column request_id text
""",
)
"""What `history` tells. Nothing indexes `request_id`: each message would pay for a question that is seldom asked."""

ASKING = Migration(name="store_0003_asking", text="alter table inbox add column asking text")
"""Of a lease: whose it is, so that a copy of the same asking is told from another with the same id."""

LETTERS = Migration(
    name="store_0004_letters",
    text="""
alter table parked add column letter text
--
drop index parked_dead
--
create unique index parked_letter on parked (coalesce(letter, id)) where due_at is null
--
create table instance (
    id text not null primary key,
    in_flight bigint not null,
    seen_at bigint not null
)
""",
)
"""Several actors can give up the same event: as a dead letter it has an id of its own. Older rows have none."""

RECORDED = "create table if not exists migration (name text not null primary key, digest text, applied_at bigint)"

_IS_RECORDED = {
    "postgresql": "select 1 as n from pg_tables where schemaname = current_schema() and tablename = 'migration'",
    "sqlite": "select 1 as n from sqlite_master where type = 'table' and name = 'migration'",
}

SETTLED = """
on conflict (id) do update
set hash = excluded.hash, reply = excluded.reply, lease = null, leased_until = null, asking = null,
    settled_at = excluded.settled_at, type = excluded.type, request_id = excluded.request_id, cause = excluded.cause,
    caller = excluded.caller, made = excluded.made
where inbox.settled_at is null
and (inbox.lease = excluded.lease or (excluded.lease is null and inbox.leased_until <= now_ms()))
"""
"""Settling a row that is there: only with its lease, or when that has lapsed. Touching none of them means: raced."""

_LEASE = """
insert into inbox (id, hash, lease, leased_until, asking) values ($1, $2, $3, now_ms() + $4, $5)
on conflict (id) do update
set hash = excluded.hash, lease = excluded.lease, leased_until = excluded.leased_until, asking = excluded.asking
where inbox.settled_at is null and inbox.leased_until <= now_ms()
"""

_LEASE_OUTGOING = """
with waiting as materialized (
    select id from outbox where leased_until <= now_ms() order by created_at, id limit $1 {skip_locked}
)
update outbox set leased_until = now_ms() + $2 where id in (select id from waiting)
returning id, route, envelope, direct, created_at
"""

_PARKED = "id, type, envelope, attempt, due_at, reason, first_failed_at, last_failed_at, coalesce(letter, id) as letter"

_PARK = """
insert into parked (id, type, envelope, attempt, due_at, reason, first_failed_at, last_failed_at, request_id, letter)
values ($1, $2, $3, $4, now_ms() + $5, $6, now_ms(), now_ms(), $7, $8)
on conflict (id) do update
set type = excluded.type, envelope = excluded.envelope, attempt = excluded.attempt, due_at = excluded.due_at,
    reason = excluded.reason, last_failed_at = excluded.last_failed_at,
    request_id = coalesce(excluded.request_id, parked.request_id)
"""

_LEASE_PARKED = f"""
with due as materialized (
    select id from parked where due_at <= now_ms() order by due_at, id limit $1 {{skip_locked}}
)
update parked set due_at = now_ms() + $2, attempt = attempt + 1 where id in (select id from due)
returning {_PARKED}
"""  # noqa: S608 # put together from constants

_DEAD = f"""
select {_PARKED} from parked where due_at is null
and (cast($1 as text) is null or type = $1) and (cast($2 as text) is null or coalesce(letter, id) < $2)
order by coalesce(letter, id) desc limit $3
"""  # noqa: S608 # likewise

_LETTER = f"select {_PARKED} from parked where coalesce(letter, id) = $1 and due_at is null"  # noqa: S608 # likewise

_BEAT = """
insert into instance (id, in_flight, seen_at) values ($1, $2, now_ms())
on conflict (id) do update set in_flight = excluded.in_flight, seen_at = excluded.seen_at
"""

_PRUNE = """
delete from inbox where id in (
    select id from inbox where coalesce(settled_at, leased_until) <= now_ms() - $1
    order by coalesce(settled_at, leased_until) limit $2
)
"""

_HANDLED = """
select id, type, request_id, cause, caller, made, reply, settled_at from inbox
where request_id = $1 and settled_at is not null order by settled_at, id
"""

_UNSENT = """
select id, route, envelope, direct, request_id from outbox where request_id = $1 order by created_at, id
"""

_WAITING = f"select {_PARKED} from parked where request_id = $1 order by first_failed_at, id"  # noqa: S608 # likewise

_COUNTS = """
select (select count(*) from outbox) as outbox,
       (select coalesce(now_ms() - min(created_at), 0) from outbox) as outbox_age_ms,
       (select count(*) from parked where due_at is not null) as parked,
       (select count(*) from parked where due_at is null) as dead,
       (select count(*) from instance where seen_at > now_ms() - 15000) as instances,
       (select cast(coalesce(sum(in_flight), 0) as bigint) from instance where seen_at > now_ms() - 15000) as in_flight
"""


class SqlTransaction(Session, Transaction, Protocol):
    """A transaction of a database that speaks SQL."""


class Tables(ABC):
    """The part of a `Store` that is the same over any SQL database; a driver adds connections and transactions."""

    skip_locked: ClassVar[str]
    """The clause by which a select passes over rows that another transaction is about to change."""

    before_tables: ClassVar[Sequence[Migration]] = ()
    """What the driver's database needs besides `TABLES`."""

    @property
    @abstractmethod
    def writer(self) -> Session:
        """Each statement is a transaction of its own, on the database that takes writes."""

    @abstractmethod
    def transaction(self) -> AbstractAsyncContextManager[SqlTransaction]: ...

    @abstractmethod
    def exclusive(self, name: str) -> AbstractAsyncContextManager[SqlTransaction]: ...

    @abstractmethod
    async def prepare(self, transaction: SqlTransaction) -> None:
        """Make what must be there before any table can be; called under the lock of `migrate`, every time."""

    async def migrate(self, migrations: Sequence[Migration]) -> Sequence[str]:
        async with self.exclusive("migrate") as transaction:
            await self.prepare(transaction)
            await transaction.execute(RECORDED)
            recorded = {
                row["name"]: row["digest"] for row in await transaction.fetch("select name, digest from migration")
            }
            ours = (*self.before_tables, TABLES, ABOUT, ASKING, LETTERS)
            new = unrecorded((*ours, *migrations), recorded)
            for each in new:
                for statement in statements(each.text):
                    await transaction.execute(statement)
                await transaction.execute("insert into migration values ($1, $2, now_ms())", each.name, digest(each))
        return [each.name for each in new if each not in ours]

    async def migrated(self, migrations: Sequence[Migration]) -> bool:
        if await self.writer.row(_IS_RECORDED[self.writer.dialect]) is None:
            return False
        recorded = {row["name"] for row in await self.writer.fetch("select name from migration")}
        return recorded >= {each.name for each in migrations}

    async def claim(self, claim: Claim, lease: str, *, lease_ms: int) -> Claimed:
        while True:
            async with self.transaction() as transaction:
                (found,) = await transaction.begin([claim])
                row = claim.id, claim.hash, lease, lease_ms, claim.asking
                if found is not None or await transaction.execute(_LEASE, *row):
                    return found
            # another took it after `begin` had looked: the next look finds who

    async def prolong(self, id: str, lease: str, *, lease_ms: int) -> bool:
        sql = "update inbox set leased_until = now_ms() + $3 where id = $1 and lease = $2 and settled_at is null"
        return await self.writer.execute(sql, id, lease, lease_ms) == 1

    async def release(self, id: str, lease: str) -> None:
        await self.writer.execute("delete from inbox where id = $1 and lease = $2 and settled_at is null", id, lease)

    async def lease_outgoing(self, *, limit: int, lease_ms: int) -> Sequence[Outgoing]:
        rows = await self.writer.fetch(_LEASE_OUTGOING.format(skip_locked=self.skip_locked), limit, lease_ms)
        rows = sorted(rows, key=lambda row: (row["created_at"], row["id"]))
        return [Outgoing(row["id"], row["route"], row["envelope"], bool(row["direct"])) for row in rows]

    async def delete_outgoing(self, ids: Sequence[str]) -> None:
        if ids:
            await self.writer.execute("delete from outbox where id = any($1)", ids)

    async def park(self, parked: Sequence[Parked]) -> None:
        async with self.transaction() as transaction:
            for each in sorted(parked, key=lambda each: each.id):  # in one order, so that no two deadlock
                await transaction.execute(
                    _PARK, each.id, each.type, each.envelope, each.attempt, each.due_in_ms, storable(each.reason),
                    each.request_id, each.letter,
                )  # fmt: skip

    async def lease_parked(self, *, limit: int, lease_ms: int) -> Sequence[ParkedRow]:
        rows = await self.writer.fetch(_LEASE_PARKED.format(skip_locked=self.skip_locked), limit, lease_ms)
        return [parked_row(row) for row in sorted(rows, key=lambda row: (row["last_failed_at"], row["id"]))]

    async def dead(self, *, type: str | None = None, after: str | None = None, limit: int = 50) -> Sequence[ParkedRow]:
        return [parked_row(row) for row in await self.writer.fetch(_DEAD, type, after, limit)]

    async def letter(self, letter: str) -> ParkedRow | None:
        row = await self.writer.row(_LETTER, letter)
        return None if row is None else parked_row(row)

    async def parked(self, id: str) -> ParkedRow | None:
        row = await self.writer.row(f"select {_PARKED} from parked where id = $1", id)  # noqa: S608 # a constant
        return None if row is None else parked_row(row)

    async def unpark(self, id: str) -> bool:
        return await self.writer.execute("delete from parked where id = $1", id) == 1

    async def revive(self, id: str, envelope: bytes | None = None) -> bool:
        sql = (
            "update parked set due_at = now_ms(), attempt = 0, envelope = coalesce($2, envelope)"
            " where id = $1 and due_at is null"
        )
        return await self.writer.execute(sql, id, envelope) == 1

    async def prune(self, *, older_than_ms: int, limit: int) -> int:
        return await self.writer.execute(_PRUNE, older_than_ms, limit)

    async def history(self, request_id: str) -> History:
        handled = await self.writer.fetch(_HANDLED, request_id)
        unsent = await self.writer.fetch(_UNSENT, request_id)
        return History(
            [Handled(row["id"], about(row), row["reply"], row["settled_at"]) for row in handled],
            [outgoing(row) for row in unsent],
            [parked_row(row) for row in await self.writer.fetch(_WAITING, request_id)],
        )

    async def counts(self) -> Mapping[str, int]:
        return (await self.writer.fetch(_COUNTS))[0]

    async def beat(self, instance: str, *, in_flight: int) -> None:
        await self.writer.execute("delete from instance where seen_at < now_ms() - 60000")
        await self.writer.execute(_BEAT, instance, in_flight)

    async def leave(self, instance: str) -> None:
        await self.writer.execute("delete from instance where id = $1", instance)


class Letters(ABC):
    """The part of a `Transaction` that is about dead letters."""

    @abstractmethod
    async def row(self, sql: str, *args: Value | Sequence[Value]) -> Row | None: ...

    @abstractmethod
    async def execute(self, sql: str, *args: Value | Sequence[Value]) -> int: ...

    async def letter(self, letter: str) -> ParkedRow | None:
        row = await self.row(_LETTER, letter)
        return None if row is None else parked_row(row)

    async def revive_letter(self, letter: str, envelope: bytes | None = None) -> bool:
        sql = (
            "update parked set due_at = now_ms(), attempt = 0, envelope = coalesce($2, envelope)"
            " where coalesce(letter, id) = $1 and due_at is null"
        )
        return await self.execute(sql, letter, envelope) == 1

    async def revive_type(self, type: str) -> int:
        sql = "update parked set due_at = now_ms(), attempt = 0 where type = $1 and due_at is null"
        return await self.execute(sql, type)

    async def discard_letter(self, letter: str) -> bool:
        sql = "delete from parked where coalesce(letter, id) = $1 and due_at is null"
        return await self.execute(sql, letter) == 1
