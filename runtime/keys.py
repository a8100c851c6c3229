"""Keys: one master secret, from which each actor's key is derived, and what is sealed or signed with them.

Only the edge needs the master secret. A process of one actor can be given that actor's key alone.
"""

from __future__ import annotations

import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from runtime.errors import MessageError, SettingError
from runtime.message import Grant, encode

_NONCE = 12


def derive(secret: bytes, purpose: str) -> bytes:
    """32 bytes for one purpose: the expand step of HKDF (RFC 5869) with SHA-256, one block."""
    return hmac.digest(secret, purpose.encode() + b"\x01", "sha256")


class Keys:
    """The keys that this process holds: all of them with the master secret, or those it was given."""

    def __init__(self, master: bytes | None, given: dict[str, bytes] | None = None) -> None:
        self._master = master
        self._known = dict(given or {})

    def of(self, actor: str) -> bytes:
        """The key that requests for this actor are signed with, and that it signs and seals with itself.

        :raises SettingError: there is neither the master secret nor this key.
        """
        key = self._known.get(actor)
        if key is None:
            if self._master is None:
                raise SettingError(f"no key for {actor!r}: this process needs SECRET_KEY, its ACTOR_KEY is another's")
            key = self._known[actor] = derive(self._master, f"actor:{actor}")
        return key

    def signing(self, actor: str, names: str) -> list[bytes]:
        """The keys of signed addresses that this actor makes and the edge checks.

        :param names: with commas; the first is the one that new addresses are signed with.
        """
        return [derive(self.of(actor), f"signing:{name}") for name in names.split(",")]

    def check(self, grant: Grant) -> None:
        """:raises MessageError: the grant's issuer did not sign it."""
        if not hmac.compare_digest(grant.mac, _mac(self.of(grant.issuer), grant)):
            raise MessageError(f"the grant {grant.fact!r} was not signed by {grant.issuer!r}")


def sign_grant(key: bytes, grant: Grant) -> Grant:
    """The grant with its issuer's signature."""
    return Grant(grant.issuer, grant.fact, grant.subject, grant.value, grant.expires_in, _mac(key, grant))


def _mac(key: bytes, grant: Grant) -> bytes:
    body = encode((grant.issuer, grant.fact, grant.subject, grant.value, grant.expires_in))
    return hmac.digest(derive(key, "grant"), body, "sha256")


class Sealer:
    """AES-256-GCM (NIST SP 800-38D) with a random nonce, for secrets that lie in a store; and HMAC-SHA256, for what
    may be read there and not be changed."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(derive(key, "seal"))
        self._mark_key = derive(key, "mark")

    def mark(self, plain: bytes) -> str:
        """64 hex digits that only a holder of the key can make."""
        return hmac.digest(self._mark_key, plain, "sha256").hex()

    def wrap(self, plain: bytes, *, secret: bool) -> bytes:
        """For storage: a tag byte, then the bytes, sealed where they hold a secret."""
        return b"\x01" + self.seal(plain) if secret else b"\x00" + plain

    def unwrap(self, wrapped: bytes) -> bytes:
        """What `wrap` was given. :raises MessageError: sealed with another key."""
        return self.unseal(wrapped[1:]) if wrapped[:1] == b"\x01" else wrapped[1:]

    def seal(self, plain: bytes) -> bytes:
        """Nonce, ciphertext and tag."""
        nonce = os.urandom(_NONCE)
        return nonce + self._cipher.encrypt(nonce, plain, None)

    def unseal(self, sealed: bytes) -> bytes:
        """:raises MessageError: sealed with another key, or changed."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], None)
        except (InvalidTag, ValueError) as error:  # ValueError: too short to hold a nonce
            raise MessageError("sealed with another key: was SECRET_KEY changed?") from error
