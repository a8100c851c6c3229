"""What a key may look like, the same for every object store: safe as a path and in a URL, as it is."""

from __future__ import annotations

import re

_PART = r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}"
_KEY = re.compile(rf"{_PART}(/{_PART})*")
_PREFIX = re.compile(rf"({_PART}/)*({_PART})?")
_LONGEST = 200


def check_key(key: str) -> None:
    """:raises ValueError: it could leave the store's folder, or not every store can hold it."""
    if len(key) > _LONGEST or not _KEY.fullmatch(key):
        raise ValueError(f"not a key of an object: {key!r}")


def check_prefix(prefix: str) -> None:
    """:raises ValueError: no key starts like this."""
    if len(prefix) > _LONGEST or not _PREFIX.fullmatch(prefix):
        raise ValueError(f"no key starts with {prefix!r}")
