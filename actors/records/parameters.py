"""Rows as parameters: how one SQL text takes many pairs, in both databases."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache

NOTHING = ("", "")
"""A pair that matches no row."""


def pairs(wanted: Collection[tuple[str, str]], *, first: int = 1) -> tuple[str, list[str]]:
    """`($1, $2), ($3, $4), …` for a `values` list, and its arguments.

    Filled up to a power of two, so that the database prepares a handful of texts and not one for each number.

    :param first: the number of the first parameter.
    """
    count = 1 << max(0, len(wanted) - 1).bit_length()
    arguments = [each for pair in wanted for each in pair]
    arguments += NOTHING * (count - len(wanted))
    return _places(count, first), arguments


@lru_cache(maxsize=64)
def _places(count: int, first: int) -> str:
    return ", ".join(f"(${n}, ${n + 1})" for n in range(first, first + 2 * count, 2))
