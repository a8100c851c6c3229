"""Twins of the SQLite store, each of which breaks one promise: the conformance suite must find them out."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from runtime.drivers.store_sqlite import SqliteStore
from runtime.drivers.store_tables import RECORDED
from runtime.ports import Claim, Claimed, Migration, Outgoing, Parked, ParkedRow, Settled, Table


class Meddling(SqliteStore):
    """Hands out transactions after `meddle` was at them."""

    def meddle(self, transaction: Any) -> None:
        raise NotImplementedError

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        async with super().transaction() as transaction:
            self.meddle(transaction)
            yield transaction


class ForgettingReplies(Meddling):
    """Remembers that an id was settled, and not how."""

    def meddle(self, transaction: Any) -> None:
        finish = transaction.finish

        async def forgetful(settled: Sequence[Settled], outgoing: Sequence[Outgoing], **further: Any) -> None:
            await finish([Settled(each.claim) for each in settled], outgoing, **further)

        transaction.finish = forgetful


class ForgettingIds(Meddling):
    """Does not remember what was settled."""

    def meddle(self, transaction: Any) -> None:
        finish = transaction.finish

        async def forgetful(settled: Sequence[Settled], outgoing: Sequence[Outgoing], **further: Any) -> None:
            await finish([], outgoing, **further)

        transaction.finish = forgetful


class ClaimingTwice(Meddling):
    """Lets everyone have every id."""

    def meddle(self, transaction: Any) -> None:
        async def generous(claims: Sequence[Claim]) -> Sequence[Claimed]:
            await transaction.fetch("select 1")
            return [None] * len(claims)

        transaction.begin = generous


class LeasingIdsTwice(SqliteStore):
    """Leases an id to everyone who asks."""

    async def claim(self, claim: Claim, lease: str, *, lease_ms: int) -> Claimed:
        await super().claim(claim, lease, lease_ms=lease_ms)
        return None


class NeverLapsing(SqliteStore):
    """Keeps every lease for ever."""

    async def claim(self, claim: Claim, lease: str, *, lease_ms: int) -> Claimed:
        return await super().claim(claim, lease, lease_ms=lease_ms + 3_600_000)

    async def lease_outgoing(self, *, limit: int, lease_ms: int) -> Sequence[Outgoing]:
        return await super().lease_outgoing(limit=limit, lease_ms=lease_ms + 3_600_000)

    async def lease_parked(self, *, limit: int, lease_ms: int) -> Sequence[ParkedRow]:
        return await super().lease_parked(limit=limit, lease_ms=lease_ms + 3_600_000)


class ReleasingAll(SqliteStore):
    """Gives ids back, whoever holds them, settled or not."""

    async def release(self, id: str, lease: str) -> None:
        await self.writer.execute("delete from inbox where id = $1", id)


class ProlongingNothing(SqliteStore):
    """Says that a lease goes on, and lets it lapse."""

    async def prolong(self, id: str, lease: str, *, lease_ms: int) -> bool:
        return True


class LosingOutgoing(SqliteStore):
    """Keeps the outbox only as long as the process lives."""

    async def migrate(self, migrations: Sequence[Migration]) -> Sequence[str]:
        applied = await super().migrate(migrations)
        await self.writer.execute("delete from outbox")
        return applied


class LeasingOutgoingTwice(SqliteStore):
    """Leases a row of the outbox to whoever asks."""

    async def lease_outgoing(self, *, limit: int, lease_ms: int) -> Sequence[Outgoing]:
        return await super().lease_outgoing(limit=limit, lease_ms=0)


class LeasingParkedTwice(SqliteStore):
    """Leases a parked envelope to whoever asks."""

    async def lease_parked(self, *, limit: int, lease_ms: int) -> Sequence[ParkedRow]:
        return await super().lease_parked(limit=limit, lease_ms=0)


class SendingAtOnce(Meddling):
    """Lets the relay have what the sender is about to publish itself."""

    def meddle(self, transaction: Any) -> None:
        finish = transaction.finish

        async def hasty(settled: Sequence[Settled], outgoing: Sequence[Outgoing], **further: Any) -> None:
            await finish(settled, outgoing, **{**further, "lease_ms": 0})

        transaction.finish = hasty


class Committing(SqliteStore):
    """Keeps what a transaction wrote before it failed."""

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        failure: BaseException | None = None
        async with super().transaction() as transaction:
            try:
                yield transaction
            except BaseException as error:
                failure = error
        if failure is not None:
            raise failure


class Unlocked(SqliteStore):
    """Lets everyone in at once."""

    @asynccontextmanager
    async def exclusive(self, name: str) -> AsyncIterator[Any]:
        yield self.writer


class Remigrating(SqliteStore):
    """Forgets that it has applied a migration."""

    async def migrate(self, migrations: Sequence[Migration]) -> Sequence[str]:
        await self.writer.execute(RECORDED)
        await self.writer.execute("delete from migration where name = $1", migrations[-1].name)
        return await super().migrate(migrations)


class Unwatchful(SqliteStore):
    """Takes any migration of that name for the one that it was, and misses none."""

    async def migrate(self, migrations: Sequence[Migration]) -> Sequence[str]:
        if await self.writer.row("select 1 from sqlite_master where name = 'migration'"):
            given = {each.name: hashlib.sha256(each.text.encode()).hexdigest() for each in migrations}
            for row in await self.writer.fetch("select name from migration where name not like 'store%'"):
                await self.writer.execute(
                    "update migration set digest = $2 where name = $1", row["name"], given.get(row["name"])
                )
            await self.writer.execute("delete from migration where digest is null")
        return await super().migrate(migrations)


class ForgettingFirstFailures(SqliteStore):
    """Parks an envelope as if it had never failed before."""

    async def park(self, parked: Sequence[Parked]) -> None:
        for each in parked:
            await self.unpark(each.id)
        await super().park(parked)


class RevivingTheLiving(SqliteStore):
    """Makes everything due that is parked."""

    async def revive(self, id: str, envelope: bytes | None = None) -> bool:
        await self.writer.execute("update parked set due_at = null where id = $1", id)
        return await super().revive(id, envelope)


class FillingUp(Meddling):
    """Leaves in a table what was there."""

    def meddle(self, transaction: Any) -> None:
        async def fill(table: Table, pages: AsyncIterable[Any]) -> None:
            async for rows in pages:
                await transaction.insert(table.name, table.columns, rows)

        transaction.fill = fill


class ReadingOnce(Meddling):
    """Tells the first rows of a table for all."""

    def meddle(self, transaction: Any) -> None:
        rows = transaction.rows

        async def first(table: Table) -> AsyncIterator[Any]:
            async for page in rows(table):
                yield page
                return

        transaction.rows = first


BROKEN: dict[type[SqliteStore], tuple[str, ...]] = {
    ForgettingReplies: ("a_settled_id_has_its_saved_reply",),
    ForgettingIds: ("a_settled_id_has_its_saved_reply", "of_fifty_that_claim_an_id_at_once_one_wins"),
    ClaimingTwice: ("a_settled_id_has_its_saved_reply", "an_id_is_claimed_once_in_a_transaction"),
    LeasingIdsTwice: ("of_fifty_that_lease_an_id_at_once_one_wins", "a_lease_is_settled_by_its_holder"),
    NeverLapsing: (
        "a_lapsed_lease_is_taken_by_another",
        "an_outgoing_row_whose_lease_lapsed_is_leased_again",
        "a_parked_envelope_whose_lease_lapsed_is_leased_again",
    ),
    ReleasingAll: ("a_released_id_is_free", "what_is_settled_is_not_released"),
    ProlongingNothing: ("a_prolonged_lease_is_not_taken", "what_is_another_s_or_settled_is_not_prolonged"),
    LosingOutgoing: ("outgoing_rows_stay_until_they_are_deleted",),
    LeasingOutgoingTwice: ("no_outgoing_row_goes_to_two",),
    LeasingParkedTwice: ("no_parked_envelope_goes_to_two", "a_parked_envelope_is_leased_when_due_and_counted"),
    SendingAtOnce: ("outgoing_rows_are_born_leased",),
    Committing: ("a_transaction_left_by_an_exception_is_undone", "what_is_finished_is_kept_together_or_not_at_all"),
    Unlocked: ("only_one_is_in_an_exclusive_block",),
    Remigrating: ("migrations_are_applied_once_in_order",),
    Unwatchful: ("a_changed_migration_is_named", "a_missing_migration_is_named"),
    ForgettingFirstFailures: ("parking_again_keeps_the_first_failure",),
    FillingUp: ("a_filled_table_has_these_rows_and_no_others",),
    ReadingOnce: ("all_rows_come_by_their_key",),
    RevivingTheLiving: ("a_dead_letter_is_revived_once",),
}
"""Twin → the promises that it breaks."""
