"""How tasks stand to each other: both sides show it, and blocks make no circle."""

from __future__ import annotations

import asyncio
import uuid

import pytest

from actors.contracts.task import DeleteTask, Relation, RestoreTask, Task, TaskUpdated, UpdateTask
from actors.contracts.task_project import DeleteProject
from actors.contracts.task_relation import RelateTask, RelationKind, UnrelateTask
from runtime.errors import Conflict, Forbidden, NotFound
from runtime.testing import Stage
from tests.actors.company import Company

INVERSE: dict[RelationKind, str] = {"blocks": "blocked_by", "relates": "relates", "duplicates": "duplicated_by"}


async def relate(company: Company, one: Task, kind: RelationKind, other: Task) -> Task:
    return await company.stage.ask(RelateTask(id=one.id, kind=kind, other_id=other.id), caller=company.ada)


async def relations(company: Company, task: Task) -> list[tuple[str, str]]:
    return [(each.type, each.task_id) for each in (await company.look(task)).relations]


@pytest.mark.parametrize("kind", list(INVERSE))
async def test_a_relation_is_shown_on_both_sides_until_it_ends(
    stage: Stage, company: Company, kind: RelationKind
) -> None:
    one, other = await company.tasks(await company.project(), ["one", "other"])
    company.events()
    related = await relate(company, one, kind, other)
    assert related == await company.look(one)
    assert (related.relations, related.version) == ([Relation(type=kind, task_id=other.id)], 2)
    assert await relations(company, other) == [(INVERSE[kind], one.id)]
    told = [event for event in company.events() if isinstance(event, TaskUpdated)]
    assert sorted((event.task.id, event.task.version, *event.changed) for event in told) == sorted(
        (task.id, 2, "relations") for task in (one, other)
    )
    assert [(field, was) for field, was, _ in await company.history(other)] == [("relations", [])]
    assert await relate(company, one, kind, other) == related  # again is no error, and no change
    assert company.events() == []
    ended = UnrelateTask(id=one.id, kind=kind, other_id=other.id)
    for _ in range(2):
        assert (await stage.ask(ended, caller=company.ada)).relations == []
    assert await relations(company, other) == []
    assert (await company.look(other)).version == 3


async def test_what_relates_says_so_from_either_side(stage: Stage, company: Company) -> None:
    one, other = await company.tasks(await company.project(), ["one", "other"])
    related = await relate(company, one, "relates", other)
    assert (await relate(company, other, "relates", one)).relations == [Relation(type="relates", task_id=one.id)]
    assert await company.look(one) == related
    await stage.ask(UnrelateTask(id=other.id, kind="relates", other_id=one.id), caller=company.ada)
    assert await relations(company, one) == []


async def test_blocks_make_no_circle(company: Company) -> None:
    one, two, three = await company.tasks(await company.project(), ["one", "two", "three"])
    await relate(company, one, "blocks", two)
    await relate(company, two, "blocks", three)
    circle = RelateTask(id=three.id, kind="blocks", other_id=one.id)
    await company.refuses(Conflict, "task.relation_cycle", company.ada, circle)
    await relate(company, three, "duplicates", one)  # which is none
    await relate(company, one, "blocks", three)
    for kind in INVERSE:
        itself = RelateTask(id=one.id, kind=kind, other_id=one.id)
        await company.refuses(Conflict, "task.relation_cycle", company.ada, itself)


async def test_blocks_that_are_made_at_once_over_many_projects_close_no_circle(company: Company) -> None:
    tasks = [await company.task(await company.project(f"P{n}")) for n in range(4)]
    ring = [RelateTask(id=task.id, kind="blocks", other_id=tasks[(n + 1) % 4].id) for n, task in enumerate(tasks)]
    answers = await asyncio.gather(*(company.attempt(each, company.ada) for each in ring))
    assert sorted(type(each).__name__ for each in answers) == ["Conflict", "Task", "Task", "Task"]


async def test_a_relation_is_no_way_past_a_role(stage: Stage, company: Company) -> None:
    mine, theirs = await company.project(), await company.project("Gemini")
    one, other = await company.task(mine), await company.task(theirs)
    await company.join(mine, company.bob)
    for message in (RelateTask, UnrelateTask):
        there = message(id=one.id, kind="relates", other_id=other.id)
        await company.refuses(NotFound, "task.not_found", company.bob, there)
        unknown = message(id=one.id, kind="relates", other_id=str(uuid.uuid4()))
        await company.refuses(NotFound, "task.not_found", company.ada, unknown)
        await company.refuses(NotFound, "task.not_found", company.eve, there)
    await company.join(theirs, company.bob, "viewer")
    await company.refuses(
        Forbidden,
        "auth.forbidden",
        company.bob,
        RelateTask(id=one.id, kind="relates", other_id=other.id),
        RelateTask(id=other.id, kind="relates", other_id=one.id),
    )


async def test_a_task_in_the_trash_keeps_its_relations_as_they_are(stage: Stage, company: Company) -> None:
    one, other = await company.tasks(await company.project(), ["one", "other"])
    await relate(company, one, "blocks", other)
    await stage.ask(DeleteTask(id=other.id), caller=company.ada)
    await company.refuses(
        Conflict,
        "task.deleted",
        company.ada,
        RelateTask(id=one.id, kind="relates", other_id=other.id),
        UnrelateTask(id=one.id, kind="blocks", other_id=other.id),
        UnrelateTask(id=other.id, kind="blocks", other_id=one.id),
    )
    await stage.ask(RestoreTask(id=other.id), caller=company.ada)
    assert await relations(company, one) == [("blocks", other.id)]
    assert await relations(company, other) == [("blocked_by", one.id)]


async def test_what_is_erased_is_related_to_nothing(stage: Stage, company: Company) -> None:
    one, gone = await company.tasks(await company.project(), ["one", "gone"])
    elsewhere = await company.project("Gemini")
    other = await company.task(elsewhere)
    await relate(company, one, "blocks", gone)
    await relate(company, other, "relates", one)
    await stage.ask(DeleteTask(id=gone.id), caller=company.ada)
    stage.advance(hours=30 * 24 + 1)
    await stage.tick("task", "empty_trash")
    assert await relations(company, one) == [("relates", other.id)]
    await stage.ask(DeleteProject(id=elsewhere.id), caller=company.ada)
    await stage.drain()
    assert await relations(company, one) == []


async def test_related_at_once_with_other_changes_all_are_made(stage: Stage, company: Company) -> None:
    one, other, third = await company.tasks(await company.project(), ["one", "other", "third"])
    await asyncio.gather(
        relate(company, one, "relates", other),
        relate(company, one, "blocks", third),
        stage.ask(UpdateTask(id=one.id, title="new"), caller=company.ada),
        stage.ask(UpdateTask(id=other.id, priority=2), caller=company.ada),
    )
    now = await company.look(one)
    assert (now.title, now.version) == ("new", 4)
    assert {(each.type, each.task_id) for each in now.relations} == {("relates", other.id), ("blocks", third.id)}
    assert await relations(company, other) == [("relates", one.id)]
