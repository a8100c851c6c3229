"""Changing tasks, and moving them to the trash."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from actors.contracts.task import (
    CreateTask,
    DeleteTask,
    GetTask,
    Task,
    TaskAssigned,
    TaskCompleted,
    TaskDeleted,
    TaskUpdated,
    UpdateTask,
    WatchTask,
)
from runtime.errors import Conflict, Forbidden, Invalid, NotFound, PreconditionFailed
from runtime.testing import Stage
from tests.actors.company import Company


async def change(company: Company, task: Task, caller: str | None = None, **fields: Any) -> Task:
    return await company.stage.ask(UpdateTask(id=task.id, **fields), caller=caller or company.ada)


async def test_changed_fields_are_stored_told_and_in_the_history(stage: Stage, company: Company) -> None:
    task = await company.task(await company.project())
    stage.advance(seconds=1)
    company.events()
    changed = await change(company, task, title="Land softly", priority=2)
    expected = msgspec.structs.replace(task, title="Land softly", priority=2, version=2, updated_at=changed.updated_at)
    assert changed == expected
    assert changed.updated_at > task.updated_at
    assert await stage.ask(GetTask(id=task.id), caller=company.ada) == changed
    assert company.events() == [
        TaskUpdated(
            task=changed,
            changed=["title", "priority"],
            actor_id=company.ada,
            at=changed.updated_at,
            audience_ids=[company.ada],
        )
    ]
    assert await company.history(task) == [("title", "Land", "Land softly"), ("priority", 0, 2)]


async def test_without_a_difference_nothing_happens(stage: Stage, company: Company) -> None:
    project = await company.project()
    await company.join(project, company.bob)
    task = await company.task(project, assignee_ids=[company.ada, company.bob])
    company.events()
    assert await change(company, task) == task
    assert await change(company, task, title="Land", assignee_ids=[company.bob, company.ada], due_at=None) == task
    assert company.events() == []
    assert await company.history(task) == []


async def test_null_sets_the_default(company: Company) -> None:
    task = await company.task(
        await company.project(),
        description="x",
        status="done",
        priority=4,
        assignee_ids=[company.ada],
        start_at=datetime(2026, 1, 1, tzinfo=UTC),
        due_at=datetime(2026, 1, 1, tzinfo=UTC),
        remind_at=[datetime(2026, 1, 1, tzinfo=UTC)],
        estimate_minutes=5,
    )
    fields = ("description", "status", "priority", "assignee_ids", "label_ids", "start_at", "due_at", "remind_at",
              "parent_id", "recurrence", "estimate_minutes")  # fmt: skip
    plain = await change(company, task, **dict.fromkeys(fields))
    assert (plain.description, plain.status, plain.priority, plain.assignee_ids) == ("", "todo", 0, [])
    assert (plain.start_at, plain.due_at, plain.estimate_minutes, plain.completed_at) == (None, None, None, None)
    assert plain.remind_at == []


async def test_done_completes_and_anything_else_reopens(stage: Stage, company: Company) -> None:
    task = await company.task(await company.project())
    stage.advance(seconds=1)
    company.events()
    done = await change(company, task, status="done")
    assert done.completed_at == done.updated_at
    by: dict[str, Any] = {"actor_id": company.ada, "at": done.updated_at, "audience_ids": [company.ada]}
    assert TaskCompleted(task=done, **by) in company.events()
    reopened = await change(company, task, status="in_progress")
    assert reopened.completed_at is None
    assert [type(event) for event in company.events()] == [TaskUpdated]
    cancelled = await change(company, task, status="cancelled")
    assert cancelled.completed_at is None


async def test_only_the_newly_assigned_are_told(stage: Stage, company: Company) -> None:
    project = await company.project()
    await company.join(project, company.bob)
    task = await company.task(project, assignee_ids=[company.ada])
    company.events()
    changed = await change(company, task, assignee_ids=[company.bob, company.ada])
    by: dict[str, Any] = {"task": changed, "actor_id": company.ada, "at": changed.updated_at}
    assert company.events() == [
        TaskUpdated(**by, changed=["assignee_ids"], audience_ids=sorted([company.ada, company.bob])),
        TaskAssigned(**by, assignee_id=company.bob),
    ]


async def test_a_stale_tag_is_refused_and_a_true_one_taken(stage: Stage, company: Company) -> None:
    task = await company.task(await company.project())
    changed = await change(company, task, title="second", if_match=(1, 7))
    for stale in ((1,), ()):
        with pytest.raises(PreconditionFailed, match=r"request\.precondition_failed"):
            await change(company, task, title="third", if_match=stale)
    assert await stage.ask(GetTask(id=task.id), caller=company.ada) == changed


async def test_b83_of_two_changes_at_once_with_one_tag_one_is_made(stage: Stage, company: Company) -> None:
    project = await company.project()
    for _ in range(5):
        task = await company.task(project)
        results = await asyncio.gather(
            *(change(company, task, title=title, if_match=(1,)) for title in ("one", "other")), return_exceptions=True
        )
        assert sorted(type(result).__name__ for result in results) == ["PreconditionFailed", "Task"]


async def test_changes_at_once_without_a_tag_are_all_made(stage: Stage, company: Company) -> None:
    task = await company.task(await company.project())
    await asyncio.gather(
        change(company, task, title="new"),
        change(company, task, priority=3),
        change(company, task, status="in_review"),
        change(company, task, estimate_minutes=5),
    )
    now = await stage.ask(GetTask(id=task.id), caller=company.ada)
    assert (now.title, now.priority, now.status, now.estimate_minutes, now.version) == ("new", 3, "in_review", 5, 5)


async def test_changes_of_one_tick_are_each_for_themselves(stage: Stage, company: Company) -> None:
    project = await company.project()
    await company.join(project, company.bob, "viewer")
    one, other = await company.tasks(project, ["one", "other"])
    await stage.ask(WatchTask(id=one.id), caller=company.bob)
    one = await company.look(one)
    company.events()
    changes = [
        (UpdateTask(id=one.id, title="first", if_match=(one.version,)), company.ada),
        (UpdateTask(id=one.id, title="late", if_match=(one.version,)), company.ada),
        (UpdateTask(id=one.id, title="viewer"), company.bob),
        (UpdateTask(id=one.id, title="hidden"), company.eve),
        (UpdateTask(id=other.id, parent_id=one.id), company.ada),
        (UpdateTask(id=one.id, parent_id=other.id), company.ada),
        (UpdateTask(id=one.id, priority=2), company.ada),
    ]
    answers = await stage.ask_all([each for each, _ in changes], callers=[caller for _, caller in changes])
    codes = [each.title if isinstance(each, Task) else getattr(each, "code", each) for each in answers]
    assert codes == [
        "first",
        "request.precondition_failed",
        "auth.forbidden",
        "task.not_found",
        "other",
        "task.parent_cycle",
        "first",
    ]
    assert await company.look(one) == answers[-1]
    assert [event.actor_id for event in company.events() if isinstance(event, TaskUpdated)] == [company.ada] * 3
    assert await company.history(one) == [("title", "one", "first"), ("priority", 0, 2)]


async def test_b77_a_hidden_task_cannot_be_changed_or_deleted(stage: Stage, company: Company) -> None:
    task = await company.task(await company.project())
    for hidden in (task.id, str(uuid.uuid4())):
        with pytest.raises(NotFound, match=r"task\.not_found"):
            await stage.ask(UpdateTask(id=hidden, title="mine"), caller=company.eve)
        with pytest.raises(NotFound, match=r"task\.not_found"):
            await stage.ask(DeleteTask(id=hidden), caller=company.eve)


async def test_viewers_change_and_delete_nothing(stage: Stage, company: Company) -> None:
    project = await company.project()
    await company.join(project, company.bob, "viewer")
    task = await company.task(project)
    with pytest.raises(Forbidden, match=r"auth\.forbidden"):
        await change(company, task, company.bob, title="mine")
    with pytest.raises(Forbidden, match=r"auth\.forbidden"):
        await stage.ask(DeleteTask(id=task.id), caller=company.bob)


async def test_b78_foreign_ids_in_a_change_are_refused_where_they_stand(company: Company) -> None:
    project, other = await company.project(), await company.project()
    task, elsewhere = await company.task(project), await company.task(other)
    with pytest.raises(Invalid) as refusal:
        await change(company, task, title="x", label_ids=[str(uuid.uuid4())], parent_id=elsewhere.id)
    assert [fault.pointer for fault in refusal.value.faults] == ["/label_ids/0", "/parent_id"]
    with pytest.raises(Invalid, match=r"task\.assignee_not_member") as refusal:
        await change(company, task, assignee_ids=[company.ada, company.eve])
    assert [fault.pointer for fault in refusal.value.faults] == ["/assignee_ids/1"]


async def test_no_task_is_below_itself(company: Company) -> None:
    project = await company.project()
    top = await company.task(project)
    middle = await company.task(project, parent_id=top.id)
    bottom = await company.task(project, parent_id=middle.id)
    for parent in (top, middle, bottom):
        with pytest.raises(Conflict, match=r"task\.parent_cycle"):
            await change(company, top, parent_id=parent.id)
    assert (await change(company, bottom, parent_id=top.id)).parent_id == top.id


async def test_two_changes_at_once_make_no_circle(company: Company) -> None:
    project = await company.project()
    for _ in range(5):
        one, other = await company.task(project), await company.task(project)
        results = await asyncio.gather(
            change(company, one, parent_id=other.id), change(company, other, parent_id=one.id), return_exceptions=True
        )
        assert sorted(type(result).__name__ for result in results) == ["Conflict", "Task"]


async def test_a_deleted_task_takes_its_subtasks_along_and_can_still_be_read(stage: Stage, company: Company) -> None:
    project = await company.project()
    top = await company.task(project)
    below = await company.task(project, parent_id=top.id)
    apart = await company.task(project)
    company.events()
    stage.advance(seconds=1)
    await stage.ask(DeleteTask(id=top.id), caller=company.ada)
    gone = [await stage.ask(GetTask(id=task.id), caller=company.ada) for task in (top, below)]
    assert all(task.deleted_at and task.version == 2 for task in gone)
    assert (await stage.ask(GetTask(id=apart.id), caller=company.ada)).deleted_at is None
    events = company.events()
    assert sorted(event.task.id for event in events if isinstance(event, TaskDeleted)) == sorted([top.id, below.id])
    assert await company.history(below) == [("deleted_at", None, gone[1].deleted_at)]


async def test_deleting_again_is_no_error_and_no_event(stage: Stage, company: Company) -> None:
    task = await company.task(await company.project())
    await stage.ask(DeleteTask(id=task.id), caller=company.ada)
    company.events()
    await stage.ask(DeleteTask(id=task.id, if_match=(1,)), caller=company.ada)
    assert company.events() == []


async def test_a_stale_tag_keeps_a_task_from_the_trash(stage: Stage, company: Company) -> None:
    task = await company.task(await company.project())
    with pytest.raises(PreconditionFailed, match=r"request\.precondition_failed"):
        await stage.ask(DeleteTask(id=task.id, if_match=(2,)), caller=company.ada)
    assert (await stage.ask(GetTask(id=task.id), caller=company.ada)).deleted_at is None


async def test_in_the_trash_nothing_changes(stage: Stage, company: Company) -> None:
    project = await company.project()
    task = await company.task(project)
    await stage.ask(DeleteTask(id=task.id), caller=company.ada)
    with pytest.raises(Conflict, match=r"task\.deleted"):
        await change(company, task, title="x")
    with pytest.raises(Invalid) as refusal:
        await company.task(project, parent_id=task.id)
    assert [fault.pointer for fault in refusal.value.faults] == ["/parent_id"]


async def test_no_subtask_outlives_its_parent(stage: Stage, company: Company) -> None:
    """A subtask that is created while its parent is deleted is refused, or deleted too."""
    project = await company.project()
    for _ in range(5):
        parent = await company.task(project)
        command = CreateTask(project_id=project.id, title="late", parent_id=parent.id)
        _, (made,) = await asyncio.gather(
            stage.ask(DeleteTask(id=parent.id), caller=company.ada), stage.ask_all([command], caller=company.ada)
        )
        if isinstance(made, Task):
            assert (await stage.ask(GetTask(id=made.id), caller=company.ada)).deleted_at
        else:
            assert isinstance(made, Invalid)
