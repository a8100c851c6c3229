"""Series of tasks: a task that recurs and reaches `done` makes the next one, once."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import Final, TypeVar
from zoneinfo import ZoneInfo

import msgspec

from actors.contracts.task import CreateTask, Task, UpdateTask
from actors.contracts.task_recurrence import NewRecurrence
from actors.contracts.values import is_zone, milliseconds, rfc3339
from actors.records.series import Series, series_of
from actors.records.task import TaskRecords
from actors.records.task_row import EMPTY, Seen, TaskRow, list_text, times
from actors.recurrence import LAST_YEAR, Rule, instant
from actors.recurrence_text import RuleError, rule_of
from runtime.errors import Fault, Invalid

Wish = TypeVar("Wish", CreateTask, UpdateTask)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY: Final = timedelta(days=1)


class Follower(msgspec.Struct, frozen=True):
    """The next task of a series: its times in ms since the epoch, and how it recurs."""

    start_at: int | None
    due_at: int | None
    remind_at: str
    recurrence: str


async def in_zones(commands: Sequence[Wish], creators: Sequence[str | None], records: TaskRecords) -> list[Wish]:
    """Commands, each recurrence in the time zone of the task's creator where it names none."""
    unzoned = {n: each for n, command in enumerate(commands) if (each := _unzoned(command.recurrence)) is not None}
    known = {creator for n in unzoned if (creator := creators[n]) is not None}
    zones = await records.projects.zones(known) if known else {}
    found = list(commands)
    for n, recurrence in unzoned.items():
        zoned = msgspec.structs.replace(recurrence, timezone=zones.get(creators[n] or "", "UTC"))
        found[n] = msgspec.structs.replace(found[n], recurrence=zoned)
    return found


def _unzoned(recurrence: object) -> NewRecurrence | None:
    return recurrence if isinstance(recurrence, NewRecurrence) and recurrence.timezone is None else None


def begun(recurrence: NewRecurrence) -> str:
    """How a task recurs, for its row."""
    exclude = sorted({milliseconds(each) for each in recurrence.exclude or ()})
    return Series(
        rule=recurrence.rule,
        exclude=exclude,
        timezone=recurrence.timezone or "UTC",
        basis=recurrence.basis or "due",
    ).text()


def continued(text: str, number: int, followed: bool, walls: Mapping[int, str]) -> str:
    """How a task recurs that has come in the middle of its series; of what clocks would have shown, what may be true.

    :param text: a recurrence that is not refused. :param number: as in `Series`, as the others.
    """
    series = msgspec.json.decode(text, type=Series)
    zone = ZoneInfo(series.timezone)
    true = {ms: shows for ms, shows in walls.items() if _shows(zone, datetime.fromisoformat(shows), ms)}
    return msgspec.structs.replace(series, number=number, followed=followed, walls=true).text()


def refusal(text: str | None, counted: int | None, *, anew: bool = True) -> Invalid | None:
    """Why a task cannot recur like this; None where it can, or does not.

    :param text: of its row.
    :param counted: from when on, in ms since the epoch.
    :param anew: it was not told to recur like this before, so its rule is looked at.
    """
    series = series_of(text)
    if series is None:
        return None
    if counted is None:
        return _invalid("/recurrence", "needs due_at or start_at to count from")
    if not 1 < (_EPOCH + timedelta(milliseconds=counted)).year < LAST_YEAR:
        return _invalid("/recurrence", f"must count from a date in the years 2 to {LAST_YEAR - 1}")
    if not anew:
        return None
    if not is_zone(series.timezone):
        return _invalid("/recurrence/timezone", "must be an IANA time zone such as Europe/Berlin")
    try:
        rule = rule_of(series.rule)
    except RuleError as error:
        return _invalid("/recurrence/rule", str(error))
    zone = ZoneInfo(series.timezone)
    wall = _wall(counted, series, zone)
    dates = (rule.at(day, wall.time()) for day in rule.days(wall.date(), wall.date()))
    first = next((each for each in dates if each >= wall), None)
    if first is None or rule.has_ended(first, zone):
        return _invalid("/recurrence/rule", "must match some day, and within the next decades")
    return None


def settled(task: TaskRow, changed: Collection[str], now: int) -> tuple[TaskRow, Follower | None]:
    """A task as it was changed, and the next of its series if that has completed it. Refuses what cannot recur.

    Who writes the follower down locks the board of its project before the task.
    """
    if not {"recurrence", "due_at", "start_at"}.isdisjoint(changed):
        refused = refusal(task.recurrence, counted_from(task), anew="recurrence" in changed)
        if refused is not None:
            raise refused
    return followed(task, now) if "status" in changed and task.status == "done" else (task, None)


def counted_from(task: TaskRow) -> int | None:
    """What the dates of a task are counted from, in ms since the epoch."""
    return task.due_at if task.due_at is not None else task.start_at


