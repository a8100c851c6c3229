"""Tokens that are mailed, in MongoDB."""

from __future__ import annotations

import msgspec

from actors.records import mailed_token
from actors.records.mailed_token import MAILS, Purpose
from runtime.ports import Documents, Row

_decode = msgspec.json.Decoder(list[int]).decode

USED = {"$unset": {"digest": ""}}


class MailedTokens(mailed_token.MailedTokens):
    """Documents of the collection `mailed_token` of one purpose; `digest` is missing once the token was used."""

    def __init__(self, documents: Documents, purpose: Purpose, good_ms: int) -> None:
        self._documents = documents
        self._purpose = purpose
        self._good_ms = good_ms

    async def renew(self, subject: str, account_id: str | None, digest: bytes | None, now: int) -> int:
        key = {"_id": {"purpose": self._purpose, "subject": subject}}
        held = {"$setOnInsert": {"account_id": None, "made_at": now, "mails": "[]"}, "$inc": {"held": 1}}
        row = await self._documents.change("mailed_token", key, held, upsert=True)
        mails = MAILS.recent(_decode(row["mails"]) if row else [], now)
        wait_ms = MAILS.wait_ms(mails, now)
        if not wait_ms:
            made = {"account_id": account_id, "made_at": now, "mails": msgspec.json.encode([*mails, now]).decode()}
            change = {"$set": {**made, "digest": digest}} if digest else {"$set": made, **USED}
            await self._documents.update("mailed_token", key, change)
        return wait_ms

    async def account_of(self, digest: bytes, now: int) -> str | None:
        row = await self._documents.one("mailed_token", self._good(digest, now))
        return row["account_id"] if row else None

    async def spend(self, digest: bytes, now: int) -> str | None:
        row = await self._documents.change("mailed_token", self._good(digest, now), USED)
        return row["account_id"] if row else None

    async def void(self, account_id: str) -> None:
        await self._documents.update("mailed_token", {"_id.purpose": self._purpose, "account_id": account_id}, USED)

    async def forget(self, made_before: int) -> None:
        await self._documents.delete("mailed_token", {"_id.purpose": self._purpose, "made_at": {"$lt": made_before}})

    def _good(self, digest: bytes, now: int) -> Row:
        return {"digest": digest, "_id.purpose": self._purpose, "made_at": {"$gt": now - self._good_ms}}
