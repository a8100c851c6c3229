"""Access tokens: JWTs (RFC 9068) that the user actor signs with ES256 and every edge verifies by itself.

Only what the user actor writes is taken: exactly its header fields, one algorithm, all claims with their types. What
else JOSE allows (`none`, HMAC, keys or key addresses inside the token, critical extensions) has no path through here.
"""

from __future__ import annotations

import asyncio
import re
from base64 import urlsafe_b64encode
from typing import Annotated, Any, Literal

import jwt
import msgspec
from jwt.algorithms import ECAlgorithm
from msgspec import Meta

from actors.contracts.user import TOKEN_ALGORITHM, GetPublicKeys, PublicKey, Role
from actors.contracts.values import Id
from edge.problems import Problem, unauthenticated
from runtime.client import Client
from runtime.context import Clock

LONGEST_TOKEN = 8192
"""Characters."""

LEEWAY_S = 30
"""How far an expiry may have passed: clocks differ."""

AHEAD_S = 600
"""How far `iat` may lie ahead: nothing hangs on it, and the user actor's clock may be minutes off."""

REFETCH_S = 10.0
"""Unknown key ids make the edge ask for the keys again at most this often."""

REMEMBERED = 10_000
"""Verified tokens that are remembered: checking a signature costs a hundred times as much as the rest."""

_FORM = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


class Identity(msgspec.Struct, frozen=True):
    """Whom a token stands for.

    :ivar credential_id: of the session, or of the API token.
    :ivar scopes: what it is good for; None for a session, which may do everything.
    """

    user_id: str
    role: str
    credential_id: str
    scopes: frozenset[str] | None = None


class _Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    alg: Literal["ES256"]
    typ: Literal["at+jwt"]
    kid: Annotated[str, Meta(min_length=1, max_length=128)]


class _Claims(msgspec.Struct, frozen=True):
    iss: str
    aud: str
    sub: Id
    sid: Id
    role: Role
    exp: int
    iat: int
    jti: str
    nbf: int = 0
    scope: str | None = None


class AccessTokens:
    """Verifies tokens.

    :param issuer: `iss` and `aud` of the installation's tokens.
    """

    def __init__(self, client: Client, *, issuer: str, clock: Clock) -> None:
        self._client = client
        self._issuer = issuer
        self._clock = clock
        # the signature only: PyJWT's checks of claims take the host's clock and strings for numbers
        self._jws = jwt.PyJWS(algorithms=[TOKEN_ALGORITHM])
        self._keys: dict[str, Any] = {}
        self._fetched_at: float | None = None
        self._fetching = asyncio.Lock()
        self._verified: dict[str, tuple[Identity, int]] = {}

    async def verify(self, token: str) -> Identity:
        """Whom the token stands for.

        :raises Problem: 401 `auth.token_invalid`, the same for every reason.
        :raises Unavailable: the keys are not known and cannot be had.
        """
        now_s = self._clock() // 1000
        known = self._verified.get(token)
        if known is None:
            known = await self._check(token, now_s)
            self._remember(token, known)
        identity, expires_at = known
        if now_s > expires_at + LEEWAY_S:
            self._verified.pop(token, None)
            raise refused()
        return identity

    async def fetch_keys(self, *, budget_ms: int = 5_000) -> None:
        """Ask the user actor for the public keys. :raises Unavailable: it does not answer."""
        self._fetched_at = asyncio.get_running_loop().time()
        keys = await self._client.ask(GetPublicKeys(), budget_ms=budget_ms)
        self._keys = {key.kid: public_key(key) for key in keys}

    async def _check(self, token: str, now_s: int) -> tuple[Identity, int]:
        if len(token) > LONGEST_TOKEN or not _FORM.fullmatch(token):
            raise refused()
        try:
            header = msgspec.convert(self._jws.get_unverified_header(token), _Header)
            key = await self._key(header.kid)
            if key is None:
                raise refused()
            claims = msgspec.json.decode(signed_payload(self._jws, token, key), type=_Claims)
        except (jwt.PyJWTError, msgspec.MsgspecError, ValueError, RecursionError):
            raise refused() from None
        if claims.iss != self._issuer or claims.aud != self._issuer:
            raise refused()
        if claims.iat > now_s + AHEAD_S or claims.nbf > now_s + LEEWAY_S or now_s > claims.exp + LEEWAY_S:
            raise refused()
        scopes = None if claims.scope is None else frozenset(claims.scope.split())
        return Identity(claims.sub, claims.role, claims.sid, scopes), claims.exp

    async def _key(self, kid: str) -> Any:
        if kid not in self._keys:
            async with self._fetching:  # whoever waited here finds what the first one fetched
                if kid not in self._keys and self._may_fetch():
                    await self.fetch_keys()
        return self._keys.get(kid)

    def _may_fetch(self) -> bool:
        if self._fetched_at is None or not self._keys:
            return True
        return asyncio.get_running_loop().time() - self._fetched_at >= REFETCH_S

    def _remember(self, token: str, known: tuple[Identity, int]) -> None:
        if len(self._verified) >= REMEMBERED:  # the first half was verified longest ago
            for each in list(self._verified)[: REMEMBERED // 2]:
                del self._verified[each]
        self._verified[token] = known


def signed_payload(jws: jwt.PyJWS, token: str, key: Any) -> bytes:
    """What was signed with ES256, in compact serialization (RFC 7515).

    :param key: a public key on P-256.
    :raises jwt.PyJWTError: the signature is not that of this key. :raises ValueError: one that is spelled otherwise.
    """
    verified = jws.decode_complete(token, key, algorithms=[TOKEN_ALGORITHM])
    # base64 leaves bits of the last character unused: another spelling of a good signature is none
    if urlsafe_b64encode(verified["signature"]).rstrip(b"=").decode() != token.rpartition(".")[2]:
        raise ValueError("the signature is spelled in another way")
    payload: bytes = verified["payload"]
    return payload


def public_key(key: PublicKey) -> Any:
    """For verifying. :raises jwt.PyJWTError: no point of the curve."""
    return ECAlgorithm.from_jwk({"kty": key.kty, "crv": key.crv, "x": key.x, "y": key.y})


def refused() -> Problem:
    """401, the same for every reason."""
    return unauthenticated("auth.token_invalid", "The token is not valid, or no longer.", error="invalid_token")
