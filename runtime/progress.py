"""A bar on standard error while something long goes on; where nobody watches, nothing."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

Item = TypeVar("Item")

WIDTH = 30
EVERY_S = 0.1


def watched(items: Sequence[Item]) -> Iterable[Item]:
    """The items, one after the other, with a bar that says how many are done."""
    return _drawn(items) if len(items) > 1 and sys.stderr.isatty() else items


def bar(done: int, total: int) -> str:
    """`[#####     ] 5/10`"""
    return f"{blocks(done, total)} {done}/{total}"


def blocks(done: int, total: int) -> str:
    """`[#####     ]`; full, where there is nothing to do."""
    full = WIDTH * done // total if total else WIDTH
    return f"[{'#' * full:{WIDTH}}]"


def _drawn(items: Sequence[Item]) -> Iterator[Item]:
    drawn = 0.0
    for done, item in enumerate(items):
        if time.monotonic() - drawn > EVERY_S:
            drawn = time.monotonic()
            print(f"\r{bar(done, len(items))}", end="", file=sys.stderr, flush=True)
        yield item
    print(f"\r{bar(len(items), len(items))}", file=sys.stderr, flush=True)
