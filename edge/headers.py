"""What the edge reads from request headers."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from typing import Protocol

from edge.problems import invalid, malformed
from runtime.errors import Fault


class Headers(Protocol):
    """Names are case-insensitive; a header may stand there more than once."""

    def get(self, key: str, /) -> str | None: ...

    def getall(self, key: str, default: Sequence[str], /) -> Sequence[str]: ...


_NONE: Sequence[str] = ()
_REQUEST_ID = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_WAIT = re.compile(r"(?:^|[,;])\s*wait\s*=\s*\"?(\d{1,6}(?:\.\d{1,6})?)\"?\s*(?=$|[,;])", re.IGNORECASE)
# RFC 9110 section 8.8.3: an entity tag is [W/]"etagc*"
_TAG = re.compile(r'\s*(W/)?"([\x21\x23-\x7e\x80-\xff]*)"\s*(?:,|$)')
_CHARSETS = frozenset({"charset=utf-8", 'charset="utf-8"'})
_VERSION = re.compile(r"0|[1-9][0-9]{0,17}")


def identity(headers: Headers) -> tuple[str, str]:
    """Request id and W3C traceparent: the caller's own when they are well-formed, else fresh ones that agree."""
    request_id = headers.get("X-Request-Id")
    trace = headers.get("traceparent")
    fresh = f"{random.getrandbits(192):048x}"  # has to be unique, not secret, and costs no system call
    if request_id is None or not _REQUEST_ID.fullmatch(request_id):
        request_id = fresh[:32]
    if trace is None or not _TRACEPARENT.fullmatch(trace):
        return request_id, f"00-{fresh[:32]}-{fresh[32:]}-00"
    return request_id, f"{trace[:36]}{fresh[32:]}{trace[52:]}"


def idempotency_key(headers: Headers) -> str | None:
    """:raises Problem: 422, two of them, or not 1 to 255 visible ASCII characters."""
    keys = headers.getall("Idempotency-Key", _NONE)
    if not keys:
        return None
    if len(keys) > 1:
        raise invalid([Fault("Idempotency-Key", "must be sent once")])
    if not _KEY.fullmatch(keys[0]):
        raise invalid([Fault("Idempotency-Key", "must be 1 to 255 visible ASCII characters")])
    return keys[0]


def if_match(headers: Headers) -> tuple[int, ...] | None:
    """The versions that `If-Match` allows; None without it and for `*`. Weak tags and those that are not ours match
    nothing (RFC 9110 section 13.1.1).

    :raises Problem: 400, it cannot be read.
    """
    lines = headers.getall("If-Match", _NONE)
    if not lines:
        return None
    text = ",".join(lines).strip()
    if text == "*":
        return None
    tags = _tags(text)
    if tags is None:
        raise malformed('If-Match must be * or a list of entity tags such as "3".')
    return tuple(int(tag) for weak, tag in tags if not weak and _VERSION.fullmatch(tag))


def none_match(headers: Headers, version: int | str) -> bool:
    """Whether `If-None-Match` names this version or tag, so that the client has it already (weak comparison)."""
    text = headers.get("If-None-Match")
    if text is None:
        return False
    return text.strip() == "*" or any(tag == str(version) for _, tag in _tags(text) or ())


def _tags(text: str) -> list[tuple[bool, str]] | None:
    tags: list[tuple[bool, str]] = []
    at = 0
    while at < len(text):
        match = _TAG.match(text, at)
        if match is None:
            return None
        tags.append((match[1] is not None, match[2]))
        at = match.end()
    return tags if tags and not text.rstrip().endswith(",") else None


def budget_ms(headers: Headers, *, default_s: float, longest_s: float) -> int:
    """How long the client waits: `Prefer: wait=N` (RFC 7240) in seconds, up to `longest_s`; else the default."""
    prefer = headers.getall("Prefer", _NONE)
    match = _WAIT.search(",".join(prefer)) if prefer else None
    seconds = float(match[1]) if match else default_s
    return max(1, int(min(seconds, longest_s) * 1000))


def bearer_token(headers: Headers) -> str | None:
    """The token of `Authorization: Bearer …` (RFC 6750); None when there is none.

    :raises Problem: 400, there is more than one Authorization header.
    """
    lines = headers.getall("Authorization", _NONE)
    if not lines:
        return None
    if len(lines) > 1:
        raise malformed("There is more than one Authorization header.")
    scheme, _, token = lines[0].partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def media_type_is_json(value: str | None) -> bool:
    """`application/json`, with no other parameter than `charset=utf-8`."""
    if value == "application/json":
        return True
    if value is None:
        return False
    kind, *parameters = (part.strip().lower() for part in value.split(";"))
    return kind == "application/json" and all(each in _CHARSETS for each in parameters)
