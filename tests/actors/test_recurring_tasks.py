"""Tasks that recur: what reaching `done` makes, once; what it does not; and what cannot recur."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from actors.contracts.task import (
    CreateTask,
    DeleteTask,
    GetTask,
    ListTasks,
    Task,
    TaskAssigned,
    TaskCompleted,
    TaskCreated,
    TaskUpdated,
    UpdateTask,
)
from actors.contracts.task_recurrence import NewRecurrence, Recurrence
from actors.contracts.user import Person, UserCreated
from actors.contracts.values import milliseconds, rfc3339
from runtime.errors import Invalid
from runtime.testing import Stage
from tests.actors.company import Company


class Series:
    """A recurring task of Ada's, and those that follow it."""

    def __init__(self, company: Company, task: Task) -> None:
        self.company = company
        self.task = task

    @classmethod
    async def begin(
        cls, company: Company, rule: str, due: str, zone: str = "UTC", /, *, fields: Any = None, **how: Any
    ) -> Series:
        """:param due: on the clock of the zone it is not: with an offset. :param how: of the recurrence."""
        recurrence = NewRecurrence(rule=rule, timezone=zone, **how)
        project = await company.project()
        return cls(company, await company.task(project, recurrence=recurrence, **{"due_at": at(due), **(fields or {})}))

    async def change(self, task: Task | None = None, **fields: Any) -> Task:
        command = UpdateTask(id=(task or self.task).id, **fields)
        return await self.company.stage.ask(command, caller=self.company.ada)

    async def all(self) -> Sequence[Task]:
        """All tasks of the project, oldest first."""
        query = ListTasks(project_id=[self.task.project_id], sort="created_at", limit=200)
        page = await self.company.stage.ask(query, caller=self.company.ada)
        return sorted(page.items, key=lambda task: task.number)

    async def next(self) -> Task | None:
        """Complete the last one; what came of it."""
        before = await self.all()
        await self.change(before[-1], status="done")
        after = await self.all()
        assert len(after) - len(before) in (0, 1)
        return after[-1] if len(after) > len(before) else None

    async def follow(self, times: int = 20) -> Sequence[str]:
        """Complete one after the other; when those are due that came of it."""
        dates = []
        for _ in range(times):
            task = await self.next()
            if task is None:
                break
            dates.append(task.due_at or "")
        return dates

    async def occurrences(self, number: int = 10, task: Task | None = None) -> Sequence[str]:
        query = GetTask(id=(task or self.task).id, occurrences=number)
        shown = (await self.company.stage.ask(query, caller=self.company.ada)).occurrences
        assert isinstance(shown, list)
        return shown


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def utc(*texts: str) -> list[str]:
    """As answers write them."""
    return [rfc3339(milliseconds(at(text))) for text in texts]


async def test_done_makes_the_next_with_all_dates_moved_by_local_time(stage: Stage, company: Company) -> None:
    project = await company.project()
    label = await company.label(project)
    await company.join(project, company.bob)
    parent = await company.task(project)
    recurrence = NewRecurrence(rule="FREQ=WEEKLY", timezone="Europe/Berlin")
    task = await company.task(
        project,
        "Water the plants",
        description="All of them",
        priority=3,
        assignee_ids=[company.bob],
        label_ids=[label.id],
        estimate_minutes=20,
        parent_id=parent.id,
        # the clock is put forward on 28 March 2027
        start_at=at("2027-03-26T09:00+01:00"),
        due_at=at("2027-03-27T18:00+01:00"),
        remind_at=[at("2027-03-27T17:00+01:00"), at("2027-03-25T18:00+01:00")],
        recurrence=recurrence,
    )
    assert task.recurrence == Recurrence(rule="FREQ=WEEKLY", exclude=[], timezone="Europe/Berlin", basis="due")
    await company.comment(task)
    stage.advance(seconds=1)
    company.events()
    done = await stage.ask(UpdateTask(id=task.id, status="done"), caller=company.bob)
    events = company.events()
    (made,) = [event.task for event in events if isinstance(event, TaskCreated)]
    assert made == msgspec.structs.replace(
        task,
        id=made.id,
        number=3,
        position=made.position,
        start_at="2027-04-02T07:00:00.000Z",
        due_at="2027-04-03T16:00:00.000Z",
        remind_at=["2027-04-01T16:00:00.000Z", "2027-04-03T15:00:00.000Z"],
        created_at=done.updated_at,
        updated_at=done.updated_at,
    )
    assert made.position > task.position
    assert await company.look(made) == made
    assert [type(event) for event in events] == [TaskUpdated, TaskCompleted, TaskCreated, TaskAssigned]
    assert await company.history(task) == [("status", "todo", "done")]
    assert done.recurrence == task.recurrence
    assert (await company.task(project)).number == 4


