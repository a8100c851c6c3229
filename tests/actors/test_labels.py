"""Labels of a project, and what becomes of its tasks when one is deleted."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest

from actors.contracts.task import CreateTask, DeleteTask, LabelTask, ListTasks, TaskUpdated, UnlabelTask, UpdateTask
from actors.contracts.task_label import CreateLabel, DeleteLabel, Label, ListLabels, UpdateLabel
from runtime.errors import Conflict, Forbidden, NotFound, PreconditionFailed
from runtime.testing import Stage
from tests.actors.company import Company


async def change(company: Company, label: Label, caller: str | None = None, **fields: Any) -> Label:
    return await company.stage.ask(UpdateLabel(id=label.id, **fields), caller=caller or company.ada)


async def test_labels_are_made_by_editors_and_listed_newest_first(stage: Stage, company: Company) -> None:
    project, other = await company.project(), await company.project()
    await company.join(project, company.bob, "editor")
    await company.join(project, company.eve, "viewer")
    made = await stage.ask(CreateLabel(id=project.id, name="bug", color="#D73A4a"), caller=company.bob)
    assert (made.project_id, made.name, made.color, made.version) == (project.id, "bug", "#D73A4a", 1)
    plain = await company.label(project, "Bug")
    assert plain.color == "#808080"
    await company.label(other, "bug")  # a name of its own in each project
    assert (await stage.ask(ListLabels(id=project.id), caller=company.eve)).items == [plain, made]


async def test_labels_are_listed_in_pages(stage: Stage, company: Company) -> None:
    project = await company.project()
    labels = [await company.label(project, str(n)) for n in range(5)]
    page = await stage.ask(ListLabels(id=project.id, limit=2), caller=company.ada)
    listed = list(page.items)
    while page.next_cursor:
        page = await stage.ask(ListLabels(id=project.id, limit=2, cursor=page.next_cursor), caller=company.ada)
        listed += page.items
    assert listed == labels[::-1]


async def test_a_name_is_taken_once_in_a_project(stage: Stage, company: Company) -> None:
    project = await company.project()
    await company.label(project, "bug")
    other = await company.label(project, "idea")
    with pytest.raises(Conflict, match=r"label\.name_taken"):
        await company.label(project, "bug")
    with pytest.raises(Conflict, match=r"label\.name_taken"):
        await change(company, other, name="bug")
    results = await asyncio.gather(*(company.label(project, "late") for _ in range(3)), return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["Conflict", "Conflict", "Label"]


async def test_a_label_is_renamed_and_recoloured(company: Company) -> None:
    label = await company.label(await company.project(), "bug")
    changed = await change(company, label, name="defect", color="#ff0000")
    assert (changed.name, changed.color, changed.version) == ("defect", "#ff0000", 2)
    assert (await change(company, label, color=None)).color == "#808080"
    assert (await change(company, label, name="defect")).version == 3  # no difference


async def test_b83_of_two_changes_of_a_label_at_once_with_one_tag_one_is_made(company: Company) -> None:
    project = await company.project()
    for n in range(5):
        label = await company.label(project, str(n))
        results = await asyncio.gather(
            *(change(company, label, name=f"{n} {name}", if_match=(1,)) for name in ("one", "other")),
            return_exceptions=True,
        )
        assert sorted(type(result).__name__ for result in results) == ["Label", "PreconditionFailed"]


async def test_b77_labels_of_a_hidden_project_are_as_missing_ones(stage: Stage, company: Company) -> None:
    project = await company.project()
    label = await company.label(project)
    await company.refuses(
        NotFound, "project.not_found", company.eve, CreateLabel(id=project.id, name="mine"), ListLabels(id=project.id)
    )
    for hidden in (label.id, str(uuid.uuid4())):
        await company.refuses(
            NotFound, "label.not_found", company.eve, UpdateLabel(id=hidden, name="mine"), DeleteLabel(id=hidden)
        )


async def test_viewers_make_change_and_delete_no_labels(stage: Stage, company: Company) -> None:
    project = await company.project()
    label = await company.label(project)
    await company.join(project, company.bob, "viewer")
    await company.refuses(
        Forbidden,
        "auth.forbidden",
        company.bob,
        CreateLabel(id=project.id, name="x"),
        UpdateLabel(id=label.id),
        DeleteLabel(id=label.id),
    )


async def test_a_deleted_label_is_taken_off_all_tasks(stage: Stage, company: Company) -> None:
    project = await company.project()
    label, kept = await company.label(project, "bug"), await company.label(project, "kept")
    both = await company.task(project, label_ids=[kept.id, label.id])
    without = await company.task(project, label_ids=[kept.id])
    trashed = await company.task(project, label_ids=[label.id])
    await stage.ask(DeleteTask(id=trashed.id), caller=company.ada)
    company.events()
    with pytest.raises(PreconditionFailed, match=r"request\.precondition_failed"):
        await stage.ask(DeleteLabel(id=label.id, if_match=(2,)), caller=company.ada)
    await stage.ask(DeleteLabel(id=label.id, if_match=(1,)), caller=company.ada)
    now = await company.look(both)
    assert (now.label_ids, now.version) == ([kept.id], 2)
    assert await company.history(both) == [("label_ids", [kept.id, label.id], [kept.id])]
    assert await company.look(without) == without
    assert (await company.look(trashed)).label_ids == []
    told = [event for event in company.events() if isinstance(event, TaskUpdated)]
    assert sorted(event.task.id for event in told) == sorted([both.id, trashed.id])
    assert (await stage.ask(ListTasks(label_id=[label.id]), caller=company.ada)).items == []
    with pytest.raises(NotFound, match=r"label\.not_found"):
        await stage.ask(DeleteLabel(id=label.id), caller=company.ada)


async def test_a_label_that_is_deleted_meanwhile_is_on_no_task(stage: Stage, company: Company) -> None:
    project = await company.project()
    for n in range(5):
        task, label = await company.task(project), await company.label(project, str(n))
        _, *results = await asyncio.gather(
            company.attempt(DeleteLabel(id=label.id), company.ada),
            company.attempt(LabelTask(id=task.id, label_id=label.id), company.ada),
            company.attempt(UpdateTask(id=task.id, label_ids=[label.id]), company.ada),
            company.attempt(CreateTask(project_id=project.id, title="Dock", label_ids=[label.id]), company.ada),
        )
        assert {type(result).__name__ for result in results} <= {"Task", "NotFound", "Invalid"}, results
        assert (await company.look(task)).label_ids == []
        assert (await stage.ask(ListTasks(label_id=[label.id]), caller=company.ada)).items == []


# ------------------------------------------------------------------------------------------------- on a task


async def test_a_label_is_put_on_a_task_and_taken_off_once(stage: Stage, company: Company) -> None:
    project = await company.project()
    label, task = await company.label(project), await company.task(project)
    company.events()
    for _ in range(2):
        labelled = await stage.ask(LabelTask(id=task.id, label_id=label.id), caller=company.ada)
        assert (labelled.label_ids, labelled.version) == ([label.id], 2)
    assert [task.id for task in (await stage.ask(ListTasks(label_id=[label.id]), caller=company.ada)).items] == [
        task.id
    ]
    with pytest.raises(PreconditionFailed, match=r"request\.precondition_failed"):
        await stage.ask(UnlabelTask(id=task.id, label_id=label.id, if_match=(1,)), caller=company.ada)
    for _ in range(2):
        plain = await stage.ask(UnlabelTask(id=task.id, label_id=label.id), caller=company.ada)
        assert (plain.label_ids, plain.version) == ([], 3)
    assert [type(event) for event in company.events()] == [TaskUpdated, TaskUpdated]


async def test_b78_a_label_of_another_project_is_no_label_of_this_one(stage: Stage, company: Company) -> None:
    task, other = await company.task(await company.project()), await company.label(await company.project())
    for foreign in (other.id, str(uuid.uuid4())):
        with pytest.raises(NotFound, match=r"label\.not_found"):
            await stage.ask(LabelTask(id=task.id, label_id=foreign), caller=company.ada)
    assert await company.look(task) == task
