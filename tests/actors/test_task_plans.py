"""On PostgreSQL, with many tasks: how lists and searches are looked up.

`TEST_SEED_TASKS=1000000` makes as many (in 1000 projects, of which the largest has 30 %), and lets the clock judge, too.
`TEST_SEEDED_URL` names a database with as many, from `python -m runtime seed` and vacuumed since, which takes no minutes.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, get_args

import pytest

from actors.contracts.task import ListTasks, Sort
from actors.contracts.task_seed import SOMEBODY, Seed
from actors.records.task_list import page
from runtime import connect
from runtime.context import system_clock
from runtime.ports import Row, Session, Value
from runtime.testing import Stage
from tests.actors.conftest import schemas, task_actor
from tests.sql import sql

TASKS = int(os.environ.get("TEST_SEED_TASKS", "20000"))
PROJECTS = 1000 if TASKS >= 1_000_000 else 40
SEEDED_URL = os.environ.get("TEST_SEEDED_URL")
FULL_SIZE = TASKS >= 1_000_000 or SEEDED_URL is not None
PAGE_S = 1.0
"""Seconds that a page may take at full size."""


class Reader:
    """A reader of the store that has each statement explained."""

    dialect: Final = "postgresql"

    def __init__(self, session: Session) -> None:
        self._session = session
        self.nodes: list[dict[str, Any]] = []

    async def fetch(self, sql: str, *args: Value | Sequence[Value]) -> Sequence[Row]:
        if sql.startswith("explain"):
            return await self._session.fetch(sql, *args)  # what is asked before anything is read
        (row,) = await self._session.fetch(f"explain (analyze, format json) {sql}", *args)
        (plan,) = json.loads(row["QUERY PLAN"])
        self.nodes += _nodes(plan["Plan"])
        return await self._session.fetch(sql, *args)

    async def row(self, sql: str, *args: Value | Sequence[Value]) -> Row | None:
        return next(iter(await self.fetch(sql, *args)), None)

    async def execute(self, sql: str, *args: Value | Sequence[Value]) -> int:
        raise AssertionError("a page writes nothing")

    async def insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Value]]) -> None:
        raise AssertionError("a page writes nothing")

    def read(self) -> float:
        """Entries and rows of tasks that were looked at, over all statements."""
        return sum(
            float(node["Actual Loops"] * (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)))
            for node in self.nodes
            if node.get("Relation Name") == "task"
        )


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


class Seeded:
    """Somebody who takes part in all projects, and what their tasks are marked with."""

    def __init__(self, session: Session, owner: str, largest: str, label: str, parent: str, now: datetime) -> None:
        self.session, self.owner, self.largest = session, owner, largest
        self.filters: dict[str, dict[str, Any]] = {
            "nothing": {},
            "a status": {"status": ["todo"]},
            "a rare status": {"status": ["in_review"]},
            "statuses": {"status": ["cancelled", "in_review"]},
            "priority": {"priority": [4]},
            "assigned to me": {"assignee_id": ["me"]},
            "assigned to nobody": {"assignee_id": ["none"]},
            "a label": {"label_id": [label]},
            "a parent": {"parent_id": [parent]},
            "no parent": {"parent_id": ["none"]},
            "due before": {"due_before": now},
            "due before all": {"due_before": now - timedelta(days=999)},
            "due after": {"due_after": now},
            "due after all": {"due_after": now + timedelta(days=999)},
            "new": {"created_after": now - timedelta(days=3)},
            "not old": {"created_after": now - timedelta(days=500)},
            "just changed": {"updated_after": now - timedelta(days=1)},
            "changed": {"updated_after": now - timedelta(days=500)},
            "the trash": {"deleted": True},
            "a rare word": {"q": "vavana"},
            "a common word": {"q": "babaCE"},
            "a prefix": {"q": "vav*"},
            "a phrase": {"q": '"babaha babace"'},
        }


@pytest.fixture(scope="module")
async def seeded(postgres_url: str, run_id: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Seeded]:
    async with contextlib.AsyncExitStack() as stack:
        if SEEDED_URL is None:
            store_url = await stack.enter_async_context(schemas(postgres_url, f"plans_{run_id}"))
            folder: Path = tmp_path_factory.mktemp("imports")
            stage = await stack.enter_async_context(Stage(task_actor(folder), store_url=store_url))
            owner, session = str(uuid.uuid4()), sql(stage.dispatches["task"].store.reader)
            await _fill(stage, owner)
        else:
            store = connect.store_at(SEEDED_URL, "task", system_clock)
            await store.open()
            stack.push_async_callback(store.close)
            owner, session = SOMEBODY, sql(store.reader)
        largest = await session.row("select project_id from board order by last_number desc limit 1")
        assert largest is not None
        id = largest["project_id"]
        label = await session.row("select id from label where project_id = $1 limit 1", id)
        child = await session.row(
            "select parent_id from task where project_id = $1 and parent_id is not null limit 1", id
        )
        newest = await session.row("select max(created_at) as at from task where project_id = $1", id)
        assert label is not None
        assert child is not None
        assert newest is not None
        now = datetime.fromtimestamp(newest["at"] / 1000, UTC)
        yield Seeded(session, owner, id, label["id"], child["parent_id"], now)


async def _fill(stage: Stage, owner: str) -> None:
    done = 0
    while done < TASKS:
        seed = Seed(tasks=TASKS, projects=PROJECTS, largest=TASKS * 3 // 10, owner=owner, done=done)
        done = (await stage.ask(seed)).done
    for table in ("task", "comment", "member", "assignee", "task_label", "watcher", "label"):
        await sql(stage.dispatches["task"].store.reader).execute(f"vacuum analyze {table}")


@pytest.mark.parametrize("sort", get_args(Sort))
@pytest.mark.parametrize("scope", ["the largest project", "all projects"])
async def test_a_filter_in_any_order_is_answered_from_indexes(seeded: Seeded, scope: str, sort: Sort) -> None:
    everything = await seeded.session.row("select count(*) as tasks from task")
    assert everything is not None
    faults = []
    for name, fields in seeded.filters.items():
        projects = [] if scope == "all projects" else [seeded.largest]
        query = ListTasks(project_id=projects, sort=sort, **fields)
        reader = Reader(seeded.session)
        await page(reader, query, seeded.owner, None)
        if any(node["Node Type"] == "Seq Scan" for node in reader.nodes):
            faults.append(f"{name}: reads a whole table")
        if reader.read() > 2.5 * everything["tasks"]:
            faults.append(f"{name}: looks at {reader.read():.0f} tasks")
        began = time.perf_counter()
        await page(seeded.session, query, seeded.owner, None)
        if FULL_SIZE and time.perf_counter() - began > PAGE_S:
            faults.append(f"{name}: takes {time.perf_counter() - began:.1f} s")
    assert faults == []


@pytest.mark.parametrize("sort", get_args(Sort))
async def test_the_first_page_of_a_project_looks_at_little_more_than_it_shows(seeded: Seeded, sort: Sort) -> None:
    reader = Reader(seeded.session)
    shown = await page(reader, ListTasks(project_id=[seeded.largest], sort=sort), seeded.owner, None)
    assert len(shown) == 51
    assert reader.read() <= 60


async def test_a_search_for_what_most_tasks_have_does_not_ask_the_index_of_words(seeded: Seeded) -> None:
    reader = Reader(seeded.session)
    shown = await page(reader, ListTasks(project_id=[seeded.largest], q="ba*"), seeded.owner, None)
    assert len(shown) == 51
    assert reader.read() <= 200
    assert not {"task_words", "comment_words"} & {node.get("Index Name") for node in reader.nodes}


async def test_a_search_in_a_small_project_looks_at_no_more_than_its_tasks(seeded: Seeded) -> None:
    small = await seeded.session.row("select project_id, last_number from board order by last_number limit 1")
    assert small is not None
    for word in ("ba*", "babace", "cefofo"):
        reader = Reader(seeded.session)
        await page(reader, ListTasks(project_id=[small["project_id"]], q=word), seeded.owner, None)
        assert reader.read() <= 4 * small["last_number"]


async def test_who_takes_no_part_in_a_project_reads_nothing_of_it(seeded: Seeded) -> None:
    reader = Reader(seeded.session)
    assert await page(reader, ListTasks(project_id=[seeded.largest]), str(uuid.uuid4()), None) == []
    assert reader.read() == 0
