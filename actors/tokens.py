"""Tokens: access tokens (JWT after RFC 9068, ES256) and random ones, stored as a digest."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from actors.contracts.user import ACCESS_TOKEN_S, CLIENT_ID, TOKEN_ALGORITHM, TOKEN_TYPE, PublicKey


class SigningKey:
    """A key pair on P-256 that signs access tokens."""

    def __init__(self, private: EllipticCurvePrivateKey) -> None:
        self._private = private
        numbers = private.public_key().public_numbers()
        x, y = (_base64url(number.to_bytes(32, "big")) for number in (numbers.x, numbers.y))
        self.public = PublicKey(kid=_thumbprint(x, y), x=x, y=y)

    @classmethod
    def make(cls) -> SigningKey:
        """A new one."""
        return cls(generate_private_key(SECP256R1()))

    @classmethod
    def load(cls, dumped: bytes) -> SigningKey:
        """The one that `dump` wrote. :raises ValueError: these bytes hold no key on P-256."""
        private = load_der_private_key(dumped, password=None)
        if not isinstance(private, EllipticCurvePrivateKey) or not isinstance(private.curve, SECP256R1):
            raise ValueError("not a private key on P-256")  # noqa: TRY004 # the bytes are wrong, not a type
        return cls(private)

    def dump(self) -> bytes:
        """PKCS #8 in DER, in the clear: seal it."""
        return self._private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())

    def access_token(self, *, origin: str, account: str, role: str, session: str, id: str, now: int) -> str:
        """A JWT that the edge takes for `ACCESS_TOKEN_S`.

        :param origin: issuer and audience.
        :param id: of the token, `jti`.
        :param now: ms since the epoch.
        """
        claims = {
            "iss": origin,
            "aud": origin,
            "sub": account,
            "client_id": CLIENT_ID,
            "sid": session,
            "role": role,
            "iat": now // 1000,
            "exp": now // 1000 + ACCESS_TOKEN_S,
            "jti": id,
        }
        return jwt.encode(
            claims, self._private, algorithm=TOKEN_ALGORITHM, headers={"typ": TOKEN_TYPE, "kid": self.public.kid}
        )


def random_token() -> str:
    """256 random bits as text."""
    return secrets.token_urlsafe(32)


def digest(token: str) -> bytes:
    """What is stored of a random token; its 256 bits need no slow hash."""
    return hashlib.sha256(token.encode()).digest()


def _thumbprint(x: str, y: str) -> str:
    """RFC 7638."""
    required = json.dumps({"crv": "P-256", "kty": "EC", "x": x, "y": y}, separators=(",", ":"))
    return _base64url(hashlib.sha256(required.encode()).digest())


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
