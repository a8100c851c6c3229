"""The feed of changes in who may come in, in MongoDB."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from actors.contracts.user import Role
from actors.contracts.user_session import AccessChange
from actors.records import access
from runtime.ports import Documents

THE_FEED: Final = {"_id": 1}


class AccessFeed(access.AccessFeed):
    """The collections `access_feed` and `access_change`."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    async def add(
        self,
        account_id: str,
        now: int,
        *,
        ended: Sequence[str] = (),
        role: Role | None = None,
        active: bool | None = None,
    ) -> None:
        feed = await self._documents.change("access_feed", THE_FEED, {"$inc": {"last": 1}}, upsert=True)
        change = {
            "_id": feed["last"] if feed else 0,
            "account_id": account_id,
            "role": role,
            "active": None if active is None else int(active),
            "ended": msgspec.json.encode(ended).decode(),
            "at": now,
        }
        await self._documents.insert("access_change", [change])

    async def last(self) -> int:
        feed = await self._documents.one("access_feed", THE_FEED)
        return feed["last"] if feed else 0

    async def start(self, since: int) -> int:
        row = await self._documents.one("access_change", {"at": {"$lt": since}}, sort={"_id": -1})
        return row["_id"] if row else 0

    async def after(self, seq: int, limit: int) -> list[AccessChange]:
        rows = await self._documents.find("access_change", {"_id": {"$gt": seq}}, sort={"_id": 1}, limit=limit)
        return [access.change_of({**row, "seq": row["_id"]}) for row in rows]

    async def forget(self, before: int) -> None:
        await self._documents.delete("access_change", {"at": {"$lt": before}})
