"""Rules of recurrence (RFC 5545 section 3.3.10), and on which days they fall.

All is by the wall clock of one place; what a wall clock shows becomes a moment in `instant`, and only there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

import msgspec
from dateutil.rrule import DAILY, MONTHLY, WEEKLY, YEARLY, rrule, weekday

Frequency = Literal["DAILY", "WEEKLY", "MONTHLY", "YEARLY"]

LAST_YEAR: Final = 9990
"""Later dates are nobody's, and leave no room to be moved between time zones."""

_FREQUENCIES: Final[Mapping[Frequency, Literal[0, 1, 2, 3]]] = {
    "DAILY": DAILY,
    "WEEKLY": WEEKLY,
    "MONTHLY": MONTHLY,
    "YEARLY": YEARLY,
}
_STEPS: Final[Mapping[Frequency, int]] = {"DAILY": 240, "WEEKLY": 600, "MONTHLY": 600, "YEARLY": 120}
"""How many months (years, where it is yearly) are looked through for dates: 20 ms of work, more or less."""


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One value of RRULE, with at most one date a day.

    :ivar interval: in days, weeks, months or years, as `frequency` says.
    :ivar count: of all dates, the first one too.
    :ivar until: the last day, or the last moment, on the wall clock or (aware) anywhere.
    :ivar week_start: 0 is Monday.
    :ivar by: which days, as arguments of dateutil's `rrule`; weekdays as (0 for Monday, which one of the period).
    :ivar clock: hour, minute, second; None: those of the first date.
    """

    frequency: Frequency
    interval: int = 1
    count: int | None = None
    until: date | datetime | None = None
    week_start: int = 0
    by: Mapping[str, tuple[Any, ...]] = {}
    clock: tuple[int | None, int | None, int | None] = (None, None, None)

    def days(self, anchor: date, start: date) -> Iterator[date]:
        """The days of the rule from about `start` on: some of them may be earlier.

        :param anchor: the day that it is counted from, not after `start`.
        """
        by = dict(self.by)
        if not by.keys() & {"byweekno", "byyearday", "bymonthday", "byweekday"}:  # what the anchor says
            if self.frequency == "WEEKLY":
                by["byweekday"] = ((anchor.weekday(), None),)
            elif self.frequency != "DAILY":
                by["bymonthday"] = (anchor.day,)
                if self.frequency == "YEARLY":
                    by.setdefault("bymonth", (anchor.month,))
        if "byweekday" in by:
            by["byweekday"] = tuple(weekday(*each) for each in by["byweekday"])
        # from the beginning of a period, so that BYSETPOS counts the days of the first one as of any other
        begin = datetime.combine(self._period(anchor, start), time())
        frequency = _FREQUENCIES[self.frequency]
        found = _Bounded(_STEPS[self.frequency], frequency, begin, self.interval, wkst=self.week_start, **by)
        try:
            for each in found:
                if each.year > LAST_YEAR:
                    return
                yield each.date()
        except _LookedFarEnough:
            return

    def at(self, day: date, anchor: time) -> datetime:
        """What the wall clock shows when it falls on that day. :param anchor: when its first date was."""
        hour, minute, second = self.clock
        return datetime.combine(
            day,
            anchor.replace(
                hour=anchor.hour if hour is None else hour,
                minute=anchor.minute if minute is None else minute,
                second=anchor.second if second is None else second,
            ),
        )

    def has_ended(self, wall: datetime, zone: ZoneInfo) -> bool:
        """Whether that is later than UNTIL."""
        if self.until is None:
            return False
        if not isinstance(self.until, datetime):
            return wall.date() > self.until
        if self.until.tzinfo is None:
            return wall.replace(microsecond=0) > self.until
        return instant(wall, zone).replace(microsecond=0) > self.until

    def _period(self, anchor: date, start: date) -> date:
        """The first day of the last period of the rule that begins by `start`."""
        step = self.interval
        match self.frequency:
            case "DAILY":
                return start - timedelta((start - anchor).days % step)
            case "WEEKLY":
                first, this = (day - timedelta((day.weekday() - self.week_start) % 7) for day in (anchor, start))
                return this - timedelta((this - first).days % (7 * step))
            case "MONTHLY":
                months = start.year * 12 + start.month - 1
                months -= (months - anchor.year * 12 - anchor.month + 1) % step
                return date(months // 12, months % 12 + 1, 1)
            case "YEARLY":
                return date(start.year - (start.year - anchor.year) % step, 1, 1)


class _LookedFarEnough(Exception):
    """There may be more dates, but so late that nobody waits for them."""


class _Bounded(rrule):
    """Dateutil seeks the next date up to the year 9999, for seconds where there is none: this one gives up.

    Whenever it comes to another month or year, it looks at `_bynweekday`; a test notices should it do so no longer.
    """

    def __init__(self, steps: int, *args: Any, **kwargs: Any) -> None:
        self._weekdays: Any = None
        self._left = -1
        super().__init__(*args, **kwargs)
        self._left = steps

    @property
    def _bynweekday(self) -> Any:
        if self._left == 0:
            raise _LookedFarEnough
        self._left -= 1
        return self._weekdays

    @_bynweekday.setter
    def _bynweekday(self, value: Any) -> None:
        self._weekdays = value


def instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """The moment when the wall clock shows that, in UTC.

    After RFC 5545 section 3.3.5: an hour that is left out counts as if the clock had not been put forward yet, of one
    that comes twice it is the first.
    """
    return wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
