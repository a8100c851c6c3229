"""The user actor: who is who, and who may come in. Nothing else knows a password."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from actors.contracts.user import UserUpdated
from actors.contracts.user_session import AccessMoved
from actors.contracts.values import DAY_MS
from actors.records.attempts import KEPT_MS
from actors.records.user import UserRecords
from actors.user_accounts import Accounts
from actors.user_admin import Admins
from actors.user_credentials import Credentials
from actors.user_keys import KEY_KEPT_MS, SigningKeys
from actors.user_part import NETWORK_KNOWN_MS
from actors.user_second_factor import SecondFactor
from actors.user_sessions import TOLD_MS, Sessions
from actors.user_tokens import ApiTokens
from runtime.actor import every
from runtime.context import Context
from runtime.errors import MessageError, StartError
from runtime.message import Tick

NOBODY_MS: Final = 30 * DAY_MS
"""How long the audit keeps failed sign-ins to accounts that do not exist."""

RESYNC: Final = 500
"""Accounts told again in one transaction."""


class UserActor(Accounts, Sessions, Credentials, SecondFactor, ApiTokens, SigningKeys, Admins):
    """Accounts, sessions and the keys of their tokens.

    Its handlers are sorted by subject: each base class has those of one.
    """

    name = "user"

    async def start(self, ctx: Context[UserRecords]) -> None:
        """Make the first admin of the settings and the first signing key, where there are none."""
        if self._first_admin is not None:
            await self._make_first_admin(*self._first_admin, ctx)
        kept = await ctx.records.signing_key(ctx.now)
        if kept is None:
            await self._add_key(ctx)
            return
        try:
            self._sealer.unseal(kept.sealed)
        except MessageError as error:
            raise StartError(
                "the key that signs access tokens was sealed with another SECRET_KEY; start with that one"
            ) from error

    async def resync(self, ctx: Context[UserRecords], after: str | None) -> str | None:
        """Tell the next accounts again, after that id; returns the last one's, or None at the end."""
        accounts = await ctx.records.accounts_after(after or "", RESYNC)
        for account in accounts:
            ctx.emit(UserUpdated(person=account.person(), contact=account.contact()))
        return accounts[-1].id if len(accounts) == RESYNC else None

    async def beat(self, records: UserRecords) -> AccessMoved:
        """Up to where the feed reaches that edges follow."""
        return AccessMoved(last=await records.access.last())

    async def check(self, records: UserRecords) -> Sequence[str]:
        """What was changed in the audit by anybody else."""
        return await records.audit.faults()

    @every(minutes=1)
    async def link_audit(self, tick: Tick, ctx: Context[UserRecords]) -> None:
        """Take what is new in the audit into its chain."""
        await ctx.records.audit.link()

    @every(hours=1)
    async def forget(self, tick: Tick, ctx: Context[UserRecords]) -> None:
        """Delete what no longer counts: attempts, networks, sessions that have expired, changes that all know."""
        records = ctx.records
        await records.attempts.forget(ctx.now - KEPT_MS)
        await records.forget_networks(ctx.now - NETWORK_KNOWN_MS)
        await records.sessions.forget(ctx.now)
        await records.access.forget(ctx.now - 2 * TOLD_MS)
        await records.audit.forget_nobody(ctx.now - NOBODY_MS)
        await records.forget_keys(ctx.now - KEY_KEPT_MS)
        for tokens in (records.resets, records.verifications):
            await tokens.forget(ctx.now - 2 * DAY_MS)
