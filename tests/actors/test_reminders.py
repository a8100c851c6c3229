"""Reminders: at their time, once, to those who wait for them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from actors.contracts.task import AssignTask, DeleteTask, RestoreTask, Task, UpdateTask, WatchTask
from actors.contracts.task_reminder import TaskDue
from actors.contracts.values import rfc3339
from actors.task_reminders import AT_ONCE
from runtime.testing import Stage
from tests.actors.company import Company
from tests.actors.conftest import schemas, task_actor
from tests.actors.town import Town


def later(stage: Stage, minutes: float) -> datetime:
    return datetime.fromtimestamp((stage.now + minutes * 60_000) / 1000, UTC)


async def task(company: Company, *minutes: float) -> Task:
    """One with reminders so many minutes from now."""
    return await company.task(await company.project(), remind_at=[later(company.stage, each) for each in minutes])


async def fired(stage: Stage, id: str) -> list[TaskDue]:
    """Of one task, after another tick."""
    await stage.tick("task", "remind")
    return [each for each in stage.events if isinstance(each, TaskDue) and each.task.id == id]


async def test_each_time_is_reminded_of_once(stage: Stage, company: Company) -> None:
    made = await task(company, 1, 10)
    first = rfc3339(stage.now + 60_000)
    assert await fired(stage, made.id) == []
    stage.advance(minutes=1)
    (event,) = await fired(stage, made.id)
    assert (event.remind_at, event.actor_id, event.audience_ids) == (first, None, [company.ada])
    stage.advance(seconds=5)
    assert len(await fired(stage, made.id)) == 1
    stage.advance(minutes=9)
    assert len(await fired(stage, made.id)) == 2


async def test_what_came_while_nothing_ran_is_made_up_for_once(stage: Stage, company: Company) -> None:
    made = await task(company, 1)
    stage.advance(hours=1)
    (event,) = await fired(stage, made.id)
    assert (event.at, event.remind_at) == (rfc3339(stage.now), rfc3339(stage.now - 59 * 60_000))
    stage.advance(seconds=5)
    assert len(await fired(stage, made.id)) == 1


async def test_a_time_that_has_passed_when_it_is_set_is_none(stage: Stage, company: Company) -> None:
    made = await task(company, -1)
    assert await fired(stage, made.id) == []


async def test_assignees_and_watchers_are_reminded_instead_of_the_creator(stage: Stage, company: Company) -> None:
    project = await company.project()
    await company.join(project, company.bob)
    await company.join(project, company.eve, "viewer")
    made = await company.task(project, remind_at=[later(stage, 1)])
    await stage.ask(AssignTask(id=made.id, user_id=company.bob), caller=company.ada)
    await stage.ask(WatchTask(id=made.id), caller=company.eve)
    stage.advance(minutes=1)
    (event,) = await fired(stage, made.id)
    assert sorted(event.audience_ids) == sorted([company.bob, company.eve])


async def test_changed_times_take_the_place_of_the_old_ones(stage: Stage, company: Company) -> None:
    made = await task(company, 1, 2)
    kept, added = later(stage, 2), later(stage, 3)
    await stage.ask(UpdateTask(id=made.id, remind_at=[kept, added]), caller=company.ada)
    stage.advance(minutes=1)
    assert await fired(stage, made.id) == []
    stage.advance(minutes=2)
    assert [each.remind_at for each in await fired(stage, made.id)] == [
        rfc3339(stage.now - 60_000),
        rfc3339(stage.now),
    ]
    await stage.ask(UpdateTask(id=made.id, remind_at=[kept]), caller=company.ada)
    stage.advance(minutes=1)
    assert len(await fired(stage, made.id)) == 2


async def test_the_trash_reminds_of_nothing(stage: Stage, company: Company) -> None:
    made = await task(company, 1, 2)
    await stage.ask(DeleteTask(id=made.id), caller=company.ada)
    stage.advance(minutes=1)
    assert await fired(stage, made.id) == []
    await stage.ask(RestoreTask(id=made.id), caller=company.ada)
    assert await fired(stage, made.id) == []
    stage.advance(minutes=1)
    assert len(await fired(stage, made.id)) == 1


async def test_many_at_once_do_not_wait_for_the_next_tick(stage: Stage, company: Company) -> None:
    project = await company.project()
    times = [later(stage, 1 + each / 100) for each in range(10)]
    tasks = [await company.task(project, remind_at=times) for _ in range(AT_ONCE // 10 + 1)]
    stage.advance(minutes=2)
    await stage.tick("task", "remind")
    ids = {each.id for each in tasks}
    due = [each for each in stage.events if isinstance(each, TaskDue) and each.task.id in ids]
    assert len({(each.task.id, each.remind_at) for each in due}) == len(due) == AT_ONCE + 10


async def test_two_replicas_remind_once(database: str | None, run_id: str, tmp_path: Path) -> None:
    async with contextlib.AsyncExitStack() as stack:
        if database:
            store_url = await stack.enter_async_context(schemas(database, f"two_{run_id}"))
        else:
            store_url = lambda actor: f"sqlite:{tmp_path}/{actor}.db"  # noqa: E731 # one line is clearer
        one, other = [
            await stack.enter_async_context(Stage(task_actor(tmp_path / "imports"), store_url=store_url))
            for _ in range(2)
        ]
        company = Company(one)
        made = await task(company, 1, 2)

        async def due(stages: Sequence[Stage]) -> list[str]:
            await asyncio.gather(*(stage.tick("task", "remind") for stage in stages))
            return sorted(
                each.remind_at
                for stage in stages
                for each in stage.events
                if isinstance(each, TaskDue) and each.task.id == made.id
            )

        for stage in (one, other):
            stage.advance(minutes=1)
        assert await due([one, other]) == made.remind_at[:1]
        one.advance(minutes=60)  # their clocks need not agree, so both may have a slot of their own
        other.advance(minutes=61)
        assert await due([one, other]) == made.remind_at


async def test_a_reminder_is_in_the_inbox_and_in_the_mail(town: Town) -> None:
    ada, bob = await town.person("Ada"), await town.person("Bob")
    project = await town.project(ada, bob)
    await town.task(project, ada, "Land", assignee_ids=[bob.id], remind_at=[later(town.stage, 1)])
    town.stage.advance(minutes=1)
    await town.stage.tick("task", "remind")
    assert (await town.kinds(bob))[0] == "task_due"
    assert await town.kinds(ada) == []
    assert town.mails(bob)[-1]["Subject"] == "A reminder: Land"
