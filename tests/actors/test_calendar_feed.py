"""Calendar feeds: what is in them, whose they are, and when their addresses are void."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from actors import task_calendar
from actors.contracts.task import DeleteTask, UpdateTask
from actors.contracts.task_calendar import ListCalendar, MakeCalendarFeed, RemoveCalendarFeed
from actors.contracts.task_project import RemoveMember
from actors.contracts.user import Person, UserCreated, UserDeleted, UserUpdated
from runtime.errors import NotFound, Unauthenticated
from runtime.testing import Stage
from tests.actors.company import Company
from tests.sql import sql

DUE = datetime.fromisoformat("2027-01-01T09:00Z")


async def feed(company: Company, caller: str | None = None) -> str:
    """The token of a new address."""
    made = await company.stage.ask(MakeCalendarFeed(), caller=caller or company.ada)
    before, _, token = made.url.removesuffix(".ics").rpartition("/")
    assert before.endswith("/calendar")
    assert len(token) == 43
    return token


async def titles(company: Company, token: str) -> list[str]:
    """What the program of somebody shows, in order."""
    return [task.title for task in (await company.stage.ask(ListCalendar(token=token))).items]


async def void(company: Company, *tokens: str) -> None:
    for token in tokens:
        with pytest.raises(NotFound, match="nothing at this address"):
            await company.stage.ask(ListCalendar(token=token))


async def test_a_feed_has_ones_own_open_tasks_with_dates_the_earliest_first(stage: Stage, company: Company) -> None:
    project = await company.project()
    await company.join(project, company.bob)
    mine = {"assignee_ids": [company.ada]}
    await company.task(project, "Later", due_at=DUE + timedelta(days=1), **mine)
    await company.task(project, "Due", due_at=DUE, **mine)
    await company.task(project, "Started", start_at=DUE - timedelta(days=1), **mine)
    await company.task(project, "Under way", due_at=DUE + timedelta(days=2), status="in_progress", **mine)
    await company.task(project, "Shared", due_at=DUE + timedelta(days=3), assignee_ids=[company.ada, company.bob])
    await company.task(project, "Without a date", **mine)
    await company.task(project, "Bob's", due_at=DUE, assignee_ids=[company.bob])
    await company.task(project, "Nobody's", due_at=DUE)
    await company.task(project, "Done", due_at=DUE, status="done", **mine)
    await company.task(project, "Cancelled", due_at=DUE, status="cancelled", **mine)
    trashed = await company.task(project, "In the trash", due_at=DUE, **mine)
    await stage.ask(DeleteTask(id=trashed.id), caller=company.ada)
    token = await feed(company)
    assert await titles(company, token) == ["Started", "Due", "Later", "Under way", "Shared"]
    assert await titles(company, await feed(company, company.bob)) == ["Bob's", "Shared"]
    assert await titles(company, await feed(company, company.eve)) == []


async def test_a_change_is_seen_at_the_same_address(stage: Stage, company: Company) -> None:
    token = await feed(company)
    task = await company.task(await company.project(), due_at=DUE, assignee_ids=[company.ada])
    assert await titles(company, token) == ["Land"]
    await stage.ask(UpdateTask(id=task.id, title="Land softly"), caller=company.ada)
    assert await titles(company, token) == ["Land softly"]


async def test_a_new_address_voids_the_old_and_removing_voids_the_last(stage: Stage, company: Company) -> None:
    old, other = await feed(company), await feed(company, company.bob)
    new = await feed(company)
    await void(company, old, "", "x", f"{new}x", "\x00ü")
    assert await titles(company, new) == []
    for _ in range(2):
        await stage.ask(RemoveCalendarFeed(), caller=company.ada)
    await void(company, new)
    assert await titles(company, other) == []


async def test_the_same_message_again_makes_one_address(stage: Stage, company: Company) -> None:
    first, again = [await stage.ask(MakeCalendarFeed(), caller=company.ada, id=company.ada) for _ in range(2)]
    assert first == again


async def test_nobody_knows_whose_it_would_be(stage: Stage) -> None:
    with pytest.raises(Unauthenticated):
        await stage.ask(MakeCalendarFeed())
    with pytest.raises(Unauthenticated):
        await stage.ask(RemoveCalendarFeed())


async def test_the_token_is_kept_as_its_digest(stage: Stage, company: Company) -> None:
    token = await feed(company)
    reader = stage.dispatches["task"].store.reader
    for table in ("calendar_feed", "inbox", "outbox"):
        for row in await sql(reader).fetch(f"select * from {table}"):
            assert (
                token.encode()
                not in repr([bytes(v) if isinstance(v, memoryview) else v for v in row.values()]).encode()
            )


async def test_what_somebody_left_or_lost_is_not_shown(stage: Stage, company: Company) -> None:
    project = await company.project()
    await company.join(project, company.bob)
    await company.task(project, due_at=DUE, assignee_ids=[company.bob])
    token = await feed(company, company.bob)
    assert await titles(company, token) == ["Land"]
    await stage.ask(RemoveMember(id=project.id, user_id=company.bob), caller=company.ada)
    assert await titles(company, token) == []


async def test_who_may_not_come_in_has_no_feed(stage: Stage, company: Company) -> None:
    person = Person(id=company.ada, name="Ada", active=True, version=1)
    await stage.given(UserCreated(person=person))
    token = await feed(company)
    assert await titles(company, token) == []
    await stage.given(UserUpdated(person=Person(id=company.ada, name="Ada", active=False, version=2)))
    await void(company, token)
    await stage.given(UserUpdated(person=Person(id=company.ada, name="Ada", active=True, version=3)))
    assert await titles(company, token) == []
    await stage.given(UserDeleted(user_id=company.ada, version=4))
    await stage.drain()
    await void(company, token)
    rows = await sql(stage.dispatches["task"].store.reader).fetch(
        "select 1 from calendar_feed where user_id = $1", company.ada
    )
    assert list(rows) == []


async def test_a_description_is_cut_short(stage: Stage, company: Company) -> None:
    await company.task(await company.project(), due_at=DUE, description="x" * 5000, assignee_ids=[company.ada])
    (task,) = (await stage.ask(ListCalendar(token=await feed(company)))).items
    assert task.description == "x" * task_calendar.LONGEST


async def test_of_very_many_the_earliest_are_shown(
    stage: Stage, company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_calendar, "MOST", 2)
    project = await company.project()
    for days in (3, 1, 2):
        due = DUE + timedelta(days=days)
        await company.task(project, f"In {days} days", due_at=due, assignee_ids=[company.ada])
    assert await titles(company, await feed(company)) == ["In 1 days", "In 2 days"]
