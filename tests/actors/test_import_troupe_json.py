"""What an export gives, in another project: all of it, once; and what is no export."""

from __future__ import annotations

import base64
import json
import tracemalloc
from collections.abc import AsyncIterator
from typing import Any

import pytest

from actors.contracts.task import ListTasks, Task
from actors.contracts.task_import import FileImported, ImportFault
from actors.contracts.task_label import CreateLabel
from actors.contracts.task_project import GetProject, ListProjects, Project
from actors.contracts.task_recurrence import NewRecurrence
from actors.contracts.task_relation import RelateTask
from actors.imports import troupe_json
from actors.imports.item import Found, ImportedComments, ImportedTask, Remark, Unreadable
from actors.imports.json_elements import LARGEST
from tests.actors.importing import Importers

DUE = "2026-12-24T09:00:00.000Z"


async def full(importers: Importers) -> Project:
    """A project with something of everything."""
    stage, ada = importers.stage, importers.ada
    project = await importers.project("Apollo", description="To the moon")
    await importers.join(project, importers.bob)
    color = {"name": "urgent", "color": "#ff0000"}
    label = await stage.ask(CreateLabel(id=project.id, **color), caller=ada)
    await importers.label(project, "unused")
    parent = await importers.task(project, "Land =1+1 ünï", description="two\nlines", status="in_review", priority=4)
    stage.advance(seconds=1)
    child = await importers.task(
        project,
        "Leave",
        parent_id=parent.id,
        status="done",
        label_ids=[label.id],
        assignee_ids=[importers.bob],
        start_at="2026-12-23T09:00:00Z",
        due_at=DUE,
        remind_at=["2026-12-24T08:00:00Z"],
        estimate_minutes=30,
    )
    stage.advance(seconds=1)
    weekly = NewRecurrence(rule="FREQ=WEEKLY", timezone="Europe/Berlin")
    again = await importers.task(project, "Again", due_at=DUE, recurrence=weekly, status="cancelled")
    for body in ("First", "Second"):
        stage.advance(seconds=1)
        await importers.comment(child, body)
    for kind, one, other in (("blocks", parent, child), ("duplicates", again, parent), ("relates", again, child)):
        await stage.ask(RelateTask(id=one.id, kind=kind, other_id=other.id), caller=ada)  # type: ignore[arg-type] # one of them
    return project


def alike(file: bytes) -> list[dict[str, Any]]:
    """Tasks of an export, without what differs from project to project: ids are numbers and names."""
    whole = json.loads(file)
    numbers = {each["id"]: each["number"] for each in whole["tasks"]}
    labels = {each["id"]: each["name"] for each in whole["labels"]}
    kept = []
    for task in whole["tasks"]:
        fields = {name: task[name] for name in KEPT}
        fields["parent"] = numbers.get(task["parent_id"])
        fields["labels"] = sorted(labels[id] for id in task["label_ids"])
        fields["relations"] = sorted((each["type"], numbers[each["task_id"]]) for each in task["relations"])
        fields["recurs"] = task["recurrence"] and (task["recurrence"]["rule"], task["recurrence"]["timezone"])
        fields["comments"] = [(each["body"], each["created_at"], each["updated_at"]) for each in task["comments"]]
        kept.append(fields)
    return kept


KEPT = (
    "number", "title", "description", "status", "priority", "assignee_ids", "start_at", "due_at", "remind_at",
    "estimate_minutes", "created_at", "completed_at", "comment_count",
)  # fmt: skip


# -------------------------------------------------------------------------------------------- what becomes


async def test_what_is_exported_comes_whole_into_another_project(importers: Importers) -> None:
    file = await importers.exported(await full(importers))
    other = await importers.project("Gemini")
    await importers.join(other, importers.bob)
    result = await importers.imported(file, other.id, format="troupe-json")
    assert (result.status, result.total, result.created, result.errors) == ("done", 3, 3, [])
    came = await importers.exported(other)
    assert alike(came) == alike(file)
    assert await importers.labels(other.id) == await importers.labels(json.loads(file)["project"]["id"])
    assert len(await importers.labels(other.id)) == 2


async def test_without_a_project_one_is_made_with_its_name_and_description(importers: Importers) -> None:
    result = await importers.imported(await importers.exported(await full(importers)), format="troupe-json")
    assert result.project_id is not None
    made = await importers.stage.ask(GetProject(id=result.project_id), caller=importers.ada)
    assert (made.name, made.description) == ("Apollo", "To the moon")


async def test_who_is_no_member_there_is_not_assigned(importers: Importers) -> None:
    result = await importers.imported(await importers.exported(await full(importers)), format="troupe-json")
    assert [each.assignee_ids for each in await importers.tasks_in(result.project_id)] == [[], [], []]


