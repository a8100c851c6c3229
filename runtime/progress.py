"""A bar on standard error while something long goes on; where nobody watches, nothing."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

Item = TypeVar("Item")

WIDTH = 30
EVERY_S = 0.1


class Bar:
    """What is drawn again and again on one line, until `end`.

    :param words: what stands before it.
    """

    def __init__(self, total: int, words: str = "") -> None:
        self._total = total
        self._words = f"{words} " if words else ""
        self._done = 0
        self._drawn = 0.0
        self._watched = sys.stderr.isatty()

    def advance(self, done: int = 1) -> None:
        """So many more are done."""
        self._done += done
        if time.monotonic() - self._drawn > EVERY_S:
            self._draw()

    def end(self) -> None:
        """Draw it for the last time, and leave the line."""
        self._draw("\n")

    def _draw(self, end: str = "") -> None:
        self._drawn = time.monotonic()
        if self._watched:
            print(f"\r{self._words}{bar(self._done, self._total)}", end=end, file=sys.stderr, flush=True)


def watched(items: Sequence[Item]) -> Iterable[Item]:
    """The items, one after the other, with a bar that says how many are done."""
    return _drawn(items) if len(items) > 1 else items


def bar(done: int, total: int) -> str:
    """`[#####     ] 5/10`"""
    return f"{blocks(done, total)} {done}/{total}"


def blocks(done: int, total: int) -> str:
    """`[#####     ]`; full, where there is nothing to do."""
    full = WIDTH * done // total if total else WIDTH
    return f"[{'#' * full:{WIDTH}}]"


def _drawn(items: Sequence[Item]) -> Iterator[Item]:
    bar = Bar(len(items))
    for item in items:
        yield item
        bar.advance()
    bar.end()