@pytest.mark.parametrize(
    ("rule", "zone", "due", "following"),
    [
        # the clock stays the same over both changes of the year
        ("FREQ=DAILY;COUNT=3", "Europe/Berlin", "2027-03-27T09:00+01:00", ["2027-03-28T09:00+02:00", "2027-03-29T09:00+02:00"]),
        ("FREQ=DAILY;COUNT=3", "America/New_York", "2027-11-06T09:00-04:00", ["2027-11-07T09:00-05:00", "2027-11-08T09:00-05:00"]),
        # the lost hour moves one date, and none after it
        ("FREQ=DAILY;COUNT=4", "Europe/Berlin", "2027-03-27T02:30+01:00", ["2027-03-28T03:30+02:00", "2027-03-29T02:30+02:00", "2027-03-30T02:30+02:00"]),
        # the doubled hour: the first
        ("FREQ=DAILY;COUNT=3", "Europe/Berlin", "2027-10-30T02:30+02:00", ["2027-10-31T02:30+02:00", "2027-11-01T02:30+01:00"]),
        # the day on the clock of the zone, not in UTC
        ("FREQ=MONTHLY;BYMONTHDAY=1;COUNT=3", "Asia/Tokyo", "2027-01-01T08:00+09:00", ["2027-02-01T08:00+09:00", "2027-03-01T08:00+09:00"]),
        ("FREQ=MONTHLY;COUNT=3", "UTC", "2027-01-31T09:00Z", ["2027-03-31T09:00Z", "2027-05-31T09:00Z"]),
        # until: in UTC, by the clock, and a whole day
        ("FREQ=DAILY;UNTIL=20270103T080000Z", "Europe/Berlin", "2027-01-01T09:00+01:00", ["2027-01-02T09:00+01:00", "2027-01-03T09:00+01:00"]),
        ("FREQ=DAILY;UNTIL=20270103T075959Z", "Europe/Berlin", "2027-01-01T09:00+01:00", ["2027-01-02T09:00+01:00"]),
        ("FREQ=DAILY;UNTIL=20270102T090000", "Europe/Berlin", "2027-01-01T09:00+01:00", ["2027-01-02T09:00+01:00"]),
        ("FREQ=DAILY;UNTIL=20270102", "America/New_York", "2027-01-01T23:00-05:00", ["2027-01-02T23:00-05:00"]),
        # a time of day of its own; a first date that is not one of the rule counts all the same
        ("FREQ=DAILY;BYHOUR=7;BYMINUTE=15;COUNT=3", "UTC", "2027-01-01T09:00Z", ["2027-01-02T07:15Z", "2027-01-03T07:15Z"]),
        ("FREQ=WEEKLY;BYDAY=MO;COUNT=3", "UTC", "2027-01-06T09:00Z", ["2027-01-11T09:00Z", "2027-01-18T09:00Z"]),
        ("FREQ=DAILY;COUNT=1", "UTC", "2027-01-01T09:00Z", []),
    ],
)  # fmt: skip
async def test_the_dates_of_a_series(company: Company, rule: str, zone: str, due: str, following: list[str]) -> None:
    series = await Series.begin(company, rule, due, zone)
    assert await series.occurrences() == utc(*following)
    assert await series.follow() == utc(*following)


