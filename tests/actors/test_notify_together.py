"""Events of one tick share a transaction: what it writes is what they would have written one by one."""

from __future__ import annotations

import asyncio
from typing import cast

from actors.contracts.notify import SendMail, SendMails
from actors.contracts.notify_preferences import QuietHours
from actors.contracts.notify_text import SendText
from actors.contracts.task import Task, TaskAssigned
from actors.contracts.user import Person
from actors.notify_telling import MAILS, send
from actors.records.notify import NotifyRecords
from runtime.context import Context
from runtime.message import Envelope, Grant, encode
from runtime.verdict import Received, Settle
from tests.actors.test_notify_texts import shown
from tests.actors.town import Town

AT = "2026-11-24T12:00:00.000Z"


async def together(town: Town, *told: tuple[Task, Person], by: Person) -> None:
    """Assignments that come in one tick."""
    dispatch = town.stage.dispatches["notify"]
    events = [TaskAssigned(task=task, assignee_id=to.id, actor_id=by.id, at=AT) for task, to in told]
    ids = [town.stage._new_id() for _ in events]
    received = [Received(Envelope(id, "task_assigned", "", encode(each))) for id, each in zip(ids, events, strict=True)]
    assert await dispatch(received) == [Settle.DONE] * len(events)
    await town.stage.drain()


async def test_each_is_told_once_of_each_task_and_several_of_one_task_go_together(town: Town) -> None:
    ada, bob, eve = [await town.person(name) for name in ("Ada", "Bob", "Eve")]
    project = await town.project(ada, bob, eve)
    land, fly = await town.task(project, ada, "Land"), await town.task(project, ada, "Fly")
    before = len(town.mails(bob))
    await together(town, (land, bob), (fly, bob), (land, bob), (land, eve), (land, bob), by=ada)
    assert sorted(told.title for told in await town.inbox(bob) if told.kind == "task_assigned") == [
        "Ada assigned a task to you: Fly",
        *["Ada assigned a task to you: Land"] * 3,
    ]
    first = [mail["Subject"] for mail in town.mails(bob)[before:]]
    assert sorted(first) == ["Ada assigned a task to you: Fly", "Ada assigned a task to you: Land"]
    await town.later(minutes=1)
    assert [mail["Subject"] for mail in town.mails(bob)[before + 2 :]] == ["2 news: Land"]
    assert len([mail for mail in town.mails(eve) if "Land" in mail["Subject"]]) == 1
    # the thread goes on: within a minute of the last mail nothing goes at once
    await together(town, (land, bob), (land, bob), by=ada)
    assert len(town.mails(bob)) == before + 3
    await together(town, (land, bob), by=ada)
    await town.later(minutes=1)
    assert [mail["Subject"] for mail in town.mails(bob)[before + 3 :]] == ["3 news: Land"]


async def test_what_waits_for_the_morning_waits_in_one_letter(town: Town) -> None:
    ada, bob = await town.person("Ada"), await town.person("Bob")
    task = await town.task(await town.project(ada), ada)
    await town.choose(bob, quiet_hours=QuietHours(begin=shown(town, -10), end=shown(town, 10)))
    await together(town, (task, bob), (task, bob), by=ada)
    await together(town, (task, bob), by=ada)
    assert town.mails(bob) == []
    await town.later(minutes=11)
    assert [mail["Subject"] for mail in town.mails(bob)] == ["3 news: Land"]


async def test_two_transactions_that_begin_one_thread_at_once_lose_nothing(town: Town) -> None:
    ada, bob = await town.person("Ada"), await town.person("Bob")
    tasks = [await town.task(await town.project(ada), ada, title) for title in ("Land", "Fly")]
    several = [(task, bob) for task in tasks]
    await asyncio.gather(*(together(town, *several, by=ada) for _ in range(4)))
    assert len(await town.inbox(bob)) == 8
    assert len(town.mails(bob)) == 2
    await town.later(minutes=1)
    assert len(town.mails(bob)) == 4


def test_letters_go_fifty_a_message_and_text_messages_each_by_itself() -> None:
    def vouch(*_: object) -> Grant:
        raise NotImplementedError

    ctx = Context[NotifyRecords](cast(NotifyRecords, None), now=0, new_id=lambda: "", vouch=vouch)
    send([(f"m{n}", "task:1", ctx) for n in range(MAILS + 1)] + [("s", "sms:task:1", ctx)])
    texts, *mails = ctx.told
    assert texts == SendText(letter_id="s")
    assert mails == [
        SendMails(letter_ids=[f"m{n}" for n in range(MAILS)]),
        SendMail(notification_id=f"m{MAILS}"),
    ]
