"""How often a batch asks PostgreSQL: as often for a hundred operations as for two."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from actors.contracts.task import Task
from actors.contracts.task_batch import BatchResult, BatchTasks
from runtime.testing import Stage
from tests.actors.company import Company
from tests.actors.conftest import schemas, task_actor
from tests.conformance.proxy import Proxy

FEW = 30


class Counted:
    """A company whose database is behind a proxy, with a project."""

    def __init__(self, company: Company, proxy: Proxy, project_id: str) -> None:
        self.company, self.proxy, self.project_id = company, proxy, project_id

    async def batch(self, operations: list[dict[str, Any]]) -> tuple[list[BatchResult], int]:
        """What came of it, and the round trips that it took."""
        before = self.proxy.trips
        answer = await self.company.stage.ask(BatchTasks(operations=operations), caller=self.company.ada)
        return answer.results, self.proxy.trips - before

    async def tasks(self, count: int) -> list[Task]:
        results, _ = await self.batch([self.creation(n) for n in range(count)])
        return [each.task for each in results if each.task]

    def creation(self, n: int, **fields: object) -> dict[str, Any]:
        return {"op": "create", "project_id": self.project_id, "title": f"Task {n}", **fields}


@pytest.fixture(scope="module")
async def counted(postgres_url: str, run_id: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Counted]:
    async with contextlib.AsyncExitStack() as stack:
        parts = urlsplit(postgres_url)
        proxy = await stack.enter_async_context(Proxy(parts.hostname or "", parts.port or 5432))
        await stack.enter_async_context(schemas(postgres_url, f"trips_{run_id}"))
        user, _, _ = parts.netloc.rpartition("@")
        behind = parts._replace(netloc=f"{user}@127.0.0.1:{proxy.port}").geturl()
        actor = task_actor(tmp_path_factory.mktemp("imports"))
        joint = "&" if parts.query else "?"
        url = f"{behind}{joint}schema=trips_{run_id}_task"
        stage = await stack.enter_async_context(Stage(actor, store_url=lambda _: url))
        company = Company(stage)
        yield Counted(company, proxy, (await company.project()).id)


@pytest.mark.parametrize("kind", ["creations", "changes", "new parents", "completions of series", "deletions", "all"])
async def test_a_hundred_operations_take_few_round_trips(counted: Counted, kind: str) -> None:
    ada, zone = counted.company.ada, {"rule": "FREQ=DAILY"}
    for prepared in (True, False):  # a statement takes another round trip when it is first seen
        (top,), tasks = await counted.tasks(1), await counted.tasks(100)
        fields: dict[str, dict[str, object]] = {
            "changes": {"title": "Other", "assignee_ids": [ada], "remind_at": ["2030-01-01T00:00:00Z"]},
            "new parents": {"parent_id": top.id},
            "completions of series": {"status": "done", "due_at": "2026-12-01T00:00:00Z", "recurrence": zone},
        }
        if kind == "creations":
            more = {"assignee_ids": [ada], "parent_id": top.id, "due_at": "2026-12-01T00:00:00Z", "recurrence": zone}
            operations = [counted.creation(n, **more) for n in range(100)]
        elif kind == "all":
            changes = [{"op": "update", "id": each.id, "status": "done"} for each in tasks[::3]]
            deletions = [{"op": "delete", "id": each.id} for each in tasks[1::3]]
            mixed = zip([counted.creation(n) for n in range(33)], deletions, changes, strict=False)
            operations = [each for three in mixed for each in three]
        elif kind == "deletions":
            operations = [{"op": "delete", "id": each.id} for each in tasks]
        else:
            operations = [{"op": "update", "id": each.id, **fields[kind]} for each in tasks]
        results, trips = await counted.batch(operations)
        assert {each.status for each in results} <= {200, 201, 204}
        assert prepared or trips <= FEW
