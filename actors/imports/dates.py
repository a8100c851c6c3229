"""Dates as people and programs write them."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, tzinfo
from itertools import product
from typing import Final

DAYS: Final = ("%d %b %Y", "%b %d %Y", "%d %B %Y", "%B %d %Y", "%m/%d/%Y", "%d.%m.%Y")
TIMES: Final = ("", " %H:%M", " %I:%M %p", " %I:%M%p")
LONGEST: Final = 60
"""Characters of what may be a date."""


def date_in(text: str, zone: tzinfo) -> datetime:
    """The time that a text names whole, such as `2026-11-24`, `24 Nov 2026 10:00` or `2026-11-24T09:00:00Z`.

    :param zone: of what names none. A date without a time is its midnight.
    :raises ValueError: it names none, or leaves year, month or day open.
    """
    words = " ".join(text.replace(",", " ").split()) if len(text) <= LONGEST else ""
    found = _read(words)
    return found if found.tzinfo is not None else found.replace(tzinfo=zone)


def _read(text: str) -> datetime:
    with suppress(ValueError):
        return datetime.fromisoformat(text)
    for day, time in product(DAYS, TIMES):
        with suppress(ValueError):
            return datetime.strptime(text, day + time)
    raise ValueError("this is no whole date")
