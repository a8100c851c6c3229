"""Moving tasks: on their board, to a status, and into other projects."""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.contracts.task import (
    DeleteTask,
    GetTask,
    ListTasks,
    RestoreTask,
    Task,
    TaskCompleted,
    TaskUpdated,
    UpdateTask,
    WatchTask,
)
from actors.contracts.task_comment import ListComments
from actors.contracts.task_move import MoveTask
from actors.contracts.task_project import Project
from actors.records.task import TaskRecords
from actors.task_moves import move_task
from actors.task_places import LONGEST, position, spread
from actors.task_quotas import Quotas
from runtime.context import Context, Ids
from runtime.errors import Conflict, Forbidden, Invalid, NotFound
from runtime.message import Caller
from runtime.testing import Stage
from tests.actors.company import Company

DIGITS = st.text("0123456789", max_size=8).map(lambda text: text.rstrip("0"))


async def board(company: Company, project: Project) -> list[str]:
    """The titles in the order of the board."""
    query = ListTasks(project_id=[project.id], sort="position", limit=200)
    page = await company.stage.ask(query, caller=company.ada)
    assert len({task.position for task in page.items}) == len(page.items)
    return [task.title for task in page.items]


async def move(company: Company, task: Task, **to: Any) -> Task:
    return await company.stage.ask(MoveTask(id=task.id, **to), caller=company.ada)


# ------------------------------------------------------------------------------------------------- positions


@given(DIGITS, DIGITS, st.integers(1, 100))
def test_between_any_two_positions_there_are_as_many_as_are_wanted(one: str, other: str, count: int) -> None:
    low, high = sorted((one, other))
    if low < high:
        places = spread(low, high, count)
        assert len(places) == count
        row = [low, *places, high]
        assert all(here < there for here, there in itertools.pairwise(row))
        assert not any(place.endswith("0") for place in places)


def test_positions_are_no_longer_than_they_must_be() -> None:
    assert spread("", position(1), 1) == ["1"]
    assert spread(position(1), position(2), 1) == ["12"]
    assert max(map(len, spread("", position(1000), 999))) == 4


# ------------------------------------------------------------------------------------------------- on a board


async def test_a_task_moves_before_and_after_any_other_and_alone_changes(stage: Stage, company: Company) -> None:
    project = await company.project()
    a, b, c, d = await company.tasks(project, "abcd")
    stage.advance(seconds=1)
    company.events()
    moved = await move(company, d, before_id=b.id)
    assert await board(company, project) == list("adbc")
    assert (moved.version, moved.updated_at > d.updated_at) == (2, True)
    assert [(type(event), event.changed) for event in company.events() if isinstance(event, TaskUpdated)] == [
        (TaskUpdated, ["position"])
    ]
    assert await company.history(d) == [("position", d.position, moved.position)]
    await move(company, a, after_id=c.id)
    assert await board(company, project) == list("dbca")
    await move(company, c, before_id=d.id)
    assert await board(company, project) == list("cdba")
    await company.task(project, "e")  # a new one is still the last
    assert await board(company, project) == list("cdbae")


async def test_what_stands_there_already_stays_as_it_is(company: Company) -> None:
    project = await company.project()
    a, b, _ = await company.tasks(project, "abc")
    company.events()
    assert await move(company, b, after_id=a.id) == b
    assert await move(company, a, before_id=b.id) == a
    assert await move(company, a, status="todo", project_id=project.id) == a
    assert company.events() == []


async def test_a_status_comes_along(company: Company) -> None:
    project = await company.project()
    a, b = await company.tasks(project, "ab")
    company.events()
    done = await move(company, b, status="done", before_id=a.id)
    assert (done.status, done.completed_at) == ("done", done.updated_at)
    updated, completed = company.events()
    assert isinstance(updated, TaskUpdated)
    assert updated.changed == ["status", "position"]
    assert isinstance(completed, TaskCompleted)
    stays = await move(company, a, status="in_review")
    assert (stays.status, stays.position) == ("in_review", a.position)


