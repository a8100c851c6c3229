"""What people chose to be told, and what of them decides how, as the notify actor reads and writes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from actors.contracts.notify_preferences import Preferences
from runtime.ports import Session


class Reader(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who may be told something.

    :ivar preferences: None: the defaults.
    """

    id: str
    locale: str
    timezone: str
    preferences: Preferences | None


_decode = msgspec.json.Decoder(Preferences).decode


class PreferenceRecords:
    """The table `preference`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def of(self, user_id: str) -> Preferences | None:
        row = await self._session.row("select value from preference where user_id = $1", user_id)
        return _decode(row["value"]) if row else None

    async def put(self, user_id: str, preferences: Preferences) -> None:
        await self._session.execute(
            "insert into preference (user_id, value) values ($1, $2)"
            " on conflict (user_id) do update set value = excluded.value",
            user_id,
            msgspec.json.encode(preferences).decode(),
        )

    async def forget(self, user_id: str) -> None:
        await self._session.execute("delete from preference where user_id = $1", user_id)

    async def readers(self, ids: Sequence[str]) -> dict[str, Reader]:
        """Those among them who are known."""
        rows = await self._session.fetch(
            "select p.id, p.locale, p.timezone, c.value from person p left join preference c on c.user_id = p.id"
            " where p.id = any($1)",
            ids,
        )
        return {row["id"]: _reader(row) for row in rows}


def _reader(row: Mapping[str, Any]) -> Reader:
    value = row["value"]
    return Reader(
        id=row["id"],
        locale=row["locale"],
        timezone=row["timezone"],
        preferences=None if value is None else _decode(value),
    )
