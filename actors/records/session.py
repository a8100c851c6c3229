"""Sessions and their refresh tokens, as the user actor reads and writes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from actors.pages import After
from runtime.ports import Session


class SessionRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `session`: one sign-in; times are ms since the epoch."""

    id: str
    account_id: str
    user_agent: str | None
    network: str | None
    address: str | None
    created_at: int
    last_seen_at: int
    expires_at: int
    revoked_at: int | None = None


_COLUMNS = ", ".join(SessionRow.__struct_fields__)


class SessionRecords:
    """The tables `session` and `refresh_token`. Tokens are kept as digests, used ones to be known again."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def add(self, session: SessionRow) -> None:
        await self._session.insert("session", SessionRow.__struct_fields__, [msgspec.structs.astuple(session)])

    async def add_refresh_token(self, digest: bytes, session_id: str, now: int) -> None:
        await self._session.insert("refresh_token", ("digest", "session_id", "created_at"), [(digest, session_id, now)])

    async def spend(self, digest: bytes, now: int) -> str | None:
        """The session of a refresh token, which is used up by this; None when it is none, or was used before."""
        row = await self._session.row(
            "update refresh_token set used_at = $2 where digest = $1 and used_at is null returning session_id",
            digest,
            now,
        )
        return row["session_id"] if row else None

    async def session_of(self, digest: bytes) -> SessionRow | None:
        """The session that a refresh token belongs to, used or not, good or not."""
        row = await self._session.row(
            f"select {_COLUMNS} from session where id = (select session_id from refresh_token where digest = $1)",  # noqa: S608 # constants
            digest,
        )
        return _session(row) if row else None

    async def seen(self, id: str, now: int) -> SessionRow | None:
        """A session that is still good, and is held from here on until the transaction ends; None for any other."""
        row = await self._session.row(
            "update session set last_seen_at = $2 where id = $1 and revoked_at is null and expires_at > $2"  # noqa: S608 # constants
            f" returning {_COLUMNS}",
            id,
            now,
        )
        return _session(row) if row else None

    async def page_of(self, account_id: str, now: int, *, limit: int, after: After | None) -> list[SessionRow]:
        """An account's sessions that are still good, newest first."""
        older = "" if after is None else "and (created_at, id) < ($4, $5)"
        rows = await self._session.fetch(
            f"select {_COLUMNS} from session where account_id = $1 and revoked_at is null and expires_at > $2 {older}"  # noqa: S608 # constants
            " order by created_at desc, id desc limit $3",
            account_id,
            now,
            limit,
            *(after or ()),
        )
        return [_session(row) for row in rows]

    async def end(self, account_id: str, now: int, *, only: str | None = None, but: str | None = None) -> Sequence[str]:
        """Revoke an account's sessions that are still good, all, one or all but one; their ids."""
        which, arguments = "", list[str]()
        if only is not None:
            which, arguments = "and id = $3", [only]
        elif but is not None:
            which, arguments = "and id <> $3", [but]
        rows = await self._session.fetch(
            "update session set revoked_at = $2 where account_id = $1 and revoked_at is null and expires_at > $2"  # noqa: S608 # constants
            f" {which} returning id",
            account_id,
            now,
            *arguments,
        )
        return [row["id"] for row in rows]

    async def forget(self, expired_before: int) -> None:
        """Delete sessions that expired before that time, with their tokens."""
        await self._session.execute("delete from session where expires_at < $1", expired_before)


def _session(row: Mapping[str, Any]) -> SessionRow:
    return SessionRow(**row)
