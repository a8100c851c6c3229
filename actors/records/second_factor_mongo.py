"""Second factors, in MongoDB."""

from __future__ import annotations

from collections.abc import Sequence

from actors.records import second_factor
from actors.records.second_factor import TotpRow
from runtime.ports import Documents, Row


class SecondFactors(second_factor.SecondFactors):
    """The collections `totp` and `recovery_code`."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    async def of(self, account_id: str) -> TotpRow | None:
        row = await self._documents.one("totp", {"_id": account_id})
        return TotpRow(begun=row["begun"], sealed=row["sealed"], last_step=row["last_step"]) if row else None

    async def begin(self, account_id: str, sealed: bytes) -> None:
        change = {"$set": {"begun": sealed}, "$setOnInsert": {"sealed": None, "last_step": 0}}
        await self._documents.change("totp", {"_id": account_id}, change, upsert=True)

    async def confirm(self, account_id: str, begun: bytes, step: int, codes: Sequence[bytes]) -> bool:
        change = {"$set": {"sealed": begun, "begun": None, "last_step": step}}
        if await self._documents.update("totp", {"_id": account_id, "begun": begun}, change) == 0:
            return False
        await self._documents.delete("recovery_code", {"_id.account_id": account_id})
        await self._documents.insert("recovery_code", [_code(account_id, code) for code in codes])
        return True

    async def spend_step(self, account_id: str, step: int) -> bool:
        earlier = {"_id": account_id, "last_step": {"$lt": step}}
        return await self._documents.update("totp", earlier, {"$set": {"last_step": step}}) == 1

    async def spend_code(self, account_id: str, digest: bytes) -> bool:
        return await self._documents.delete("recovery_code", _code(account_id, digest)) == 1

    async def remove(self, account_id: str) -> bool:
        wanted = await self._documents.one("totp", {"_id": account_id, "sealed": {"$ne": None}})
        await self.forget_account(account_id)
        return wanted is not None

    async def forget_account(self, account_id: str) -> None:
        """All that it has."""
        await self._documents.delete("recovery_code", {"_id.account_id": account_id})
        await self._documents.delete("totp", {"_id": account_id})


def _code(account_id: str, digest: bytes) -> Row:
    return {"_id": {"account_id": account_id, "digest": digest}}