async def test_the_same_export_again_makes_nothing_and_a_later_one_only_what_is_new(importers: Importers) -> None:
    project = await full(importers)
    file = await importers.exported(project)
    other = await importers.project("Gemini")
    await importers.imported(file, other.id, format="troupe-json")
    before = await importers.tasks_in(other.id)
    again = await importers.imported(file, other.id, format="troupe-json")
    assert (again.status, again.created, again.skipped, again.errors) == ("done", 0, 3, [])
    assert await importers.tasks_in(other.id) == before
    await importers.comment(await importers.task(project, "New"), "Fresh")
    await importers.comment(await _titled(importers, project, "Leave"), "Third")
    grown = await importers.imported(await importers.exported(project), other.id, format="troupe-json")
    assert (grown.created, grown.skipped) == (1, 3)
    leave = await _titled(importers, other, "Leave")
    assert [body for _, body in await importers.comments(leave)] == ["First", "Second", "Third"]
    assert (await _titled(importers, other, "New")).comment_count == 1


async def test_a_dry_run_counts_as_the_real_one_and_makes_nothing(importers: Importers) -> None:
    file = await importers.exported(await full(importers))
    before = (await importers.stage.ask(ListProjects(), caller=importers.ada)).items
    dry = await importers.imported(file, format="troupe-json", dry_run=True)
    assert (await importers.stage.ask(ListProjects(), caller=importers.ada)).items == before
    real = await importers.imported(file, format="troupe-json")
    for field in ("status", "created", "skipped", "done", "total", "errors"):
        assert getattr(real, field) == getattr(dry, field), field


async def test_an_empty_project_is_an_import_too(importers: Importers) -> None:
    result = await importers.imported(await importers.exported(await importers.project("Empty")), format="troupe-json")
    assert (result.status, result.total, result.errors) == ("done", 0, [])


async def test_files_in_pieces_are_handed_on_with_their_tasks(importers: Importers) -> None:
    whole = json.loads(await importers.exported(await full(importers)))
    task = whole["tasks"][0]["id"]
    whole["attachments"] = [
        piece(1, task, b"Hello, ", 0, 12),
        piece(1, task, b"moon!", 7),
        piece(2, task, b"cut", 0, 9),
    ]
    importers.events()
    result = await importers.imported(json.dumps(whole).encode(), format="troupe-json")
    (told,) = [each for each in importers.events() if isinstance(each, FileImported)]
    assert (told.filename, told.user_id, told.import_id) == ("1.txt", importers.ada, result.id)
    assert b"".join([each async for each in importers.blobs.get(told.key)]) == b"Hello, moon!"
    assert [each.detail for each in result.errors] == ["the file '2.txt' is left out: it breaks off"]


def piece(n: int, task_id: str, content: bytes, offset: int = 0, size: int | None = None) -> dict[str, Any]:
    """Of the n-th file."""
    return {
        "id": f"00000000-0000-7000-8000-{n:012}",
        "task_id": task_id,
        "content": base64.b64encode(content).decode(),
        "offset": offset,
        "size": size,
        "filename": f"{n}.txt",
    }


async def _titled(importers: Importers, project: Project, title: str) -> Task:
    page = await importers.stage.ask(ListTasks(project_id=[project.id], limit=200), caller=importers.ada)
    (found,) = [each for each in page.items if each.title == title]
    return found


# ------------------------------------------------------------------------------------------------- broken


ID = "00000000-0000-7000-8000-000000000001"


def export(*tasks: Any, **members: Any) -> bytes:
    whole = {"project": {"name": "Apollo"}, "members": [], "labels": [], "tasks": tasks, **members}
    return json.dumps(whole, indent=1).encode()


async def read(content: bytes) -> list[Found]:
    async def parts() -> AsyncIterator[bytes]:
        for start in range(0, len(content), 64 << 10):
            yield content[start : start + (64 << 10)]

    return [each async for each in troupe_json.read(parts, {})][1:]  # first, the project itself


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (None, "a task: Expected 'object'"),
        ({"id": ID}, "a task: Object missing required field 'title'"),
        ({"id": "../x", "title": "Land"}, "a task: Expected"),
        ({"id": ID, "number": 7, "title": "Land", "status": "open"}, "task 7: Invalid enum value 'open'"),
        ({"id": ID, "number": 7, "title": "Land", "priority": 5}, "task 7: Expected 'int' <= 4"),
        ({"id": ID, "number": 7, "title": "Land", "due_at": "tomorrow"}, "task 7: "),
        ({"id": ID, "number": 7, "title": "Land", "series": {"number": 0}}, "task 7: Expected 'int' >= 1"),
        ({"id": ID, "title": "x" * LARGEST}, "this task is too large"),
    ],
)
async def test_a_broken_task_is_told_of_with_its_line_and_stops_no_other(broken: Any, told: str) -> None:
    content = export({"id": ID, "title": "a"}, broken, {"id": ID, "title": "b"})
    found = await read(content)
    assert [isinstance(each, ImportedTask) for each in found] == [True, False, True]
    fault = found[1]
    assert isinstance(fault, ImportFault)
    assert (fault.line, fault.detail[: len(told)]) == (12, told)