async def test_a_start_in_the_lost_hour_comes_back_too(company: Company) -> None:
    fields = {"start_at": at("2027-03-27T02:30+01:00")}
    series = await Series.begin(company, "FREQ=DAILY;COUNT=3", "2027-03-27T18:00+01:00", "Europe/Berlin", fields=fields)
    await series.follow()
    starts = [task.start_at for task in await series.all()]
    assert starts == utc("2027-03-27T02:30+01:00", "2027-03-28T03:30+02:00", "2027-03-29T02:30+02:00")


async def test_without_a_due_date_it_counts_from_the_start(company: Company) -> None:
    fields = {"due_at": None, "start_at": at("2027-01-01T09:00Z")}
    series = await Series.begin(company, "FREQ=DAILY;INTERVAL=2", "2027-01-01T09:00Z", fields=fields)
    task = await series.next()
    assert task is not None
    assert (task.start_at, task.due_at) == ("2027-01-03T09:00:00.000Z", None)


async def test_excluded_dates_are_left_out_and_count(company: Company) -> None:
    exclude = [at("2027-01-04T10:00+01:00"), at("2027-01-03T09:00Z"), at("2027-01-03T09:00Z"), at("2030-01-01T00:00Z")]
    series = await Series.begin(company, "FREQ=DAILY;COUNT=5", "2027-01-01T09:00Z", exclude=exclude)
    assert series.task.recurrence is not None
    assert series.task.recurrence.exclude == utc("2027-01-03T09:00Z", "2027-01-04T09:00Z", "2030-01-01T00:00Z")
    assert await series.follow() == utc("2027-01-02T09:00Z", "2027-01-05T09:00Z")


