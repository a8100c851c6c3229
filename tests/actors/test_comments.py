"""What is said about tasks, and who is told of it."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest

from actors.contracts.task import DeleteTask, GetTask, WatchTask
from actors.contracts.task_comment import (
    AddComment,
    Comment,
    CommentAdded,
    DeleteComment,
    ListComments,
    Mentioned,
    UpdateComment,
)
from actors.contracts.task_project import RemoveMember
from actors.contracts.user import Person, UserUpdated
from actors.contracts.values import rfc3339
from actors.records.comment import CommentRow
from actors.records.task import TaskRecords
from runtime.errors import Conflict, Forbidden, NotFound, PreconditionFailed
from runtime.testing import Stage
from tests.actors.company import Company
from tests.sql import sql


async def change(company: Company, comment: Comment, caller: str | None = None, **fields: Any) -> Comment:
    return await company.stage.ask(UpdateComment(id=comment.id, **fields), caller=caller or company.ada)


async def test_a_comment_is_stored_counted_and_told(stage: Stage, company: Company) -> None:
    project = await company.project()
    await company.join(project, company.bob)
    await company.join(project, company.eve, "viewer")
    task = await company.task(project, assignee_ids=[company.bob])
    await stage.ask(WatchTask(id=task.id), caller=company.eve)
    company.events()
    comment = await company.comment(task, "Well done", company.bob)
    assert (comment.task_id, comment.author_id, comment.author_name) == (task.id, company.bob, "Someone")
    assert (comment.body, comment.created_at, comment.version) == ("Well done", rfc3339(stage.now), 1)
    assert (await stage.ask(ListComments(id=task.id), caller=company.eve)).items == [comment]
    now = await company.look(task)
    assert (now.comment_count, now.version) == (1, 3)
    (told,) = company.events()
    assert isinstance(told, CommentAdded)
    assert (told.comment, told.task, told.actor_id, told.at) == (comment, now, company.bob, comment.created_at)
    assert told.audience_ids == sorted([company.ada, company.bob, company.eve])


async def test_comments_are_listed_oldest_first_in_pages_that_stay_in_place(stage: Stage, company: Company) -> None:
    task = await company.task(await company.project())
    said = []
    for n in range(5):
        said.append(await company.comment(task, str(n)))
        stage.advance(seconds=n % 2)  # some of one moment
    page = await stage.ask(ListComments(id=task.id, limit=2), caller=company.ada)
    late = await company.comment(task, "late")
    listed = list(page.items)
    while page.next_cursor:
        page = await stage.ask(ListComments(id=task.id, limit=2, cursor=page.next_cursor), caller=company.ada)
        listed += page.items
    assert listed == [*said, late]


async def test_people_of_ours_have_their_present_name_and_imported_ones_that_of_then(
    stage: Stage, company: Company
) -> None:
    project = await company.project()
    await company.join(project, company.bob)
    task = await company.task(project)
    own = await company.comment(task, "mine", company.bob)
    await stage.given(UserUpdated(person=Person(id=company.bob, name="Robert", active=True, version=2)))
    imported = CommentRow(
        id=str(uuid.uuid4()),
        task_id=task.id,
        author_id=None,
        author_name="Grace",
        body="from elsewhere",
        source="17",
        created_at=0,
        updated_at=0,
    )
    async with stage.dispatches["task"].store.transaction() as transaction:
        await TaskRecords(sql(transaction)).comments.add([imported])
    shown = (await stage.ask(ListComments(id=task.id), caller=company.ada)).items
    assert [(each.id, each.author_id, each.author_name) for each in shown] == [
        (imported.id, None, "Grace"),
        (own.id, company.bob, "Robert"),
    ]
    with pytest.raises(Forbidden, match=r"auth\.forbidden"):
        await stage.ask(UpdateComment(id=imported.id, body="mine"), caller=company.ada)


async def test_its_author_says_it_otherwise(stage: Stage, company: Company) -> None:
    project = await company.project()
    await company.join(project, company.bob)
    task = await company.task(project)
    comment = await company.comment(task, "Wel done", company.bob)
    stage.advance(seconds=1)
    company.events()
    changed = await change(company, comment, company.bob, body="Well done")
    assert (changed.body, changed.version, changed.updated_at) == ("Well done", 2, rfc3339(stage.now))
    assert changed.created_at == comment.created_at
    assert await change(company, comment, company.bob) == changed
    assert await change(company, comment, company.bob, body="Well done") == changed
    assert (await stage.ask(ListComments(id=task.id), caller=company.ada)).items == [changed]
    assert company.events() == []
    with pytest.raises(Forbidden, match=r"auth\.forbidden"):  # not even an owner
        await change(company, comment, body="mine")


async def test_its_author_or_an_owner_deletes_it(stage: Stage, company: Company) -> None:
    project = await company.project()
    for person in (company.bob, company.eve):
        await company.join(project, person)
    task = await company.task(project)
    own, others = await company.comment(task, "own", company.bob), await company.comment(task, "others", company.bob)
    with pytest.raises(Forbidden, match=r"auth\.forbidden"):
        await stage.ask(DeleteComment(id=own.id), caller=company.eve)
    await stage.ask(DeleteComment(id=own.id), caller=company.bob)
    await stage.ask(DeleteComment(id=others.id), caller=company.ada)
    assert (await stage.ask(ListComments(id=task.id), caller=company.ada)).items == []
    assert (await company.look(task)).comment_count == 0
    with pytest.raises(NotFound, match=r"comment\.not_found"):
        await stage.ask(DeleteComment(id=own.id), caller=company.bob)


async def test_b83_a_stale_tag_keeps_a_comment_and_of_two_changes_at_once_one_is_made(
    stage: Stage, company: Company
) -> None:
    task = await company.task(await company.project())
    for _ in range(5):
        comment = await company.comment(task)
        results = await asyncio.gather(
            *(change(company, comment, body=body, if_match=(1,)) for body in ("one", "other")), return_exceptions=True
        )
        assert sorted(type(result).__name__ for result in results) == ["Comment", "PreconditionFailed"]
    with pytest.raises(PreconditionFailed, match=r"request\.precondition_failed"):
        await stage.ask(DeleteComment(id=comment.id, if_match=(1,)), caller=company.ada)
    await stage.ask(DeleteComment(id=comment.id, if_match=(2,)), caller=company.ada)


async def test_a_comment_that_is_deleted_twice_at_once_is_counted_once(stage: Stage, company: Company) -> None:
    task = await company.task(await company.project())
    for _ in range(5):
        comment = await company.comment(task)
        results = await asyncio.gather(
            *(stage.ask(DeleteComment(id=comment.id), caller=company.ada) for _ in range(2)), return_exceptions=True
        )
        assert sorted(type(result).__name__ for result in results) == ["NoneType", "NotFound"]
    assert (await company.look(task)).comment_count == 0


async def test_comments_at_once_are_all_counted(stage: Stage, company: Company) -> None:
    task = await company.task(await company.project())
    await asyncio.gather(*(company.comment(task, str(n)) for n in range(5)))
    assert (await company.look(task)).comment_count == 5


async def test_b77_comments_on_a_hidden_task_are_as_missing_ones(stage: Stage, company: Company) -> None:
    task = await company.task(await company.project())
    comment = await company.comment(task)
    await company.refuses(
        NotFound, "task.not_found", company.eve, AddComment(id=task.id, body="mine"), ListComments(id=task.id)
    )
    for hidden in (comment.id, str(uuid.uuid4())):
        await company.refuses(
            NotFound, "comment.not_found", company.eve, UpdateComment(id=hidden, body="mine"), DeleteComment(id=hidden)
        )


async def test_viewers_read_comments_and_say_nothing(stage: Stage, company: Company) -> None:
    project = await company.project()
    await company.join(project, company.bob)
    task = await company.task(project)
    comment = await company.comment(task, "as an editor", company.bob)
    await company.join(project, company.bob, "viewer")
    await company.refuses(
        Forbidden,
        "auth.forbidden",
        company.bob,
        AddComment(id=task.id, body="x"),
        UpdateComment(id=comment.id, body="x"),
        DeleteComment(id=comment.id),
    )
    assert (await stage.ask(ListComments(id=task.id), caller=company.bob)).items == [comment]


async def test_in_the_trash_comments_are_only_read(stage: Stage, company: Company) -> None:
    task = await company.task(await company.project())
    comment = await company.comment(task)
    await stage.ask(DeleteTask(id=task.id), caller=company.ada)
    await company.refuses(
        Conflict,
        "task.deleted",
        company.ada,
        AddComment(id=task.id, body="x"),
        UpdateComment(id=comment.id, body="x"),
        DeleteComment(id=comment.id),
    )
    assert (await stage.ask(ListComments(id=task.id), caller=company.ada)).items == [comment]


async def test_no_comment_comes_after_the_deletion(stage: Stage, company: Company) -> None:
    project = await company.project()
    for _ in range(5):
        task = await company.task(project)
        _, result = await asyncio.gather(
            stage.ask(DeleteTask(id=task.id), caller=company.ada), company.comment(task), return_exceptions=True
        )
        now = await stage.ask(GetTask(id=task.id), caller=company.ada)
        assert now.comment_count == (1 if isinstance(result, Comment) else 0)
        assert isinstance(result, Comment | Conflict)


# ------------------------------------------------------------------------------------------------- mentions


async def test_members_who_are_mentioned_are_told_each_once(stage: Stage, company: Company) -> None:
    project = await company.project()
    await company.join(project, company.bob, "viewer")
    task = await company.task(project)
    company.events()
    body = (
        f"@[Bob](user:{company.bob}) and @[Bob again](user:{company.bob}), not @[Eve](user:{company.eve}),"
        f" [Ada](user:{company.ada}), @[](user:{company.ada}) or @[x](user:someone)"
    )
    comment = await company.comment(task, body)
    told = [event for event in company.events() if isinstance(event, Mentioned)]
    assert [(event.user_id, event.comment, event.actor_id) for event in told] == [(company.bob, comment, company.ada)]
    assert told[0].task == await company.look(task)


async def test_only_the_newly_mentioned_are_told_of_a_change(company: Company) -> None:
    project = await company.project()
    for person in (company.bob, company.eve):
        await company.join(project, person)
    comment = await company.comment(await company.task(project), f"@[Bob](user:{company.bob})")
    company.events()
    changed = await change(company, comment, body=f"@[Bob](user:{company.bob}) @[Eve](user:{company.eve})")
    (told,) = company.events()
    assert isinstance(told, Mentioned)
    assert (told.user_id, told.comment) == (company.eve, changed)


async def test_who_has_left_is_in_no_audience(stage: Stage, company: Company) -> None:
    project = await company.project()
    await company.join(project, company.bob, "owner")
    task = await company.task(project)
    await stage.ask(RemoveMember(id=project.id, user_id=company.ada), caller=company.ada)
    company.events()
    await company.comment(task, "alone", company.bob)
    (told,) = company.events()
    assert isinstance(told, CommentAdded)
    assert told.audience_ids == []