def said(n: int, body: Any = "Yes") -> dict[str, Any]:
    return {"id": f"00000000-0000-7000-8001-{n:012}", "body": body, "created_at": DUE}


async def test_a_broken_comment_is_told_of_with_its_line_and_costs_no_task() -> None:
    comments = [said(1), {}, said(2, ["No"]), said(3, "x" * LARGEST), said(4)]
    task, *remarks = await read(export({"id": ID, "title": "a", "comments": comments}))
    assert isinstance(task, ImportedTask)
    assert [each.source for each in task.comments] == [said(1)["id"], said(4)["id"]]
    assert [each.fault for each in remarks if isinstance(each, Remark)] == [
        ImportFault(line=17, detail="a comment: Object missing required field 'id'"),
        ImportFault(line=18, detail=f"comment {said(2)['id']!r}: Expected 'str', got 'array' - at '$.body'"),
        ImportFault(line=25, detail="this comment is too large"),
    ]


@pytest.mark.parametrize("first", [True, False], ids=["before the rest of the task", "after it"])
async def test_what_was_said_of_a_task_may_be_more_than_a_task_may_have(first: bool) -> None:
    comments = [said(n, f"{n} {'x' * 60_000}") for n in range(150)]
    own = {"id": ID, "title": "Long"}
    task = {"comments": [*comments, {}], **own} if first else {**own, "comments": [*comments, {}]}
    found = await read(export({"id": ID[:-1] + "2", "title": "a", "comments": [said(200)]}, task))
    short, long, *later = found
    assert isinstance(short, ImportedTask)
    assert isinstance(long, ImportedTask)
    assert (len(short.comments), long.title, long.comments) == (1, "Long", [])
    bodies = [each.body for more in later if isinstance(more, ImportedComments) for each in more.comments]
    assert bodies == [each["body"] for each in comments]
    assert {more.of for more in later if isinstance(more, ImportedComments)} == {ID}
    assert max(len(more.comments) for more in later if isinstance(more, ImportedComments)) == 5
    (remark,) = (each for each in later if isinstance(each, Remark))
    assert remark.fault.detail == "a comment: Object missing required field 'id'"


@pytest.mark.parametrize("odd", [None, 7, "x", {"comments": [1]}, [[said(1)]]])
async def test_comments_that_are_no_list_of_them_cost_no_task(odd: Any) -> None:
    found = await read(export({"id": ID, "comments": odd, "title": "a"}, {"id": ID[:-1] + "2", "title": "b"}))
    assert [each.title for each in found if isinstance(each, ImportedTask)] == ["a", "b"]
    assert [each.comments for each in found if isinstance(each, ImportedTask)] == [[], []]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "this is not JSON"),
        (b"[]", "there is no list 'labels'"),
        (b'{"labels": []}', "there is no list 'tasks'"),
        (b'{"tasks": []}', "there is no list 'labels'"),
        (export({"id": ID, "title": "a"})[:-10], "this is not JSON"),
        (export().decode().encode("utf-16"), "this is not JSON"),
        (b"[" * 100_000, "this is not JSON"),
        (b'{"labels": [], "tasks": [], "x": "' + b"y" * (LARGEST + 100_000), "there is a text of more than"),
    ],
)
async def test_what_is_no_export_is_unreadable(content: bytes, told: str) -> None:
    with pytest.raises(Unreadable) as caught:
        await read(content)
    assert caught.value.fault.detail.startswith(told)


async def test_memory_does_not_grow_with_the_file() -> None:
    async def long() -> AsyncIterator[bytes]:
        yield b'{"labels": [], "tasks": [null'
        for n in range(300):
            yield f', {{"id": "00000000-0000-7000-8000-{n:012}", "title": "a", "description": "{"x" * 10_000}"}}'.encode()
        yield f', {{"id": "{ID}", "title": "b", "comments": [null'.encode()
        for n in range(3000):
            yield b", " + json.dumps(said(n)).encode()
        yield b"]}]}"

    tracemalloc.start()
    tasks = comments = 0
    async for found in troupe_json.read(long, {}):
        tasks += isinstance(found, ImportedTask)
        comments += len(found.comments) if isinstance(found, ImportedComments) else 0
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (tasks, comments) == (301, 3000)
    assert peak < 1_000_000, "of 3.4 MB"


async def test_deep_nesting_is_no_reason_to_fail() -> None:
    content = export({"id": ID, "title": "a"}, "DEEP").replace(b'"DEEP"', b"[" * 100_000 + b"]" * 100_000)
    assert [type(each) for each in await read(content)] == [ImportedTask, ImportFault]