async def test_what_says_nothing_or_too_much_or_names_no_neighbour_is_refused(stage: Stage, company: Company) -> None:
    project, other = await company.project(), await company.project("Gemini")
    a, b, gone = await company.tasks(project, ["a", "b", "gone"])
    elsewhere = await company.task(other)
    await stage.ask(DeleteTask(id=gone.id), caller=company.ada)
    for pointer, to in (
        ("", {}),
        ("/after_id", {"before_id": b.id, "after_id": b.id}),
        ("/before_id", {"before_id": a.id}),
        ("/after_id", {"after_id": gone.id}),
        ("/after_id", {"after_id": elsewhere.id}),
        ("/before_id", {"before_id": str(uuid.uuid4())}),
        ("/before_id", {"before_id": b.id, "project_id": other.id}),
    ):
        with pytest.raises(Invalid, match=r"request\.invalid") as refused:
            await move(company, a, **to)
        assert [fault.pointer for fault in refused.value.faults] == [pointer]
    assert await company.look(a) == a


async def test_b77_moving_needs_the_right_to_write_on_either_side(stage: Stage, company: Company) -> None:
    project, hidden = await company.project(), await company.project("Gemini")
    await company.join(project, company.bob)
    task = await company.task(project)
    to = MoveTask(id=task.id, project_id=hidden.id)
    await company.refuses(NotFound, "project.not_found", company.bob, to)
    await company.refuses(
        NotFound, "project.not_found", company.ada, MoveTask(id=task.id, project_id=str(uuid.uuid4()))
    )
    await company.refuses(NotFound, "task.not_found", company.eve, to, MoveTask(id=task.id, status="done"))
    await company.join(hidden, company.bob, "viewer")
    await company.refuses(Forbidden, "auth.forbidden", company.bob, to)
    await company.join(project, company.bob, "viewer")
    await company.refuses(Forbidden, "auth.forbidden", company.bob, MoveTask(id=task.id, status="done"))
    await stage.ask(DeleteTask(id=task.id), caller=company.ada)
    await company.refuses(Conflict, "task.deleted", company.ada, to, MoveTask(id=task.id, status="done"))


# ------------------------------------------------------------------------------------------------- to a project


async def test_a_task_goes_to_another_project_with_all_that_exists_there(stage: Stage, company: Company) -> None:
    here, there = await company.project(), await company.project("Gemini")
    await company.join(here, company.bob)
    await company.join(here, company.eve, "viewer")
    await company.join(there, company.eve, "viewer")
    urgent, here_alone = await company.label(here, "urgent"), await company.label(here, "here alone")
    urgent_there = await company.label(there, "urgent")
    parent = await company.task(here, "parent")
    first, _ = await company.tasks(there, ["first", "second"])
    task = await company.task(
        here, parent_id=parent.id, assignee_ids=[company.ada, company.bob], label_ids=[here_alone.id, urgent.id]
    )
    for watcher in (company.bob, company.eve):
        await stage.ask(WatchTask(id=task.id), caller=watcher)
    comment = await company.comment(task)
    before = await company.look(task)
    stage.advance(seconds=1)
    company.events()
    moved = await move(company, task, project_id=there.id)
    assert moved == await company.look(task)
    assert (moved.project_id, moved.number, moved.parent_id) == (there.id, 3, None)
    assert (moved.assignee_ids, moved.label_ids, moved.watcher_count) == ([company.ada], [urgent_there.id], 1)
    assert (moved.version, moved.updated_at > before.updated_at) == (before.version + 1, True)
    assert await board(company, there) == ["first", "second", "Land"]
    assert await board(company, here) == ["parent"]
    (event,) = company.events()
    assert isinstance(event, TaskUpdated)
    assert event.changed == ["project_id", "number", "parent_id", "assignee_ids", "label_ids", "position"]
    assert event.left_project_id == here.id
    assert (await stage.ask(ListComments(id=task.id), caller=company.ada)).items == [comment]
    found = ListTasks(assignee_id=[company.ada], label_id=[urgent_there.id])
    assert [each.id for each in (await stage.ask(found, caller=company.ada)).items] == [task.id]
    await company.refuses(NotFound, "task.not_found", company.bob, GetTask(id=task.id))
    assert (await company.task(here, "next")).number == 3  # what left its number keeps it
    assert (await move(company, task, project_id=there.id, before_id=first.id)).number == 3


