"""Any sequence of acts on tasks, beside a model of a few lines; on each kind of store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, get_args

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors.contracts.task import (
    AssignTask,
    CreateTask,
    DeleteTask,
    GetTask,
    LabelTask,
    ListTasks,
    RestoreTask,
    Sort,
    Task,
    TaskStatus,
    UnassignTask,
    UnlabelTask,
    UpdateTask,
)
from actors.contracts.values import milliseconds, rfc3339
from runtime.errors import Conflict
from runtime.testing import NOON, Stage
from tests.actors.company import Company

WORDS: Final = ("land", "launch", "café")
TIMES: Final = [None, *(datetime.fromtimestamp(NOON / 1000 + days * 86400, UTC) for days in (1, 2, 3))]

numbers = st.integers(0, 9)
fields = st.fixed_dictionaries(
    {},
    optional={
        "title": st.sampled_from(WORDS),
        "status": st.sampled_from(get_args(TaskStatus)),
        "priority": st.integers(0, 4),
        "due_at": st.sampled_from(TIMES),
    },
)
acts = st.one_of(
    st.tuples(st.just("create"), numbers, fields),
    st.tuples(st.just("patch"), numbers, fields),
    st.tuples(st.sampled_from(["delete", "restore", "assign", "unassign", "label", "unlabel"]), numbers, numbers),
)
questions = st.fixed_dictionaries(
    {"sort": st.sampled_from(get_args(Sort)), "limit": st.integers(1, 4)},
    optional={
        "status": st.lists(st.sampled_from(get_args(TaskStatus)), min_size=1, max_size=2),
        "priority": st.lists(st.integers(0, 4), min_size=1, max_size=2),
        "assignee_id": st.lists(st.sampled_from(["me", "none", "bob"]), min_size=1, max_size=2),
        "label_id": st.lists(numbers, min_size=1, max_size=1),
        "due_before": st.sampled_from(TIMES[1:]),
        "due_after": st.sampled_from(TIMES[1:]),
        "q": st.sampled_from(["land", "la*", "cafe", "land launch"]),
        "deleted": st.just(True),
    },
)


class Model:
    """What a project's tasks should be: as the API shows them, kept in a dictionary."""

    def __init__(self) -> None:
        self.tasks: dict[str, Task] = {}

    def change(self, id: str, now: int, **changes: Any) -> None:
        """A change counts when something is different."""
        task = self.tasks[id]
        if any(getattr(task, field) != value for field, value in changes.items()):
            if "status" in changes and changes["status"] != task.status:
                changes["completed_at"] = rfc3339(now) if changes["status"] == "done" else None
            self.tasks[id] = msgspec.structs.replace(task, **changes, updated_at=rfc3339(now), version=task.version + 1)

    def listed(self, query: ListTasks, me: str) -> list[Task]:
        """All pages."""
        column = query.sort.lstrip("-")
        found = [task for task in self.tasks.values() if _meets(task, query, me)]
        there = [task for task in found if getattr(task, column) is not None]
        missing = [task for task in found if getattr(task, column) is None]
        descending = query.sort.startswith("-")
        key: Callable[[Task], Any] = lambda task: (getattr(task, column), task.id)  # noqa: E731 # one line is clearer
        missing.sort(key=lambda task: task.id, reverse=descending)
        return sorted(there, key=key, reverse=descending) + missing


def _meets(task: Task, query: ListTasks, me: str) -> bool:
    people = [me if each == "me" else each for each in query.assignee_id]
    return (
        (task.deleted_at is not None) == query.deleted
        and (not query.status or task.status in query.status)
        and (not query.priority or task.priority in query.priority)
        and (not people or any(each in people for each in task.assignee_ids or ["none"]))
        and (not query.label_id or any(each in query.label_id for each in task.label_ids))
        and (query.due_before is None or (task.due_at or "9") < rfc3339(milliseconds(query.due_before)))
        and (query.due_after is None or (task.due_at or "") > rfc3339(milliseconds(query.due_after)))
        and (query.q is None or _says(task.title.replace("é", "e"), query.q))
    )


def _says(title: str, q: str) -> bool:
    return all(title.startswith(word[:-1]) if word.endswith("*") else title == word for word in q.split())


