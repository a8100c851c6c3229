"""API tokens: random ones, of which the user actor says whom they speak for.

Its word is remembered for `REMEMBERED_S`, and shared with other edges: what ends a token before that comes by the feed
that `edge.access` follows.
"""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import suppress

from actors.contracts.user import ACCESS_TOKEN_S
from actors.contracts.user_token import TOKEN_PREFIX, IdentifyToken, NoteTokenUse
from edge.auth import Identity, refused
from edge.shared_tokens import SharedTokens
from runtime.client import Client
from runtime.context import Clock
from runtime.errors import Refusal, Unavailable

REMEMBERED_S = ACCESS_TOKEN_S
"""Shorter than changes are remembered, by more than another edge's word may be old."""

NOTED_S = 60.0
"""That a token is used is told at most this often."""

MOST = 10_000
"""Tokens that are remembered."""

BUDGET_MS = 5_000


class _Known:
    __slots__ = ("expires_at", "identity", "looked_up_at", "noted_at")

    def __init__(self, identity: Identity, expires_at: int | None, now_s: float) -> None:
        self.identity = identity
        self.expires_at = expires_at
        self.looked_up_at = now_s
        self.noted_at = float("-inf")


class ApiTokens:
    """Verifies API tokens."""

    def __init__(self, client: Client, shared: SharedTokens, *, clock: Clock) -> None:
        self._client = client
        self._shared = shared
        self._clock = clock
        self._known: dict[bytes, _Known] = {}

    async def verify(self, token: str) -> Identity:
        """Whom the token speaks for.

        :raises Problem: 401 `auth.token_invalid`.
        :raises Unavailable: it is not known here, and the user actor does not answer.
        """
        digest, now_s = hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest(), _loop_s()
        known = self._known.get(digest)
        if known is None or now_s - known.looked_up_at > REMEMBERED_S:
            known = await self._look_up(digest)
            self._remember(digest, known)
        if known.expires_at is not None and self._clock() >= known.expires_at:
            del self._known[digest]
            raise refused()
        if now_s - known.noted_at > NOTED_S:
            known.noted_at = now_s
            with suppress(Refusal, Unavailable):  # the next minute tells again
                await self._client.ask(NoteTokenUse(id=known.identity.credential_id), budget_ms=BUDGET_MS)
        return known.identity

    async def _look_up(self, digest: bytes) -> _Known:
        holder = await self._shared.find(digest)
        if holder is None:
            try:
                holder = await self._client.ask(IdentifyToken(digest=digest), budget_ms=BUDGET_MS)
            except Refusal:
                self._known.pop(digest, None)
                raise refused() from None
            await self._shared.keep(digest, holder)
        identity = Identity(holder.account_id, holder.role, holder.id, frozenset(holder.scopes))
        return _Known(identity, holder.expires_at, _loop_s())

    def _remember(self, digest: bytes, known: _Known) -> None:
        before = self._known.pop(digest, None)
        if before is not None:
            known.noted_at = before.noted_at
        elif len(self._known) >= MOST:  # the first half was looked up longest ago
            for each in list(self._known)[: MOST // 2]:
                del self._known[each]
        self._known[digest] = known


def is_api_token(token: str) -> bool:
    """By its look."""
    return token.startswith(TOKEN_PREFIX)


def _loop_s() -> float:
    return asyncio.get_running_loop().time()
