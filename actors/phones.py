"""Telephone numbers, as far as one can tell without calling."""

from __future__ import annotations


def can_exist(number: str) -> bool:
    """Whether a number in E.164 has a known country and a length that numbers have there (ITU-T E.164)."""
    import phonenumbers  # 0.1 s, which no start should pay

    try:
        return phonenumbers.is_possible_number(phonenumbers.parse(number))
    except phonenumbers.NumberParseException:
        return False
