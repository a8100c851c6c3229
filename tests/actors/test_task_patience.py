"""What is said of a list that takes too long; a locked table stands for a large one."""

from __future__ import annotations

import asyncpg
import pytest

from actors import task_actor
from actors.contracts.task import ListTasks
from runtime.errors import Invalid
from runtime.testing import Stage
from tests.actors.company import Company


async def test_combined_filters_that_take_too_long_are_refused_with_advice(
    stage: Stage, company: Company, database: str | None, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if database is None:
        pytest.skip("a file has no locks of tables")
    monkeypatch.setattr(task_actor, "LIST_S", 0.2)  # sooner than waiting for a lock ends
    combined = ListTasks(status=["todo"], priority=[0])
    task = await company.task(await company.project())
    connection = await asyncpg.connect(database)
    try:
        async with connection.transaction():
            await connection.execute(f'lock table "actors_{run_id}_task".task in access exclusive mode')
            with pytest.raises(Invalid, match="too many tasks") as refusal:
                await stage.ask(combined, caller=company.ada)
    finally:
        await connection.close()
    assert [fault.pointer for fault in refusal.value.faults] == ["?project_id"]
    monkeypatch.undo()
    assert (await stage.ask(combined, caller=company.ada)).items == [task]
