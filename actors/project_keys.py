"""Keys of projects: a few capitals, made from a name."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterator

LONGEST = 10
FALLBACK = "PROJECT"
"""For names without a Latin letter or a digit."""


def candidates(name: str) -> Iterator[str]:
    """Keys for a project of that name, the plainest first: initials, or the beginning of a lone word, then numbered."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().upper()
    words = re.findall(r"[A-Z0-9]+", plain)
    key = "".join(word[0] for word in words)[:LONGEST] if len(words) > 1 else "".join(words)[:4]
    if len(key) < 2:
        key = FALLBACK
    yield key
    for number in itertools.count(2):
        yield key[: LONGEST - len(str(number))] + str(number)
