"""Putting tasks into projects."""

from __future__ import annotations

import asyncio
import uuid
from datetime import datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors.contracts.task import CreateTask, GetTask, Task, TaskAssigned, TaskCompleted, TaskCreated
from actors.task_places import position
from runtime.errors import Forbidden, Invalid, NotFound, Refusal
from runtime.testing import Stage
from tests.actors.company import Company
from tests.sql import sql

DUE = datetime(2026, 12, 24, 18, 0, tzinfo=timezone(timedelta(hours=2)))


async def test_a_task_has_what_it_was_given_and_defaults_for_the_rest(stage: Stage, company: Company) -> None:
    project = await company.project()
    task = await company.task(
        project,
        "Land",
        description="softly",
        priority=3,
        assignee_ids=[company.ada],
        due_at=DUE,
        remind_at=[DUE, DUE - timedelta(days=1), DUE],
        estimate_minutes=90,
    )
    assert (task.number, task.title, task.description, task.status, task.priority) == (1, "Land", "softly", "todo", 3)
    assert task.assignee_ids == [company.ada]
    assert task.due_at == "2026-12-24T16:00:00.000Z"
    assert task.remind_at == ["2026-12-23T16:00:00.000Z", "2026-12-24T16:00:00.000Z"]
    assert (task.estimate_minutes, task.created_by, task.version) == (90, company.ada, 1)
    assert (task.watching, task.watcher_count, task.label_ids, task.relations) == (False, 0, [], [])
    assert task.completed_at is task.deleted_at is task.parent_id is task.start_at is None
    assert await stage.ask(GetTask(id=task.id), caller=company.ada) == task


async def test_creation_assignment_and_completion_are_told(stage: Stage, company: Company) -> None:
    project = await company.project()
    await company.join(project, company.bob)
    company.events()
    task = await company.task(project, status="done", assignee_ids=[company.bob, company.ada, company.bob])
    by: dict[str, Any] = {"task": task, "actor_id": company.ada, "at": task.created_at}
    assert company.events() == [
        TaskCreated(**by),
        TaskAssigned(**by, assignee_id=company.bob),
        TaskAssigned(**by, assignee_id=company.ada),
        TaskCompleted(**by, audience_ids=[company.bob, company.ada]),
    ]
    assert task.completed_at == task.created_at


async def test_the_creation_is_in_the_history(stage: Stage, company: Company) -> None:
    task = await company.task(await company.project())
    reader = stage.dispatches["task"].store.reader
    (entry,) = await sql(reader).fetch("select * from activity where task_id = $1", task.id)
    assert (entry["actor_id"], entry["field"], entry["was"]) == (company.ada, "created_at", "null")
    assert msgspec.json.decode(entry["became"]) == task.created_at


async def test_b77_a_hidden_project_is_as_a_missing_one(stage: Stage, company: Company) -> None:
    project = await company.project()
    for hidden in (project.id, str(uuid.uuid4())):
        with pytest.raises(NotFound, match=r"project\.not_found"):
            await stage.ask(CreateTask(project_id=hidden, title="Spy"), caller=company.eve)


async def test_viewers_only_look(stage: Stage, company: Company) -> None:
    project = await company.project()
    await company.join(project, company.bob, "viewer")
    with pytest.raises(Forbidden, match=r"auth\.forbidden"):
        await stage.ask(CreateTask(project_id=project.id, title="Meddle"), caller=company.bob)


async def test_b78_foreign_ids_in_a_body_are_refused_where_they_stand(stage: Stage, company: Company) -> None:
    project, other = await company.project(), await company.project()
    elsewhere = await company.task(other)
    with pytest.raises(Invalid) as refusal:
        await company.task(
            project, assignee_ids=[company.ada, company.eve], label_ids=[str(uuid.uuid4())], parent_id=elsewhere.id
        )
    assert refusal.value.code == "request.invalid"
    assert [fault.pointer for fault in refusal.value.faults] == ["/assignee_ids/1", "/label_ids/0", "/parent_id"]


async def test_an_assignee_must_be_a_member(stage: Stage, company: Company) -> None:
    project = await company.project()
    with pytest.raises(Invalid, match=r"task\.assignee_not_member") as refusal:
        await company.task(project, assignee_ids=[company.eve])
    assert [fault.pointer for fault in refusal.value.faults] == ["/assignee_ids/0"]


async def test_labels_and_parent_of_the_project_are_taken(stage: Stage, company: Company) -> None:
    project = await company.project()
    label = str(uuid.uuid4())
    async with stage.dispatches["task"].store.transaction() as transaction:
        row = (label, project.id, "urgent", "#ff0000", 1)
        await sql(transaction).insert("label", ("id", "project_id", "name", "color", "version"), [row])
    parent = await company.task(project)
    task = await company.task(project, label_ids=[label], parent_id=parent.id)
    assert (task.label_ids, task.parent_id) == ([label], parent.id)


async def test_one_refused_command_does_not_disturb_its_neighbours(stage: Stage, company: Company) -> None:
    project = await company.project()
    await company.task(project)
    commands = [
        CreateTask(project_id=project.id, title="first"),
        CreateTask(project_id=str(uuid.uuid4()), title="nowhere"),
        CreateTask(project_id=project.id, title="stranger", assignee_ids=[company.eve]),
        CreateTask(project_id=project.id, title="second"),
    ]
    first, nowhere, stranger, second = await stage.ask_all(commands, caller=company.ada)
    assert isinstance(first, Task)
    assert isinstance(nowhere, NotFound)
    assert isinstance(stranger, Invalid)
    assert isinstance(second, Task)
    assert (first.number, second.number) == (2, 3)
    assert first.position < second.position


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    batches=st.lists(
        st.lists(st.tuples(st.integers(0, 2), st.booleans()), min_size=1, max_size=8), min_size=1, max_size=6
    )
)
async def test_numbers_have_no_gaps_whatever_comes_at_once(stage: Stage, batches: list[list[tuple[int, bool]]]) -> None:
    """Batches for three projects at once, in each some commands that are refused."""
    company = Company(stage)
    projects = [await company.project() for _ in range(3)]

    async def ask(batch: list[tuple[int, bool]]) -> list[Task | BaseException]:
        commands = [
            CreateTask(project_id=projects[index].id, title="x", assignee_ids=[] if good else [company.eve])
            for index, good in batch
        ]
        return await stage.ask_all(commands, caller=company.ada)

    answers = [answer for batch in await asyncio.gather(*map(ask, batches)) for answer in batch]
    assert all(isinstance(answer, Task | Refusal) for answer in answers)
    for project in projects:
        made = [answer for answer in answers if isinstance(answer, Task) and answer.project_id == project.id]
        made.sort(key=lambda task: task.number)
        assert [task.number for task in made] == list(range(1, len(made) + 1))
        assert [task.position for task in made] == sorted({task.position for task in made})


def test_positions_sort_as_texts_and_leave_room_between() -> None:
    numbers = [1, 2, 9, 10, 11, 99, 100, 101, 999_999, 1_000_000]
    places = [position(number) for number in numbers]
    assert places == sorted(places)
    fractions = [float(f"0.{place}") for place in places]
    assert fractions == sorted(set(fractions))
    assert not any(place.endswith("0") for place in places)
