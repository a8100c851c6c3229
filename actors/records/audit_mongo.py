"""The audit, in MongoDB. What makes it a chain is the same."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from actors.records import audit
from actors.records.audit import PAGE, AuditRow
from actors.records.pages_mongo import document, fields
from runtime.keys import Sealer
from runtime.ports import Documents, Row

NOBODYS = {"user_id": None, "action": "session.refused"}


class Audit(audit.Audit):
    """The collections `audit`, `audit_chain` and `audit_origin`."""

    def __init__(self, documents: Documents, sealer: Sealer) -> None:
        self._documents = documents
        self._sealer = sealer

    async def page_of(
        self, *, user_id: str | None, action: str | None, limit: int, before: str | None
    ) -> list[tuple[AuditRow, str | None, str | None]]:
        wanted = (("user_id", user_id), ("action", action), ("_id", before and {"$lt": before}))
        where = {name: value for name, value in wanted if value is not None}
        rows = await self._documents.find("audit", where, sort={"_id": -1}, limit=limit)
        found = await self._documents.find("audit_origin", {"_id": {"$in": [row["_id"] for row in rows]}})
        origins = {each["_id"]: (each["ip"], each["user_agent"]) for each in found}
        return [(AuditRow(**fields(AuditRow, row)), *origins.get(row["_id"], (None, None))) for row in rows]

    async def forget_origins(self, user_id: str) -> None:
        await self._forget_origins({"$or": [{"user_id": user_id}, {"actor_id": user_id}]})

    async def forget_nobody(self, before: int) -> None:
        nobodys = {**NOBODYS, "at": {"$lt": before}}
        await self._forget_origins(nobodys)
        await self._documents.delete("audit", nobodys)

    async def add(self, row: AuditRow, *, ip: str | None, user_agent: str | None) -> None:
        await self._documents.insert("audit", [{**document(row), "mark": self._mark(row)}])
        await self._documents.insert("audit_origin", [{"_id": row.id, "ip": ip, "user_agent": user_agent}])

    async def _hold_chain(self) -> Row | None:
        return await self._documents.change("audit_chain", {"_id": 1}, {"$inc": {"held": 1}})

    async def _chain(self) -> Row | None:
        return await self._documents.one("audit_chain", {"_id": 1})

    async def _link(self, id: str, seq: int, mark: str) -> None:
        await self._documents.update("audit", {"_id": id}, {"$set": {"seq": seq, "mark": mark}})

    async def _end_chain(self, last: int, mark: str) -> None:
        await self._documents.update("audit_chain", {"_id": 1}, {"$set": {"last": last, "mark": mark}})

    def _new(self) -> AsyncIterator[Row]:
        return self._each({"user_id": {"$ne": None}, "seq": None}, "_id", "")

    def _linked(self) -> AsyncIterator[Row]:
        return self._each({}, "seq", 0)

    def _unlinked(self) -> AsyncIterator[Row]:
        return self._each({"seq": None}, "_id", "")

    async def _each(self, where: dict[str, Any], order: str, start: str | int) -> AsyncIterator[Row]:
        """Documents that meet `where`, in the order of a field, from a value on."""
        following: dict[str, Any] = {**where, order: {"$gt": start}}
        while rows := await self._documents.find("audit", following, sort={order: 1}, limit=PAGE):
            for row in rows:
                yield {**row, "id": row["_id"]}
            following[order] = {"$gt": rows[-1][order]}

    async def _forget_origins(self, where: Row) -> None:
        ids = [row["_id"] for row in await self._documents.find("audit", where)]
        if ids:
            await self._documents.delete("audit_origin", {"_id": {"$in": ids}})
