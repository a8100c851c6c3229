"""Who takes part in a project, leaves it or is removed."""

from __future__ import annotations

import asyncio
import uuid

import pytest

from actors.contracts.task import CreateTask, GetTask, Task, TaskUpdated, UpdateTask, WatchTask
from actors.contracts.task_project import ListMembers, ListProjects, MemberRemoved, RemoveMember, SetMember
from actors.contracts.user import Person, UserUpdated
from actors.contracts.values import rfc3339
from runtime.errors import Conflict, Forbidden, Invalid, NotFound
from runtime.testing import Stage
from tests.actors.company import Company


async def test_members_are_listed_newest_first_with_their_present_names(stage: Stage, company: Company) -> None:
    project = await company.project()
    for person, role in ((company.bob, "viewer"), (company.eve, "editor")):
        stage.advance(seconds=1)
        await company.join(project, person, role)  # type: ignore[arg-type] # both are roles
    await stage.given(UserUpdated(person=Person(id=company.bob, name="Robert", active=True, version=2)))
    for caller in (company.ada, company.bob):
        page = await stage.ask(ListMembers(id=project.id), caller=caller)
        assert [(member.user_id, member.role) for member in page.items] == [
            (company.eve, "editor"),
            (company.bob, "viewer"),
            (company.ada, "owner"),
        ]
        assert page.items[1].name == "Robert"
        assert page.next_cursor is None


async def test_members_are_listed_in_pages(stage: Stage, company: Company) -> None:
    project = await company.project()
    people = [str(uuid.uuid4()) for _ in range(4)]
    for person in people:  # all of one moment
        await company.join(project, person)
    page = await stage.ask(ListMembers(id=project.id, limit=2), caller=company.ada)
    listed = [member.user_id for member in page.items]
    while page.next_cursor:
        page = await stage.ask(ListMembers(id=project.id, limit=2, cursor=page.next_cursor), caller=company.ada)
        listed += [member.user_id for member in page.items]
    assert sorted(listed) == sorted([*people, company.ada])


async def test_b77_the_members_of_a_hidden_project_are_hidden(stage: Stage, company: Company) -> None:
    project = await company.project()
    await company.refuses(
        NotFound,
        "project.not_found",
        company.eve,
        ListMembers(id=project.id),
        RemoveMember(id=project.id, user_id=company.ada),
    )


@pytest.mark.parametrize("leaves", [True, False])
async def test_who_leaves_or_is_removed_has_no_part_in_the_project_and_its_tasks(
    stage: Stage, company: Company, leaves: bool
) -> None:
    project, other = await company.project(), await company.project()
    for each in (project, other):
        await company.join(each, company.bob, "editor")
    await company.join(project, company.eve, "editor")
    alone = await company.task(project, assignee_ids=[company.bob])
    among = await company.task(project, assignee_ids=[company.ada, company.bob, company.eve])
    untouched = await company.task(project, assignee_ids=[company.eve])
    elsewhere = await company.task(other, assignee_ids=[company.bob])
    for task in (alone, elsewhere):
        await stage.ask(WatchTask(id=task.id), caller=company.bob)
    stage.advance(seconds=1)
    company.events()
    caller = company.bob if leaves else company.ada
    await stage.ask(RemoveMember(id=project.id, user_id=company.bob), caller=caller)

    with pytest.raises(NotFound, match=r"task\.not_found"):
        await stage.ask(GetTask(id=alone.id), caller=company.bob)
    assert [each.id for each in (await stage.ask(ListProjects(), caller=company.bob)).items] == [other.id]
    now = [await company.look(task) for task in (alone, among, untouched, elsewhere)]
    assert [task.assignee_ids for task in now] == [[], [company.ada, company.eve], [company.eve], [company.bob]]
    assert [task.watcher_count for task in now] == [0, 0, 0, 1]
    assert now[0].version > alone.version + 1
    assert now[2] == untouched
    assert await company.history(alone) == [("assignee_ids", [company.bob], [])]

    events = company.events()
    told = {event.task.id: event for event in events if isinstance(event, TaskUpdated)}
    assert told.keys() == {alone.id, among.id}
    assert told[among.id].task == now[1]
    assert told[among.id].audience_ids == sorted([company.ada, company.eve])
    assert told[among.id].changed == ["assignee_ids"]
    assert events[-1] == MemberRemoved(
        project_id=project.id, project_name="Apollo", user_id=company.bob, actor_id=caller, at=rfc3339(stage.now)
    )


