"""A user actor that knows its keys and keeps nothing, and forges tokens on demand."""

from __future__ import annotations

import base64
import json
import time
import uuid
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from actors.contracts.user import GetMe, GetPublicKeys, PublicKey, Register, User
from actors.contracts.user_session import AccessChange, AccessChanges, AccessMoved, GetAccessChanges
from runtime.actor import Actor, handles
from runtime.context import Context
from runtime.errors import Conflict, Later
from runtime.ports import Session

ORIGIN = "http://edge.test"
USER, SESSION = (f"01a20bcc-acb5-7000-971e-45359f8ce9c{n}" for n in (4, 5))


class NoRecords:
    """It keeps nothing."""

    def __init__(self, session: Session) -> None: ...


class KeyKeeper(Actor[NoRecords]):
    """`asked` and `registered` count how often somebody wanted the keys, or an account."""

    name = "user"
    records = NoRecords

    def __init__(self) -> None:
        self.keys: dict[str, ec.EllipticCurvePrivateKey] = {"first": ec.generate_private_key(ec.SECP256R1())}
        self.asked = 0
        self.registered = 0
        self.changes: list[AccessChange] = []
        self.asked_for_changes = 0
        self.beats = True

    @handles
    async def public_keys(self, query: GetPublicKeys, ctx: Context[NoRecords]) -> list[PublicKey]:
        self.asked += 1
        return [_public(kid, key) for kid, key in self.keys.items()]

    @handles
    async def access_changes(self, query: GetAccessChanges, ctx: Context[NoRecords]) -> AccessChanges:
        """What the test has put there."""
        self.asked_for_changes += 1
        after = query.after or 0
        return AccessChanges(changes=self.changes[after:], last=max(after, len(self.changes)))

    async def beat(self, records: NoRecords) -> AccessMoved | None:
        """Up to where these reach."""
        return AccessMoved(last=len(self.changes)) if self.beats else None

    @handles
    async def register(self, command: Register, ctx: Context[NoRecords]) -> User:
        """Takes everyone but those named Taken and Slow."""
        self.registered += 1
        if command.name == "Taken":
            raise Conflict("user.email_taken", "Somebody has this address.")
        if command.name == "Slow":
            raise Later(7)
        return _user(ctx.new_id(), command.name)

    @handles
    async def me(self, query: GetMe, ctx: Context[NoRecords]) -> User:
        caller = ctx.caller
        assert caller.id is not None
        return _user(caller.id, "Ada")

    def token(self, *, headers: dict[str, Any] | None = None, kid: str = "first", **claims: Any) -> str:
        """A good access token, but for what is given; a claim that is None is left out."""
        return jwt.encode(
            self.claims(**claims),
            self.keys.get(kid, self.keys["first"]),
            algorithm="ES256",
            headers={"typ": "at+jwt", "kid": kid, **(headers or {})},
        )

    def claims(self, **claims: Any) -> dict[str, Any]:
        now = int(time.time())
        good = {
            "iss": ORIGIN,
            "aud": ORIGIN,
            "sub": USER,
            "sid": SESSION,
            "role": "member",
            "client_id": "troupe",
            "iat": now,
            "exp": now + 600,
            "jti": str(uuid.uuid4()),
        }
        return {name: value for name, value in (good | claims).items() if value is not None}


def _user(id: str, name: str) -> User:
    now = "2026-11-24T09:30:00.000Z"
    return User(
        id=id,
        email="ada@example.org",
        email_verified=True,
        name=name,
        role="member",
        status="active",
        locale="en",
        timezone="UTC",
        phone=None,
        avatar_url=None,
        created_at=now,
        updated_at=now,
        version=3,
    )


def _public(kid: str, key: ec.EllipticCurvePrivateKey) -> PublicKey:
    numbers = key.public_key().public_numbers()
    return PublicKey(kid=kid, x=_base64url(numbers.x.to_bytes(32)), y=_base64url(numbers.y.to_bytes(32)))


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unsigned(header: dict[str, Any], claims: dict[str, Any]) -> str:
    """Header and claims as a token's first two parts."""
    return ".".join(_base64url(json.dumps(part).encode()) for part in (header, claims))
