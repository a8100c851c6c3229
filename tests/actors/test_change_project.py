"""Reading, changing and deleting a project."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import msgspec
import pytest

from actors.contracts.task import CreateTask, DeleteTask, GetTask, ListTasks, TasksErased
from actors.contracts.task_comment import ListComments
from actors.contracts.task_project import (
    CreateProject,
    DeleteProject,
    EraseProject,
    GetProject,
    ListProjects,
    MemberRemoved,
    Project,
    ProjectUpdated,
    UpdateProject,
)
from actors.contracts.values import rfc3339
from actors.task_projects import ERASED_AT_ONCE
from runtime.errors import Conflict, Forbidden, NotFound, PreconditionFailed
from runtime.testing import Stage
from tests.actors.company import Company
from tests.sql import sql


async def change(company: Company, project: Project, caller: str | None = None, **fields: Any) -> Project:
    return await company.stage.ask(UpdateProject(id=project.id, **fields), caller=caller or company.ada)


async def test_a_member_sees_a_project_with_their_role(stage: Stage, company: Company) -> None:
    project = await company.project()
    await company.join(project, company.bob, "viewer")
    assert await stage.ask(GetProject(id=project.id), caller=company.ada) == project
    seen = await stage.ask(GetProject(id=project.id), caller=company.bob)
    assert seen == msgspec.structs.replace(project, role="viewer")


async def test_b77_a_hidden_project_can_be_neither_read_nor_changed_nor_deleted(stage: Stage, company: Company) -> None:
    project = await company.project()
    for hidden in (project.id, str(uuid.uuid4())):
        await company.refuses(
            NotFound,
            "project.not_found",
            company.eve,
            GetProject(id=hidden),
            UpdateProject(id=hidden, name="mine"),
            DeleteProject(id=hidden),
        )


async def test_changed_fields_are_stored_and_told(stage: Stage, company: Company) -> None:
    project = await company.project(description="the first")
    stage.advance(seconds=1)
    company.events()
    changed = await change(company, project, name="Gemini", description=None, key="GEM")
    assert (changed.name, changed.description, changed.key, changed.version) == ("Gemini", "", "GEM", 2)
    assert (changed.created_at, changed.updated_at) == (project.created_at, rfc3339(stage.now))
    assert await stage.ask(GetProject(id=project.id), caller=company.ada) == changed
    fields = ["name", "description", "key"]
    assert company.events() == [
        ProjectUpdated(project=changed, changed=fields, actor_id=company.ada, at=changed.updated_at)
    ]


async def test_without_a_difference_a_project_stays_as_it_is(company: Company) -> None:
    project = await company.project()
    company.events()
    assert await change(company, project) == project
    assert await change(company, project, name="Apollo", description="", key="APOL") == project
    assert company.events() == []


async def test_a_key_of_null_is_made_from_the_name(company: Company) -> None:
    await company.project("Moon Base")
    project = await company.project("Apollo", key="XX")
    assert (await change(company, project, name="Moon Base", key=None)).key == "MB2"


async def test_a_key_that_another_project_of_its_creator_has_is_taken(stage: Stage, company: Company) -> None:
    await company.project(key="MOON")
    project = await company.project()
    with pytest.raises(Conflict, match=r"project\.key_taken"):
        await change(company, project, key="MOON")
    others = await stage.ask(CreateProject(name="Bob's", key="MARS"), caller=company.bob)
    assert (await change(company, project, key="MARS")).key == others.key


async def test_of_two_projects_that_take_one_key_at_once_one_gets_it(company: Company) -> None:
    for key in ("AA", "BB", "CC"):
        one, other = await company.project(), await company.project()
        results = await asyncio.gather(
            change(company, one, key=key), change(company, other, key=key), return_exceptions=True
        )
        assert sorted(type(result).__name__ for result in results) == ["Conflict", "Project"]


async def test_only_owners_change_and_delete_a_project(stage: Stage, company: Company) -> None:
    project = await company.project()
    await company.join(project, company.bob, "editor")
    with pytest.raises(Forbidden, match=r"auth\.forbidden"):
        await change(company, project, company.bob, name="mine")
    with pytest.raises(Forbidden, match=r"auth\.forbidden"):
        await stage.ask(DeleteProject(id=project.id), caller=company.bob)


async def test_a_stale_tag_keeps_a_project_as_it_is(stage: Stage, company: Company) -> None:
    project = await company.project()
    changed = await change(company, project, name="second", if_match=(1,))
    with pytest.raises(PreconditionFailed, match=r"request\.precondition_failed"):
        await change(company, project, name="third", if_match=(1,))
    with pytest.raises(PreconditionFailed, match=r"request\.precondition_failed"):
        await stage.ask(DeleteProject(id=project.id, if_match=(1,)), caller=company.ada)
    assert await stage.ask(GetProject(id=project.id), caller=company.ada) == changed


async def test_b83_of_two_changes_of_a_project_at_once_with_one_tag_one_is_made(company: Company) -> None:
    for _ in range(5):
        project = await company.project()
        results = await asyncio.gather(
            *(change(company, project, name=name, if_match=(1,)) for name in ("one", "other")), return_exceptions=True
        )
        assert sorted(type(result).__name__ for result in results) == ["PreconditionFailed", "Project"]


async def test_a_deleted_project_is_gone_for_all_with_everything_in_it(stage: Stage, company: Company) -> None:
    project = await company.project(key="GONE")
    kept = await company.task(await company.project(), "kept")
    await company.join(project, company.bob, "editor")
    label = await company.label(project)
    tasks = [await company.task(project, f"gone {n}", label_ids=[label.id]) for n in range(3)]
    await company.comment(tasks[0], "gone too")
    await stage.ask(DeleteTask(id=tasks[2].id), caller=company.ada)
    company.events()
    await stage.ask(DeleteProject(id=project.id), caller=company.ada)
    for caller in (company.ada, company.bob):
        await company.refuses(NotFound, "task.not_found", caller, GetTask(id=tasks[0].id), ListComments(id=tasks[0].id))
        assert project not in (await stage.ask(ListProjects(), caller=caller)).items
    assert (await stage.ask(CreateProject(name="Again", key="GONE"), caller=company.ada)).key == "GONE"

    await stage.drain()
    events = company.events()
    removed = [event for event in events if isinstance(event, MemberRemoved)]
    assert sorted(event.user_id for event in removed) == sorted([company.ada, company.bob])
    (erased,) = (event for event in events if isinstance(event, TasksErased))
    assert sorted(erased.task_ids) == sorted(task.id for task in tasks)
    reader = sql(stage.dispatches["task"].store.reader)
    for table in ("task", "label", "board"):
        counted = f"select count(*) as rows from {table} where project_id = $1"
        assert await reader.fetch(counted, project.id) == [{"rows": 0}]
    assert [task.id for task in (await stage.ask(ListTasks(q="kept"), caller=company.ada)).items] == [kept.id]
    assert (await stage.ask(ListTasks(q="gone"), caller=company.ada)).items == []


async def test_a_large_project_is_erased_in_pieces(stage: Stage, company: Company) -> None:
    project = await company.project()
    await stage.ask_all([CreateTask(project_id=project.id, title="x")] * (ERASED_AT_ONCE + 1), caller=company.ada)
    company.events()
    await stage.ask(DeleteProject(id=project.id), caller=company.ada)
    await stage.drain()
    pieces = [event.task_ids for event in company.events() if isinstance(event, TasksErased)]
    assert [len(piece) for piece in pieces] == [ERASED_AT_ONCE, 1]
    await stage.given(EraseProject(id=project.id))  # again: there is nothing left
    assert company.events() == []
