"""The log of what happened: its numbers, and who may see what."""

from __future__ import annotations

import uuid

import msgspec
import pytest

from actors.contracts.notify_live import GetLog, GetStanding, LogEntry, LogGrew, Standing
from actors.contracts.task import TaskCompleted
from actors.contracts.task_project import MemberAdded, MemberRemoved, MembersListed, Part, RemoveMember, SetMember
from actors.contracts.user import Person, UserDeleted
from actors.contracts.values import rfc3339
from actors.notify_actor import NotifyActor
from runtime.errors import Unauthenticated
from tests.actors.town import Town, present_state
from tests.sql import sql


async def standing(town: Town, person: Person) -> Standing:
    return await town.stage.ask(GetStanding(), caller=person.id)


async def entries(town: Town, after: int) -> list[LogEntry]:
    return (await town.stage.ask(GetLog(after=after))).entries


async def test_entries_are_numbered_without_gaps_and_edges_are_told_the_last(town: Town) -> None:
    ada, bob = await town.person("Ada"), await town.person("Bob")
    before = (await standing(town, ada)).last
    task = await town.task(await town.project(ada, bob), ada, assignee_ids=[bob.id])
    found = await entries(town, before)
    assert [entry.seq for entry in found] == list(range(before + 1, before + len(found) + 1))
    assert sorted(entry.type for entry in found) == ["member_added", "member_added", "task_assigned", "task_created"]
    assert town.stage.beats[-1] == LogGrew(last=found[-1].seq)
    (assigned,) = (entry for entry in found if entry.type == "task_assigned")
    assert (assigned.project_id, assigned.user_id) == (task.project_id, None)
    assert msgspec.json.decode(assigned.data) == {
        "type": "task_assigned", "project_id": task.project_id, "task_id": task.id, "version": 1, "actor_id": ada.id,
        "at": task.created_at, "assignee_id": bob.id,
    }  # fmt: skip


async def test_the_beat_says_how_far_it_reaches(town: Town) -> None:
    ada = await town.person("Ada")
    dispatch = town.stage.dispatches["notify"]
    assert isinstance(dispatch.actor, NotifyActor)
    beat = await dispatch.actor.beat(dispatch.records(dispatch.store.reader))
    assert beat.last == (await standing(town, ada)).last


async def test_someone_stands_where_they_take_part(town: Town) -> None:
    ada, bob = await town.person("Ada"), await town.person("Bob")
    one, two = await town.project(ada, bob), await town.project(ada)
    assert set((await standing(town, ada)).project_ids) == {one.id, two.id}
    assert (await standing(town, bob)).project_ids == [one.id]
    town.stage.advance(seconds=1)
    await town.stage.ask(RemoveMember(id=one.id, user_id=bob.id), caller=ada.id)
    await town.stage.drain()
    assert (await standing(town, bob)).project_ids == []
    await town.stage.given(UserDeleted(user_id=ada.id, version=9))
    assert (await standing(town, ada)).project_ids == []


@pytest.mark.parametrize("lost", ["joining", "leaving", "everything"])
async def test_resync_of_the_task_actor_mends_memberships(
    town: Town, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    monkeypatch.setattr("actors.task_projects.RESYNC", 1)
    ada, bob = await town.person("Ada"), await town.person("Bob")
    one, two = await town.project(ada, bob), await town.project(ada, bob)
    town.stage.advance(minutes=5)
    async with town.stage.dispatches["notify"].store.transaction() as transaction:
        if lost == "joining":
            await sql(transaction).execute("delete from membership where user_id = $1", bob.id)
        elif lost == "everything":
            await sql(transaction).execute("delete from membership")
    if lost == "leaving":
        async with town.stage.dispatches["task"].store.transaction() as transaction:
            await sql(transaction).execute("delete from member where user_id = $1 and project_id = $2", bob.id, two.id)
    told, before = await town.kinds(bob), (await standing(town, bob)).last
    await town.stage.given(*await present_state(town.stage, "task"))
    here = {one.id} if lost == "leaving" else {one.id, two.id}
    assert set((await standing(town, bob)).project_ids) == here
    assert {one.id, two.id} <= set((await standing(town, ada)).project_ids)
    theirs = [entry for entry in await entries(town, before) if entry.user_id == bob.id]
    expected = (
        [("member_removed", two.id)] if lost == "leaving" else [("member_added", one.id), ("member_added", two.id)]
    )
    assert sorted((entry.type, entry.project_id or "") for entry in theirs) == sorted(expected)
    assert await town.kinds(bob) == told
    last = (await standing(town, bob)).last
    await town.stage.given(*await present_state(town.stage, "task"))
    assert (await standing(town, bob)).last == last  # there is nothing to mend any more


async def test_f39_what_is_listed_late_undoes_nothing_newer(town: Town) -> None:
    ada, bob, eve = [await town.person(name) for name in ("Ada", "Bob", "Eve")]
    project = await town.project(ada, bob)
    town.stage.advance(seconds=1)
    await town.stage.ask(RemoveMember(id=project.id, user_id=bob.id), caller=ada.id)
    await town.stage.ask(SetMember(id=project.id, user_id=eve.id, role="viewer"), caller=ada.id)
    await town.stage.drain()
    parts = [Part(user_id=each.id, role="owner", added_at=project.created_at) for each in (ada, bob)]
    await town.stage.given(MembersListed(project_id=project.id, members=parts, as_of=project.created_at))
    assert (await standing(town, bob)).project_ids == []
    assert (await standing(town, eve)).project_ids == [project.id]


async def test_f39_the_newest_word_on_a_membership_counts_in_any_order(town: Town) -> None:
    ada, bob = await town.person("Ada"), await town.person("Bob")
    project, now = str(uuid.uuid4()), town.stage.now
    added = MemberAdded(project_id=project, user_id=bob.id, role="viewer", actor_id=ada.id, at=rfc3339(now + 1))
    removed = MemberRemoved(
        project_id=project, project_name="Apollo", user_id=bob.id, actor_id=ada.id, at=rfc3339(now + 2)
    )
    before = (await standing(town, bob)).last
    await town.stage.given(removed, added)
    assert (await standing(town, bob)).project_ids == []
    assert [entry.type for entry in await entries(town, before)] == ["member_removed"]
    assert await town.inbox(bob) == []


async def test_what_is_older_than_an_hour_is_forgotten(town: Town) -> None:
    ada = await town.person("Ada")
    task = await town.task(await town.project(ada), ada)
    town.stage.advance(minutes=59)
    await town.stage.given(TaskCompleted(task=task, actor_id=ada.id, at=rfc3339(town.stage.now)))
    town.stage.advance(minutes=2)
    await town.stage.tick("notify", "forget_log")
    at = await standing(town, ada)
    assert at.first == at.last
    assert [entry.type for entry in await entries(town, 0)] == ["task_completed"]
    town.stage.advance(hours=2)
    await town.stage.tick("notify", "forget_log")
    later = await standing(town, ada)
    assert (later.first, later.last) == (at.last + 1, at.last)
    assert await entries(town, 0) == []


async def test_nobody_stands_nowhere(town: Town) -> None:
    with pytest.raises(Unauthenticated):
        await town.stage.ask(GetStanding())
