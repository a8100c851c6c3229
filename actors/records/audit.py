"""The audit: who did what to which account, and when. Rows are added and never changed.

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

    async def add(self, row: AuditRow, *, ip: str | None, user_agent: str | None) -> None:
        await self._session.insert("audit", AuditRow.__struct_fields__, [msgspec.structs.astuple(row)])
        await self._session.insert("audit_origin", ("audit_id", "ip", "user_agent"), [(row.id, ip, user_agent)])
