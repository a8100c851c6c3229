"""What all parts of the user actor stand on: its settings and keys, and what more than one of them does."""

from __future__ import annotations

import os
from typing import Final, Protocol

from actors.contracts.user import Role
from actors.passwords import Passwords
from actors.records.audit import AuditRow
from actors.records.user import Account, UserRecords
from actors.tokens import SigningKey
from runtime.actor import Actor
from runtime.context import Context
from runtime.errors import Unauthenticated
from runtime.keys import Sealer

DAY_MS: Final = 24 * 3600 * 1000


class UserSettings(Protocol):
    """What this actor reads of the settings."""

    @property
    def origin(self) -> str:
        """How clients reach the edge: issuer and audience of access tokens."""
        ...

    @property
    def argon2(self) -> str:
        """KiB of memory, passes, lanes."""
        ...


class UserPart(Actor[UserRecords]):
    """The base of each part; the whole has them all as its own bases."""

    records = UserRecords

    def __init__(self, *, settings: UserSettings, sealer: Sealer) -> None:
        self._origin = settings.origin
        self._sealer = sealer
        self._passwords = Passwords(settings.argon2, threads=min(4, os.cpu_count() or 1))
        self._key: SigningKey | None = None

    async def stop(self) -> None:
        self._passwords.close()


async def own_account(ctx: Context[UserRecords]) -> Account:
    """The caller's. Refuses `auth.token_invalid`."""
    account = await ctx.records.account(ctx.caller.id or "")
    if account is None:
        raise Unauthenticated("auth.token_invalid", "the account of this token does not exist")
    return account


async def note(
    records: UserRecords,
    ctx: Context[UserRecords],
    action: str,
    user_id: str | None,
    *,
    actor_id: str | None = None,
    detail: str = "",
) -> None:
    """Write into the audit what happened to an account. :param actor_id: who did it, where it is not the caller."""
    row = AuditRow(
        id=ctx.new_id(), action=action, actor_id=actor_id or ctx.caller.id, user_id=user_id, at=ctx.now, detail=detail
    )
    await records.audit.add(row, ip=ctx.caller.address, user_agent=ctx.caller.agent)


async def end_sessions(
    account_id: str,
    records: UserRecords,
    ctx: Context[UserRecords],
    *,
    only: str | None = None,
    but: str | None = None,
    role: Role | None = None,
    active: bool | None = None,
) -> bool:
    """Revoke an account's sessions, all, one or all but one, and let every edge know; whether there were any.

    The last thing that a transaction does: edges are told in the order of commits, so transactions queue up here.
    :param role: the account's new one, and `active` whether it may come in now; None where that did not change.
    """
    ended = await records.sessions.end(account_id, ctx.now, only=only, but=but)
    if ended:
        await note(records, ctx, "session.revoked", account_id, detail=" ".join(ended))
    if ended or role is not None or active is not None:
        await records.access.add(account_id, ctx.now, ended=ended, role=role, active=active)
    return bool(ended)
