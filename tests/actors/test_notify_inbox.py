"""Who is told what in the inbox, and reading it."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from actors.contracts.notify import CountUnread, ListNotifications, Notification, ReadNotifications, Subject
from actors.contracts.task import DeleteTask, Task, TaskAssigned, TaskCompleted, TaskUpdated, UpdateTask, WatchTask
from actors.contracts.task_comment import AddComment, Comment, CommentAdded
from actors.contracts.task_import import Import, ImportDone, ImportFault, ImportStatus
from actors.contracts.task_project import MemberAdded, RemoveMember
from actors.contracts.user import Person, UserCreated
from actors.contracts.values import rfc3339
from runtime.errors import Invalid, Unauthenticated
from runtime.message import Envelope, Page, Request, encode
from runtime.verdict import Received
from tests.actors.town import Town, contact

AT = "2026-11-24T12:00:00.000Z"


async def change(town: Town, task: Task, by: Person, **fields: Any) -> None:
    await town.stage.ask(UpdateTask(id=task.id, **fields), caller=by.id)
    await town.stage.drain()


def comment(task: Task, author: Person, body: str = "Well done") -> Comment:
    return Comment(
        id=str(uuid.uuid4()), task_id=task.id, author_id=author.id, author_name=author.name, body=body,
        created_at=AT, updated_at=AT, version=1,
    )  # fmt: skip


async def test_an_assignee_is_told_who_assigned_what(town: Town) -> None:
    ada, bob = await town.person("Ada"), await town.person("Bob")
    task = await town.task(await town.project(ada, bob), ada, "Land", assignee_ids=[bob.id])
    told = (await town.inbox(bob))[0]
    assert (told.kind, told.title, told.body) == ("task_assigned", "Ada assigned a task to you: Land", "")
    assert (told.subject, told.actor_id) == (Subject(type="task", id=task.id), ada.id)
    assert (told.created_at, told.read_at) == (rfc3339(town.stage.now), None)


async def test_nobody_is_told_of_what_they_did_themselves(town: Town) -> None:
    ada = await town.person("Ada")
    task = await town.task(await town.project(ada), ada, assignee_ids=[ada.id])
    await change(town, task, ada, title="Land softly", status="done")
    await town.stage.given(
        MemberAdded(project_id=task.project_id, user_id=ada.id, role="owner", actor_id=ada.id, at=AT),
        CommentAdded(comment=comment(task, ada), task=task, actor_id=ada.id, at=AT),
    )
    assert await town.inbox(ada) == []


async def test_creator_and_assignees_are_told_of_a_change_each_once(town: Town) -> None:
    ada, bob, eve = await town.person("Ada"), await town.person("Bob"), await town.person("Eve")
    task = await town.task(await town.project(ada, bob, eve), ada, assignee_ids=[ada.id, bob.id])
    await change(town, task, eve, title="Land softly", due_at=None, priority=3)
    for person in (ada, bob):
        told = (await town.inbox(person))[0]
        assert (told.title, told.body) == ("Eve changed a task: Land softly", "Changed: title, priority")
    assert await town.kinds(ada) == ["task_updated"]
    assert await town.kinds(eve) == ["member_added"]


async def test_watchers_are_told_of_changes_completions_and_comments(town: Town) -> None:
    ada, bob = await town.person("Ada"), await town.person("Bob")
    task = await town.task(await town.project(ada), ada)
    by: dict[str, Any] = {"task": task, "actor_id": ada.id, "at": AT, "audience_ids": [ada.id, bob.id]}
    await town.stage.given(
        TaskUpdated(changed=["title"], **by),
        TaskCompleted(**by),
        CommentAdded(comment=comment(task, ada, "x" * 1001), **by),
    )
    assert await town.kinds(bob) == ["comment_added", "task_completed", "task_updated"]
    told = (await town.inbox(bob))[0]
    assert (told.title, told.body) == ("Ada commented on a task: Land", "x" * 1000 + "…")
    assert told.subject == Subject(type="task", id=task.id)


async def test_comments_and_mentions_are_told(town: Town) -> None:
    ada, bob, eve = await town.person("Ada"), await town.person("Bob"), await town.person("Eve")
    task = await town.task(await town.project(ada, bob, eve), ada)
    await town.stage.ask(WatchTask(id=task.id), caller=bob.id)
    await town.stage.ask(AddComment(id=task.id, body=f"@[Ada](user:{ada.id}) done"), caller=eve.id)
    await town.stage.drain()
    assert sorted(await town.kinds(ada)) == ["comment_added", "mentioned"]
    assert await town.kinds(bob) == ["comment_added", "member_added"]
    assert await town.kinds(eve) == ["member_added"]
    (told,) = (each for each in await town.inbox(ada) if each.kind == "mentioned")
    assert (told.title, told.actor_id) == ("Eve mentioned you in a comment: Land", eve.id)
    assert (told.body, told.subject) == (f"@[Ada](user:{ada.id}) done", Subject(type="task", id=task.id))


async def test_who_has_left_is_told_nothing(town: Town) -> None:
    ada, bob = await town.person("Ada"), await town.person("Bob")
    task = await town.task(await town.project(ada, bob), ada, assignee_ids=[bob.id])
    await town.stage.ask(WatchTask(id=task.id), caller=bob.id)
    before = await town.kinds(bob)
    await town.stage.ask(RemoveMember(id=task.project_id, user_id=bob.id), caller=bob.id)
    await change(town, task, ada, title="Land softly", status="done")
    await town.stage.ask(AddComment(id=task.id, body=f"@[Bob](user:{bob.id})"), caller=ada.id)
    await town.stage.ask(DeleteTask(id=task.id), caller=ada.id)
    await town.stage.drain()
    assert await town.kinds(bob) == before


async def test_a_completion_and_a_deletion_are_told(town: Town) -> None:
    ada, bob = await town.person("Ada"), await town.person("Bob")
    task = await town.task(await town.project(ada, bob), ada)
    await change(town, task, bob, status="done")
    assert "Bob completed a task: Land" in [told.title for told in await town.inbox(ada)]
    await town.stage.ask(DeleteTask(id=task.id), caller=bob.id)
    await town.stage.drain()
    assert (await town.inbox(ada))[0].title == "Bob moved a task to the trash: Land"


async def test_an_added_member_is_told_of_the_project(town: Town) -> None:
    ada, bob = await town.person("Ada"), await town.person("Bob")
    project = await town.project(ada, bob)
    (told,) = await town.inbox(bob)
    assert (told.kind, told.subject) == ("member_added", Subject(type="project", id=project.id))
    assert told.title.startswith("Ada added you to ")
    await town.stage.given(
        MemberAdded(
            project_id=project.id,
            project_name="Apollo",
            user_id=ada.id,
            role="owner",
            actor_id=bob.id,
            at=rfc3339(town.stage.now),
        )
    )
    assert [told.title for told in await town.inbox(ada)] == ["Bob added you to Apollo"]


async def test_imported_history_tells_nobody_and_mails_nothing(town: Town) -> None:
    ada, bob = await town.person("Ada"), await town.person("Bob")
    task = await town.task(await town.project(ada), ada)
    by: dict[str, Any] = {"task": task, "actor_id": ada.id, "at": AT, "imported": True}
    await town.stage.given(
        TaskAssigned(assignee_id=bob.id, **by),
        TaskUpdated(changed=["title"], audience_ids=[bob.id], **by),
        TaskCompleted(audience_ids=[bob.id], **by),
        CommentAdded(comment=comment(task, ada), audience_ids=[bob.id], **by),
    )
    assert await town.inbox(bob) == []
    assert town.mails(bob) == []


async def test_f38_an_event_that_is_delivered_three_times_tells_once(town: Town) -> None:
    ada, bob = await town.person("Ada"), await town.person("Bob")
    task = await town.task(await town.project(ada), ada)
    event = TaskAssigned(task=task, assignee_id=bob.id, actor_id=ada.id, at=AT)
    envelope = Envelope(str(uuid.uuid4()), "task_assigned", "", encode(event))
    for _ in range(3):
        await town.stage.dispatches["notify"]([Received(envelope)])
        await town.stage.drain()
    assert await town.kinds(bob) == ["task_assigned"]
    assert len(town.mails(bob)) == 1


async def test_a_person_who_is_not_known_yet_has_an_inbox_and_causes_no_gap(town: Town) -> None:
    ada = await town.person("Ada")
    task = await town.task(await town.project(ada), ada)
    early, later = (Person(id=str(uuid.uuid4()), name=name, active=True, version=1) for name in ("Bob", "Eve"))
    await town.stage.given(TaskCompleted(task=task, actor_id=later.id, at=AT, audience_ids=[early.id]))
    assert [told.title for told in await town.inbox(early)] == ["Someone completed a task: Land"]
    await town.stage.given(UserCreated(person=later, contact=contact(later)))
    assert [told.title for told in await town.inbox(early)] == ["Eve completed a task: Land"]


# ------------------------------------------------------------------------------------------- reading it


async def busy(town: Town, changes: int) -> Person:
    """Somebody with that many notifications of changes, titles "0" …; the clock moves every third."""
    ada, bob = await town.person("Ada"), await town.person("Bob")
    task = await town.task(await town.project(ada, bob), ada)
    for number in range(changes):
        await change(town, task, bob, title=str(number))
        town.stage.advance(seconds=number % 3 == 0)
    return ada


def numbers(page: Page[Notification]) -> list[str]:
    return [each.title.rpartition(" ")[2] for each in page.items]


async def test_pages_are_newest_first_and_stable_while_others_are_added(town: Town) -> None:
    ada = await busy(town, 5)
    first = await town.stage.ask(ListNotifications(limit=2), caller=ada.id)
    assert numbers(first) == ["4", "3"]
    eve = await town.person("Eve")
    await town.stage.given(
        MemberAdded(project_id=first.items[0].id, user_id=ada.id, role="viewer", actor_id=eve.id, at=AT)
    )
    second = await town.stage.ask(ListNotifications(limit=2, cursor=first.next_cursor), caller=ada.id)
    third = await town.stage.ask(ListNotifications(limit=2, cursor=second.next_cursor), caller=ada.id)
    assert (numbers(second), numbers(third), third.next_cursor) == (["2", "1"], ["0"], None)


async def test_b81_a_cursor_of_another_filter_is_refused(town: Town) -> None:
    ada = await busy(town, 2)
    page = await town.stage.ask(ListNotifications(limit=1), caller=ada.id)
    with pytest.raises(Invalid) as refusal:
        await town.stage.ask(ListNotifications(limit=1, unread=True, cursor=page.next_cursor), caller=ada.id)
    assert [fault.pointer for fault in refusal.value.faults] == ["?cursor"]


async def test_read_ones_are_read_once_and_told_apart(town: Town) -> None:
    ada = await busy(town, 3)
    two, one, zero = await town.inbox(ada)
    assert (await town.stage.ask(CountUnread(), caller=ada.id)).unread == 3
    await town.stage.ask(ReadNotifications(ids=[one.id]), caller=ada.id)
    first_time = (await town.inbox(ada))[1].read_at
    assert first_time is not None
    town.stage.advance(seconds=5)
    await town.stage.ask(ReadNotifications(ids=[one.id, zero.id]), caller=ada.id)
    read = await town.stage.ask(ListNotifications(unread=False), caller=ada.id)
    assert [each.id for each in read.items] == [one.id, zero.id]
    assert read.items[0].read_at == first_time < (read.items[1].read_at or "")
    unread = await town.stage.ask(ListNotifications(unread=True), caller=ada.id)
    assert unread.items == [two]
    await town.stage.ask(ReadNotifications(ids="all"), caller=ada.id)
    assert (await town.stage.ask(CountUnread(), caller=ada.id)).unread == 0


@pytest.mark.parametrize(
    ("status", "errors", "body"),
    [
        ("done", [], "Tasks: 9; new: 5; there already: 3"),
        ("failed", [ImportFault(line=1, detail="this is not JSON")], "It failed: this is not JSON"),
    ],
)
async def test_who_began_an_import_is_told_how_it_ended(
    town: Town, status: ImportStatus, errors: list[ImportFault], body: str
) -> None:
    ada = await town.person("Ada")
    id = str(uuid.uuid4())
    result = Import(
        id=id, format="github-archive", project_id=None, dry_run=False, status=status, done=9, total=9, created=5,
        skipped=3, errors=errors, created_at=AT,
    )  # fmt: skip
    await town.stage.given(ImportDone(result=result, name="our.json", user_id=ada.id, at=AT))
    (told,) = await town.inbox(ada)
    assert (told.kind, told.title, told.body) == ("import_done", "An import has ended: our.json", body)
    assert (told.subject, told.actor_id) == (Subject(type="import", id=id), None)
    assert town.mails(ada) == []


async def test_b77_foreign_ids_are_ignored(town: Town) -> None:
    ada, bob = await busy(town, 1), await busy(town, 1)
    (of_bob,) = await town.inbox(bob)
    await town.stage.ask(ReadNotifications(ids=[of_bob.id, str(uuid.uuid4())]), caller=ada.id)
    await town.stage.ask(ReadNotifications(ids="all"), caller=ada.id)
    assert (await town.inbox(bob))[0].read_at is None


@pytest.mark.parametrize("message", [ListNotifications(), CountUnread(), ReadNotifications(ids="all")])
async def test_nobody_has_no_inbox(town: Town, message: Request[Any]) -> None:
    with pytest.raises(Unauthenticated, match=r"auth\.required"):
        await town.stage.ask(message)
