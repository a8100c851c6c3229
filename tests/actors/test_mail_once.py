"""No mail goes twice while nothing crashes: a database that takes no statement, a slow server, several in one message."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable
from email import message_from_bytes, policy
from typing import Any

import asyncpg
import msgspec
import pytest

from actors.contracts.notify import SendMails, SendVerification
from actors.contracts.task import TaskAssigned
from actors.contracts.user import Contact, Person, UserCreated
from actors.notify_actor import NotifyActor
from config.settings import Settings
from runtime import connect
from runtime.dispatch import Dispatch
from runtime.keys import Sealer
from runtime.message import Command, Envelope, Event, encode, wire_name
from runtime.telemetry import Metrics
from runtime.testing import Stage
from runtime.verdict import Received, Settle, Verdict
from tests.actors.conftest import schemas
from tests.conformance.smtp_server import Inbox, smtp_server
from tests.sql import sql
from tests.unit.message_examples import example

KEY = b"a key of the tests"
VERIFICATION = SendVerification(email="ada@example.org", name="Ada", token="t")


@pytest.fixture
def port(free_port: Callable[[], int]) -> int:
    return free_port()


def notify(port: int) -> NotifyActor:
    settings = Settings(mail_url=f"smtp://127.0.0.1:{port}")
    poster, texter = connect.poster(settings), connect.texter(settings)
    return NotifyActor(
        settings=settings, mailer=connect.mailer(settings), texter=texter, sealer=Sealer(KEY), poster=poster
    )


@pytest.fixture
async def stage(port: int, postgres_url: str, run_id: str) -> AsyncIterator[Stage]:
    name = f"once_{run_id}_{uuid.uuid4().hex[:8]}"
    async with schemas(postgres_url, name) as store_url, Stage(notify(port), store_url=store_url) as stage:
        yield stage


def envelope(command: Command[None]) -> Envelope:
    return Envelope(str(uuid.uuid4()), wire_name(type(command)), "notify", encode(command))


async def until_done(dispatch: Dispatch, sent: Envelope) -> None:
    """As a consumer does."""
    async with asyncio.timeout(10):
        while await verdict(dispatch, sent) is Settle.HOLD:
            await asyncio.sleep(0.05)


async def verdict(dispatch: Dispatch, sent: Envelope) -> Verdict:
    (found,) = await dispatch([Received(sent)])
    return found


def subjects(inbox: Inbox) -> Counter[str]:
    return Counter(str(message_from_bytes(raw, policy=policy.default)["Subject"]) for raw in inbox.received)


class Locking(Inbox):
    """While it takes a mail, somebody else locks what is kept of mails, for longer than a statement waits."""

    def __init__(self, url: str, table: str) -> None:
        super().__init__()
        self.url, self.table = url, table
        self.locked: asyncio.Task[None] | None = None

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 # aiosmtpd's name
        if self.locked is None:
            connection = await asyncpg.connect(self.url)
            transaction = connection.transaction()
            await transaction.start()
            await connection.execute(f"lock table {self.table} in share mode")
            self.locked = asyncio.create_task(self._let_go(connection))
        return await super().handle_DATA(server, session, envelope)

    async def _let_go(self, connection: Any) -> None:
        await asyncio.sleep(1.2)
        await connection.close()


@pytest.mark.parametrize("table", ["mail", "inbox"])
async def test_a_mail_that_went_is_not_sent_again_when_the_database_does_not_take_that(
    stage: Stage, port: int, postgres_url: str, table: str
) -> None:
    dispatch = stage.dispatches["notify"]
    row = await sql(dispatch.store.reader).row("select current_schema() as name")
    assert row is not None
    inbox = Locking(postgres_url, f"{row['name']}.{table}")
    async with smtp_server(inbox, port):
        await until_done(dispatch, envelope(VERIFICATION))
    assert len(inbox.received) == 1
    assert await dispatch.store.dead() == []


async def test_f38_a_copy_at_another_replica_waits_for_a_slow_server_however_short_the_lease(
    stage: Stage, port: int
) -> None:
    store, inbox = stage.dispatches["notify"].store, Inbox()
    slow, other = (
        Dispatch(notify(port), store, key=KEY, metrics=Metrics(), offer=lambda rows: None, lease_ms=150)
        for _ in range(2)
    )
    inbox.delay_s = 0.6  # four leases
    sent = envelope(VERIFICATION)
    async with smtp_server(inbox, port):
        await asyncio.gather(until_done(slow, sent), until_done(other, sent))
    assert len(inbox.received) == 1
    await slow.actor.stop()
    await other.actor.stop()


class Choosy(Inbox):
    """Says no to who is named so."""

    answer = "550 no such mailbox"

    async def handle_RCPT(  # noqa: N802 # aiosmtpd's name
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        if address.startswith("gone"):
            return self.answer
        return await super().handle_RCPT(server, session, envelope, address, options)


async def letters(stage: Stage, *names: str) -> list[str]:
    """Of people with these addresses, each told of one task: ids of letters that nobody has sent yet."""
    dispatch = stage.dispatches["notify"]
    for name in names:
        person = Person(id=str(uuid.uuid4()), name=name, active=True, version=1)
        contact = Contact(email=f"{name}@example.org", email_verified=True, locale="en", timezone="UTC")
        told = example(TaskAssigned)
        task = msgspec.structs.replace(told.task, id=str(uuid.uuid4()), title=f"For {name}")
        assigned = msgspec.structs.replace(told, task=task, assignee_id=person.id, actor_id=None, imported=False)
        events: tuple[Event, ...] = (UserCreated(person=person, contact=contact), assigned)
        for event in events:
            sent = Envelope(str(uuid.uuid4()), wire_name(type(event)), "", encode(event))
            assert await verdict(dispatch, sent) is Settle.DONE
    stage._offered.clear()
    return [row["id"] for row in await sql(dispatch.store.reader).fetch("select id from letter order by id")]


async def test_f37_of_several_in_one_message_one_that_is_refused_holds_up_nobody(stage: Stage, port: int) -> None:
    store, inbox = stage.dispatches["notify"].store, Choosy()
    ids = await letters(stage, "ada", "gone", "bob")
    async with smtp_server(inbox, port):
        await stage.given(SendMails(letter_ids=ids))
        assert set(subjects(inbox).values()) == {1}
        assert sorted(to for (to,) in inbox.receivers) == ["ada@example.org", "bob@example.org"]
        (dead,) = await store.dead()
        assert (dead.type, dead.attempt) == ("send_mail", 1)
        await stage.given(SendMails(letter_ids=ids))  # another message of the same ones
        assert len(inbox.received) == 2


async def test_f35_of_several_in_one_message_each_goes_later_once(stage: Stage, port: int) -> None:
    store, inbox = stage.dispatches["notify"].store, Inbox()
    ids = await letters(stage, "ada", "bob", "eve")
    await stage.given(SendMails(letter_ids=ids))
    assert (await store.counts())["parked"] == 3
    async with store.transaction() as transaction:
        await sql(transaction).execute("update parked set due_at = 0")
    async with smtp_server(inbox, port):
        await stage.drain()
    assert sorted(subjects(inbox).values()) == [1] * 3
    assert (await store.counts())["parked"] == (await store.counts())["dead"] == 0
