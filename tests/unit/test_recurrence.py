"""Rules of recurrence: a table of hard cases, what is refused, and a comparison with dateutil."""

from __future__ import annotations

import time
from datetime import date, datetime
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import rrulestr
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from actors.contracts.values import rfc3339
from actors.recurrence import instant
from actors.recurrence_text import RuleError, rule_of

#   rule, the day that it is counted from, the days that follow it
HARD = [
    # month ends: a month without the day has no date
    ("FREQ=MONTHLY", "2027-01-31", "2027-03-31 2027-05-31 2027-07-31 2027-08-31"),
    ("FREQ=MONTHLY;BYMONTHDAY=-1", "2027-01-31", "2027-02-28 2027-03-31 2027-04-30"),
    ("FREQ=MONTHLY;BYMONTHDAY=-31", "2027-01-01", "2027-03-01 2027-05-01 2027-07-01"),
    ("FREQ=MONTHLY;BYMONTHDAY=30,31;BYSETPOS=-1", "2027-01-31", "2027-03-31 2027-04-30 2027-05-31"),
    ("FREQ=MONTHLY;INTERVAL=18", "2027-08-31", "2030-08-31 2033-08-31"),
    # leap days
    ("FREQ=YEARLY", "2024-02-29", "2028-02-29 2032-02-29"),
    ("FREQ=YEARLY", "2096-02-29", "2104-02-29"),
    ("FREQ=YEARLY;INTERVAL=2;BYMONTH=2;BYMONTHDAY=-1", "2026-02-28", "2028-02-29 2030-02-28 2032-02-29"),
    ("FREQ=YEARLY;BYYEARDAY=366", "2024-12-31", "2028-12-31 2032-12-31"),
    ("FREQ=YEARLY;BYYEARDAY=-1", "2027-12-31", "2028-12-31 2029-12-31"),
    ("FREQ=YEARLY;BYYEARDAY=60", "2027-03-01", "2028-02-29 2029-03-01"),
    # positions in a set
    ("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", "2027-01-29", "2027-02-26 2027-03-31 2027-04-30"),
    ("FREQ=MONTHLY;BYDAY=TU,WE,TH;BYSETPOS=3", "1997-09-04", "1997-10-07 1997-11-06"),
    ("FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13", "1998-02-13", "1998-03-13 1998-11-13 1999-08-13"),
    ("FREQ=MONTHLY;BYDAY=-1FR", "2027-01-29", "2027-02-26 2027-03-26"),
    ("FREQ=MONTHLY;BYDAY=5MO", "2027-03-29", "2027-05-31 2027-08-30"),
    ("FREQ=YEARLY;BYDAY=20MO", "1997-05-19", "1998-05-18 1999-05-17"),
    ("FREQ=YEARLY;BYMONTH=11;BYDAY=TU;BYMONTHDAY=2,3,4,5,6,7,8", "1996-11-05", "1997-11-04 1998-11-03"),
    # of the first week all days count, those before the first date, too
    ("FREQ=WEEKLY;BYDAY=MO,WE,FR;BYSETPOS=2", "2027-01-06", "2027-01-13 2027-01-20"),
    # weeks that start on Sunday
    ("FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,SU;WKST=MO", "1997-08-05", "1997-08-10 1997-08-19 1997-08-24"),
    ("FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,SU;WKST=SU", "1997-08-05", "1997-08-17 1997-08-19 1997-08-31"),
    ("FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO", "1997-05-12", "1998-05-11 1999-05-17"),
    ("FREQ=YEARLY;BYWEEKNO=53;BYDAY=MO", "2020-12-28", "2026-12-28 2032-12-27"),
    ("FREQ=YEARLY;BYWEEKNO=1;BYDAY=SU;WKST=SU", "2027-01-03", "2028-01-02 2028-12-31"),
    # over the ends of months and years
    ("FREQ=DAILY;INTERVAL=10", "2027-12-25", "2028-01-04 2028-01-14"),
    ("FREQ=DAILY;BYDAY=MO,TU,WE,TH,FR", "2027-12-31", "2028-01-03 2028-01-04"),
    ("FREQ=DAILY;BYMONTH=1", "2027-01-31", "2028-01-01 2028-01-02"),
    ("FREQ=WEEKLY;BYMONTH=3", "2027-03-29", "2028-03-06 2028-03-13"),
]  # fmt: skip


def days(text: str, anchor: date, start: date | None = None) -> list[date]:
    """A few, after both."""
    begin = start or anchor
    return list(islice((day for day in rule_of(text).days(anchor, begin) if day > begin), 10))


