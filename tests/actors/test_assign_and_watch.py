"""Assignees and watchers of one task, each set or taken off by itself."""

from __future__ import annotations

import asyncio

import pytest

from actors.contracts.task import (
    AssignTask,
    DeleteTask,
    LabelTask,
    TaskAssigned,
    TaskDeleted,
    TaskUpdated,
    UnassignTask,
    UnlabelTask,
    UnwatchTask,
    UpdateTask,
    WatchTask,
)
from runtime.errors import Conflict, Forbidden, Invalid, NotFound, PreconditionFailed
from runtime.ports import Blobs
from runtime.testing import Stage
from tests.actors.company import Company


async def test_someone_is_assigned_once_and_told(stage: Stage, company: Company) -> None:
    project = await company.project()
    await company.join(project, company.bob, "viewer")
    task = await company.task(project, assignee_ids=[company.ada])
    company.events()
    for _ in range(2):
        assigned = await stage.ask(AssignTask(id=task.id, user_id=company.bob), caller=company.ada)
        assert (assigned.assignee_ids, assigned.version) == ([company.ada, company.bob], 2)
    assert await company.history(task) == [("assignee_ids", [company.ada], [company.ada, company.bob])]
    updated, told = company.events()
    assert isinstance(updated, TaskUpdated)
    assert isinstance(told, TaskAssigned)
    assert (told.assignee_id, told.task) == (company.bob, assigned)


async def test_assignment_needs_no_user_actor(stand: tuple[Stage, Blobs]) -> None:
    alone = Company(stand[0])
    project = await alone.project()
    await alone.join(project, alone.bob, "viewer")
    task = await alone.task(project)
    assigned = await alone.stage.ask(AssignTask(id=task.id, user_id=alone.bob), caller=alone.ada)
    assert assigned.assignee_ids == [alone.bob]


async def test_an_assignee_is_taken_off_once(stage: Stage, company: Company) -> None:
    task = await company.task(await company.project(), assignee_ids=[company.ada])
    with pytest.raises(PreconditionFailed, match=r"request\.precondition_failed"):
        await stage.ask(UnassignTask(id=task.id, user_id=company.ada, if_match=(2,)), caller=company.ada)
    company.events()
    for _ in range(2):
        alone = await stage.ask(UnassignTask(id=task.id, user_id=company.ada), caller=company.ada)
        assert (alone.assignee_ids, alone.version) == ([], 2)
    assert await stage.ask(UnassignTask(id=task.id, user_id=company.eve), caller=company.ada) == alone
    assert [type(event) for event in company.events()] == [TaskUpdated]


async def test_assignments_at_once_are_all_made(stage: Stage, company: Company) -> None:
    project = await company.project()
    for person in (company.bob, company.eve):
        await company.join(project, person)
    task = await company.task(project)
    people = [company.ada, company.bob, company.eve]
    await asyncio.gather(*(stage.ask(AssignTask(id=task.id, user_id=person), caller=company.ada) for person in people))
    assert sorted((await company.look(task)).assignee_ids) == sorted(people)


async def test_b78_who_does_not_see_the_project_cannot_be_assigned(stage: Stage, company: Company) -> None:
    task = await company.task(await company.project())
    with pytest.raises(Invalid, match=r"task\.assignee_not_member") as refusal:
        await stage.ask(AssignTask(id=task.id, user_id=company.eve), caller=company.ada)
    assert refusal.value.faults == ()
    assert await company.look(task) == task


async def test_viewers_assign_nobody_not_even_themselves(stage: Stage, company: Company) -> None:
    project = await company.project()
    await company.join(project, company.bob, "viewer")
    task = await company.task(project)
    await company.refuses(
        Forbidden,
        "auth.forbidden",
        company.bob,
        AssignTask(id=task.id, user_id=company.bob),
        UnassignTask(id=task.id, user_id=company.bob),
        LabelTask(id=task.id, label_id=task.id),
        UnlabelTask(id=task.id, label_id=task.id),
    )


async def test_b77_nothing_is_hung_on_a_hidden_task_and_in_the_trash_nothing_on_any(
    stage: Stage, company: Company
) -> None:
    project = await company.project()
    task = await company.task(project, assignee_ids=[company.ada], label_ids=[(await company.label(project)).id])
    other = await company.label(project, "other")
    messages = [
        AssignTask(id=task.id, user_id=company.ada),
        UnassignTask(id=task.id, user_id=company.ada),
        LabelTask(id=task.id, label_id=other.id),
        UnlabelTask(id=task.id, label_id=other.id),
        WatchTask(id=task.id),
        UnwatchTask(id=task.id),
    ]
    await company.refuses(NotFound, "task.not_found", company.eve, *messages)
    await stage.ask(DeleteTask(id=task.id), caller=company.ada)
    await company.refuses(Conflict, "task.deleted", company.ada, *messages)


async def test_a_viewer_watches_and_is_told_until_they_stop(stage: Stage, company: Company) -> None:
    project = await company.project()
    await company.join(project, company.bob, "viewer")
    task = await company.task(project)
    for _ in range(2):
        watched = await stage.ask(WatchTask(id=task.id), caller=company.bob)
        assert (watched.watching, watched.watcher_count, watched.version) == (True, 1, 2)
    seen = await company.look(task)
    assert (seen.watching, seen.watcher_count) == (False, 1)  # the creator watches nothing by it
    company.events()
    await stage.ask(UpdateTask(id=task.id, title="Land softly"), caller=company.ada)
    (told,) = company.events()
    assert isinstance(told, TaskUpdated)
    assert told.audience_ids == sorted([company.ada, company.bob])
    with pytest.raises(PreconditionFailed, match=r"request\.precondition_failed"):
        await stage.ask(UnwatchTask(id=task.id, if_match=(2,)), caller=company.bob)
    for _ in range(2):
        unwatched = await stage.ask(UnwatchTask(id=task.id), caller=company.bob)
        assert (unwatched.watching, unwatched.watcher_count, unwatched.version) == (False, 0, 4)
    await stage.ask(DeleteTask(id=task.id), caller=company.ada)
    (deleted,) = company.events()
    assert isinstance(deleted, TaskDeleted)
    assert deleted.audience_ids == [company.ada]


async def test_who_watches_at_once_is_counted_once(stage: Stage, company: Company) -> None:
    project = await company.project()
    for person in (company.bob, company.eve):
        await company.join(project, person, "viewer")
    task = await company.task(project)
    await asyncio.gather(
        *(stage.ask(WatchTask(id=task.id), caller=person) for person in (company.bob, company.eve, company.bob))
    )
    assert (await company.look(task)).watcher_count == 2
