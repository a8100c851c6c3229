"""Many operations in one request, each on its own."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from typing import Any

import pytest

from actors.contracts.task import DeleteTask, GetTask, TaskCompleted, TaskCreated, TaskDeleted, TaskUpdated, UpdateTask
from actors.contracts.task_batch import BatchResult, BatchTasks
from actors.contracts.task_change import ListChanges
from runtime.errors import Invalid
from runtime.testing import Stage
from tests.actors.company import Company
from tests.sql import sql


async def batch(company: Company, *operations: dict[str, Any], caller: str | None = None) -> list[BatchResult]:
    command = BatchTasks(operations=list(operations))
    return (await company.stage.ask(command, caller=caller or company.ada)).results


def brief(results: Sequence[BatchResult]) -> list[Any]:
    """Statuses, with the code and the pointers of a problem."""
    return [
        (each.status, each.problem.code, *(fault.pointer for fault in each.problem.errors or ()))
        if each.problem
        else each.status
        for each in results
    ]


async def test_operations_are_done_in_their_order(stage: Stage, company: Company) -> None:
    project = await company.project()
    task, gone = await company.tasks(project, ["Land", "gone"])
    company.events()
    results = await batch(
        company,
        {"op": "create", "project_id": project.id, "title": "first", "description": None},
        {"op": "create", "project_id": project.id, "title": "second", "due_at": "2026-11-24T09:30:00+01:00"},
        {"op": "update", "id": task.id, "title": "Land softly"},
        {"op": "update", "id": task.id, "status": "done", "description": None},
        {"op": "delete", "id": gone.id},
    )
    assert brief(results) == [201, 201, 200, 200, 204]
    first, second, renamed, done = [each.task for each in results[:4]]
    assert first
    assert second
    assert renamed
    assert done
    assert [(each.title, each.number) for each in (first, second)] == [("first", 3), ("second", 4)]
    assert second.due_at == "2026-11-24T08:30:00.000Z"
    assert [(each.title, each.status, each.version) for each in (renamed, done)] == [
        ("Land softly", "todo", 2),
        ("Land softly", "done", 3),
    ]
    assert await company.look(task) == done
    assert (await company.look(gone)).deleted_at is not None
    assert await company.history(task) == [("title", "Land", "Land softly"), ("status", "todo", "done")]
    told = [TaskCreated, TaskCreated, TaskUpdated, TaskUpdated, TaskCompleted, TaskDeleted]
    assert [type(event) for event in company.events()] == told
    page = await stage.ask(ListChanges(), caller=company.ada)
    assert [each.version for each in page.items[-6:]] == [1, 1, 2, 3, 3, 2]


async def test_b78_what_is_refused_stops_none_of_the_others(stage: Stage, company: Company) -> None:
    project, hidden = await company.project(), str(uuid.uuid4())
    task, trashed = await company.tasks(project, ["Land", "trashed"])
    await stage.ask(DeleteTask(id=trashed.id), caller=company.ada)
    results = await batch(
        company,
        {"op": "create", "project_id": hidden, "title": "x"},
        {"op": "create", "project_id": project.id, "title": ""},
        {"op": "create", "title": "x", "assignee_ids": ["me"], "colour": 1},
        {"op": "create", "project_id": project.id, "title": "x", "assignee_ids": [company.eve]},
        {"op": "create", "project_id": project.id, "title": "good"},
        {"op": "update", "id": hidden, "title": "x"},
        {"op": "update", "id": "no id", "title": None},
        {"op": "update", "id": trashed.id, "title": "x"},
        {"op": "update", "id": task.id, "title": "a\0b", "if_match": [1]},
        {"op": "update", "id": task.id, "priority": 1.0, "due_at": "2026-11-24"},
        {"op": "update", "id": task.id, "assignee_ids": [company.ada, company.eve], "title": "nothing of it"},
        {"op": "update", "id": task.id, "parent_id": task.id},
        {"op": "update", "id": task.id, "title": "better"},
        {"op": "delete", "id": hidden},
        {"op": "delete", "id": trashed.id, "title": "x"},
        {"op": "delete", "id": trashed.id},
    )
    assert brief(results) == [
        (404, "project.not_found"),
        (422, "request.invalid", "/title"),
        (422, "request.invalid", "/colour", "/project_id", "/assignee_ids/0"),
        (422, "task.assignee_not_member", "/assignee_ids/0"),
        201,
        (404, "task.not_found"),
        (422, "request.invalid", "/id", "/title"),
        (409, "task.deleted"),
        (422, "request.invalid", "/if_match", "/title"),
        (422, "request.invalid", "/priority", "/due_at"),
        (422, "task.assignee_not_member", "/assignee_ids/1"),
        (409, "task.parent_cycle"),
        200,
        (404, "task.not_found"),
        (422, "request.invalid", "/title"),
        204,
    ]
    problem = results[0].problem
    assert problem
    assert (problem.kind, problem.title, problem.status) == ("about:blank", "Not Found", 404)
    assert (await company.look(task)).title == "better"
    assert [each.task.number for each in results if each.task] == [3, 1]


async def test_a_viewer_changes_nothing_and_who_sees_nothing_finds_nothing(stage: Stage, company: Company) -> None:
    project = await company.project()
    await company.join(project, company.bob, "viewer")
    task = await company.task(project)
    operations: list[dict[str, Any]] = [
        {"op": "create", "project_id": project.id, "title": "x"},
        {"op": "update", "id": task.id, "title": "x"},
        {"op": "delete", "id": task.id},
    ]
    assert brief(await batch(company, *operations, caller=company.bob)) == [(403, "auth.forbidden")] * 3
    assert brief(await batch(company, *operations, caller=company.eve)) == [
        (404, "project.not_found"),
        (404, "task.not_found"),
        (404, "task.not_found"),
    ]
    assert await company.look(task) == task


@pytest.mark.parametrize(
    ("operation", "pointer"),
    [
        ({}, "/operations/1/op"),
        ({"op": "move", "id": "x"}, "/operations/1/op"),
        ({"op": ["create"]}, "/operations/1/op"),
        ({"op": "update", "title": "x"}, "/operations/1/id"),
        ({"op": "delete", "id": None}, "/operations/1/id"),
    ],
)
async def test_an_unknown_op_or_a_missing_id_refuses_the_whole(
    company: Company, operation: dict[str, Any], pointer: str
) -> None:
    project = await company.project()
    good = {"op": "create", "project_id": project.id, "title": "x"}
    with pytest.raises(Invalid, match=r"request\.invalid") as refused:
        await batch(company, good, operation)
    assert [fault.pointer for fault in refused.value.faults] == [pointer]
    assert (await company.task(project)).number == 1


async def test_what_is_deleted_before_cannot_be_changed_after(company: Company) -> None:
    project = await company.project()
    root = await company.task(project, "root")
    below = await company.task(project, "below", parent_id=root.id)
    deepest = await company.task(project, "deepest", parent_id=below.id)
    results = await batch(
        company,
        {"op": "update", "id": root.id, "title": "last words"},
        {"op": "delete", "id": below.id},
        {"op": "delete", "id": root.id},
        {"op": "update", "id": deepest.id, "title": "x"},
        {"op": "delete", "id": deepest.id},
    )
    assert brief(results) == [200, 204, 204, (409, "task.deleted"), 204]
    rows = await sql(company.stage.dispatches["task"].store.reader).fetch("select id, deleted_with from task")
    gone = {row["id"]: row["deleted_with"] for row in rows}
    assert [gone[each.id] for each in (root, below, deepest)] == [root.id, below.id, below.id]


async def test_what_a_deletion_takes_along_is_told_from_what_it_leaves(company: Company) -> None:
    project = await company.project()
    root, other, free = await company.tasks(project, ["root", "other", "free"])
    results = await batch(
        company,
        {"op": "delete", "id": root.id},
        {"op": "create", "project_id": project.id, "title": "below", "parent_id": root.id},
        {"op": "update", "id": free.id, "parent_id": root.id},
        {"op": "update", "id": free.id, "parent_id": other.id},
        {"op": "delete", "id": other.id},
        {"op": "update", "id": free.id, "title": "x"},
        {"op": "update", "id": free.id, "title": None},
        {"op": "create", "project_id": project.id, "title": "good"},
    )
    assert brief(results) == [
        204,
        (422, "request.invalid", "/parent_id"),
        (422, "request.invalid", "/parent_id"),
        200,
        204,
        (409, "task.deleted"),
        (422, "request.invalid", "/title"),
        201,
    ]
    assert (await company.look(free)).deleted_at is not None


async def test_of_two_that_would_close_a_circle_the_second_is_refused(company: Company) -> None:
    one, other = await company.tasks(await company.project(), ["one", "other"])
    results = await batch(
        company,
        {"op": "update", "id": one.id, "parent_id": other.id},
        {"op": "update", "id": other.id, "parent_id": one.id},
    )
    assert brief(results) == [200, (409, "task.parent_cycle")]


async def test_batches_at_once_with_each_other_and_with_changes_lose_nothing(stage: Stage, company: Company) -> None:
    tasks = await company.tasks(await company.project(), "abcdefgh")
    count = 4

    def operations(field: str, value: object, *, back: bool) -> list[dict[str, Any]]:
        changes = [{"op": "update", "id": task.id, field: value} for task in tasks]
        return changes[::-1] if back else changes

    await asyncio.gather(
        batch(company, *operations("title", "new", back=False)),
        batch(company, *operations("priority", 3, back=True)),
        batch(company, *operations("estimate_minutes", 5, back=False)),
        *(stage.ask(UpdateTask(id=task.id, status="done"), caller=company.ada) for task in tasks),
    )
    for task in tasks:
        now = await stage.ask(GetTask(id=task.id), caller=company.ada)
        assert (now.title, now.priority, now.estimate_minutes, now.status) == ("new", 3, 5, "done")
        assert now.version == 1 + count


async def test_batches_at_once_over_the_same_projects_are_all_made(company: Company) -> None:
    one, other = await company.project(), await company.project("Gemini")
    gone = [await company.task(other), await company.task(one)]
    there: list[dict[str, Any]] = [
        {"op": "create", "project_id": one.id, "title": "x"},
        {"op": "delete", "id": gone[0].id},
    ]
    back: list[dict[str, Any]] = [
        {"op": "create", "project_id": other.id, "title": "x"},
        {"op": "delete", "id": gone[1].id},
    ]
    for results in await asyncio.gather(batch(company, *there), batch(company, *back)):
        assert brief(results) == [201, 204]


async def test_a_hundred_operations_take_few_statements(
    stage: Stage, company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = await company.project()
    made = await batch(company, *({"op": "create", "project_id": project.id, "title": f"{n}"} for n in range(100)))
    tasks = [each.task.id for each in made if each.task]
    assert len(tasks) == 100
    async with stage.dispatches["task"].store.transaction() as transaction:
        kind = type(transaction)
    counted: list[str] = []
    for name in ("fetch", "execute", "insert", "row"):
        whole = getattr(kind, name)

        def counting(self: Any, what: str, *args: Any, whole: Any = whole) -> Any:
            counted.append(what)
            return whole(self, what, *args)

        monkeypatch.setattr(kind, name, counting)
    for change in ({"op": "update", "title": "new", "assignee_ids": [company.ada]}, {"op": "delete"}):
        counted.clear()
        assert len(await batch(company, *({**change, "id": id} for id in tasks))) == 100
        assert len(counted) <= 25
