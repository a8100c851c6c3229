"""Foreign values, cut and cleaned to our own rules, so that none of them is refused later."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from actors.contracts.task_import import ImportFault
from actors.contracts.values import milliseconds
from actors.imports.item import ImportedLabel
from runtime.message import encode

Time = Annotated[datetime, Meta(tz=True)]
"""A time in a file; any offset."""

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


def when(time: datetime | None) -> int | None:
    """As `moment`; None where the source says nothing."""
    return None if time is None else moment(time)


def said_by(name: str) -> str:
    """The author of a comment."""
    return one_line(name, 200) or "unknown"


def text_in(head: bytes, name: str, longest: int) -> str | None:
    """The first text of that name in the head of a JSON file, on one line; None: there is none that says anything."""
    match = re.search(rb'"%s"\s*:\s*("(?:[^"\\]|\\.){1,2000}")' % name.encode(), head)
    try:
        return (one_line(msgspec.json.decode(match[1], type=str), longest) or None) if match else None
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def known_by(*parts: str | int | None) -> str:
    """One short text for whatever tells a thing of the source from others: 32 hex digits."""
    return hashlib.blake2b(encode(parts), digest_size=16).hexdigest()


def words(names: Sequence[str]) -> list[ImportedLabel]:
    """Labels of these names, each once; those that say nothing are left out."""
    return [ImportedLabel(name) for name in dict.fromkeys(one_line(name.strip(), 100) for name in names) if name]


def broken(element_line: int, which: str, error: Exception) -> ImportFault:
    """What keeps something from being a task, on one short line. :param error: `msgspec.ValidationError` is one."""
    return ImportFault(line=element_line, detail=one_line(f"{which}: {error}".replace("`", "'"), 300))


def titled(text: str, description: str, otherwise: str) -> tuple[str, str]:
    """Title and description: of a title that is too long for one, the description has all."""
    title = one_line(text, 500) or otherwise
    return title, plain_text(f"{text}\n\n{description}".strip() if len(text) > 500 else description)


def sorted_as(*places: float | None) -> str:
    """A position for `ImportedTask` that sorts by the first number, then by the second; to a thousandth, up to 10¹⁷."""
    whole = (round(min(max(place or 0, 0), 1e17) * 1000) for place in places)
    return "".join(f"{each:020}" for each in whole) + "5"
