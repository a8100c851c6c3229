"""The feed of changes: all of them, in the order of commits, for those who may see them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from actors.contracts.media import Attachments, AttachmentsCounted
from actors.contracts.task import AssignTask, DeleteTask, RestoreTask, Task, UnwatchTask, UpdateTask, WatchTask
from actors.contracts.task_batch import BatchTasks
from actors.contracts.task_change import Change, ListChanges
from actors.contracts.task_comment import DeleteComment, UpdateComment
from actors.contracts.task_label import DeleteLabel
from actors.contracts.task_move import MoveTask
from actors.contracts.task_project import Project, RemoveMember, UpdateProject
from actors.contracts.task_relation import RelateTask
from runtime.errors import Gone, Invalid
from runtime.testing import Stage
from tests.actors.company import Company


async def changes(company: Company, caller: str | None = None, since: str | None = None) -> list[Change]:
    """All of them, by pages of three."""
    found: list[Change] = []
    while True:
        page = await company.stage.ask(ListChanges(since=since, limit=3), caller=caller or company.ada)
        found += page.items
        if page.next_cursor is None:
            return found
        assert page.next_cursor == page.items[-1].cursor
        since = page.next_cursor


def brief(found: Sequence[Change]) -> list[tuple[str, int | None]]:
    return [(each.type, each.version) for each in found]


async def test_all_that_happens_to_a_task_is_told_in_order(stage: Stage, company: Company) -> None:
    project = await company.project()
    task = await company.task(project)
    await stage.ask(AssignTask(id=task.id, user_id=company.ada), caller=company.ada)
    await stage.ask(UpdateTask(id=task.id, status="done"), caller=company.ada)
    comment = await company.comment(task)
    await stage.ask(UpdateComment(id=comment.id, body="Better"), caller=company.ada)
    await stage.ask(DeleteComment(id=comment.id), caller=company.ada)
    await stage.ask(WatchTask(id=task.id), caller=company.ada)
    await stage.ask(UnwatchTask(id=task.id), caller=company.ada)
    await stage.given(AttachmentsCounted(attachments=Attachments(task_id=task.id, files=1, version=1)))
    await stage.ask(DeleteTask(id=task.id), caller=company.ada)
    stage.advance(seconds=1)
    restored = await stage.ask(RestoreTask(id=task.id), caller=company.ada)
    found = await changes(company)
    assert brief(found) == [
        ("member_added", None),  # whoever opens a project
        ("task_created", 1),
        ("task_updated", 2),
        ("task_assigned", 2),
        ("task_updated", 3),
        ("task_completed", 3),
        ("comment_added", 4),
        ("task_updated", 4),  # the comment says something else
        ("task_updated", 5),
        ("task_updated", 6),
        ("task_updated", 7),
        ("task_updated", 8),
        ("task_deleted", 9),
        ("task_updated", 10),
    ]
    assert {(each.project_id, each.task_id) for each in found[1:]} == {(project.id, task.id)}
    assert (found[0].at, found[-1].at) == (task.created_at, restored.updated_at)
    assert await changes(company, since=found[4].cursor) == found[5:]
    assert await changes(company, since=found[-1].cursor) == []


async def test_what_changes_together_is_told_as_it_was_asked_for_or_as_it_stands(
    stage: Stage, company: Company
) -> None:
    project = await company.project()
    label = await company.label(project)
    names: dict[str | None, str] = {}
    for name in "abcd":
        names[(await company.task(project, name, label_ids=[label.id])).id] = name
    a, b, c, d = filter(None, names)
    await stage.ask(UpdateTask(id=d, parent_id=b), caller=company.ada)
    await stage.ask(MoveTask(id=c, before_id=a), caller=company.ada)
    since = (await changes(company))[-1].cursor
    await stage.ask(BatchTasks(operations=[{"op": "delete", "id": id} for id in (b, a, c)]), caller=company.ada)
    await stage.ask(DeleteLabel(id=label.id), caller=company.ada)
    await stage.ask(RestoreTask(id=b), caller=company.ada)
    told = "".join(names[each.task_id] for each in await changes(company, since=since))
    assert told == "bdac" + "cabd" + "bd"


async def test_what_changes_nothing_and_what_is_refused_is_not_told(stage: Stage, company: Company) -> None:
    task = await company.task(await company.project())
    await stage.ask(UpdateTask(id=task.id, title="Land"), caller=company.ada)
    await company.attempt(UpdateTask(id=task.id, parent_id=task.id), company.ada)
    await company.attempt(UpdateTask(id=task.id, title="mine"), company.eve)
    assert brief(await changes(company)) == [("member_added", None), ("task_created", 1)]


async def test_projects_and_members_have_no_task(stage: Stage, company: Company) -> None:
    project = await company.project()
    await company.join(project, company.bob)
    await stage.ask(UpdateProject(id=project.id, name="Gemini"), caller=company.ada)
    await stage.ask(RemoveMember(id=project.id, user_id=company.bob), caller=company.ada)
    found = await changes(company)
    assert brief(found[1:]) == [("member_added", None), ("project_updated", 2), ("member_removed", None)]
    assert {(each.project_id, each.task_id) for each in found} == {(project.id, None)}


async def test_b77_only_members_see_what_happens(stage: Stage, company: Company) -> None:
    one, other = await company.project(), await company.project("Gemini")
    await company.task(one)
    shown = await company.task(other)
    assert await changes(company, company.bob) == []
    await company.join(other, company.bob, "viewer")
    assert [(each.type, each.task_id) for each in await changes(company, company.bob)] == [
        ("member_added", None),
        ("task_created", shown.id),
        ("member_added", None),
    ]
    await stage.ask(RemoveMember(id=other.id, user_id=company.bob), caller=company.bob)
    assert await changes(company, company.bob) == []


async def test_a_task_that_moves_is_told_where_it_was_and_where_it_is(stage: Stage, company: Company) -> None:
    here, there = await company.project(), await company.project("Gemini")
    await company.join(here, company.bob)
    await company.join(there, company.eve)
    task = await company.task(here)
    await stage.ask(MoveTask(id=task.id, project_id=there.id), caller=company.ada)
    for person, project in ((company.bob, here), (company.eve, there)):
        last = (await changes(company, person))[-1]
        assert (last.type, last.project_id, last.task_id, last.version) == ("task_updated", project.id, task.id, 2)


async def test_both_ends_of_a_relation_are_told(stage: Stage, company: Company) -> None:
    one, other = await company.tasks(await company.project(), ["one", "other"])
    await stage.ask(RelateTask(id=one.id, kind="blocks", other_id=other.id), caller=company.ada)
    assert {(each.task_id, each.version) for each in (await changes(company))[3:]} == {(one.id, 2), (other.id, 2)}


async def test_no_change_is_missed_by_who_follows_while_others_write(stage: Stage, company: Company) -> None:
    projects = [await company.project(f"P{n}") for n in range(3)]
    tasks = [await company.task(projects[n % 3], f"t{n}") for n in range(3)]
    seen: list[Change] = []
    done = asyncio.Event()

    async def follow() -> None:
        since = None
        while True:
            last = done.is_set()
            page = await stage.ask(ListChanges(since=since, limit=7), caller=company.ada)
            await asyncio.sleep(0)  # quick reads of SQLite never leave the loop: those who write have a turn
            seen.extend(page.items)
            since = page.items[-1].cursor if page.items else since
            if last and page.next_cursor is None:
                return

    async def write(number: int, task: Task, project: Project) -> None:
        for n in range(10):
            await stage.ask(UpdateTask(id=task.id, title=f"{number} {n}"), caller=company.ada)
            await company.task(project, f"{number} {n}")
            await stage.ask(UpdateTask(id=task.id, assignee_ids=[company.ada]), caller=company.ada)
            await stage.ask(UpdateTask(id=task.id, assignee_ids=[]), caller=company.ada)

    async with asyncio.TaskGroup() as group:
        group.create_task(follow())
        async with asyncio.TaskGroup() as writers:  # two for each task
            for n, task in enumerate([*tasks, *tasks]):
                writers.create_task(write(n, task, projects[n % 3]))
        done.set()
    assert seen == await changes(company)
    versions: dict[str | None, list[int]] = {}
    for each in seen:
        if each.task_id and each.type != "task_assigned":
            versions.setdefault(each.task_id, []).append(each.version or 0)
    assert len(versions) == 3 + 6 * 10
    for counted in versions.values():
        assert counted == list(range(1, len(counted) + 1))
    for task in tasks:
        assert (await company.look(task)).version == versions[task.id][-1]


async def test_a_cursor_is_good_for_30_days(stage: Stage, company: Company) -> None:
    project = await company.project()
    await company.task(project)
    stage.advance(seconds=1)
    await company.task(project)
    opened, first, second = await changes(company)
    stage.advance(hours=30 * 24 - 0.0001)
    await stage.tick("task", "forget_changes")
    assert await changes(company, since=second.cursor) == []
    with pytest.raises(Gone, match=r"changes\.expired"):
        await changes(company, since=first.cursor)
    assert await changes(company) == [opened, first, second]
    stage.advance(hours=25)
    await stage.tick("task", "forget_changes")
    assert await changes(company) == []
    await company.task(project)
    assert brief(await changes(company)) == [("task_created", 1)]


async def test_b42_a_cursor_that_is_none_of_the_feed_is_refused(stage: Stage, company: Company) -> None:
    project = await company.project()
    await company.tasks(project, "ab")
    _, change, _ = await changes(company)
    for query in (ListChanges(since="AAAA"), ListChanges(since="ä"), ListChanges(since=change.cursor[:-2])):
        with pytest.raises(Invalid, match=r"request\.invalid") as refused:
            await stage.ask(query, caller=company.ada)
        assert refused.value.faults[0].pointer == "?since"
    page = await stage.ask(ListChanges(cursor=change.cursor), caller=company.ada)  # says the same as `since`
    assert len(page.items) == 1
