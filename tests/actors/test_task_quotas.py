"""How many projects, tasks and comments there can be; on each kind of store."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from actors.contracts.task import CreateTask, DeleteTask, RestoreTask
from actors.contracts.task_comment import AddComment, DeleteComment
from actors.contracts.task_project import CreateProject, DeleteProject
from actors.task_actor import TaskActor
from config.settings import Settings
from runtime import connect
from runtime.errors import Conflict, Unavailable
from runtime.late_blobs import LateBlobs
from runtime.message import Request
from runtime.testing import Stage
from tests.actors.company import Company
from tests.actors.conftest import schemas
from tests.actors.importing import Importers, archive, comment, issue

QUOTA = 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("imports")


@pytest.fixture(scope="module")
async def small(database: str | None, run_id: str, folder: Path) -> AsyncIterator[Stage]:
    settings = Settings(
        blob_url=f"file:{folder}",
        quota_projects_per_user=QUOTA,
        quota_tasks_per_project=QUOTA,
        quota_comments_per_task=QUOTA,
    )
    async with contextlib.AsyncExitStack() as stack:
        store_url = await stack.enter_async_context(schemas(database, f"few_{run_id}")) if database else None
        actor = TaskActor(blobs=LateBlobs(connect.blobs(settings)), settings=settings)
        yield await stack.enter_async_context(Stage(actor, store_url=store_url))


@pytest.fixture
def company(small: Stage) -> Company:
    return Company(small)


async def successes(stage: Stage, caller: str, commands: Sequence[Request[Any]]) -> int:
    """All at once; those that are refused are refused for the quota."""

    async def ask(command: Request[Any]) -> bool:
        while True:
            try:
                await stage.ask(command, caller=caller)
            except Unavailable:  # a hundred wait for a few connections; the edge would say: try again
                continue
            except Conflict as refusal:
                assert refusal.code == "quota.exceeded"  # noqa: PT017 # most of them raise it, one does not
                return False
            return True

    return sum(await asyncio.gather(*map(ask, commands)))


async def test_b84_a_hundred_at_the_last_project_are_one(company: Company) -> None:
    for _ in range(QUOTA - 1):
        await company.project()
    commands = [CreateProject(name=f"Project {n}", key=f"K{n}") for n in range(100)]
    assert await successes(company.stage, company.ada, commands) == 1
    await company.stage.ask(CreateProject(name="Of another"), caller=company.bob)


async def test_a_deleted_project_makes_room(company: Company) -> None:
    projects = [await company.project() for _ in range(QUOTA)]
    with pytest.raises(Conflict, match=r"quota\.exceeded"):
        await company.project()
    await company.stage.ask(DeleteProject(id=projects[0].id), caller=company.ada)
    await company.project()


async def test_b84_a_hundred_at_the_last_task_are_one(company: Company) -> None:
    project = await company.project()
    await company.tasks(project, ["a", "b"])
    commands = [CreateTask(project_id=project.id, title=str(n)) for n in range(100)]
    assert await successes(company.stage, company.ada, commands) == 1


async def test_b84_of_a_hundred_tasks_in_one_tick_the_first_finds_room(company: Company) -> None:
    full, other = await company.project(), await company.project()
    await company.tasks(full, ["a", "b"])
    commands = [CreateTask(project_id=full.id, title=str(n)) for n in range(100)]
    commands += [CreateTask(project_id=other.id, title="c")]
    answers = await company.stage.ask_all(commands, caller=company.ada)
    made = [each for each in answers if not isinstance(each, BaseException)]
    assert [(task.title, task.number) for task in made] == [("0", QUOTA), ("c", 1)]
    assert {getattr(each, "code", "") for each in answers if isinstance(each, BaseException)} == {"quota.exceeded"}


async def test_the_trash_counts_until_it_is_emptied_and_no_number_is_left_out(company: Company) -> None:
    project = await company.project()
    tasks = await company.tasks(project, ["a", "b", "c"])
    await company.stage.ask(DeleteTask(id=tasks[0].id), caller=company.ada)
    with pytest.raises(Conflict, match=r"quota\.exceeded"):
        await company.task(project)
    await company.stage.ask(RestoreTask(id=tasks[0].id), caller=company.ada)
    await company.stage.ask(DeleteTask(id=tasks[0].id), caller=company.ada)
    company.stage.advance(hours=31 * 24)
    await company.stage.tick("task", "empty_trash")
    assert (await company.task(project)).number == QUOTA + 1


async def test_b84_a_hundred_at_the_last_comment_are_one(company: Company) -> None:
    task = await company.task(await company.project())
    said = [await company.stage.ask(AddComment(id=task.id, body="x"), caller=company.ada) for _ in range(QUOTA - 1)]
    commands = [AddComment(id=task.id, body=str(n)) for n in range(100)]
    assert await successes(company.stage, company.ada, commands) == 1
    await company.stage.ask(DeleteComment(id=said[0].id), caller=company.ada)
    await company.stage.ask(AddComment(id=task.id, body="again"), caller=company.ada)


async def test_an_import_beyond_the_quotas_ends_with_clear_faults(small: Stage, folder: Path) -> None:
    importers = Importers(small, connect.blobs(Settings(blob_url=f"file:{folder}")))
    await importers.blobs.open()
    project = await importers.project()
    said = [comment(f"Yes {n}") for n in range(QUOTA + 2)]
    content = archive(issue(1, comments=said), *(issue(n) for n in range(2, QUOTA + 1)))
    dry = await importers.imported(content, project.id, dry_run=True)
    done = await importers.imported(content, project.id)
    for result in (dry, done):
        assert (result.status, result.created) == ("done", QUOTA)
        assert [each.detail for each in result.errors] == [f"a task may have {QUOTA} comments; the others are left out"]
    assert [task.comment_count for task in await importers.tasks_in(project.id)] == [QUOTA, 0, 0]
    for dry_run in (True, False):
        grown = archive(issue(1, comments=[*said[1:], comment("Late")]), issue(8), issue(9))
        full = await importers.imported(grown, project.id, dry_run=dry_run)
        assert (full.status, full.created) == ("failed", 0)
        assert "a project may have 3 tasks" in full.errors[0].detail
    later = archive(issue(2, comments=[comment(f"No {n}") for n in range(2)]))
    assert (await importers.imported(later, project.id)).errors == []
    last = archive(issue(2, comments=[comment(f"Once more {n}", "eve") for n in range(2)]))
    for dry_run in (True, False):
        more = await importers.imported(last, project.id, dry_run=dry_run)
        assert (more.status, len(more.errors)) == ("done", 1)
    anew = await importers.imported(archive(*(issue(n) for n in range(QUOTA + 1))), dry_run=True)
    assert (anew.status, anew.created) == ("done", QUOTA), "issue 0 is none"