def shown(changes: dict[str, Any]) -> dict[str, Any]:
    """Fields as they are answered."""
    due = {"due_at": changes["due_at"] and rfc3339(milliseconds(changes["due_at"]))} if "due_at" in changes else {}
    return {**changes, **due}


async def act(kind: str, number: int, more: Any, model: Model, company: Company, world: dict[str, Any]) -> None:
    """Do it to both; in the trash nothing but a restoration is done."""
    stage, caller = company.stage, company.ada
    stage.advance(seconds=number % 2)  # also several within one moment
    if kind == "create":
        task = await stage.ask(CreateTask(project_id=world["project"], **{"title": "land", **more}), caller=caller)
        wanted = {"title": "land", "status": "todo", "priority": 0, "due_at": None, **shown(more)}
        assert {field: getattr(task, field) for field in wanted} == wanted
        assert (task.number, task.version) == (len(model.tasks) + 1, 1)
        model.tasks[task.id] = task
        return
    if not model.tasks:
        return
    id = list(model.tasks)[number % len(model.tasks)]
    gone = model.tasks[id].deleted_at is not None
    if kind in ("delete", "restore"):
        if kind == "delete":
            await stage.ask(DeleteTask(id=id), caller=caller)
        else:
            await stage.ask(RestoreTask(id=id), caller=caller)
        if gone == (kind == "restore"):
            model.change(id, stage.now, deleted_at=rfc3339(stage.now) if kind == "delete" else None)
        return
    was = model.tasks[id]
    command, changes = _command(kind, id, was, more, world)
    try:
        assert (await stage.ask(command, caller=caller)).id == id
    except Conflict as refusal:
        assert (refusal.code, gone) == ("task.deleted", True)  # noqa: PT017 # it is no fault when it is gone
        return
    assert not gone
    model.change(id, stage.now, **changes)


def _command(kind: str, id: str, was: Task, more: Any, world: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    if kind == "patch":
        return UpdateTask(id=id, **more), shown(more)
    who, label = world["people"][0 if kind == "patch" else more % 2], world["labels"][more % 2]
    people, labels = was.assignee_ids, was.label_ids
    match kind:
        case "assign":
            return AssignTask(id=id, user_id=who), {"assignee_ids": people if who in people else [*people, who]}
        case "unassign":
            return UnassignTask(id=id, user_id=who), {"assignee_ids": [each for each in people if each != who]}
        case "label":
            return LabelTask(id=id, label_id=label), {"label_ids": labels if label in labels else [*labels, label]}
        case _:
            return UnlabelTask(id=id, label_id=label), {"label_ids": [each for each in labels if each != label]}


async def all_pages(stage: Stage, query: ListTasks, caller: str) -> list[Task]:
    found: list[Task] = []
    cursor: str | None = None
    while True:
        page = await stage.ask(msgspec.structs.replace(query, cursor=cursor), caller=caller)
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            return found


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=st.lists(acts, min_size=5, max_size=30), asked=st.lists(questions, min_size=3, max_size=8))
async def test_tasks_are_what_was_made_of_them(
    stage: Stage, history: Sequence[tuple[str, int, Any]], asked: Sequence[dict[str, Any]]
) -> None:
    company, model = Company(stage), Model()
    project = await company.project()
    await company.join(project, company.bob)
    labels = [(await company.label(project, name)).id for name in ("one", "two")]
    world = {"project": project.id, "people": [company.ada, company.bob], "labels": labels}
    for kind, number, more in history:
        await act(kind, number, more, model, company, world)
    for id, task in model.tasks.items():
        assert await stage.ask(GetTask(id=id), caller=company.ada) == task
    for question in asked:
        names: dict[str, dict[Any, str]] = {
            "assignee_id": {"bob": company.bob},
            "label_id": dict(enumerate(labels * 5)),
        }
        given: dict[str, Any] = {
            field: [names[field].get(each, each) for each in value] if field in names else value
            for field, value in question.items()
        }
        for scope in ([], [project.id]):
            query = ListTasks(project_id=scope, **given)
            found = await all_pages(stage, query, company.ada)
            assert [each.title for each in found] == [each.title for each in model.listed(query, company.ada)]
            assert found == model.listed(query, company.ada)
