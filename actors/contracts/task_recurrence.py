"""How a task recurs: what is asked for, and what is shown."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from actors.contracts.values import Id, Time, TimeIn, Zone
from runtime.message import Query

Basis = Literal["due", "completion"]
RuleText = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=500,
        pattern=r"^[\x20-\x7e]+$(?!\n)",
        description="one RRULE value (RFC 5545) of at most 500 characters, such as FREQ=WEEKLY;BYDAY=MO,TH",
    ),
]
# a list that no honest client needs to exceed
Excluded = Annotated[list[TimeIn], Meta(max_length=1000, description="at most 1000 times")]
Occurrences = Annotated[int, Meta(ge=1, le=100, description="a whole number from 1 to 100")]


class Recurrence(msgspec.Struct, frozen=True, kw_only=True):
    """How a task recurs: reaching `done` makes the next one, once.

    :param rule: one RRULE value (RFC 5545 section 3.3.10) with at most one date a day, counted from `due_at`, or else
        from `start_at`, by the clock of `timezone`.
    :param exclude: dates of the rule on which there is no task.
    :param timezone: IANA name.
    :param basis: `due`: the next date of the rule, after now; `completion`: counted from the day when it is done, at
        the same time of day.
    """

    rule: str
    exclude: list[Time] = []
    timezone: str
    basis: Basis


class Wall(msgspec.Struct, frozen=True, kw_only=True):
    """A time of a task on a day on which a clock leaves that hour out.

    :param shows: what it would have shown, which is what the series goes on from: ISO 8601 without an offset.
    """

    at: Time
    shows: str


class SeriesPlace(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a task stands in its series. :param number: from 1 on. :param followed: the next one was made."""

    number: int = 1
    followed: bool = False
    walls: list[Wall] = []


class ListSeries(Query[dict[str, SeriesPlace]], frozen=True, kw_only=True):
    """Of tasks that recur and that the caller sees, where each stands in its series: an export is complete with it."""

    task_ids: list[Id]


class NewRecurrence(msgspec.Struct, frozen=True, kw_only=True):
    """How a task shall recur; without a time zone, in that of the task's creator."""

    rule: RuleText
    exclude: Excluded | None = None
    timezone: Zone | None = None
    basis: Basis | None = "due"
