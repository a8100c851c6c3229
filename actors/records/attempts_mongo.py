"""Sign-in attempts, in MongoDB."""

from __future__ import annotations

import msgspec

from actors.records import attempts
from actors.records.attempts import Attempt
from runtime.ports import Documents, Row

_decode = msgspec.json.Decoder(list[int]).decode


class Attempts(attempts.Attempts):
    """The collection `attempt`."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    async def forget(self, before: int) -> None:
        await self._documents.delete("attempt", {"latest": {"$lt": before}})

    async def _locked(self, attempt: Attempt) -> list[int]:
        change = {"$set": {"latest": attempt.at}, "$setOnInsert": {"times": "[]"}, "$inc": {"held": 1}}
        row = await self._documents.change("attempt", _key(attempt), change, upsert=True)
        return _decode(row["times"]) if row else []

    async def _write(self, attempt: Attempt, times: list[int]) -> None:
        await self._documents.update("attempt", _key(attempt), {"$set": {"times": msgspec.json.encode(times).decode()}})


def _key(attempt: Attempt) -> Row:
    return {"_id": {"network": attempt.network, "account": attempt.account}}
