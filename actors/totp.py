"""Time-based one-time passwords (RFC 6238, on RFC 4226): six digits of HMAC-SHA-1, a new one each 30 s."""

from __future__ import annotations

import base64
import hmac
import secrets
from typing import Final
from urllib.parse import quote, urlencode

STEP_MS: Final = 30_000
DIGITS: Final = 6
ISSUER: Final = "Troupe"
CODES: Final = 10
"""Recovery codes at a time."""


def new_secret() -> bytes:
    """160 random bits, as RFC 4226 recommends."""
    return secrets.token_bytes(20)


def code_at(secret: bytes, step: int) -> str:
    """The code of a step: RFC 4226 section 5.3."""
    mac = hmac.digest(secret, step.to_bytes(8), "sha1")
    offset = mac[-1] & 15
    number = int.from_bytes(mac[offset : offset + 4]) & 0x7FFF_FFFF
    return f"{number % 10**DIGITS:0{DIGITS}}"


def step_of(secret: bytes, code: str, now: int, *, after: int) -> int | None:
    """The step that a code belongs to: the present one or one beside it, and later than `after`; None: it is wrong."""
    present = now // STEP_MS
    given = code.encode()
    for step in (present, present - 1, present + 1):
        if step > after and hmac.compare_digest(code_at(secret, step).encode(), given):
            return step
    return None


def base32(secret: bytes) -> str:
    """As authenticators take it."""
    return base64.b32encode(secret).rstrip(b"=").decode()


def address(secret: bytes, email: str) -> str:
    """What authenticators read from a QR code."""
    query = urlencode(
        {"secret": base32(secret), "issuer": ISSUER, "algorithm": "SHA1", "digits": DIGITS, "period": STEP_MS // 1000}
    )
    return f"otpauth://totp/{ISSUER}:{quote(email, safe='@')}?{query}"


def recovery_code() -> str:
    """80 random bits, in groups that can be read aloud."""
    text = base64.b32encode(secrets.token_bytes(10)).decode().lower()
    return "-".join(text[start : start + 4] for start in range(0, 16, 4))


def plain(recovery_code: str) -> str:
    """As it is compared: case and separators say nothing."""
    return "".join(sign for sign in recovery_code.lower() if sign.isalnum())
