"""Proving an address with a token that was mailed to it."""

from __future__ import annotations

import asyncio
import re
import uuid

import pytest

from actors.contracts.notify import SendVerification
from actors.contracts.user import GetMe, Register, ResendVerification, User, UserUpdated, VerifyEmail
from runtime.errors import Invalid, Throttled, Unauthenticated
from runtime.message import holds_secret
from runtime.testing import Stage
from tests.actors.town import ORIGIN, Town, part
from tests.shelves import rows_of

LINK = re.compile(rf"{ORIGIN}/\S*\?token=([\w-]{{43}})(?![\w-])")


@pytest.fixture
async def user(town: Town) -> User:
    """Somebody who has just registered; the mail is there."""
    user = await town.stage.ask(Register(email=f"{uuid.uuid4()}@example.org", password="correct horse", name="Ada <3"))
    await town.stage.drain()
    return user


def tokens(town: Town, user: User) -> list[str]:
    """Those that were mailed, oldest first; text and HTML have the same."""
    found = []
    for mail in town.mails(user.email):
        (in_text,), in_html = LINK.findall(part(mail, "plain")), LINK.findall(part(mail, "html"))
        assert set(in_html) == {in_text}
        found.append(in_text)
    return found


async def refused(stage: Stage, token: str) -> bool:
    """Whether it is no token, or no longer."""
    (reply,) = await stage.ask_all([VerifyEmail(token=token)])
    return isinstance(reply, Invalid) and reply.code == "user.token_invalid"


async def test_registration_mails_a_link_that_proves_the_address_once(town: Town, user: User) -> None:
    (mail,) = town.mails(user.email)
    assert mail["Subject"] == "Confirm your e-mail address"
    assert user.email in part(mail, "plain")
    assert "Ada &lt;3" in part(mail, "html")
    (token,) = tokens(town, user)
    town.stage.advance(seconds=1)
    await town.stage.ask(VerifyEmail(token=token))
    now = await town.stage.ask(GetMe(), caller=user.id)
    assert (now.email_verified, now.version) == (True, 2)
    assert now.updated_at > user.updated_at
    event = town.stage.events[-1]
    assert isinstance(event, UserUpdated)
    assert event.contact is not None
    assert (event.person.id, event.person.version, event.contact.email_verified) == (user.id, 2, True)
    assert await refused(town.stage, token)
    assert await town.stage.ask(GetMe(), caller=user.id) == now


async def test_of_two_at_once_with_one_token_one_is_taken(town: Town, user: User) -> None:
    (token,) = tokens(town, user)
    assert sorted(await asyncio.gather(*(refused(town.stage, token) for _ in range(4)))) == [False, True, True, True]
    assert (await town.stage.ask(GetMe(), caller=user.id)).version == 2


@pytest.mark.parametrize("token", ["", "x", "A" * 43, "é", "\0"])
async def test_an_unknown_token_is_refused(town: Town, token: str) -> None:
    assert await refused(town.stage, token)


async def test_a_token_is_good_for_24_hours(town: Town, user: User) -> None:
    (token,) = tokens(town, user)
    town.stage.advance(hours=24, seconds=-1)
    assert not await refused(town.stage, token)


async def test_a_token_is_stale_after_24_hours(town: Town, user: User) -> None:
    (token,) = tokens(town, user)
    town.stage.advance(hours=24)
    assert await refused(town.stage, token)
    assert not (await town.stage.ask(GetMe(), caller=user.id)).email_verified


async def test_a_new_token_voids_the_old_one(town: Town, user: User) -> None:
    await town.stage.ask(ResendVerification(), caller=user.id)
    await town.stage.drain()
    old, new = tokens(town, user)
    assert await refused(town.stage, old)
    assert not await refused(town.stage, new)


async def test_one_address_gets_at_most_five_such_mails_an_hour(town: Town, user: User) -> None:
    for _ in range(4):
        town.stage.advance(minutes=10)
        await town.stage.ask(ResendVerification(), caller=user.id)
    for minutes_left in (20, 10):
        with pytest.raises(Throttled, match=r"rate\.limited") as refusal:
            await town.stage.ask(ResendVerification(), caller=user.id)
        assert refusal.value.retry_after == minutes_left * 60
        await town.stage.drain()
        assert len(town.mails(user.email)) == 5
        town.stage.advance(minutes=10)
    assert not await refused(town.stage, tokens(town, user)[-1])  # the last one that was sent is still good


async def test_an_hour_later_there_is_another_one(town: Town, user: User) -> None:
    for _ in range(4):
        await town.stage.ask(ResendVerification(), caller=user.id)
    town.stage.advance(hours=1)
    await town.stage.ask(ResendVerification(), caller=user.id)
    await town.stage.drain()
    assert len(town.mails(user.email)) == 6


async def test_many_at_once_are_no_way_around_the_limit(town: Town, user: User) -> None:
    asked = (town.stage.ask(ResendVerification(), caller=user.id) for _ in range(8))
    results = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(result) for result in results].count(Throttled) == 4
    await town.stage.drain()
    assert len(town.mails(user.email)) == 5


async def test_a_proven_address_gets_no_further_token(town: Town, user: User) -> None:
    await town.stage.ask(VerifyEmail(token=tokens(town, user)[0]))
    await town.stage.ask(ResendVerification(), caller=user.id)
    await town.stage.drain()
    assert len(town.mails(user.email)) == 1


async def test_without_an_account_there_is_nothing_to_prove(town: Town) -> None:
    with pytest.raises(Unauthenticated, match=r"auth\.token_invalid"):
        await town.stage.ask(ResendVerification(), caller=str(uuid.uuid4()))


async def test_no_store_holds_a_token_in_the_clear(town: Town) -> None:
    assert holds_secret(SendVerification)
    user = await town.stage.ask(Register(email=f"{uuid.uuid4()}@example.org", password="correct horse", name="Ada"))
    outbox = await town.stage.dispatches["user"].store.lease_outgoing(limit=1000, lease_ms=1)
    await town.stage.drain()
    (token,) = tokens(town, user)
    stored = [row.envelope for row in outbox]
    for table in ("mailed_token", "account"):
        rows = await rows_of(town.stage.dispatches["user"].store, table)
        stored += [value for row in rows for value in row.values() if isinstance(value, bytes)]
    assert token.encode() not in b"".join(stored)