@pytest.mark.parametrize(("text", "anchor", "following"), HARD)
def test_hard_cases(text: str, anchor: str, following: str) -> None:
    expected = [date.fromisoformat(day) for day in following.split()]
    assert days(text, date.fromisoformat(anchor))[: len(expected)] == expected


@pytest.mark.parametrize(("text", "anchor", "following"), HARD)
def test_a_task_of_the_series_is_followed_by_what_follows_it_in_the_rule(
    text: str, anchor: str, following: str
) -> None:
    """Each is counted from the one before it, not from the first."""
    expected = [date.fromisoformat(day) for day in following.split()]
    at, found = date.fromisoformat(anchor), []
    for _ in expected:
        at = days(text, at)[0]
        found.append(at)
    assert found == expected


@pytest.mark.parametrize(
    ("wall", "zone", "moment"),
    [
        # the lost hour: as if the clock had not been put forward yet
        ("2027-03-28T02:30:00", "Europe/Berlin", "2027-03-28T01:30:00.000Z"),
        ("2027-03-28T03:30:00", "Europe/Berlin", "2027-03-28T01:30:00.000Z"),
        ("2027-03-14T02:30:00", "America/New_York", "2027-03-14T07:30:00.000Z"),
        # the doubled hour: the first
        ("2027-10-31T02:30:00", "Europe/Berlin", "2027-10-31T00:30:00.000Z"),
        ("2027-11-07T01:30:00", "America/New_York", "2027-11-07T05:30:00.000Z"),
        # half an hour, and a whole day that was left out
        ("2027-10-03T02:15:00", "Australia/Lord_Howe", "2027-10-02T15:45:00.000Z"),
        ("2011-12-30T12:00:00", "Pacific/Apia", "2011-12-30T22:00:00.000Z"),
    ],
)
def test_what_the_clock_shows_is_a_moment(wall: str, zone: str, moment: str) -> None:
    found = instant(datetime.fromisoformat(wall), ZoneInfo(zone))
    assert rfc3339(round(found.timestamp() * 1000)) == moment


@pytest.mark.parametrize(
    "text",
    [
        "", "RRULE:FREQ=DAILY", "rrule:FREQ=DAILY", "FREQ", "FREQ=", "FREQ=DAILY;", "FREQ=DAILY;;COUNT=1", "COUNT=3",
        "FREQ=OFTEN", "FREQ=DAILY;FREQ=DAILY", "FREQ=DAILY\nRRULE:FREQ=DAILY", "DTSTART:20270101\nRRULE:FREQ=DAILY",
        "FREQ=DAILY;X-OURS=1", "FREQ=DAILY;BYEASTER=0", "FREQ=DAILY;INTERVAL=0", "FREQ=DAILY;INTERVAL=-1",
        "FREQ=DAILY;INTERVAL=1.5", "FREQ=DAILY;INTERVAL=10000", "FREQ=DAILY;COUNT=0", "FREQ=DAILY;COUNT=99999999",
        "FREQ=DAILY;COUNT=٣", "FREQ=DAILY;COUNT=2;UNTIL=20270101", "FREQ=DAILY;UNTIL=20270230", "FREQ=DAILY;UNTIL=tomorrow",
        "FREQ=DAILY;UNTIL=20270101T250000Z", "FREQ=DAILY;UNTIL=2027-01-01", "FREQ=DAILY;UNTIL=00000101",
        "FREQ=DAILY;BYMONTH=0", "FREQ=DAILY;BYMONTH=13", "FREQ=DAILY;BYMONTH=-1", "FREQ=DAILY;BYMONTH=+1", "FREQ=DAILY;BYMONTH=1,",
        "FREQ=MONTHLY;BYMONTHDAY=32", "FREQ=MONTHLY;BYMONTHDAY=0", "FREQ=YEARLY;BYYEARDAY=367", "FREQ=YEARLY;BYWEEKNO=54",
        "FREQ=DAILY;BYDAY=XX", "FREQ=DAILY;BYDAY=1MO", "FREQ=WEEKLY;BYDAY=-1MO", "FREQ=MONTHLY;BYDAY=0MO",
        "FREQ=YEARLY;BYDAY=54MO", "FREQ=YEARLY;BYWEEKNO=1;BYDAY=1MO", "FREQ=MONTHLY;BYWEEKNO=1", "FREQ=DAILY;BYYEARDAY=1",
        "FREQ=MONTHLY;BYYEARDAY=1", "FREQ=WEEKLY;BYMONTHDAY=1", "FREQ=MONTHLY;BYSETPOS=1", "FREQ=MONTHLY;BYDAY=MO;BYSETPOS=0",
        "FREQ=MONTHLY;BYDAY=MO;BYSETPOS=367", "FREQ=WEEKLY;WKST=1", "FREQ=DAILY;BYHOUR=24", "FREQ=DAILY;BYSECOND=60",
        # more than one a day
        "FREQ=HOURLY", "FREQ=MINUTELY", "FREQ=SECONDLY", "FREQ=DAILY;BYHOUR=9,17", "FREQ=WEEKLY;BYMINUTE=0,30",
        "FREQ=MONTHLY;BYSECOND=0,1",
    ],
)  # fmt: skip
def test_what_is_no_rule_for_tasks_is_refused(text: str) -> None:
    with pytest.raises(RuleError):
        rule_of(text)


