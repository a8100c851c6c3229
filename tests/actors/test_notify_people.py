"""The notify actor's copies of people."""

from __future__ import annotations

import itertools
import uuid

import pytest

from actors.contracts.user import Contact, Person, Register, UserCreated, UserUpdated
from actors.records.notify import NotifyRecords, Recipient
from tests.actors.town import Town, address_of, present_state
from tests.sql import sql


def told(id: str, version: int) -> UserUpdated:
    """Version 1 is unverified, those after it are."""
    contact = Contact(email=f"{version}@example.org", email_verified=version > 1, locale="en", timezone="UTC")
    return UserUpdated(person=Person(id=id, name=f"Ada {version}", active=True, version=version), contact=contact)


async def kept(town: Town, id: str) -> Recipient | None:
    return await NotifyRecords(sql(town.stage.dispatches["notify"].store.reader)).recipient(id)


@pytest.mark.parametrize("order", list(itertools.permutations([1, 2, 3])))
async def test_f39_in_any_order_the_newest_copy_is_kept(town: Town, order: tuple[int, ...]) -> None:
    id = str(uuid.uuid4())
    for version in order:
        await town.stage.given(told(id, version))
    assert await kept(town, id) == Recipient(
        name="Ada 3", active=True, email="3@example.org", email_verified=True, locale="en", phone=None
    )


async def test_an_event_of_an_older_process_is_completed_by_resync(town: Town) -> None:
    person = Person(id=str(uuid.uuid4()), name="Ada", active=True, version=1)
    await town.stage.given(UserCreated(person=person), UserUpdated(person=person))
    assert await kept(town, person.id) is None
    await town.stage.given(told(person.id, 1))
    assert await kept(town, person.id) is not None


async def test_a_registration_is_kept(town: Town) -> None:
    command = Register(email=f"{uuid.uuid4()}@example.org", password="correct horse", name="Ada")
    user = await town.stage.ask(command)
    await town.stage.drain()
    assert await kept(town, user.id) == Recipient(
        name="Ada", active=True, email=user.email, email_verified=False, locale="en", phone=None
    )


async def test_resync_of_the_user_actor_rebuilds_lost_copies(town: Town) -> None:
    command = Register(email=f"{uuid.uuid4()}@example.org", password="correct horse", name="Ada")
    user = await town.stage.ask(command)
    await town.stage.drain()
    before = await kept(town, user.id)
    async with town.stage.dispatches["notify"].store.transaction() as transaction:
        await sql(transaction).execute("delete from person")
    assert await kept(town, user.id) is None
    await town.stage.given(*await present_state(town.stage, "user"))
    assert await kept(town, user.id) == before is not None


async def test_a_person_has_the_address_of_the_event(town: Town) -> None:
    ada = await town.person("Ada")
    recipient = await kept(town, ada.id)
    assert recipient is not None
    assert recipient.email == address_of(ada)
