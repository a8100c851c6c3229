"""Sessions and their refresh tokens, in MongoDB."""

from __future__ import annotations

from collections.abc import Sequence

from actors.pages import After
from actors.records import session
from actors.records.pages_mongo import before, document, fields
from actors.records.session import SessionRow
from runtime.ports import Documents, Row


class SessionRecords(session.SessionRecords):
    """The collections `session` and `refresh_token`."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    async def add(self, session: SessionRow) -> None:
        await self._documents.insert("session", [document(session)])

    async def add_refresh_token(self, digest: bytes, session_id: str, now: int) -> None:
        token = {"_id": digest, "session_id": session_id, "created_at": now, "used_at": None}
        await self._documents.insert("refresh_token", [token])

    async def spend(self, digest: bytes, now: int) -> str | None:
        token = await self._documents.change(
            "refresh_token", {"_id": digest, "used_at": None}, {"$set": {"used_at": now}}
        )
        return token["session_id"] if token else None

    async def session_of(self, digest: bytes) -> SessionRow | None:
        token = await self._documents.one("refresh_token", {"_id": digest})
        found = token and await self._documents.one("session", {"_id": token["session_id"]})
        return SessionRow(**fields(SessionRow, found)) if found else None

    async def seen(self, id: str, now: int) -> SessionRow | None:
        held = {"$set": {"last_seen_at": now}, "$inc": {"held": 1}}
        found = await self._documents.change("session", {"_id": id, **_good(now)}, held)
        return SessionRow(**fields(SessionRow, found)) if found else None

    async def page_of(self, account_id: str, now: int, *, limit: int, after: After | None) -> list[SessionRow]:
        where = {"account_id": account_id, **_good(now), **before(after)}
        rows = await self._documents.find("session", where, sort={"created_at": -1, "_id": -1}, limit=limit)
        return [SessionRow(**fields(SessionRow, row)) for row in rows]

    async def end(self, account_id: str, now: int, *, only: str | None = None, but: str | None = None) -> Sequence[str]:
        where = {"account_id": account_id, **_good(now)}
        if only is not None:
            where["_id"] = only
        elif but is not None:
            where["_id"] = {"$ne": but}
        ended = [row["_id"] for row in await self._documents.find("session", where)]
        if ended:
            await self._documents.update("session", {"_id": {"$in": ended}}, {"$set": {"revoked_at": now}})
        return ended

    async def forget(self, expired_before: int) -> None:
        await self._delete({"expires_at": {"$lt": expired_before}})

    async def forget_account(self, account_id: str) -> None:
        """All of them, with their tokens."""
        await self._delete({"account_id": account_id})

    async def _delete(self, where: Row) -> None:
        while ids := [row["_id"] for row in await self._documents.find("session", where, limit=1000)]:
            await self._documents.delete("refresh_token", {"session_id": {"$in": ids}})
            await self._documents.delete("session", {"_id": {"$in": ids}})


def _good(now: int) -> dict[str, object]:
    return {"revoked_at": None, "expires_at": {"$gt": now}}