@pytest.mark.parametrize(
    ("text", "anchor"),
    [
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "2026-01-01"),
        ("FREQ=MONTHLY;BYMONTH=2;BYMONTHDAY=30", "2026-01-01"),
        ("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", "2026-01-01"),
        ("FREQ=WEEKLY;INTERVAL=52;BYMONTH=2;BYDAY=MO;BYSETPOS=5", "2026-01-01"),
        ("FREQ=DAILY;INTERVAL=7;BYDAY=TU", "2026-11-23"),
        ("FREQ=YEARLY;INTERVAL=4;BYMONTH=2;BYMONTHDAY=29", "2026-01-01"),
        ("FREQ=DAILY;INTERVAL=9999;BYMONTH=4;BYMONTHDAY=31", "2026-01-01"),
    ],
)
def test_a_rule_that_never_matches_is_given_up_soon(text: str, anchor: str) -> None:
    """Dateutil alone takes seconds to say so."""
    began = time.process_time()
    assert days(text, date.fromisoformat(anchor)) == []
    assert time.process_time() - began < 0.5


def test_the_years_of_the_calendar_end_a_rule() -> None:
    assert days("FREQ=YEARLY", date(9980, 1, 1))[-1] == date(9990, 1, 1)
    assert days("FREQ=DAILY;INTERVAL=9999", date(9989, 1, 1)) == []


numbers = st.lists(st.integers(1, 31) | st.integers(-31, -1), min_size=1, max_size=3, unique=True)
weekdays = st.lists(st.sampled_from(("MO", "TU", "WE", "TH", "FR", "SA", "SU")), min_size=1, max_size=4, unique=True)


@st.composite
def rules(draw: st.DrawFn) -> str:
    frequency = draw(st.sampled_from(("DAILY", "WEEKLY", "MONTHLY", "YEARLY")))
    parts = [f"FREQ={frequency}", f"INTERVAL={draw(st.integers(1, 40))}"]
    parts += [f"WKST={draw(st.sampled_from(('MO', 'SU', 'SA')))}"] if draw(st.booleans()) else []
    if draw(st.booleans()):
        parts.append(f"BYMONTH={','.join(map(str, draw(st.sets(st.integers(1, 12), min_size=1, max_size=6))))}")
    if frequency != "WEEKLY" and draw(st.booleans()):
        parts.append(f"BYMONTHDAY={','.join(map(str, draw(numbers)))}")
    if draw(st.booleans()):
        chosen = draw(weekdays)
        if frequency == "MONTHLY" and draw(st.booleans()):
            chosen = [f"{draw(st.sampled_from((1, 2, -1, 5)))}{each}" for each in chosen]
        parts.append(f"BYDAY={','.join(chosen)}")
        # of the first week dateutil counts only the days from the first date on: compared in the table above
        if frequency in ("MONTHLY", "YEARLY") and draw(st.booleans()):
            parts.append(f"BYSETPOS={draw(st.sampled_from((1, 2, -1, -2)))}")
    if frequency == "YEARLY" and draw(st.booleans()):
        parts.append(f"BYYEARDAY={draw(st.sampled_from((1, 60, 100, 366, -1, -306)))}")
    return ";".join(parts)


@settings(max_examples=300, deadline=None)
@given(text=rules(), anchor=st.dates(date(1970, 1, 1), date(2100, 1, 1)), later=st.integers(0, 1500))
def test_the_days_are_those_of_dateutil(text: str, anchor: date, later: int) -> None:
    start = date.fromordinal(anchor.toordinal() + later)
    ours = days(text, anchor, start)
    assume(ours)
    begin = datetime(anchor.year, anchor.month, anchor.day, 9, 30)
    theirs = rrulestr(text, dtstart=begin).xafter(datetime(start.year, start.month, start.day, 9, 30))
    assert ours == [each.date() for each in islice(theirs, len(ours))]
