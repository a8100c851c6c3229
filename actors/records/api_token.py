"""API tokens, as the user actor reads and writes them; each is kept as its digest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import msgspec

from actors.contracts.user import Role
from actors.contracts.user_token import ApiToken, Scope, TokenHolder
from actors.contracts.values import rfc3339
from actors.pages import After
from runtime.ports import Session


class ApiTokenRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `api_token`; times are ms since the epoch. :param scopes: separated by spaces."""

    id: str
    account_id: str
    name: str
    scopes: str
    digest: bytes
    created_at: int
    expires_at: int | None
    last_used_at: int | None = None

    def view(self) -> ApiToken:
        """As its owner sees it."""
        return ApiToken(
            id=self.id,
            name=self.name,
            scopes=cast(list[Scope], self.scopes.split()),
            created_at=rfc3339(self.created_at),
            expires_at=None if self.expires_at is None else rfc3339(self.expires_at),
            last_used_at=None if self.last_used_at is None else rfc3339(self.last_used_at),
        )


_COLUMNS = ", ".join(ApiTokenRow.__struct_fields__)


class ApiTokens:
    """The table `api_token`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def add(self, token: ApiTokenRow) -> None:
        await self._session.insert("api_token", ApiTokenRow.__struct_fields__, [msgspec.structs.astuple(token)])

    async def page_of(self, account_id: str, *, limit: int, after: After | None) -> list[ApiTokenRow]:
        """An account's tokens, newest first."""
        older = "" if after is None else "and (created_at, id) < ($3, $4)"
        rows = await self._session.fetch(
            f"select {_COLUMNS} from api_token where account_id = $1 {older}"  # noqa: S608 # constants
            " order by created_at desc, id desc limit $2",
            account_id,
            limit,
            *(after or ()),
        )
        return [ApiTokenRow(**row) for row in rows]

    async def holder(self, digest: bytes, now: int) -> TokenHolder | None:
        """Whom a token speaks for; None: it is none, has expired, or its account may not come in."""
        row = await self._session.row(
            "select t.id, t.account_id, a.role, t.scopes, t.expires_at from api_token t"
            " join account a on a.id = t.account_id and a.status = 'active'"
            " where t.digest = $1 and (t.expires_at is null or t.expires_at > $2)",
            digest,
            now,
        )
        return holder_of(row) if row else None

    async def note_use(self, id: str, now: int) -> None:
        await self._session.execute(
            "update api_token set last_used_at = $2 where id = $1 and (last_used_at is null or last_used_at < $2)",
            id,
            now,
        )

    async def revoke(self, id: str, account_id: str) -> bool:
        """False: that account has no such token."""
        sql = "delete from api_token where id = $1 and account_id = $2"
        return await self._session.execute(sql, id, account_id) == 1

    async def of(self, account_id: str) -> list[str]:
        """Their ids."""
        rows = await self._session.fetch("select id from api_token where account_id = $1", account_id)
        return [row["id"] for row in rows]


def holder_of(row: Mapping[str, Any]) -> TokenHolder:
    role: Role = row["role"]
    return TokenHolder(
        id=row["id"],
        account_id=row["account_id"],
        role=role,
        scopes=row["scopes"].split(),
        expires_at=row["expires_at"],
    )
