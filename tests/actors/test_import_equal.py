"""What makes an imported project equal to the one that was exported: its key, and where its series stand."""

from __future__ import annotations

import json
from typing import Any

import pytest

from actors.contracts.task import GetTask, Task, UpdateTask
from actors.contracts.task_project import CreateProject, GetProject, Project
from actors.contracts.task_recurrence import NewRecurrence
from actors.contracts.values import milliseconds
from edge.exports import SAID
from tests.actors.importing import Importers
from tests.actors.test_import_troupe_json import ID, export, said
from tests.actors.test_recurring_tasks import at

LOST = "2027-03-28T03:30:00+02:00"
"""What 02:30 is where that hour is left out."""


async def brought(importers: Importers, project: Project, caller: str | None = None, into: str | None = None) -> str:
    """A project's export, imported; the project that it is now."""
    file = await importers.exported(project)
    result = await importers.imported(file, into, format="troupe-json", caller=caller)
    assert (result.status, result.errors) == ("done", [])
    assert result.project_id is not None
    return result.project_id


# ------------------------------------------------------------------------------------------------- the key


async def key_of(importers: Importers, project_id: str, caller: str) -> str:
    return (await importers.stage.ask(GetProject(id=project_id), caller=caller)).key


async def test_a_key_comes_along_where_it_is_free(importers: Importers) -> None:
    project = await importers.project("Apollo", key="MOON", description="x" * 5000)
    await importers.task(project)
    assert await key_of(importers, await brought(importers, project, importers.bob), importers.bob) == "MOON"
    assert await key_of(importers, await brought(importers, project), importers.ada) == "APOL"
    assert await key_of(importers, project.id, importers.ada) == "MOON"


async def test_a_key_that_tasks_go_by_already_stays(importers: Importers) -> None:
    project = await importers.project("Apollo", key="MOON")
    empty = await importers.stage.ask(CreateProject(name="Empty"), caller=importers.bob)
    assert await key_of(importers, await brought(importers, project, importers.bob, empty.id), importers.bob) == "MOON"
    used = await importers.project("Used", key="USED")
    await importers.task(used)
    assert await key_of(importers, await brought(importers, project, into=used.id), importers.ada) == "USED"


async def test_an_editor_changes_no_key(importers: Importers) -> None:
    project, other = await importers.project("Apollo", key="MOON"), await importers.project("Gemini", key="TWIN")
    await importers.join(other, importers.bob)
    await importers.task(project)
    assert await key_of(importers, await brought(importers, project, importers.bob, other.id), importers.ada) == "TWIN"


@pytest.mark.parametrize("key", ["moon", "M", "MOON\n", "=1+1", "M" * 11, 7, None])
async def test_what_is_no_key_is_left_out(importers: Importers, key: Any) -> None:
    file = {"project": {"name": "Apollo", "key": key}, "members": [], "labels": [], "tasks": []}
    result = await importers.imported(json.dumps(file).encode(), format="troupe-json")
    assert result.project_id is not None
    assert await key_of(importers, result.project_id, importers.ada) == "APOL"


# --------------------------------------------------------------------------------------------------- series


async def series_in(importers: Importers, project_id: str) -> list[Any]:
    """Of each task, in the order of their numbers: status, due date, and what would follow."""
    tasks = [await shown(importers, each) for each in await importers.tasks_in(project_id)]
    return [(each.number, each.status, each.due_at, each.recurrence, each.occurrences) for each in tasks]


async def shown(importers: Importers, task: Task) -> Task:
    return await importers.stage.ask(GetTask(id=task.id, occurrences=10), caller=importers.ada)


async def set_status(importers: Importers, project_id: str, number: int, *statuses: Any) -> int:
    """How many tasks there are then."""
    (task,) = [each for each in await importers.tasks_in(project_id) if each.number == number]
    for status in statuses:
        await importers.stage.ask(UpdateTask(id=task.id, status=status), caller=importers.ada)
    return len(await importers.tasks_in(project_id))


async def test_a_series_goes_on_where_it_was(importers: Importers) -> None:
    project = await importers.project()
    rule = NewRecurrence(rule="FREQ=DAILY;COUNT=3", timezone="Europe/Berlin")
    await importers.task(project, due_at=at("2027-01-04T09:00+01:00"), recurrence=rule)
    assert await set_status(importers, project.id, 1, "done", "todo") == 2
    there = await brought(importers, project)
    assert await series_in(importers, there) == await series_in(importers, project.id)
    assert await set_status(importers, there, 1, "done") == 2, "its next is there already"
    assert await set_status(importers, there, 2, "done") == 3
    assert await set_status(importers, there, 3, "done") == 3, "COUNT counts from the first of all"


async def test_a_time_in_a_lost_hour_is_still_meant_as_it_was(importers: Importers) -> None:
    project = await importers.project()
    rule = NewRecurrence(rule="FREQ=DAILY", timezone="Europe/Berlin")
    await importers.task(project, due_at=at("2027-03-27T02:30+01:00"), recurrence=rule)
    await set_status(importers, project.id, 1, "done")
    there = await brought(importers, project)
    here = await series_in(importers, project.id)
    assert await series_in(importers, there) == here
    assert here[1][2] == "2027-03-28T01:30:00.000Z"
    assert here[1][4][0] == "2027-03-29T00:30:00.000Z", "and is half past two again"


@pytest.mark.parametrize(
    "shows",
    ["2027-03-28T02:00:00", "0001-01-01T00:00:00", "9999-12-31T23:59:59.999999", "2027-03-28T03:30:00"],
)
async def test_what_no_clock_can_have_shown_moves_nothing(importers: Importers, shows: str) -> None:
    task = {
        "id": "00000000-0000-7000-8000-000000000001",
        "title": "Land",
        "due_at": LOST,
        "recurrence": {"rule": "FREQ=DAILY", "timezone": "Europe/Berlin"},
        "series": {"walls": [{"at": LOST, "shows": shows}]},
    }
    file = {"project": {"name": "Apollo"}, "members": [], "labels": [], "tasks": [task]}
    result = await importers.imported(json.dumps(file).encode(), format="troupe-json")
    (came,) = await importers.tasks_in(result.project_id)
    following = (await shown(importers, came)).occurrences
    assert isinstance(following, list)
    assert milliseconds(at(following[0])) == milliseconds(at("2027-03-29T03:30:00+02:00"))


# ------------------------------------------------------------------------------------------------- comments


async def test_a_task_of_more_than_8_mib_comes_whole(importers: Importers) -> None:
    comments = [said(n, f"{n} {'x' * 65_000}") for n in range(130)]
    file = export({"id": ID, "title": "Long", "comments": comments})
    assert len(file) > 8 << 20
    result = await importers.imported(file, format="troupe-json")
    assert (result.status, result.created, result.errors) == ("done", 1, [])
    assert result.project_id is not None
    project = await importers.stage.ask(GetProject(id=result.project_id), caller=importers.ada)
    (task,) = json.loads(await importers.exported(project))["tasks"]
    assert [each["body"] for each in task["comments"]] == [each["body"] for each in comments]
    assert task["comment_count"] == len(comments) > 2 * SAID
