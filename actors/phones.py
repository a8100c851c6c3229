"""Telephone numbers, as far as one can tell without calling."""

from __future__ import annotations

import phonenumbers


def can_exist(number: str) -> bool:
    """Whether a number in E.164 has a known country and a length that numbers have there (ITU-T E.164)."""
    try:
        return phonenumbers.is_possible_number(phonenumbers.parse(number))
    except phonenumbers.NumberParseException:
        return False
