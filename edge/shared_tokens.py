"""What the user actor has said of API tokens, shared among edges through the cache, which is never the truth.

An entry is sealed, says of which token it is and when it was told, and counts for a short time only; so whoever can
write into the cache can let nobody in, neither with another's entry nor with an old one. A token that has ended since
is refused by what `edge.access` knows, for longer than any entry counts.
"""

from __future__ import annotations

from contextlib import suppress

import msgspec

from actors.contracts.user_token import TokenHolder
from runtime.context import Clock
from runtime.errors import CacheAway, MessageError
from runtime.keys import Sealer
from runtime.ports import Cache

KEPT_MS = 120_000
"""How long an entry lies in the cache and counts."""

APART_MS = 300_000
"""How far the clocks of two edges may be apart (F43)."""


class _Entry(msgspec.Struct, frozen=True, array_like=True):
    """:ivar told_at: by the clock of the edge that asked, ms."""

    digest: bytes
    told_at: int
    holder: TokenHolder


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Entry).decode


class SharedTokens:
    """Finds and keeps whom tokens speak for, by their SHA-256 digest. A cache that is away knows none."""

    def __init__(self, cache: Cache, sealer: Sealer, *, clock: Clock) -> None:
        self._cache = cache
        self._sealer = sealer
        self._clock = clock

    async def find(self, digest: bytes) -> TokenHolder | None:
        """What another edge was told lately."""
        try:
            (sealed,) = await self._cache.get([self._key(digest)])
            entry = _decode(self._sealer.unseal(sealed)) if sealed else None
        except (CacheAway, MessageError, msgspec.MsgspecError):
            return None
        if entry is None or entry.digest != digest:
            return None
        age_ms = self._clock() - entry.told_at
        return entry.holder if -APART_MS <= age_ms <= KEPT_MS else None

    async def keep(self, digest: bytes, holder: TokenHolder) -> None:
        """For the other edges."""
        sealed = self._sealer.seal(_encode(_Entry(digest, self._clock(), holder)))
        with suppress(CacheAway):
            await self._cache.put({self._key(digest): sealed}, ttl_ms=KEPT_MS)

    def _key(self, digest: bytes) -> str:
        return f"token.{self._sealer.mark(digest)}"