async def test_who_comes_back_watches_and_does_nothing_of_before(stage: Stage, company: Company) -> None:
    project = await company.project()
    await company.join(project, company.bob)
    task = await company.task(project, assignee_ids=[company.bob])
    await stage.ask(WatchTask(id=task.id), caller=company.bob)
    await stage.ask(RemoveMember(id=project.id, user_id=company.bob), caller=company.bob)
    await company.join(project, company.bob)
    now = await company.look(task, company.bob)
    assert (now.assignee_ids, now.watching, now.watcher_count) == ([], False, 0)


async def test_only_owners_remove_others_and_only_members_are_removed(stage: Stage, company: Company) -> None:
    project = await company.project()
    await company.join(project, company.bob, "editor")
    for other in (company.ada, company.eve):
        with pytest.raises(Forbidden, match=r"auth\.forbidden"):
            await stage.ask(RemoveMember(id=project.id, user_id=other), caller=company.bob)
    with pytest.raises(NotFound, match=r"member\.not_found"):
        await stage.ask(RemoveMember(id=project.id, user_id=company.eve), caller=company.ada)


async def test_the_last_owner_cannot_leave(stage: Stage, company: Company) -> None:
    project = await company.project()
    await company.join(project, company.bob, "editor")
    with pytest.raises(Conflict, match=r"project\.last_owner"):
        await stage.ask(RemoveMember(id=project.id, user_id=company.ada), caller=company.ada)
    await company.join(project, company.bob, "owner")
    await stage.ask(RemoveMember(id=project.id, user_id=company.ada), caller=company.ada)


async def test_of_two_owners_who_leave_at_once_one_stays(stage: Stage, company: Company) -> None:
    for _ in range(5):
        project = await company.project()
        await company.join(project, company.bob, "owner")
        results = await asyncio.gather(
            *(
                stage.ask(RemoveMember(id=project.id, user_id=owner), caller=owner)
                for owner in (company.ada, company.bob)
            ),
            return_exceptions=True,
        )
        assert sorted(type(result).__name__ for result in results) == ["Conflict", "NoneType"]


async def test_b82_whose_access_ends_meanwhile_is_assigned_to_nothing(stage: Stage, company: Company) -> None:
    """The change was first and is undone by the removal, or it comes too late and is refused."""
    project = await company.project()
    for _ in range(5):
        await company.join(project, company.bob)
        task = await company.task(project)
        _, changed, created = await asyncio.gather(
            company.attempt(RemoveMember(id=project.id, user_id=company.bob), company.ada),
            company.attempt(UpdateTask(id=task.id, assignee_ids=[company.bob]), company.ada),
            company.attempt(CreateTask(project_id=project.id, title="Dock", assignee_ids=[company.bob]), company.ada),
        )
        assert (await company.look(task)).assignee_ids == []
        assert isinstance(changed, Task | Invalid)
        assert isinstance(created, Task | Invalid)
        if isinstance(created, Task):
            assert (await company.look(created)).assignee_ids == []


async def test_b82_a_request_under_way_is_decided_by_the_access_of_now(stage: Stage, company: Company) -> None:
    project = await company.project()
    task = await company.task(project)
    for _ in range(5):
        await company.join(project, company.bob)
        _, result = await asyncio.gather(
            company.attempt(RemoveMember(id=project.id, user_id=company.bob), company.ada),
            company.attempt(UpdateTask(id=task.id, title=str(uuid.uuid4())), company.bob),
        )
        assert isinstance(result, Task | NotFound)
        with pytest.raises(NotFound, match=r"task\.not_found"):
            await stage.ask(UpdateTask(id=task.id, title="late"), caller=company.bob)


async def test_a_changed_role_counts_at_once(stage: Stage, company: Company) -> None:
    project = await company.project()
    await company.join(project, company.bob, "editor")
    task = await company.task(project)
    await stage.ask(SetMember(id=project.id, user_id=company.bob, role="viewer"), caller=company.ada)
    with pytest.raises(Forbidden, match=r"auth\.forbidden"):
        await stage.ask(UpdateTask(id=task.id, title="late"), caller=company.bob)