async def test_subtasks_come_along_whatever_became_of_them(stage: Stage, company: Company) -> None:
    here, there = await company.project(), await company.project("Gemini")
    root = await company.task(here, "root")
    below = await company.task(here, "below", parent_id=root.id)
    deepest = await company.task(here, "deepest", parent_id=below.id)
    gone = await company.task(here, "gone", parent_id=root.id)
    neighbour = await company.task(there, "neighbour")
    await stage.ask(DeleteTask(id=gone.id), caller=company.ada)
    await move(company, root, project_id=there.id, before_id=neighbour.id, status="in_progress")
    assert await board(company, there) == ["root", "neighbour", "below", "deepest"]
    assert await board(company, here) == []
    places = [await company.look(each) for each in (root, below, deepest, gone)]
    assert [each.number for each in places] == [2, 3, 4, 5]
    assert [each.parent_id for each in places] == [None, root.id, below.id, root.id]
    assert [each.status for each in places] == ["in_progress", "todo", "todo", "todo"]
    await stage.ask(RestoreTask(id=gone.id), caller=company.ada)
    assert await board(company, there) == ["root", "neighbour", "below", "deepest", "gone"]


async def test_numbers_are_without_gaps_when_many_arrive_at_once(stage: Stage, company: Company) -> None:
    here, there = await company.project(), await company.project("Gemini")
    tasks = await company.tasks(here, "abcdef")
    made = await asyncio.gather(
        *(move(company, each, project_id=there.id) for each in tasks),
        *(company.task(there, f"new {n}") for n in range(4)),
        stage.ask(UpdateTask(id=tasks[0].id, title="A"), caller=company.ada),
    )
    assert sorted(each.number for each in made[:-1]) == list(range(1, 11))
    assert sorted(await board(company, there)) == ["A", "b", "c", "d", "e", "f", "new 0", "new 1", "new 2", "new 3"]


async def test_of_two_moves_at_once_in_opposite_directions_both_are_made(company: Company) -> None:
    here, there = await company.project(), await company.project("Gemini")
    one, other = await company.task(here), await company.task(there)
    moved = await asyncio.gather(move(company, one, project_id=there.id), move(company, other, project_id=here.id))
    assert [(each.project_id, each.number) for each in moved] == [(there.id, 2), (here.id, 2)]


# ------------------------------------------------------------------------------------------------- many


async def test_moves_at_once_all_find_their_place(stage: Stage, company: Company) -> None:
    project = await company.project()
    tasks = await company.tasks(project, "abcdefgh")
    await asyncio.gather(*(move(company, each, after_id=tasks[0].id) for each in tasks[1:]))
    assert (await board(company, project))[0] == "a"
    await asyncio.gather(
        *(company.task(project, f"new {n}") for n in range(3)), move(company, tasks[0], after_id=tasks[1].id)
    )
    assert len(await board(company, project)) == 11


class Spot(NamedTuple):
    """Where the next task goes. :ivar choose: from the tasks in their order, (which one, where to)."""

    name: str
    choose: Callable[[list[str], int], tuple[str, dict[str, Any]]]


SPOTS = (
    Spot("behind one", lambda row, n: (row[50 + n % 20], {"after_id": row[10]})),
    Spot("before one", lambda row, n: (row[n % 20], {"before_id": row[60]})),
    Spot("at the front", lambda row, n: (row[-1 - n % 20], {"before_id": row[0]})),
    Spot("between the last two", lambda row, n: (row[50], {("before_id", "after_id")[n % 2]: row[30 + n % 2]})),
    Spot("anywhere", lambda row, n: (row[n * 7 % 80], {("before_id", "after_id")[n % 2]: row[n * 11 % 79]})),
)


@pytest.mark.parametrize("spot", SPOTS, ids=lambda spot: spot.name)
async def test_10000_moves_in_one_place_keep_working(stage: Stage, company: Company, spot: Spot) -> None:
    """All in one transaction, which saves minutes; but for one spot on SQLite, as many as fill it up twice."""
    project = await company.project()
    row = [task.id for task in await company.tasks(project, [f"{n}" for n in range(80)])]
    store = stage.dispatches["task"].store
    async with store.transaction() as transaction:
        surroundings = {"now": stage.now, "new_id": Ids(), "vouch": None, "caller": Caller(id=company.ada)}
        context = Context(TaskRecords(transaction), **surroundings)  # type: ignore[arg-type] # nobody vouches
        for n in range(10_000 if (transaction.dialect, spot.name) == ("sqlite", "behind one") else 400):
            id, to = spot.choose(row, n)
            ((side, neighbour),) = to.items()
            if id == neighbour:
                continue
            moved = await move_task(MoveTask(id=id, **to), Quotas(1, 1, 1), context)
            assert len(moved.position) <= LONGEST
            row.remove(id)
            row.insert(row.index(neighbour) + (side == "after_id"), id)
            if n % 50 == 0:
                assert [each.id for each in await context.records.rows(row)] == row
        assert [each.id for each in await context.records.rows(row)] == row
