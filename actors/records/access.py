"""The feed of changes in who may come in, which every edge follows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from actors.contracts.user import Role
from actors.contracts.user_session import AccessChange
from runtime.ports import Session

_decode = msgspec.json.Decoder(list[str]).decode


class AccessFeed:
    """The table `access_change`, numbered without gaps in the order of commits.

    Who adds to it holds the counter until the transaction ends: add last.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    async def add(
        self,
        account_id: str,
        now: int,
        *,
        ended: Sequence[str] = (),
        role: Role | None = None,
        active: bool | None = None,
    ) -> None:
        """:param ended: ids of sessions and API tokens."""
        row = await self._session.row(
            "insert into access_feed (id, last) values (1, 1)"
            " on conflict (id) do update set last = access_feed.last + 1 returning last"
        )
        await self._session.execute(
            "insert into access_change (seq, account_id, role, active, ended, at) values ($1, $2, $3, $4, $5, $6)",
            row["last"] if row else 0,
            account_id,
            role,
            None if active is None else int(active),
            msgspec.json.encode(ended).decode(),
            now,
        )

    async def last(self) -> int:
        """The number of the last change that there ever was; 0 for none."""
        row = await self._session.row("select last from access_feed where id = 1")
        return row["last"] if row else 0

    async def start(self, since: int) -> int:
        """The number of the last change that was made before a time."""
        row = await self._session.row("select max(seq) as seq from access_change where at < $1", since)
        return (row["seq"] if row else None) or 0

    async def after(self, seq: int, limit: int) -> list[AccessChange]:
        """The next changes after that one."""
        rows = await self._session.fetch(
            "select seq, account_id, role, active, ended from access_change where seq > $1 order by seq limit $2",
            seq,
            limit,
        )
        return [change_of(row) for row in rows]

    async def forget(self, before: int) -> None:
        await self._session.execute("delete from access_change where at < $1", before)


def change_of(row: Mapping[str, Any]) -> AccessChange:
    active = row["active"]
    return AccessChange(
        seq=row["seq"],
        account_id=row["account_id"],
        role=row["role"],
        active=None if active is None else bool(active),
        ended=_decode(row["ended"]),
    )