async def test_an_overdue_one_gives_the_next_date_after_now(stage: Stage, company: Company) -> None:
    now = datetime.fromtimestamp(stage.now // 1000, UTC)
    for ago, following in ((timedelta(days=9, hours=1), 23), (timedelta(days=9, hours=-1), 1), (timedelta(days=8), 24)):
        due = now - ago
        series = await Series.begin(company, "FREQ=DAILY", due.isoformat())
        expected = utc((now + timedelta(hours=following)).isoformat())
        assert await series.occurrences(1) == expected
        assert await series.follow(1) == expected
    # every other day from the first one on, whatever day it is now
    series = await Series.begin(company, "FREQ=DAILY;INTERVAL=2", (now - timedelta(days=9, hours=1)).isoformat())
    assert await series.follow(1) == utc((now + timedelta(hours=23)).isoformat())
    series = await Series.begin(company, "FREQ=DAILY;INTERVAL=2", (now - timedelta(days=10, hours=1)).isoformat())
    assert await series.follow(1) == utc((now + timedelta(hours=47)).isoformat())


async def test_dates_that_have_passed_count(stage: Stage, company: Company) -> None:
    due = datetime.fromtimestamp(stage.now // 1000, UTC) - timedelta(days=3, hours=1)
    series = await Series.begin(company, "FREQ=DAILY;COUNT=5", due.isoformat())
    assert await series.follow() == utc((due + timedelta(days=4)).isoformat())
    series = await Series.begin(company, "FREQ=DAILY;COUNT=4", due.isoformat())
    assert await series.follow() == []


async def test_one_that_is_centuries_overdue_costs_no_more(company: Company, stage: Stage) -> None:
    series = await Series.begin(company, "FREQ=DAILY", "0002-02-03T09:00Z")
    (due,) = await series.follow(1)
    assert stage.now < milliseconds(at(due)) <= stage.now + 24 * 3600 * 1000


@pytest.mark.parametrize("ahead", [-40, 40], ids=["overdue", "early"])
async def test_after_completion_it_counts_from_the_day_when_it_is_done(
    stage: Stage, company: Company, ahead: int
) -> None:
    zone = ZoneInfo("America/New_York")

    def half_past_two(days: int) -> str:
        today = datetime.fromtimestamp(stage.now // 1000, zone)
        return (today + timedelta(days=days)).replace(hour=14, minute=30, second=0).isoformat()

    rule = "FREQ=DAILY;INTERVAL=3;COUNT=3"
    series = await Series.begin(company, rule, half_past_two(ahead), zone.key, basis="completion")
    assert await series.occurrences() == utc(half_past_two(3), half_past_two(6))
    assert await series.follow(1) == utc(half_past_two(3))
    stage.advance(hours=24)
    assert await series.follow() == utc(half_past_two(3))


async def test_reopening_makes_no_second_and_neither_does_a_new_rule(company: Company) -> None:
    series = await Series.begin(company, "FREQ=DAILY", "2027-01-01T09:00Z")
    for _ in range(2):
        await series.change(status="done")
        await series.change(status="todo")
    await series.change(recurrence=NewRecurrence(rule="FREQ=WEEKLY"))
    await series.change(status="done")
    assert len(await series.all()) == 2


async def test_cancelling_makes_none_and_neither_does_the_trash(company: Company) -> None:
    series = await Series.begin(company, "FREQ=DAILY", "2027-01-01T09:00Z")
    await series.change(status="cancelled")
    await company.stage.ask(DeleteTask(id=series.task.id), caller=company.ada)
    assert await series.all() == []


async def test_two_who_complete_it_together_make_one(stage: Stage, company: Company) -> None:
    series = await Series.begin(company, "FREQ=DAILY", "2027-01-01T09:00Z")
    commands = [UpdateTask(id=series.task.id, status="done", title=f"By {n}") for n in range(10)]
    await asyncio.gather(*(stage.ask(command, caller=company.ada) for command in commands))
    assert len(await series.all()) == 2


async def test_the_same_message_again_makes_one(stage: Stage, company: Company) -> None:
    series = await Series.begin(company, "FREQ=DAILY", "2027-01-01T09:00Z")
    for _ in range(2):
        await stage.ask(UpdateTask(id=series.task.id, status="done"), caller=company.ada, id=f"done {series.task.id}")
    assert len(await series.all()) == 2


async def test_one_that_is_made_done_is_followed_too(stage: Stage, company: Company) -> None:
    project = await company.project()
    recurrence = NewRecurrence(rule="FREQ=DAILY", timezone="UTC")
    commands = [
        CreateTask(project_id=project.id, title=title, status="done", due_at=at(due), recurrence=recurrence)
        for title, due in (("One", "2027-01-01T09:00Z"), ("Two", "2027-02-01T09:00Z"))
    ]
    one, _ = await stage.ask_all(commands, caller=company.ada)
    assert isinstance(one, Task)
    tasks = await Series(company, one).all()
    assert [(task.number, task.title, task.status, task.due_at) for task in tasks] == [
        (1, "One", "done", "2027-01-01T09:00:00.000Z"),
        (2, "Two", "done", "2027-02-01T09:00:00.000Z"),
        (3, "One", "todo", "2027-01-02T09:00:00.000Z"),
        (4, "Two", "todo", "2027-02-02T09:00:00.000Z"),
    ]
    assert sorted(task.position for task in tasks) == [task.position for task in tasks]


async def test_a_rule_that_is_taken_off_makes_none(company: Company) -> None:
    series = await Series.begin(company, "FREQ=DAILY", "2027-01-01T09:00Z")
    changed = await series.change(recurrence=None)
    assert changed.recurrence is None
    assert (await company.history(series.task))[0] == (
        "recurrence",
        {"rule": "FREQ=DAILY", "exclude": [], "timezone": "UTC", "basis": "due"},
        None,
    )
    assert await series.next() is None
    assert await series.occurrences() == []


async def test_the_same_recurrence_again_changes_nothing(company: Company) -> None:
    series = await Series.begin(company, "FREQ=DAILY", "2027-01-01T09:00Z")
    await series.change(status="done")
    task = (await series.all())[1]
    assert await series.change(task, recurrence=NewRecurrence(rule="FREQ=DAILY", timezone="UTC")) == task


async def test_a_task_that_was_moved_counts_from_where_it_is(company: Company) -> None:
    series = await Series.begin(company, "FREQ=WEEKLY;COUNT=3", "2027-01-01T09:00Z")
    await series.change(due_at=at("2027-01-03T11:00Z"))
    assert await series.follow() == utc("2027-01-10T11:00Z", "2027-01-17T11:00Z")


async def test_the_time_zone_is_that_of_the_creator(stage: Stage, company: Company) -> None:
    person = Person(id=company.ada, name="Ada", active=True, version=1, timezone="Asia/Kolkata")
    await stage.given(UserCreated(person=person))
    project = await company.project()
    await company.join(project, company.bob)
    due = at("2027-01-01T09:00Z")
    task = await company.task(project, due_at=due, recurrence=NewRecurrence(rule="FREQ=DAILY"))
    assert task.recurrence is not None
    assert task.recurrence.timezone == "Asia/Kolkata"
    other = await company.task(project, due_at=due)
    changed = UpdateTask(id=other.id, recurrence=NewRecurrence(rule="FREQ=DAILY"))
    recurrence = (await stage.ask(changed, caller=company.bob)).recurrence
    assert recurrence is not None
    assert recurrence.timezone == "Asia/Kolkata"


async def test_so_many_occurrences_are_shown_as_are_asked_for(company: Company) -> None:
    series = await Series.begin(company, "FREQ=YEARLY", "2027-01-01T09:00Z")
    assert await series.occurrences(3) == utc("2028-01-01T09:00Z", "2029-01-01T09:00Z", "2030-01-01T09:00Z")
    assert len(await series.occurrences(100)) == 100
    assert (await company.look(series.task)).occurrences is msgspec.UNSET
    plain = await company.task(await company.project())
    assert await series.occurrences(3, plain) == []


DUE = at("2027-01-01T09:00Z")


@pytest.mark.parametrize(
    ("pointer", "fields"),
    [
        ("/recurrence", {"recurrence": NewRecurrence(rule="FREQ=DAILY")}),
        ("/recurrence", {"recurrence": NewRecurrence(rule="FREQ=DAILY"), "due_at": at("0001-01-01T09:00Z")}),
        ("/recurrence", {"recurrence": NewRecurrence(rule="FREQ=DAILY"), "due_at": at("9999-12-31T09:00Z")}),
        ("/recurrence/timezone", {"recurrence": NewRecurrence(rule="FREQ=DAILY", timezone="Mars/Base"), "due_at": DUE}),
        ("/recurrence/rule", {"recurrence": NewRecurrence(rule="RRULE:FREQ=DAILY"), "due_at": DUE}),
        ("/recurrence/rule", {"recurrence": NewRecurrence(rule="FREQ=HOURLY"), "due_at": DUE}),
        ("/recurrence/rule", {"recurrence": NewRecurrence(rule="FREQ=DAILY;BYHOUR=9,17"), "start_at": DUE}),
        ("/recurrence/rule", {"recurrence": NewRecurrence(rule="FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"), "due_at": DUE}),
        ("/recurrence/rule", {"recurrence": NewRecurrence(rule="FREQ=DAILY;UNTIL=20261231T235959Z"), "due_at": DUE}),
    ],
)
async def test_what_cannot_recur_is_refused(stage: Stage, company: Company, pointer: str, fields: Any) -> None:
    project = await company.project()
    task = await company.task(project)
    good = CreateTask(project_id=project.id, title="Good")
    bad = CreateTask(project_id=project.id, title="Bad", **fields)
    for message in (bad, UpdateTask(id=task.id, **fields)):
        with pytest.raises(Invalid) as refusal:
            await stage.ask(message, caller=company.ada)
        assert (refusal.value.code, [fault.pointer for fault in refusal.value.faults]) == ("request.invalid", [pointer])
    answers = await stage.ask_all([good, bad, good], caller=company.ada)
    assert [getattr(answer, "number", None) for answer in answers] == [2, None, 3]


async def test_its_date_cannot_be_taken_away(company: Company) -> None:
    series = await Series.begin(company, "FREQ=DAILY;UNTIL=20270105", "2027-01-01T09:00Z")
    with pytest.raises(Invalid) as refused:
        await series.change(due_at=None)
    assert [fault.pointer for fault in refused.value.faults] == ["/recurrence"]
    # one that is late may be later than the last date of its rule
    late = await series.change(due_at=at("2027-02-01T09:00Z"))
    assert await series.next() is None
    assert await series.occurrences(10, late) == []
    assert (await series.change(due_at=None, recurrence=None)).due_at is None
