"""What waits for somebody."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from actors.contracts.task import DeleteTask, GetTaskSummary, TaskSummary
from actors.contracts.task_project import RemoveMember
from actors.contracts.user import Person, UserCreated
from actors.task_summary import day_of
from runtime.errors import Unauthenticated
from runtime.testing import Stage
from tests.actors.company import Company

HOUR = timedelta(hours=1)


async def test_open_tasks_that_are_assigned_are_counted(stage: Stage, company: Company) -> None:
    project = await company.project()
    await company.join(project, company.bob)
    now = datetime.fromtimestamp(stage.now / 1000, UTC)
    mine: dict[str, Any] = {"assignee_ids": [company.ada]}
    for due in (None, now - 30 * HOUR, now - HOUR, now, now + HOUR, now + 30 * HOUR):
        await company.task(project, due_at=due, **mine)
    for status in ("done", "cancelled"):
        await company.task(project, status=status, due_at=now - HOUR, **mine)
    gone = await company.task(project, due_at=now - HOUR, **mine)
    await stage.ask(DeleteTask(id=gone.id), caller=company.ada)
    await company.task(project, due_at=now - HOUR, assignee_ids=[company.bob])
    await company.task(project, due_at=now - HOUR)
    assert await stage.ask(GetTaskSummary(), caller=company.ada) == TaskSummary(
        assigned=6, overdue=2, due_today=3, projects=[project]
    )


async def test_today_is_the_day_of_ones_time_zone(stage: Stage, company: Company) -> None:
    """In Auckland it is past midnight when it is noon in Greenwich, summer time of 13 hours."""
    person = Person(id=company.ada, name="Ada", active=True, version=1, timezone="Pacific/Auckland")
    await stage.given(UserCreated(person=person))
    project = await company.project()
    now = datetime.fromtimestamp(stage.now / 1000, UTC)
    midnight = now.replace(hour=11, minute=0, second=0, microsecond=0) + (24 * HOUR if now.hour >= 11 else 0 * HOUR)
    for due in (midnight - timedelta(milliseconds=1), midnight - 24 * HOUR, midnight, midnight - 25 * HOUR):
        await company.task(project, due_at=due, assignee_ids=[company.ada])
    summary = await stage.ask(GetTaskSummary(), caller=company.ada)
    assert (summary.assigned, summary.due_today) == (4, 2)


async def test_there_are_the_ten_newest_projects_and_none_of_others(stage: Stage, company: Company) -> None:
    for n in range(12):
        stage.advance(seconds=1)
        await company.project(str(n))
    summary = await stage.ask(GetTaskSummary(), caller=company.ada)
    assert [project.name for project in summary.projects] == [str(n) for n in range(11, 1, -1)]
    nothing = TaskSummary(assigned=0, overdue=0, due_today=0, projects=[])
    assert await stage.ask(GetTaskSummary(), caller=company.eve) == nothing
    with pytest.raises(Unauthenticated, match=r"auth\.required"):
        await stage.ask(GetTaskSummary())


async def test_what_one_has_left_waits_no_longer(stage: Stage, company: Company) -> None:
    project = await company.project()
    await company.join(project, company.bob)
    await company.task(project, assignee_ids=[company.bob])
    await stage.ask(RemoveMember(id=project.id, user_id=company.bob), caller=company.bob)
    assert (await stage.ask(GetTaskSummary(), caller=company.bob)).assigned == 0


@pytest.mark.parametrize(
    ("zone", "hours"),
    [("UTC", 24), ("Europe/Berlin", 25), ("America/New_York", 24)],  # Berlin's clocks go back on that day
)
def test_a_day_is_as_long_as_it_is_there(zone: str, hours: int) -> None:
    noon = int(datetime(2026, 10, 25, 12, tzinfo=UTC).timestamp() * 1000)
    start, end = day_of(noon, zone)
    assert start <= noon < end
    assert end - start == hours * 3600 * 1000
