"""Whichever way leads to a page of a list, it is the same page; on each kind of store."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import pytest

from actors.contracts.task import CreateTask, DeleteTask, ListTasks, Sort
from actors.contracts.task_label import ListLabels
from actors.contracts.task_move import MoveTask
from actors.contracts.task_project import ListProjects
from actors.contracts.task_seed import Seed
from actors.records.project import ProjectRow
from actors.records.task import TaskRecords
from actors.records.task_list import FEW, order, page
from actors.task_fields import new_task
from runtime import connect, stagehands
from runtime.testing import NOON, Stage
from tests.actors.boards import check_boards
from tests.actors.company import Company
from tests.actors.conftest import schemas
from tests.sql import sql

NONE, ALL = (-1, -1), (10**9, 10**9)
"""What counts as few: no number of tasks, and every one."""


@pytest.fixture(scope="module")
async def owner(stage: Stage) -> str:
    """Of 600 tasks in five projects."""
    id = str(uuid.uuid4())
    for done in (0, 500):
        await stage.ask(Seed(tasks=600, projects=5, largest=300, owner=id, done=done))
    return id


async def ids(stage: Stage, query: ListTasks, user_id: str, few: tuple[int, int]) -> Sequence[str]:
    """Of the first three pages."""
    found: list[str] = []
    by, after = order(query.sort), None
    for _ in range(3):
        seen = await page(sql(stage.dispatches["task"].store.reader), query, user_id, after, few=few)
        shown = [each.task for each in seen[: query.limit]]
        found += [task.id for task in shown]
        if len(seen) <= query.limit:
            break
        after = by.key(shown[-1]), shown[-1].id
    return found


@pytest.mark.parametrize("sort", get_args(Sort))
async def test_the_ways_to_a_page_are_one(stage: Stage, owner: str, sort: Sort) -> None:
    now = datetime.fromtimestamp(stage.now / 1000, UTC)
    projects = [each.id for each in (await stage.ask(ListProjects(), caller=owner)).items]
    labels = [each.id for each in (await stage.ask(ListLabels(id=projects[-1]), caller=owner)).items]
    filters: list[dict[str, Any]] = [
        {},
        {"status": ["todo", "done"]},
        {"priority": [1, 3]},
        {"assignee_id": ["me"]},
        {"assignee_id": ["me", "none"]},
        {"label_id": labels[:1]},
        {"label_id": labels * 2},
        {"parent_id": ["none"]},
        {"due_before": now},
        {"due_after": now},
        {"created_after": now - timedelta(days=600)},
        {"updated_after": now - timedelta(days=600)},
        {"q": "ba*"},
        {"q": "baba", "status": ["done"]},
        {"status": ["todo"], "due_after": now, "assignee_id": ["me"]},
        {"deleted": True},
    ]
    for fields in filters:
        for scope in ([], projects[:2], projects[-1:]):
            query = ListTasks(project_id=scope, sort=sort, limit=7, **fields)
            pages = [await ids(stage, query, owner, few) for few in (NONE, FEW, ALL)]
            assert pages[0] == pages[1] == pages[2], (fields, scope)
            assert len(set(pages[0])) == len(pages[0])


@pytest.mark.parametrize("limit", [1, 2, 7])
async def test_the_newest_of_many_projects_are_the_same_where_boards_tell_of_them(
    stage: Stage, company: Company, limit: int
) -> None:
    """Of twelve; in half of them the newest tasks are done, and one of these has gone."""
    projects = [await company.project(f"Project {n}") for n in range(12)]
    for project, status in [
        *((project, "todo") for project in projects),
        *((project, "done") for project in projects[:6]),
    ]:
        stage.advance(seconds=1)
        task = await company.task(project, status=status)
    await stage.ask(DeleteTask(id=task.id), caller=company.ada)
    for fields in ({}, {"status": ["todo"]}, {"status": ["cancelled"]}, {"priority": [0]}):
        query = ListTasks(limit=limit, **fields)
        pages = [await ids(stage, query, company.ada, few) for few in (NONE, ALL)]
        assert pages[0] == pages[1], fields


async def test_boards_know_of_what_was_made_by_a_clock_that_is_ahead(stage: Stage, company: Company) -> None:
    apollo, gemini = await company.project(), await company.project("Gemini")
    stage.advance(seconds=10)
    task = await company.task(apollo)
    stage.advance(seconds=-5)
    await company.task(gemini)
    await company.task(apollo)
    await stage.ask(MoveTask(id=task.id, project_id=gemini.id), caller=company.ada)
    await check_boards(stage.dispatches["task"].store)
    stage.advance(seconds=5)


async def test_boards_learn_of_the_tasks_of_an_earlier_version(
    database: str | None, run_id: str, tmp_path: Path
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        url = f"sqlite:{tmp_path}/task.db"
        if database:
            url = (await stack.enter_async_context(schemas(database, f"earlier_{run_id}")))("task")
        store = connect.store_at(url, "task", lambda: NOON)
        await store.open()
        stack.push_async_callback(store.close)
        migrations = stagehands.migrations("task", store.reader.dialect)
        await store.migrate([each for each in migrations if each.name < "0060"])
        async with store.transaction() as transaction:
            records = TaskRecords(sql(transaction))
            await records.projects.add(ProjectRow("apollo", "Apollo", "", "APOLLO", "ada", NOON, NOON))
            await records.projects.reserve({"apollo": 1})
            command = CreateTask(project_id="apollo", title="Land")
            await records.add([new_task(command, id="land", number=1, position="1", creator="ada", now=NOON)])
        await store.migrate(migrations)
        await check_boards(store)
