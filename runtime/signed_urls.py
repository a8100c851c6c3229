"""Addresses that carry their own permission: whoever has one may GET what it names, until it expires.

    /media/01a2…?variant=original&expires=1795521900&key=3f0c9a17&signature=…

The signature is an HMAC-SHA256 over all the rest; the query is checked as it was written, so there is one spelling
of each address and none of a changed one.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import urlsafe_b64encode

_QUERY = re.compile(r"variant=([a-z]{1,32})&expires=([1-9][0-9]{0,11})&key=[0-9a-f]{8}&signature=[A-Za-z0-9_-]{43}")


class SignedUrls:
    """Signs and checks. :param key: shared by who signs and who checks; its fingerprint is part of each address."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._name = hashlib.sha256(key).hexdigest()[:8]

    def sign(self, path: str, variant: str, expires: int) -> str:
        """The path with its query. :param expires: seconds since the epoch, the first at which it is no longer good."""
        query = f"variant={variant}&expires={expires}&key={self._name}"
        digest = hmac.digest(self._key, f"GET {path}?{query}".encode(), "sha256")
        return f"{path}?{query}&signature={urlsafe_b64encode(digest).rstrip(b'=').decode()}"

    def variant(self, path: str, query: str, now: int) -> str | None:
        """What an address asks for; None when it is not ours, was changed, or has expired.

        :param path: raw, as it came, as `query` is.
        :param now: seconds since the epoch.
        """
        match = _QUERY.fullmatch(query)
        if match is None:
            return None
        right = self.sign(path, match[1], int(match[2]))
        if not hmac.compare_digest(right.encode(), f"{path}?{query}".encode("utf-8", "surrogateescape")):
            return None
        return match[1] if now < int(match[2]) else None
