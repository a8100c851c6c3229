"""Out of the trash again."""

from __future__ import annotations

import asyncio
import uuid

import pytest

from actors.contracts.task import DeleteTask, GetTask, ListTasks, RestoreTask, TasksErased, TaskUpdated
from runtime.errors import Forbidden, NotFound
from runtime.testing import Stage
from tests.actors.company import Company


async def test_restoring_brings_back_what_went_with_it_and_nothing_else(stage: Stage, company: Company) -> None:
    project = await company.project()
    top = await company.task(project, "top")
    below = await company.task(project, "below", parent_id=top.id)
    bottom = await company.task(project, "bottom", parent_id=below.id)
    earlier = await company.task(project, "earlier", parent_id=top.id)
    under = await company.task(project, "under", parent_id=earlier.id)
    await stage.ask(DeleteTask(id=earlier.id), caller=company.ada)
    stage.advance(seconds=1)
    await stage.ask(DeleteTask(id=top.id), caller=company.ada)
    gone = await company.look(top)
    stage.advance(seconds=1)
    company.events()
    restored = await stage.ask(RestoreTask(id=top.id), caller=company.ada)
    assert (restored.deleted_at, restored.version) == (None, 3)
    listed = await stage.ask(ListTasks(project_id=[project.id]), caller=company.ada)
    assert sorted(task.id for task in listed.items) == sorted([top.id, below.id, bottom.id])
    assert (await company.look(below)).parent_id == top.id
    for task in (earlier, under):
        assert (await company.look(task)).deleted_at
    assert (await company.history(top))[-1] == ("deleted_at", gone.deleted_at, None)
    events = company.events()
    assert sorted(event.task.id for event in events if isinstance(event, TaskUpdated)) == sorted(
        [top.id, below.id, bottom.id]
    )
    assert all(isinstance(event, TaskUpdated) and event.changed == ["deleted_at"] for event in events)
    assert await stage.ask(RestoreTask(id=top.id), caller=company.ada) == restored
    assert company.events() == []


async def test_a_subtask_whose_parent_stays_in_the_trash_leaves_it(stage: Stage, company: Company) -> None:
    project = await company.project()
    top = await company.task(project)
    below = await company.task(project, parent_id=top.id)
    await stage.ask(DeleteTask(id=top.id), caller=company.ada)
    restored = await stage.ask(RestoreTask(id=below.id), caller=company.ada)
    assert (restored.deleted_at, restored.parent_id) == (None, None)
    assert ("parent_id", top.id, None) in await company.history(below)
    await stage.ask(RestoreTask(id=top.id), caller=company.ada)
    assert await company.look(below) == restored


async def test_viewers_restore_nothing_and_strangers_see_nothing(stage: Stage, company: Company) -> None:
    project = await company.project()
    await company.join(project, company.bob, "viewer")
    task = await company.task(project)
    await stage.ask(DeleteTask(id=task.id), caller=company.ada)
    with pytest.raises(Forbidden, match=r"auth\.forbidden"):
        await stage.ask(RestoreTask(id=task.id), caller=company.bob)
    for hidden in (task.id, str(uuid.uuid4())):
        with pytest.raises(NotFound, match=r"task\.not_found"):
            await stage.ask(RestoreTask(id=hidden), caller=company.eve)


async def test_restored_and_deleted_at_once_is_one_or_the_other_as_a_whole(stage: Stage, company: Company) -> None:
    project = await company.project()
    for _ in range(5):
        top = await company.task(project)
        below = await company.task(project, parent_id=top.id)
        await stage.ask(DeleteTask(id=top.id), caller=company.ada)
        await asyncio.gather(
            stage.ask(RestoreTask(id=top.id), caller=company.ada), stage.ask(DeleteTask(id=top.id), caller=company.ada)
        )
        one, other = await company.look(top), await company.look(below)
        assert (one.deleted_at is None) == (other.deleted_at is None)


async def test_after_thirty_days_the_trash_is_emptied(stage: Stage, company: Company) -> None:
    project = await company.project()
    old, kept = await company.task(project, "old"), await company.task(project, "kept")
    await company.comment(old)
    await stage.ask(DeleteTask(id=old.id), caller=company.ada)
    stage.advance(hours=1)
    fresh = await company.task(project, "fresh")
    await stage.ask(DeleteTask(id=fresh.id), caller=company.ada)
    stage.advance(hours=30 * 24 - 1)
    await stage.tick("task", "empty_trash")
    assert (await company.look(old)).deleted_at  # not before
    stage.advance(minutes=1)
    company.events()
    await stage.tick("task", "empty_trash")
    await company.refuses(NotFound, "task.not_found", company.ada, GetTask(id=old.id), RestoreTask(id=old.id))
    assert (await company.look(fresh)).deleted_at
    assert await company.look(kept) == kept
    (erased,) = company.events()
    assert isinstance(erased, TasksErased)
    assert old.id in erased.task_ids
