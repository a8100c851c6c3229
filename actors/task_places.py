"""Positions on a board: texts of digits that sort.

Read as the digits of a fraction between 0 and 1 without zeros at the end, so there are others between any two of them.
Digits alone sort alike in every database, whatever its collation.
"""

from __future__ import annotations

from typing import Final

LONGEST: Final = 60
"""Digits of a position, at most; what would need more has its neighbourhood spread out."""


def position(number: int) -> str:
    """Where the number-th task of a board stands, behind all before it.

    The first digit counts those that follow, so that these grow with the number; the last one keeps zeros from the end.
    """
    return f"{len(str(number))}{number}5"


def spread(low: str, high: str, count: int) -> list[str]:
    """So many positions between two others, in order, evenly, and as short as they can be.

    :param low: what they stand behind; empty: nothing.
    :param high: what they stand before, greater than `low`.
    """
    digits = 0
    while True:
        digits += 1
        # those of that many digits that lie between are the whole numbers from first + 1 to first + free
        first = int(low[:digits].ljust(digits, "0"))
        ends = int(high[:digits].ljust(digits, "0"))
        last = ends if len(high) > digits else ends - 1
        free = last - first
        if free >= count:
            steps = range(1, count + 1)
            numbers = (first + (free + 1) * step // (count + 1) for step in steps)
            return [str(number).zfill(digits).rstrip("0") for number in numbers]