def followed(task: TaskRow, now: int) -> tuple[TaskRow, Follower | None]:
    """A task that has just reached `done`, marked as one that has made the next; and that one.

    None where the series ends, or where it has made it before.
    """
    series = series_of(task.recurrence)
    if series is None or series.followed:
        return task, None
    counted = counted_from(task)
    following = None if counted is None else next(_following(series, counted, now), None)
    if counted is None or following is None:
        return task, None
    number, wall = following
    zone = ZoneInfo(series.timezone)
    shift = wall - _wall(counted, series, zone)
    walls: dict[int, str] = {}

    def moved(ms: int | None) -> int | None:
        if ms is None:
            return None
        meant = _wall(ms, series, zone) + shift
        moment = instant(meant, zone)
        if moment.astimezone(zone).replace(tzinfo=None) != meant:
            walls[milliseconds(moment)] = meant.isoformat()
        return milliseconds(moment)

    try:
        start_at, due_at = moved(task.start_at), moved(task.due_at)
        reminders = sorted({each for each in map(moved, times(task.remind_at)) if each is not None})
    except OverflowError:  # a time that lies thousands of years beside the others
        return task, None
    next_one = msgspec.structs.replace(series, number=number, walls=walls)
    marked = msgspec.structs.replace(task, recurrence=msgspec.structs.replace(series, followed=True).text())
    return marked, Follower(start_at, due_at, list_text(reminders), next_one.text())


def following_row(task: TaskRow, follower: Follower, *, id: str, number: int, position: str, now: int) -> TaskRow:
    """The next task of the series as it begins. :param task: the one before it."""
    return msgspec.structs.replace(
        task,
        id=id,
        number=number,
        position=position,
        status="todo",
        watcher_count=0,
        start_at=follower.start_at,
        due_at=follower.due_at,
        remind_at=follower.remind_at,
        recurrence=follower.recurrence,
        relations=EMPTY,
        comment_count=0,
        attachment_count=0,
        created_at=now,
        updated_at=now,
        completed_at=None,
        version=1,
    )


def still_followed(before: str | None, after: str | None) -> str | None:
    """How a task recurs after a change of it: one that has made the next makes none, whatever its rule is then."""
    was, becomes = series_of(before), series_of(after)
    if was is None or becomes is None or not was.followed:
        return after
    return msgspec.structs.replace(becomes, followed=True).text()


def with_occurrences(seen: Seen, now: int, number: int | None) -> Task:
    """A task as it is shown, with the dates of so many that would follow if it were done now."""
    view = seen.view()
    if number is None:
        return view
    series, counted = series_of(seen.task.recurrence), counted_from(seen.task)
    if series is None or counted is None:
        return msgspec.structs.replace(view, occurrences=[])
    zone = ZoneInfo(series.timezone)
    following = islice(_following(series, counted, now), number)
    return msgspec.structs.replace(
        view, occurrences=[rfc3339(milliseconds(instant(wall, zone))) for _, wall in following]
    )


def _following(series: Series, counted: int, now: int) -> Iterator[tuple[int, datetime]]:
    """Which of the series come next, and what the clock shows then.

    :param counted: when the present one is, in ms since the epoch.
    """
    rule, zone = rule_of(series.rule), ZoneInfo(series.timezone)
    wall, excluded = _wall(counted, series, zone), set(series.exclude)
    today = _moment(now).astimezone(zone).date()
    if series.basis == "completion":
        wall = datetime.combine(today, wall.time())
        earliest = 0
    else:
        earliest = now + 1
    for number, each in enumerate(_dates(rule, wall, today), series.number + 1):
        if (rule.count is not None and number > rule.count) or rule.has_ended(each, zone):
            return
        ms = milliseconds(instant(each, zone))
        if ms >= earliest and ms not in excluded:
            yield number, each


def _dates(rule: Rule, wall: datetime, today: date) -> Iterator[datetime]:
    """All on days after that of `wall`; but where nothing counts them, those that have long passed are left out."""
    first = wall.date()
    start = first if rule.count is not None else max(first, today - _DAY)
    for day in rule.days(first, start):
        if day > first:
            yield rule.at(day, wall.time())


def _wall(ms: int, series: Series, zone: ZoneInfo) -> datetime:
    """What the clock shows then, or would show if the hour were not left out on that day."""
    meant = series.walls.get(ms)
    return datetime.fromisoformat(meant) if meant else _moment(ms).astimezone(zone).replace(tzinfo=None, fold=0)


def _shows(zone: ZoneInfo, wall: datetime, ms: int) -> bool:
    """Whether a clock shows that then, if the hour is not left out."""
    return 1 < wall.year < LAST_YEAR and milliseconds(instant(wall, zone)) == ms


def _moment(ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=ms)


def _invalid(pointer: str, detail: str) -> Invalid:
    return Invalid("request.invalid", "the task cannot recur like this", faults=(Fault(pointer, detail),))
