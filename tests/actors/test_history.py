"""The history of a task: every change of a field, newest first; and taking one back."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

import pytest

from actors.contracts.task import DeleteTask, RestoreTask, Task, TaskUpdated, UpdateTask
from actors.contracts.task_activity import Activity, ListActivity, UndoActivity
from actors.contracts.task_move import MoveTask
from actors.contracts.task_project import RemoveMember
from actors.contracts.task_relation import RelateTask, UnrelateTask
from actors.records.task import TaskRecords
from runtime.errors import Conflict, Forbidden, Invalid, NotFound
from runtime.testing import Stage
from tests.actors.company import Company
from tests.sql import sql

A_TIME = datetime(2026, 1, 1, tzinfo=UTC)


async def history(company: Company, task: Task, caller: str | None = None) -> list[Activity]:
    page = await company.stage.ask(ListActivity(id=task.id), caller=caller or company.ada)
    assert page.next_cursor is None
    return page.items


async def change(company: Company, task: Task, **fields: Any) -> Task:
    return await company.stage.ask(UpdateTask(id=task.id, **fields), caller=company.ada)


async def undo(company: Company, entry: Activity) -> Task:
    return await company.stage.ask(UndoActivity(id=entry.id), caller=company.ada)


async def test_every_change_of_a_field_is_told_newest_first(stage: Stage, company: Company) -> None:
    project = await company.project()
    await company.join(project, company.bob, "viewer")
    task = await company.task(project, description="x")
    stage.advance(seconds=1)
    changed = await change(company, task, title="Land softly", description="")
    assert await change(company, task, title="Land softly") == changed  # no change, no entry
    description, title, created = await history(company, task, company.bob)
    assert (title.field, title.was, title.became) == ("title", "Land", "Land softly")
    assert (title.task_id, title.actor_id, title.created_at) == (task.id, company.ada, changed.updated_at)
    assert (description.field, description.was, description.became) == ("description", "x", "")
    assert (created.field, created.was, created.became) == ("created_at", None, task.created_at)


async def test_a_long_history_comes_in_pages(stage: Stage, company: Company) -> None:
    task = await company.task(await company.project())
    for number in range(5):
        await change(company, task, title=f"title {number}")
    found, cursor = [], None
    while True:
        page = await stage.ask(ListActivity(id=task.id, limit=2, cursor=cursor), caller=company.ada)
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            break
    assert [each.became for each in found] == [*(f"title {n}" for n in (4, 3, 2, 1, 0)), task.created_at]
    with pytest.raises(Invalid, match=r"request\.invalid"):
        await stage.ask(ListActivity(id=task.id, cursor="AAAA"), caller=company.ada)


async def test_b77_who_may_not_see_the_task_sees_none_of_its_history(stage: Stage, company: Company) -> None:
    task = await company.task(await company.project())
    await change(company, task, title="new")
    (entry, _) = await history(company, task)
    await company.refuses(NotFound, "task.not_found", company.eve, ListActivity(id=task.id))
    await company.refuses(NotFound, "activity.not_found", company.eve, UndoActivity(id=entry.id))
    await company.refuses(NotFound, "activity.not_found", company.ada, UndoActivity(id=str(uuid.uuid4())))


async def test_a_viewer_undoes_nothing(stage: Stage, company: Company) -> None:
    project = await company.project()
    await company.join(project, company.bob, "viewer")
    task = await company.task(project)
    await change(company, task, title="new")
    (entry, _) = await history(company, task)
    await company.refuses(Forbidden, "auth.forbidden", company.bob, UndoActivity(id=entry.id))


async def test_each_field_can_be_given_its_value_again(stage: Stage, company: Company) -> None:
    project = await company.project()
    await company.join(project, company.bob)
    label, parent = await company.label(project), await company.task(project, "parent")
    task = await company.task(project)
    fields: dict[str, Any] = {
        "title": "new",
        "description": "new",
        "status": "done",
        "priority": 4,
        "assignee_ids": [company.ada, company.bob],
        "label_ids": [label.id],
        "start_at": A_TIME,
        "due_at": A_TIME,
        "remind_at": [A_TIME],
        "parent_id": parent.id,
        "estimate_minutes": 5,
    }
    changed = await change(company, task, **fields)
    entries = (await history(company, task))[:-1]
    assert {entry.field for entry in entries} == fields.keys()
    stage.advance(seconds=1)
    for entry in entries:
        company.events()
        undone = await undo(company, entry)
        assert getattr(undone, entry.field) == getattr(task, entry.field)
        assert isinstance(event := company.events()[0], TaskUpdated)
        assert event.changed == [entry.field]
    for field in fields:
        assert getattr(undone, field) == getattr(task, field), field
    assert (undone.completed_at, undone.version) == (None, changed.version + len(fields))
    # what undoes is a change like any other: it can be undone itself
    last = (await history(company, task))[0]
    assert (last.was, last.became) == (entries[-1].became, entries[-1].was)
    assert getattr(await undo(company, last), last.field) == getattr(changed, last.field)


async def test_what_was_changed_since_is_not_undone(stage: Stage, company: Company) -> None:
    task = await company.task(await company.project())
    await change(company, task, title="second")
    (entry, created) = await history(company, task)
    await change(company, task, title="third")
    for each in (entry, created):
        await company.refuses(Conflict, "activity.not_undoable", company.ada, UndoActivity(id=each.id))
    assert (await change(company, task, title="second")).title == "second"
    assert (await undo(company, entry)).title == "Land"  # it applies again
    await company.refuses(Conflict, "activity.not_undoable", company.ada, UndoActivity(id=entry.id))


async def test_the_order_of_ids_says_nothing(stage: Stage, company: Company) -> None:
    project = await company.project()
    await company.join(project, company.bob)
    task = await company.task(project, assignee_ids=[company.ada])
    await change(company, task, assignee_ids=[company.ada, company.bob])
    (entry, _) = await history(company, task)
    await change(company, task, assignee_ids=[])
    await change(company, task, assignee_ids=[company.bob, company.ada])
    assert (await undo(company, entry)).assignee_ids == [company.ada]


async def test_what_the_old_value_names_must_still_be_there(stage: Stage, company: Company) -> None:
    project = await company.project()
    await company.join(project, company.bob)
    task = await company.task(project, assignee_ids=[company.bob])
    await change(company, task, assignee_ids=[])
    (entry, _) = await history(company, task)
    await stage.ask(RemoveMember(id=project.id, user_id=company.bob), caller=company.ada)
    await company.refuses(Conflict, "activity.not_undoable", company.ada, UndoActivity(id=entry.id))
    # nor may it close a circle
    above, below = await company.tasks(project, ["above", "below"])
    await change(company, below, parent_id=above.id)
    await change(company, below, parent_id=None)
    (off, _, _) = await history(company, below)
    await change(company, above, parent_id=below.id)
    await company.refuses(Conflict, "activity.not_undoable", company.ada, UndoActivity(id=off.id))


async def test_in_the_trash_nothing_is_undone_but_all_is_read(stage: Stage, company: Company) -> None:
    task = await company.task(await company.project())
    await change(company, task, title="new")
    (entry, _) = await history(company, task)
    await stage.ask(DeleteTask(id=task.id), caller=company.ada)
    (deleted, *_) = await history(company, task)
    assert (deleted.field, deleted.was) == ("deleted_at", None)
    for each in (entry, deleted):
        await company.refuses(Conflict, "task.deleted", company.ada, UndoActivity(id=each.id))
    await stage.ask(RestoreTask(id=task.id), caller=company.ada)
    (restored, *_) = await history(company, task)
    assert (restored.was, restored.became) == (deleted.became, None)
    for each in (restored, deleted):  # the trash has calls of its own
        await company.refuses(Conflict, "activity.not_undoable", company.ada, UndoActivity(id=each.id))
    assert (await undo(company, entry)).title == "Land"


async def test_a_relation_is_undone_on_both_sides(stage: Stage, company: Company) -> None:
    one, other = await company.tasks(await company.project(), ["one", "other"])
    await stage.ask(RelateTask(id=one.id, kind="blocks", other_id=other.id), caller=company.ada)
    (entry, _) = await history(company, other)
    assert (entry.field, entry.became) == ("relations", [{"type": "blocked_by", "task_id": one.id}])
    assert (await undo(company, entry)).relations == []
    assert (await company.look(one)).relations == []
    (ended, *_) = await history(company, one)
    (again,) = (await undo(company, ended)).relations
    assert (again.type, again.task_id) == ("blocks", other.id)
    # not when the other one is away
    await stage.ask(UnrelateTask(id=one.id, kind="blocks", other_id=other.id), caller=company.ada)
    (ended, *_) = await history(company, one)
    await stage.ask(DeleteTask(id=other.id), caller=company.ada)
    await company.refuses(Conflict, "activity.not_undoable", company.ada, UndoActivity(id=ended.id))


async def test_a_move_is_undone_where_its_place_is_free(stage: Stage, company: Company) -> None:
    one, two, three = await company.tasks(await company.project(), ["one", "two", "three"])
    await stage.ask(MoveTask(id=one.id, after_id=three.id), caller=company.ada)
    (entry, _) = await history(company, one)
    assert (entry.field, entry.was) == ("position", one.position)
    assert (await undo(company, entry)).position == one.position
    await stage.ask(MoveTask(id=one.id, after_id=three.id), caller=company.ada)
    (entry, *_) = await history(company, one)
    async with stage.dispatches["task"].store.transaction() as transaction:  # another one comes to stand there
        await TaskRecords(sql(transaction)).place({two.id: one.position})
    await company.refuses(Conflict, "activity.not_undoable", company.ada, UndoActivity(id=entry.id))


async def test_a_move_to_another_project_is_undone_by_who_may_write_there(stage: Stage, company: Company) -> None:
    here, there = await company.project(), await company.project("Gemini")
    await company.join(there, company.bob)
    await company.task(there)
    task = await company.task(here)
    await stage.ask(MoveTask(id=task.id, project_id=there.id), caller=company.ada)
    entries = {entry.field: entry for entry in await history(company, task)}
    await company.refuses(Conflict, "activity.not_undoable", company.bob, UndoActivity(id=entries["project_id"].id))
    await company.refuses(Conflict, "activity.not_undoable", company.ada, UndoActivity(id=entries["number"].id))
    back = await undo(company, entries["project_id"])
    assert (back.project_id, back.number) == (here.id, 2)
