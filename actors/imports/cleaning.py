"""Foreign values, cut and cleaned to our own rules, so that none of them is refused later."""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from typing import Final

from actors.contracts.values import milliseconds
from runtime.message import encode

TEXT_BYTES: Final = 65536
_END_OF_TIME: Final = 253_402_300_800_000
"""The year 10000, ms since the epoch."""

# what cannot be in a text of one line: controls, separators of lines, halves of surrogate pairs
_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_COLOR = re.compile(r"#?([0-9a-fA-F]{6})", re.ASCII)


def one_line(text: str, longest: int) -> str:
    """On one line, of at most so many characters; empty when nothing can be seen of it."""
    line = _UNFIT.sub(" ", text)[:longest]
    return line if line.strip() else ""


def plain_text(text: str) -> str:
    """Without NUL, of at most 64 KiB of UTF-8."""
    octets = text.replace("\0", "").encode(errors="replace")
    return octets[:TEXT_BYTES].decode(errors="ignore")


def hex_color(text: str | None) -> str | None:
    """`#rrggbb` in lower case; None for anything else than six hex digits."""
    match = _COLOR.fullmatch(text or "")
    return f"#{match[1].lower()}" if match else None


def moment(time: datetime) -> int:
    """ms since the epoch.

    :raises ValueError: before 1970 or after 9999.
    """
    ms = milliseconds(time)
    if not 0 <= ms < _END_OF_TIME:
        raise ValueError(f"the time {time} lies outside of the years 1970 to 9999")
    return ms


def known_by(*parts: str | int | None) -> str:
    """One short text for whatever tells a thing of the source from others: 32 hex digits."""
    return hashlib.blake2b(encode(parts), digest_size=16).hexdigest()
