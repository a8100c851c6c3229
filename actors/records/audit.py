"""The audit: who did what to which account, and when. Rows of accounts are added and never changed.

Each row is marked with a key that the database has not. Once a minute the new rows of accounts are numbered, and each
marked anew together with the mark of the one before: a chain, which shows rows that were changed, put in or taken out.
From where it was done lies in a table of its own, which erasing an account empties.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

import msgspec

from runtime.keys import Sealer
from runtime.message import encode
from runtime.ports import Row, Session

PAGE: Final = 1000
"""Rows that are looked at together."""


class AuditRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `audit`.

    :param actor_id: who did it; None for somebody who is not known.
    :param user_id: the account that it was done to; None where there is none.
    :param at: ms since the epoch.
    """

    id: str
    action: str
    actor_id: str | None
    user_id: str | None
    at: int
    detail: str = ""


class Audit:
    """The tables `audit`, `audit_chain` and `audit_origin`."""

    def __init__(self, session: Session, sealer: Sealer) -> None:
        self._session = session
        self._sealer = sealer

    async def page_of(
        self, *, user_id: str | None, action: str | None, limit: int, before: str | None
    ) -> list[tuple[AuditRow, str | None, str | None]]:
        """Rows with address and user agent, newest first, those before that id."""
        conditions, arguments = ["1 = 1"], list[str]()
        for condition, value in (("a.user_id = {}", user_id), ("a.action = {}", action), ("a.id < {}", before)):
            if value is not None:
                arguments.append(value)
                conditions.append(condition.format(f"${len(arguments)}"))
        columns = ", ".join(f"a.{column}" for column in AuditRow.__struct_fields__)
        rows = await self._session.fetch(
            f"select o.ip, o.user_agent, {columns} from audit a left join audit_origin o on o.audit_id = a.id"  # noqa: S608 # constants
            f" where {' and '.join(conditions)} order by a.id desc limit ${len(arguments) + 1}",
            *arguments,
            limit,
        )
        found = []
        for row in rows:
            ip, user_agent, *values = row.values()
            found.append((AuditRow(**dict(zip(AuditRow.__struct_fields__, values, strict=True))), ip, user_agent))
        return found

    async def forget_origins(self, user_id: str) -> None:
        """From where an account was used, and by what."""
        await self._session.execute(
            "delete from audit_origin where audit_id in (select id from audit where user_id = $1 or actor_id = $1)",
            user_id,
        )

    async def forget_nobody(self, before: int) -> None:
        """Delete what anybody can make happen, to no account, as often as they like: refused sign-ins."""
        await self._session.execute(
            "delete from audit_origin where audit_id in"
            " (select id from audit where user_id is null and action = 'session.refused' and at < $1)",
            before,
        )
        await self._session.execute(
            "delete from audit where user_id is null and action = 'session.refused' and at < $1", before
        )

    async def add(self, row: AuditRow, *, ip: str | None, user_agent: str | None) -> None:
        values = msgspec.structs.astuple(row)
        await self._session.insert("audit", (*AuditRow.__struct_fields__, "mark"), [(*values, self._mark(row))])
        await self._session.insert("audit_origin", ("audit_id", "ip", "user_agent"), [(row.id, ip, user_agent)])

    async def link(self) -> None:
        """Take the rows of accounts that are not in the chain yet into it. Whoever else does waits.

        One that does not bear the actor's mark stays outside, for `faults` to tell of.
        """
        head = await self._hold_chain()
        last, mark = (head["last"], head["mark"]) if head else (0, "")
        async for found in self._new():
            row = _audit_row(found)
            if found["mark"] == self._mark(row):
                last, mark = last + 1, self._mark(row, after=mark)
                await self._link(row.id, last, mark)
        await self._end_chain(last, mark)

    async def faults(self) -> list[str]:
        """What is wrong with the audit, a line each."""
        found = list[str]()
        head = await self._chain() or {"last": 0, "mark": None}
        expected, mark = 0, ""
        async for each in self._linked():
            if each["seq"] > head["last"] and expected == head["last"]:
                break  # linked since
            row, expected = _audit_row(each), expected + 1
            if each["seq"] != expected:
                found.append(f"of the audit, {each['seq'] - expected} rows before {row.id} are missing")
            elif each["mark"] != self._mark(row, after=mark):
                found.append(f"of the audit, the row {row.id} or its place was changed")
            expected, mark = each["seq"], each["mark"]
        if (expected, mark) != (head["last"], head["mark"]):
            found.append(f"of the audit, rows from number {expected + 1} to {head['last']} are missing")
        async for each in self._unlinked():
            if each["mark"] != self._mark(_audit_row(each)):
                found.append(f"of the audit, the row {each['id']} was not written by the user actor")
        return found

    def _mark(self, row: AuditRow, *, after: str = "") -> str:
        return self._sealer.mark(encode((after, *msgspec.structs.astuple(row))))

    async def _hold_chain(self) -> Row | None:
        """Where the chain ends, until this transaction does."""
        return await self._session.row("update audit_chain set last = last where id = 1 returning last, mark")

    async def _chain(self) -> Row | None:
        return await self._session.row("select last, mark from audit_chain where id = 1")

    async def _link(self, id: str, seq: int, mark: str) -> None:
        await self._session.execute("update audit set seq = $2, mark = $3 where id = $1", id, seq, mark)

    async def _end_chain(self, last: int, mark: str) -> None:
        await self._session.execute("update audit_chain set last = $1, mark = $2 where id = 1", last, mark)

    def _new(self) -> AsyncIterator[Row]:
        return self._pages("user_id is not null and seq is null", "id", "")

    def _linked(self) -> AsyncIterator[Row]:
        return self._pages("seq is not null", "seq", 0)

    def _unlinked(self) -> AsyncIterator[Row]:
        return self._pages("seq is null", "id", "")

    async def _pages(self, condition: str, order: str, start: str | int) -> AsyncIterator[Row]:
        """Rows that meet a condition, in the order of a column, from a value on."""
        sql = f"select * from audit where {condition} and {order} > $1 order by {order} limit {PAGE}"  # noqa: S608 # constants
        while rows := await self._session.fetch(sql, start):
            for row in rows:
                yield row
            start = rows[-1][order]


def _audit_row(row: Row) -> AuditRow:
    values: dict[str, Any] = {name: row[name] for name in AuditRow.__struct_fields__}
    return AuditRow(**values)
