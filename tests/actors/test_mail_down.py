"""Mail while its server is away, refuses or breaks off: a real SMTP server, and mail that waits in the actor's store."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable
from email import message_from_bytes, policy
from pathlib import Path

import pytest

from actors.contracts.notify import CountUnread
from actors.contracts.user import Contact, Person, Register, UserCreated
from actors.notify_actor import NotifyActor
from actors.postman import Postman
from actors.user_actor import UserActor
from config.settings import Settings
from runtime import connect
from runtime.errors import MailerAway
from runtime.keys import Sealer
from runtime.ports import Mail
from runtime.testing import Stage
from tests.actors.company import Company
from tests.actors.conftest import task_actor
from tests.conformance.smtp_server import Inbox, smtp_server
from tests.sql import sql


@pytest.fixture
def port(free_port: Callable[[], int]) -> int:
    """Where the mail server is, when it is there."""
    return free_port()


@pytest.fixture
async def stage(port: int, tmp_path: Path) -> AsyncIterator[Stage]:
    """On SQLite, where the clock of the stage says when a mail is tried again."""
    settings = Settings(argon2="8,1,1", mail_url=f"smtp://127.0.0.1:{port}?command_timeout_s=0.3")
    mailer = connect.mailer(settings)
    user = UserActor(settings=settings, sealer=Sealer(b"a key of the tests"))
    sealer, texter = Sealer(b"a key of the tests"), connect.texter(settings)
    notify = NotifyActor(
        settings=settings, mailer=mailer, texter=texter, sealer=sealer, poster=connect.poster(settings)
    )
    async with Stage(user, task_actor(tmp_path), notify) as stage:
        yield stage
    await mailer.close()


async def register(stage: Stage) -> str:
    """Somebody, who then gets one mail; their id."""
    user = await stage.ask(Register(email=f"{uuid.uuid4()}@example.org", password="correct horse", name="Ada"))
    await stage.drain()
    return user.id


async def meet(company: Company) -> None:
    """Ada and Bob are known, and Ada assigns a task to Bob, who gets two mails."""
    for id in (company.ada, company.bob):
        contact = Contact(email=f"{id}@example.org", email_verified=True, locale="en", timezone="UTC")
        person = Person(id=id, name="Somebody", active=True, version=1)
        await company.stage.given(UserCreated(person=person, contact=contact))
    project = await company.project()
    await company.join(project, company.bob)
    await company.task(project, assignee_ids=[company.bob])
    await company.stage.drain()


async def later(stage: Stage, *, hours: float = 0.0, seconds: float = 0.0) -> None:
    stage.advance(hours=hours, seconds=seconds)
    await stage.drain()


def message_ids(inbox: Inbox) -> Counter[str]:
    return Counter(message_from_bytes(raw, policy=policy.default)["Message-ID"] for raw in inbox.received)


async def waiting(stage: Stage) -> tuple[int, int]:
    """Parked and dead."""
    counts = await stage.dispatches["notify"].store.counts()
    return counts["parked"], counts["dead"]


async def test_f35_while_mail_is_down_all_else_works_and_later_every_mail_is_sent_once(stage: Stage, port: int) -> None:
    company = Company(stage)
    await meet(company)
    for _ in range(3):
        await register(stage)
    assert (await stage.ask(CountUnread(), caller=company.bob)).unread == 2
    for _ in range(8):
        await later(stage, hours=0.5)
    assert await waiting(stage) == (5, 0)
    inbox = Inbox()
    async with smtp_server(inbox, port):
        await later(stage, hours=2)
        assert sorted(message_ids(inbox).values()) == [1] * 5
        assert Counter(receiver for (receiver,) in inbox.receivers)[f"{company.bob}@example.org"] == 2
        await later(stage, hours=24)
        assert len(inbox.received) == 5
    assert await waiting(stage) == (0, 0)


async def test_f36_a_connection_lost_after_the_data_makes_one_double_with_the_same_message_id(
    stage: Stage, port: int
) -> None:
    inbox = Inbox()
    inbox.drops_after_data = True
    async with smtp_server(inbox, port):
        await register(stage)
        assert len(inbox.received) == 1
        inbox.drops_after_data = False
        await later(stage, seconds=10)
        assert list(message_ids(inbox).values()) == [2]
        await later(stage, hours=24)
        assert list(message_ids(inbox).values()) == [2]
    rows = await sql(stage.dispatches["notify"].store.reader).fetch("select status, attempt from mail")
    assert [tuple(row.values()) for row in rows] == [("sent", 2)]


async def test_f37_what_is_refused_for_now_is_sent_later(stage: Stage, port: int) -> None:
    inbox = Inbox()
    inbox.receiver_answer = "450 mailbox busy"
    async with smtp_server(inbox, port):
        await register(stage)
        assert (inbox.received, await waiting(stage)) == ([], (1, 0))
        inbox.receiver_answer = "250 OK"
        await later(stage, seconds=10)
        assert len(inbox.received) == 1


async def test_f37_what_is_refused_for_good_is_a_dead_letter_at_once_and_holds_up_nobody(
    stage: Stage, port: int
) -> None:
    inbox = Inbox()
    inbox.receiver_answer = "550 no such mailbox"
    store = stage.dispatches["notify"].store
    async with smtp_server(inbox, port):
        await register(stage)
        (letter,) = await store.dead()
        assert (letter.type, letter.attempt) == ("send_verification", 1)
        assert letter.reason.startswith("mail.refused")
        inbox.receiver_answer = "250 OK"
        await register(stage)
        assert len(inbox.received) == 1
        assert await store.revive(letter.id)
        await stage.drain()
        assert len(inbox.received) == 2
        assert await waiting(stage) == (0, 0)


async def test_f39_mail_waits_for_the_event_of_its_owners_account(stage: Stage, port: int) -> None:
    inbox, company = Inbox(), Company(stage)
    async with smtp_server(inbox, port):
        project = await company.project()
        await company.join(project, company.bob)
        await stage.drain()
        assert (inbox.received, await waiting(stage)) == ([], (1, 0))
        contact = Contact(email="bob@example.org", email_verified=True, locale="en", timezone="UTC")
        await stage.given(
            UserCreated(person=Person(id=company.bob, name="Bob", active=True, version=1), contact=contact)
        )
        await later(stage, seconds=10)
        assert inbox.receivers == [["bob@example.org"]]


async def test_a_queue_before_a_silent_server_is_gone_after_one_time_out(port: int) -> None:
    mailer = connect.mailer(Settings(mail_url=f"smtp://127.0.0.1:{port}?command_timeout_s=0.3"))
    postman, inbox = Postman(mailer.send, MailerAway), Inbox()
    inbox.delay_s = 1.0

    async def written() -> None: ...

    mails = [Mail(str(number), "ada@example.org", "Hello", "Hello") for number in range(20)]
    async with smtp_server(inbox, port):
        begun = time.monotonic()
        results = await asyncio.gather(*(postman.send(mail, written) for mail in mails), return_exceptions=True)
        assert {type(result) for result in results} == {MailerAway}
        assert time.monotonic() - begun < 1
        inbox.delay_s = 0.0
        await asyncio.gather(*(postman.send(mail, written) for mail in mails))
        assert len(message_ids(inbox)) == 20
    await mailer.close()
