"""A rule of recurrence as a text: one value of RRULE (RFC 5545 section 3.3.10)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any, Final, cast, get_args

from actors.recurrence import Frequency, Rule

_DAYS: Final = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_WHEN: Final = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})(?:T([0-9]{2})([0-9]{2})([0-9]{2})(Z?))?", re.ASCII)
_NUMBER: Final = re.compile(r"[0-9]{1,7}", re.ASCII)
_SIGNED: Final = re.compile(r"[+-]?[0-9]{1,3}", re.ASCII)
_WEEKDAY: Final = re.compile(r"([+-]?[0-9]{1,2})?(MO|TU|WE|TH|FR|SA|SU)", re.ASCII)


class RuleError(ValueError):
    """A text is no rule that tasks can follow; the message says why, to finish "the rule …"."""


@lru_cache(maxsize=1024)
def rule_of(text: str) -> Rule:
    """A rule. :raises RuleError: it is none, or not one for tasks."""
    if text.upper().startswith("RRULE:"):
        raise RuleError("must stand there without `RRULE:`")
    parts: dict[str, str] = {}
    for part in text.upper().split(";"):
        name, sign, value = part.partition("=")
        if not sign or not value or name not in {"FREQ", *_READERS}:
            raise RuleError(f"has a part that is none of RFC 5545: {part[:40]!r}")
        if name in parts:
            raise RuleError(f"says {name} twice")
        parts[name] = value
    frequency = _frequency(parts.pop("FREQ", ""))
    if "COUNT" in parts and "UNTIL" in parts:
        raise RuleError("must not have both COUNT and UNTIL")
    values = {name: _READERS[name](name, value) for name, value in parts.items()}
    _check(frequency, values)
    hour, minute, second = (values[name][0] if name in values else None for name in _CLOCK)
    return Rule(
        frequency=frequency,
        interval=values.get("INTERVAL", 1),
        count=values.get("COUNT"),
        until=values.get("UNTIL"),
        week_start=values.get("WKST", 0),
        by={argument: values[name] for name, argument in _BY.items() if name in values},
        clock=(hour, minute, second),
    )


_CLOCK: Final = ("BYHOUR", "BYMINUTE", "BYSECOND")
_BY: Final[Mapping[str, str]] = {
    "BYMONTH": "bymonth",
    "BYWEEKNO": "byweekno",
    "BYYEARDAY": "byyearday",
    "BYMONTHDAY": "bymonthday",
    "BYDAY": "byweekday",
    "BYSETPOS": "bysetpos",
}


def _check(frequency: Frequency, values: Mapping[str, Any]) -> None:
    """What the RFC says may not stand together, and the limit of one date a day. :raises RuleError: if it does."""
    if any(len(values[name]) > 1 for name in _CLOCK if name in values):
        raise RuleError("must not give more than one occurrence a day")
    if "BYWEEKNO" in values and frequency != "YEARLY":
        raise RuleError("has BYWEEKNO, which needs FREQ=YEARLY")
    if "BYYEARDAY" in values and frequency != "YEARLY":
        raise RuleError("has BYYEARDAY, which needs FREQ=YEARLY")
    if "BYMONTHDAY" in values and frequency == "WEEKLY":
        raise RuleError("has BYMONTHDAY, which no weekly rule can have")
    numbered = any(number for _, number in values.get("BYDAY", ()))
    if numbered and (frequency in ("DAILY", "WEEKLY") or "BYWEEKNO" in values):
        raise RuleError("numbers weekdays, which needs FREQ=MONTHLY, or FREQ=YEARLY without BYWEEKNO")
    if "BYSETPOS" in values and not values.keys() & (_BY.keys() - {"BYSETPOS"} | set(_CLOCK)):
        raise RuleError("has BYSETPOS, which needs another BY part")


def _frequency(text: str) -> Frequency:
    if text in ("HOURLY", "MINUTELY", "SECONDLY"):
        raise RuleError("must not give more than one occurrence a day")
    if text not in get_args(Frequency):
        raise RuleError("must say FREQ=DAILY, WEEKLY, MONTHLY or YEARLY")
    return cast(Frequency, text)


def _positive(name: str, text: str) -> int:
    number = int(text) if _NUMBER.fullmatch(text) else 0
    if number < 1 or (name == "INTERVAL" and number > 9999):
        raise RuleError(f"has a {name} that is no whole number from 1 on")
    return number


def _until(name: str, text: str) -> date | datetime:
    match = _WHEN.fullmatch(text)
    try:
        if match is None:
            raise RuleError("has an UNTIL that is neither 20261231 nor 20261231T235959Z")
        year, month, day, hour, minute, second = (int(each or 0) for each in match.groups()[:6])
        if match[4] is None:
            return date(year, month, day)
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC if match[7] else None)
    except ValueError as error:
        raise RuleError(str(error) if isinstance(error, RuleError) else "has an UNTIL that no calendar has") from None


def _day(name: str, text: str) -> int:
    if text not in _DAYS:
        raise RuleError(f"has a {name} that is no weekday such as MO")
    return _DAYS.index(text)


def _weekdays(name: str, text: str) -> tuple[tuple[int, int | None], ...]:
    found = []
    for each in text.split(","):
        match = _WEEKDAY.fullmatch(each)
        number = int(match[1]) if match and match[1] else None
        if match is None or number == 0 or (number and abs(number) > 53):
            raise RuleError(f"has a {name} that is no list of weekdays such as MO or -1FR")
        found.append((_DAYS.index(match[2]), number))
    return tuple(found)


def _numbers(lowest: int, highest: int, *, signed: bool = False) -> Callable[[str, str], tuple[int, ...]]:
    """Reads a list. :param signed: negative ones count from the end."""

    def read(name: str, text: str) -> tuple[int, ...]:
        found = [int(each) if _SIGNED.fullmatch(each) else None for each in text.split(",")]
        for each, number in zip(text.split(","), found, strict=True):
            if number is None or (not signed and not each.isdigit()) or not lowest <= abs(number) <= highest:
                minus = f", or from -{highest} to -{lowest}" if signed else ""
                raise RuleError(f"has a {name} that is no list of numbers from {lowest} to {highest}{minus}")
        return tuple(number for number in found if number is not None)

    return read


_READERS: Final[Mapping[str, Callable[[str, str], Any]]] = {
    "INTERVAL": _positive,
    "COUNT": _positive,
    "UNTIL": _until,
    "WKST": _day,
    "BYDAY": _weekdays,
    "BYMONTH": _numbers(1, 12),
    "BYMONTHDAY": _numbers(1, 31, signed=True),
    "BYYEARDAY": _numbers(1, 366, signed=True),
    "BYWEEKNO": _numbers(1, 53, signed=True),
    "BYSETPOS": _numbers(1, 366, signed=True),
    "BYHOUR": _numbers(0, 23),
    "BYMINUTE": _numbers(0, 59),
    "BYSECOND": _numbers(0, 59),
}
"""Part of a rule → what reads its value, given its name too."""
