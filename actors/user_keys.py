"""Signing keys: the part of the user actor that makes them, and shows their public halves."""

from __future__ import annotations

from typing import Final

from actors.contracts.user import ACCESS_TOKEN_S, GetJwks, GetPublicKeys, Jwk, Jwks, PublicKey, RotateKeys
from actors.records.user import SealedKey, UserRecords
from actors.tokens import SigningKey
from actors.user_part import UserPart
from runtime.actor import handles
from runtime.context import Context

READY_MS: Final = 30_000
"""How old a key must be to sign: edges ask for unknown keys every 10 s at most, and must never meet one in vain."""

KEY_KEPT_MS: Final = 6 * ACCESS_TOKEN_S * 1000
"""How long a key stays after another one has taken its place: longer than its last token lives."""


class SigningKeys(UserPart):
    """Handlers of signing keys."""

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

    @handles
    async def rotate_keys(self, command: RotateKeys, ctx: Context[UserRecords]) -> PublicKey:
        """A new one, which takes the place of the present one once it is ready."""
        return await self._add_key(ctx)

    async def _add_key(self, ctx: Context[UserRecords]) -> PublicKey:
        key = SigningKey.make()
        sealed = self._sealer.seal(key.dump())
        await ctx.records.add_key(SealedKey(key.public.kid, sealed, key.public.x, key.public.y), ctx.now)
        return key.public

    async def _signing_key(self, records: UserRecords, now: int) -> SigningKey:
        """The one that signs now: any process may have made it."""
        kept = await records.signing_key(now - READY_MS)
        assert kept is not None  # noqa: S101 - `start` has run
        key = self._keys.get(kept.kid)
        if key is None:
            key = self._keys[kept.kid] = SigningKey.load(self._sealer.unseal(kept.sealed))
        return key
