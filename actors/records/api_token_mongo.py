"""API tokens, in MongoDB."""

from __future__ import annotations

from actors.contracts.user_token import TokenHolder
from actors.pages import After
from actors.records import api_token
from actors.records.api_token import ApiTokenRow, holder_of
from actors.records.pages_mongo import before, document, fields
from runtime.ports import Documents


class ApiTokens(api_token.ApiTokens):
    """The collection `api_token`."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    async def add(self, token: ApiTokenRow) -> None:
        await self._documents.insert("api_token", [document(token)])

    async def page_of(self, account_id: str, *, limit: int, after: After | None) -> list[ApiTokenRow]:
        where = {"account_id": account_id, **before(after)}
        rows = await self._documents.find("api_token", where, sort={"created_at": -1, "_id": -1}, limit=limit)
        return [ApiTokenRow(**fields(ApiTokenRow, row)) for row in rows]

    async def holder(self, digest: bytes, now: int) -> TokenHolder | None:
        good = {"digest": digest, "$or": [{"expires_at": None}, {"expires_at": {"$gt": now}}]}
        token = await self._documents.one("api_token", good)
        account = token and await self._documents.one("account", {"_id": token["account_id"], "status": "active"})
        if not token or not account:
            return None
        return holder_of({**token, "id": token["_id"], "role": account["role"]})

    async def note_use(self, id: str, now: int) -> None:
        earlier = {"_id": id, "$or": [{"last_used_at": None}, {"last_used_at": {"$lt": now}}]}
        await self._documents.update("api_token", earlier, {"$set": {"last_used_at": now}})

    async def revoke(self, id: str, account_id: str) -> bool:
        return await self._documents.delete("api_token", {"_id": id, "account_id": account_id}) == 1

    async def of(self, account_id: str) -> list[str]:
        return [row["_id"] for row in await self._documents.find("api_token", {"account_id": account_id})]
