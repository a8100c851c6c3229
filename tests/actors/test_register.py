"""Opening an account."""

from __future__ import annotations

import asyncio
import uuid

import pytest

from actors.contracts.user import Contact, GetMe, Person, Register, UserCreated, UserUpdated, VouchForPerson
from actors.passwords import Passwords
from runtime.context import Context
from runtime.errors import Conflict, Invalid, NotFound, Overloaded, Unauthenticated
from runtime.message import Caller, decoder
from runtime.testing import Stage
from tests.actors.company import Company


def form(**fields: str) -> Register:
    defaults = {"email": f"{uuid.uuid4()}@example.org", "password": "correct horse", "name": "Ada"}
    return Register(**{**defaults, **fields})


async def test_a_registered_account_can_be_read_by_its_owner_and_no_answer_shows_the_password(stage: Stage) -> None:
    user = await stage.ask(form(name="Ada Lovelace", locale="en-GB", timezone="Europe/London"))
    assert (user.name, user.locale, user.timezone) == ("Ada Lovelace", "en-GB", "Europe/London")
    assert (user.role, user.status, user.email_verified, user.version) == ("member", "active", False, 1)
    assert await stage.ask(GetMe(), caller=user.id) == user
    assert not hasattr(user, "password")


async def test_a_registration_is_told_to_others_with_the_address_in_its_contact_alone(
    stage: Stage, company: Company
) -> None:
    user = await stage.ask(form(name="Ada", locale="de"))
    person = Person(id=user.id, name="Ada", active=True, version=1)
    contact = Contact(email=user.email, email_verified=False, locale="de", timezone="UTC")
    assert company.events() == [UserCreated(person=person, contact=contact)]


async def test_an_address_is_taken_in_any_case_of_letters(stage: Stage) -> None:
    first = form()
    await stage.ask(first)
    with pytest.raises(Conflict, match=r"user\.email_taken"):
        await stage.ask(form(email=first.email.upper()))


@pytest.mark.parametrize("password", ["password", "PassWord", "1234567890", "iloveyou"])
async def test_b74_a_common_password_is_refused_where_it_stands(stage: Stage, password: str) -> None:
    with pytest.raises(Invalid) as refusal:
        await stage.ask(form(password=password))
    assert [fault.pointer for fault in refusal.value.faults] == ["/password"]
    assert refusal.value.code == "request.invalid"


async def test_a_password_that_is_short_once_its_accents_are_composed_is_refused(stage: Stage) -> None:
    with pytest.raises(Invalid) as refusal:
        await stage.ask(form(password="a\u0301e\u0301i\u0301o\u0301"))
    assert [fault.pointer for fault in refusal.value.faults] == ["/password"]


@pytest.mark.parametrize("timezone", ["Mars/Olympus", "Europe", "/etc/passwd"])
async def test_an_unknown_time_zone_is_refused_where_it_stands(stage: Stage, timezone: str) -> None:
    with pytest.raises(Invalid) as refusal:
        await stage.ask(form(timezone=timezone))
    assert [fault.pointer for fault in refusal.value.faults] == ["/timezone"]


async def test_a_token_whose_account_is_gone_is_refused(stage: Stage) -> None:
    with pytest.raises(Unauthenticated, match=r"auth\.token_invalid"):
        await stage.ask(GetMe(), caller=str(uuid.uuid4()))


async def test_the_user_actor_vouches_for_an_active_account(stage: Stage) -> None:
    user = await stage.ask(form(name="Bob"))
    grant = await stage.ask(VouchForPerson(user_id=user.id), caller=str(uuid.uuid4()))
    assert (grant.issuer, grant.fact, grant.subject) == ("user", "person", user.id)
    assert decoder(Person).decode(grant.value) == Person(id=user.id, name="Bob", active=True, version=1)


async def test_nobody_vouches_for_an_unknown_account(stage: Stage) -> None:
    with pytest.raises(NotFound, match=r"user\.not_found"):
        await stage.ask(VouchForPerson(user_id=str(uuid.uuid4())), caller=str(uuid.uuid4()))


async def test_resync_tells_every_account_again_in_pages(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.user_actor.RESYNC", 2)
    made = {(await stage.ask(form())).id for _ in range(3)}
    dispatch = stage.dispatches["user"]
    told: list[UserUpdated] = []
    after: str | None = None
    pages = 0
    while pages == 0 or after is not None:
        context = Context(
            dispatch.records(dispatch.store.reader),
            now=stage.now,
            new_id=lambda: str(uuid.uuid4()),
            vouch=lambda *_: pytest.fail("resync vouches for nobody"),
            caller=Caller(),
        )
        after = await dispatch.actor.resync(context, after)
        told += [event for event in context.emitted if isinstance(event, UserUpdated)]
        assert len(context.emitted) <= 2
        pages += 1
    ids = [event.person.id for event in told]
    assert made <= set(ids)
    assert len(ids) == len(set(ids))


async def test_more_passwords_than_may_wait_are_turned_away_at_once() -> None:
    passwords = Passwords("1024,1,1", threads=1, waiting=1)
    results = await asyncio.gather(*(passwords.hash("correct horse") for _ in range(5)), return_exceptions=True)
    assert [type(result) for result in results].count(Overloaded) == 3
    assert await passwords.matches(results[0] if isinstance(results[0], str) else None, "correct horse")
    passwords.close()


async def test_b73_passwords_are_compared_whole_and_in_nfc() -> None:
    passwords = Passwords("8,1,1", threads=1)
    long = "x" * 72
    digest = await passwords.hash(long + "a")
    assert not await passwords.matches(digest, long + "b")
    composed = await passwords.hash("caf\u00e9 au lait")
    assert await passwords.matches(composed, "cafe\u0301 au lait")
    assert digest.startswith("$argon2id$")
    passwords.close()


async def test_without_a_digest_no_password_matches() -> None:
    passwords = Passwords("8,1,1", threads=1)
    assert not await passwords.matches(None, "correct horse")
    passwords.close()
