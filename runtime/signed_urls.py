"""Addresses that carry their own permission: whoever has one may GET, or PUT, what it names, until it expires.

    /media/01a2…?variant=original&expires=1795521900&key=3f0c9a17&signature=…

The signature is an HMAC-SHA256 over all the rest; the query is checked as it was written, so there is one spelling
of each address and none of a changed one.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Sequence

_QUERY = re.compile(r"variant=([a-z]{1,32})&expires=([1-9][0-9]{0,11})&key=([0-9a-f]{8})&signature=[A-Za-z0-9_-]{43}")


class SignedUrls:
    """Signs and checks.

    :param keys: shared by who signs and who checks: the first one signs, addresses of the others are good still. The
        fingerprint of its key is part of each address.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = {hashlib.sha256(key).hexdigest()[:8]: key for key in keys}
        self._newest = next(iter(self._keys))

    def sign(self, method: str, path: str, variant: str, expires: int) -> str:
        """The path with its query.

        :param method: GET or PUT.
        :param expires: seconds since the epoch, the first at which it is no longer good.
        """
        return self._signed(method, path, variant, expires, self._newest)

    def _signed(self, method: str, path: str, variant: str, expires: int, name: str) -> str:
        query = f"variant={variant}&expires={expires}&key={name}"
        digest = hmac.digest(self._keys[name], f"{method} {path}?{query}".encode(), "sha256")
        return f"{path}?{query}&signature={urlsafe_b64encode(digest).rstrip(b'=').decode()}"

    def variant(self, method: str, path: str, query: str, now: int) -> str | None:
        """What an address asks for; None when it is not ours, was changed, or has expired.

        :param method: GET also for HEAD.
        :param path: raw, as it came, as `query` is.
        :param now: seconds since the epoch.
        """
        match = _QUERY.fullmatch(query)
        if match is None or match[3] not in self._keys:
            return None
        right = self._signed(method, path, match[1], int(match[2]), match[3])
        if not hmac.compare_digest(right.encode(), f"{path}?{query}".encode("utf-8", "surrogateescape")):
            return None
        return match[1] if now < int(match[2]) else None
