"""Accounts and signing keys in MongoDB, and the way to the user actor's other records.

What refers to an account goes with it here; in SQL the database sees to that.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from actors.contracts.user import PublicKey, Role, Status
from actors.pages import After
from actors.records import user
from actors.records.access_mongo import AccessFeed
from actors.records.api_token_mongo import ApiTokens
from actors.records.attempts_mongo import Attempts
from actors.records.audit_mongo import Audit
from actors.records.mailed_token import HOUR_MS
from actors.records.mailed_token_mongo import MailedTokens
from actors.records.pages_mongo import before, fields
from actors.records.second_factor_mongo import SecondFactors
from actors.records.session_mongo import SessionRecords
from actors.records.user import Account, SealedKey, account_of, values_of
from runtime.keys import Sealer
from runtime.loader import Loader
from runtime.ports import Documents, Row


class UserRecords(user.UserRecords):
    """The user actor's store."""

    sessions: SessionRecords
    second_factors: SecondFactors

    def __init__(self, documents: Documents, sealer: Sealer) -> None:
        self._documents = documents
        self._accounts = Loader(self._fetch)
        self.access = AccessFeed(documents)
        self.api_tokens = ApiTokens(documents)
        self.attempts = Attempts(documents)
        self.audit = Audit(documents, sealer)
        self.second_factors = SecondFactors(documents)
        self.sessions = SessionRecords(documents)
        self.resets = MailedTokens(documents, "reset", HOUR_MS)
        self.verifications = MailedTokens(documents, "verification", 24 * HOUR_MS)

    async def account_of(self, address: str) -> Account | None:
        row = await self._documents.one("account", {"address": address})
        return _account(row) if row else None

    async def accounts_after(self, id: str, limit: int) -> Sequence[Account]:
        rows = await self._documents.find("account", {"_id": {"$gt": id}}, sort={"_id": 1}, limit=limit)
        return [_account(row) for row in rows]

    async def page_of(
        self, *, q: str | None, role: Role | None, status: Status | None, limit: int, after: After | None
    ) -> list[Account]:
        wanted: dict[str, Any] = {
            "folded": None if q is None else {"$regex": re.escape(q.casefold())},
            "role": role,
            "status": status,
        }
        where = {name: value for name, value in wanted.items() if value is not None} | before(after)
        rows = await self._documents.find("account", where, sort={"created_at": -1, "_id": -1}, limit=limit)
        return [_account(row) for row in rows]

    async def add_account(self, account: Account) -> None:
        await self._documents.insert("account", [{"_id": account.id, **_values(account)}])

    async def change(self, before: Account, after: Account) -> bool:
        return await self._documents.update("account", _version(before), {"$set": _values(after)}) == 1

    async def delete(self, account: Account) -> bool:
        if await self._documents.delete("account", _version(account)) == 0:
            return False
        await self.sessions.forget_account(account.id)
        await self.second_factors.forget_account(account.id)
        await self._documents.delete("known_network", {"_id.account_id": account.id})
        for collection in ("api_token", "mailed_token"):
            await self._documents.delete(collection, {"account_id": account.id})
        return True

    async def active_admins(self) -> set[str]:
        where = {"role": "admin", "status": "active"}
        await self._documents.update("account", where, {"$inc": {"held": 1}})
        return {row["_id"] for row in await self._documents.find("account", where)}

    async def set_password(self, id: str, password: str) -> Account | None:
        row = await self._documents.change("account", {"_id": id}, {"$set": {"password": password}})
        return _account(row) if row else None

    async def rehash(self, account: Account, password: str) -> None:
        unchanged = {"_id": account.id, "password": account.password}
        await self._documents.update("account", unchanged, {"$set": {"password": password}})

    async def knows_any_network(self, account_id: str) -> bool:
        return await self._documents.one("known_network", {"_id.account_id": account_id}) is not None

    async def knows_network(self, account_id: str, network: str, since: int) -> bool:
        where = {**_network(account_id, network), "seen_at": {"$gte": since}}
        return await self._documents.one("known_network", where) is not None

    async def remember_network(self, account_id: str, network: str, now: int) -> None:
        change = {"$set": {"seen_at": now}}
        await self._documents.change("known_network", _network(account_id, network), change, upsert=True)

    async def forget_networks(self, seen_before: int) -> None:
        await self._documents.delete("known_network", {"seen_at": {"$lt": seen_before}})

    async def signing_key(self, made_before: int) -> SealedKey | None:
        key = await self._newest_key(made_before) or await self._documents.one(
            "signing_key", {}, sort={"created_at": 1, "_id": 1}
        )
        return SealedKey(key["_id"], key["sealed"], key["x"], key["y"]) if key else None

    async def forget_keys(self, replaced_before: int) -> None:
        newest = await self._newest_key(replaced_before)
        if newest is not None:
            await self._documents.delete("signing_key", {"created_at": {"$lt": newest["created_at"]}})

    async def public_keys(self) -> list[PublicKey]:
        keys = await self._documents.find("signing_key", {}, sort={"created_at": -1})
        return [PublicKey(kid=key["_id"], x=key["x"], y=key["y"]) for key in keys]

    async def add_key(self, key: SealedKey, now: int) -> None:
        made = {"_id": key.kid, "sealed": key.sealed, "x": key.x, "y": key.y, "created_at": now}
        await self._documents.insert("signing_key", [made])

    async def _newest_key(self, made_before: int) -> Row | None:
        return await self._documents.one("signing_key", {"created_at": {"$lte": made_before}}, sort={"created_at": -1})

    async def _fetch(self, ids: Sequence[str]) -> Mapping[str, Account]:
        rows = await self._documents.find("account", {"_id": {"$in": list(ids)}})
        return {row["_id"]: _account(row) for row in rows}


def _account(row: Row) -> Account:
    return account_of(fields(Account, row))


def _values(account: Account) -> dict[str, Any]:
    """Without the key."""
    return {name: value for name, value in values_of(account).items() if name != "id"}


def _version(account: Account) -> Row:
    return {"_id": account.id, "version": account.version}


def _network(account_id: str, network: str) -> dict[str, Any]:
    return {"_id": {"account_id": account_id, "network": network}}
