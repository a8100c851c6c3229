"""Whatever brings a task that recurs to `done` makes the next: a move, a batch, an undo."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from actors.contracts.task import UpdateTask
from actors.contracts.task_activity import ListActivity, UndoActivity
from actors.contracts.task_batch import BatchTasks
from actors.contracts.task_move import MoveTask
from actors.contracts.task_recurrence import NewRecurrence
from runtime.testing import Stage
from tests.actors.company import Company
from tests.actors.test_recurring_tasks import Series

DUE = "2027-01-01T09:00:00Z"


async def test_a_move_to_done_makes_the_next(stage: Stage, company: Company) -> None:
    series = await Series.begin(company, "FREQ=DAILY", DUE)
    await stage.ask(MoveTask(id=series.task.id, status="done"), caller=company.ada)
    first, second = await series.all()
    assert (first.status, second.status, second.due_at) == ("done", "todo", "2027-01-02T09:00:00.000Z")


async def test_a_move_to_done_in_another_project_makes_it_there(stage: Stage, company: Company) -> None:
    series, there = await Series.begin(company, "FREQ=DAILY", DUE), await company.project("Gemini")
    moved = await stage.ask(MoveTask(id=series.task.id, status="done", project_id=there.id), caller=company.ada)
    assert await series.all() == []
    first, second = await Series(company, moved).all()
    assert (first, second.number, second.due_at) == (moved, 2, "2027-01-02T09:00:00.000Z")


async def test_a_batch_makes_one_for_each(stage: Stage, company: Company) -> None:
    project = await company.project()
    recurrence = NewRecurrence(rule="FREQ=DAILY")
    tasks = [await company.task(project, due_at=datetime.fromisoformat(DUE), recurrence=recurrence) for _ in range(2)]
    fields = {"project_id": project.id, "title": "Third", "due_at": DUE, "recurrence": {"rule": "FREQ=DAILY"}}
    operations: list[dict[str, Any]] = [
        *({"op": "update", "id": task.id, "status": "done"} for task in [*tasks, *tasks]),
        {"op": "create", "status": "done", **fields},
        {"op": "create", **fields, "recurrence": {"rule": "FREQ=HOURLY"}},
        {"op": "create", **fields, "recurrence": {"rule": "FREQ=DAILY", "count": 1}},
        {"op": "update", "id": tasks[0].id, "due_at": None},
    ]
    results = (await stage.ask(BatchTasks(operations=operations), caller=company.ada)).results
    assert [result.status for result in results] == [200] * 4 + [201, 422, 422, 422]
    refused = msgspec.to_builtins(results[5:])
    pointers = [[error["pointer"] for error in result["problem"]["errors"]] for result in refused]
    assert pointers == [["/recurrence/rule"], ["/recurrence/count"], ["/recurrence"]]
    found = [(task.number, task.status) for task in await Series(company, tasks[0]).all()]
    assert sorted(status for _, status in found) == ["done"] * 3 + ["todo"] * 3
    assert [number for number, _ in found] == [1, 2, 3, 4, 5, 6]


async def test_an_undo_gives_a_recurrence_back_and_makes_none_twice(stage: Stage, company: Company) -> None:
    series = await Series.begin(company, "FREQ=DAILY", DUE, exclude=[datetime.fromisoformat("2027-01-02T09:00Z")])

    async def undo(field: str) -> None:
        page = await stage.ask(ListActivity(id=series.task.id), caller=company.ada)
        entry = next(each for each in page.items if each.field == field)
        await stage.ask(UndoActivity(id=entry.id), caller=company.ada)

    await stage.ask(UpdateTask(id=series.task.id, recurrence=None), caller=company.ada)
    await undo("recurrence")
    assert (await company.look(series.task)).recurrence == series.task.recurrence
    await series.change(status="done")
    await undo("status")
    await series.change(status="done")
    assert [task.due_at for task in await series.all()] == ["2027-01-01T09:00:00.000Z", "2027-01-03T09:00:00.000Z"]
