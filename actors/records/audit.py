"""The audit: who did what to which account, and when. Rows of accounts are added and never changed.

From where it was done lies in a table of its own, which erasing an account empties.
"""

from __future__ import annotations

import msgspec

from runtime.ports import Session


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
    """The tables `audit` and `audit_origin`."""

    def __init__(self, session: Session) -> None:
        self._session = session

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
        """Delete what happened to no account: anybody can make such rows, as many as they like."""
        await self._session.execute(
            "delete from audit_origin where audit_id in (select id from audit where user_id is null and at < $1)",
            before,
        )
        await self._session.execute("delete from audit where user_id is null and at < $1", before)

    async def add(self, row: AuditRow, *, ip: str | None, user_agent: str | None) -> None:
        await self._session.insert("audit", AuditRow.__struct_fields__, [msgspec.structs.astuple(row)])
        await self._session.insert("audit_origin", ("audit_id", "ip", "user_agent"), [(row.id, ip, user_agent)])
