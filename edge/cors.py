"""Cross-origin requests of browsers (the Fetch standard): none, but from the origins that a setting names."""

from __future__ import annotations

from collections.abc import Iterable

from edge.headers import Headers

Fields = list[tuple[str, str]]

EXPOSED = "ETag, Location, Retry-After, RateLimit, RateLimit-Policy, X-Request-Id, Idempotency-Replayed"
ALLOWED = "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Prefer, X-Request-Id, traceparent"
MAX_AGE_S = 600


class Origins:
    """Who may call from a browser. Tokens travel in a header, so cookies never count and are not allowed.

    :param origins: comma-separated, each `https://host[:port]`.
    """

    def __init__(self, origins: str) -> None:
        self._allowed = frozenset(each.strip() for each in origins.split(",") if each.strip())

    def headers(self, request: Headers) -> Fields:
        """What every answer to this request says."""
        if not self._allowed:
            return []
        origin = request.get("Origin")
        if origin not in self._allowed or origin is None:
            return [("Vary", "Origin")]
        return [("Vary", "Origin"), ("Access-Control-Allow-Origin", origin), ("Access-Control-Expose-Headers", EXPOSED)]

    def preflight(self, request: Headers, methods: Iterable[str]) -> Fields:
        """What the answer to a preflight says besides."""
        if request.get("Origin") not in self._allowed or request.get("Access-Control-Request-Method") is None:
            return []
        return [
            ("Access-Control-Allow-Methods", ", ".join(methods)),
            ("Access-Control-Allow-Headers", ALLOWED),
            ("Access-Control-Max-Age", str(MAX_AGE_S)),
        ]
