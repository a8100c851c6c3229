"""The user actor: who is who, and who may come in. Nothing else knows a password."""

from __future__ import annotations

from typing import Final

from actors.contracts.user import GetJwks, GetPublicKeys, Jwk, Jwks, PublicKey, UserUpdated
from actors.records.attempts import KEPT_MS
from actors.records.user import SealedKey, UserRecords
from actors.tokens import SigningKey
from actors.user_accounts import Accounts
from actors.user_admin import Admins
from actors.user_credentials import Credentials
from actors.user_part import DAY_MS, NETWORK_KNOWN_MS
from actors.user_second_factor import SecondFactor
from actors.user_sessions import TOLD_MS, Sessions
from actors.user_tokens import ApiTokens
from runtime.actor import every, handles
from runtime.context import Context
from runtime.errors import MessageError, StartError
from runtime.message import Tick

RESYNC: Final = 500
"""Accounts told again in one transaction."""


class UserActor(Accounts, Sessions, Credentials, SecondFactor, ApiTokens, Admins):
    """Accounts, sessions and the keys of their tokens.

    Its handlers are sorted by subject: each base class has those of one.
    """

    name = "user"

    async def start(self, ctx: Context[UserRecords]) -> None:
        """Make the first admin of the settings; load the signing key, or make the first one."""
        if self._first_admin is not None:
            await self._make_first_admin(*self._first_admin, ctx)
        kept = await ctx.records.newest_key()
        if kept is None:
            self._key = key = SigningKey.make()
            sealed = self._sealer.seal(key.dump())
            await ctx.records.add_key(SealedKey(key.public.kid, sealed, key.public.x, key.public.y), ctx.now)
            return
        try:
            self._key = SigningKey.load(self._sealer.unseal(kept.sealed))
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

    @handles
    async def public_keys(self, query: GetPublicKeys, ctx: Context[UserRecords]) -> list[PublicKey]:
        """The keys that access tokens in use may be signed with."""
        return await ctx.records.public_keys()

    @handles
    async def jwks(self, query: GetJwks, ctx: Context[UserRecords]) -> Jwks:
        """The same, for outsiders."""
        keys = await ctx.records.public_keys()
        return Jwks(
            keys=[
                Jwk(kid=key.kid, x=key.x, y=key.y, kty=key.kty, crv=key.crv, use=key.use, alg=key.alg) for key in keys
            ]
        )

    @every(hours=1)
    async def forget(self, tick: Tick, ctx: Context[UserRecords]) -> None:
        """Delete what no longer counts: attempts, networks, sessions that have expired, changes that all know."""
        records = ctx.records
        await records.attempts.forget(ctx.now - KEPT_MS)
        await records.forget_networks(ctx.now - NETWORK_KNOWN_MS)
        await records.sessions.forget(ctx.now)
        await records.access.forget(ctx.now - 2 * TOLD_MS)
        for tokens in (records.resets, records.verifications):
            await tokens.forget(ctx.now - 2 * DAY_MS)
