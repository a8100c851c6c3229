"""What is said of lists that take too long; a locked table stands for a large one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import islice
from typing import Any

import asyncpg
import pytest

from actors import task_actor
from actors.contracts.task import GetTask, ListTasks
from runtime.errors import Invalid, Unavailable
from runtime.testing import Stage
from tests.actors.company import Company


@asynccontextmanager
async def locked(database: str | None, table: str) -> AsyncIterator[None]:
    """Nobody reads the table meanwhile."""
    if database is None:
        pytest.skip("a file has no locks of tables")
    connection = await asyncpg.connect(database)
    try:
        async with connection.transaction():
            await connection.execute(f"lock table {table} in access exclusive mode")
            yield
    finally:
        await connection.close()


@pytest.mark.parametrize(
    ("filters", "pointers"),
    [({"status": ["todo"], "priority": [0]}, ["?project_id"]), ({"q": "launch"}, ["?project_id", "?q"])],
    ids=["combined filters", "a search"],
)
async def test_what_takes_too_long_is_refused_with_advice(
    stage: Stage,
    company: Company,
    database: str | None,
    run_id: str,
    monkeypatch: pytest.MonkeyPatch,
    filters: dict[str, Any],
    pointers: list[str],
) -> None:
    monkeypatch.setattr(task_actor, "LIST_S", 0.2)  # sooner than waiting for a lock ends
    task = await company.task(await company.project(), "Launch")
    async with locked(database, f'"actors_{run_id}_task".task'):
        with pytest.raises(Invalid, match="too many tasks") as refusal:
            await stage.ask(ListTasks(**filters), caller=company.ada)
    assert [fault.pointer for fault in refusal.value.faults] == pointers
    monkeypatch.undo()
    assert (await stage.ask(ListTasks(**filters), caller=company.ada)).items == [task]


async def test_slow_searches_leave_connections_to_quick_reads_and_are_shed(
    stage: Stage, company: Company, database: str | None, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_actor, "TURN_S", 0.1)
    project = await company.project()
    task = await company.task(project, "Launch")
    async with locked(database, f'"actors_{run_id}_task".comment'):  # which searches look into, and nobody else
        searches = [asyncio.create_task(stage.ask(ListTasks(q="launch"), caller=company.ada)) for _ in range(10)]
        for shed in islice(asyncio.as_completed(searches), len(searches) - task_actor.BROAD):
            with pytest.raises(Unavailable, match="faster than they can"):
                await shed
        assert await stage.ask(GetTask(id=task.id), caller=company.ada) == task
        assert (await stage.ask(ListTasks(project_id=[project.id]), caller=company.ada)).items == [task]
        assert sum(each.done() for each in searches) == len(searches) - task_actor.BROAD
        await asyncio.gather(*searches, return_exceptions=True)
    assert (await stage.ask(ListTasks(q="launch"), caller=company.ada)).items == [task]
