"""Text messages: to whom they go, when, and what they say; one test per outcome."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from actors.contracts.notify_preferences import Channels, QuietHours
from actors.contracts.notify_text import ForgetText, SendText
from actors.contracts.task import Task, TaskAssigned
from actors.contracts.user import Person, Register, UpdateMe, UserDeleted, UserUpdated
from actors.contracts.user_notice import NewNetwork, PasswordChanged
from actors.notify_texts import LONGEST
from actors.records.texts import Texts
from runtime.errors import TexterAway
from runtime.message import Envelope, encode
from runtime.verdict import Received
from tests.actors.town import Town, changed, contact
from tests.sql import sql

AT = "2026-11-24T12:00:00.000Z"
BY_TEXT = {"task_assigned": ["sms"], "password_changed": ["sms"], "new_network": ["sms"]}
NUMBERS = iter(f"+49176{number}" for number in range(10_000_000, 99_999_999))


@pytest.fixture
def number() -> str:
    """One that no other test uses."""
    return next(NUMBERS)


async def reader(town: Town, number: str | None, **of_person: Any) -> Person:
    """Somebody who wants text messages."""
    bob = await town.person("Bob", phone=number, **of_person)
    await town.choose(bob, events=BY_TEXT)
    return bob


async def assign(town: Town, bob: Person, title: str = "Land", actor: str = "Ada") -> Task:
    """Ada assigns a new task to Bob."""
    ada = await town.person(actor)
    task = await town.task(await town.project(ada), ada)
    await tell_of(town, task, bob, ada, title)
    return task


async def tell_of(town: Town, task: Task, bob: Person, ada: Person, title: str) -> None:
    # a title that no call would let pass may still come in an event
    fields = {field: getattr(task, field) for field in task.__struct_fields__} | {"title": title}
    await town.stage.given(TaskAssigned(task=Task(**fields), assignee_id=bob.id, actor_id=ada.id, at=AT))


def shown(town: Town, minutes: int) -> str:
    """The time of day in so many minutes, UTC."""
    at = datetime.fromtimestamp(town.stage.now / 1000 + minutes * 60, UTC)
    return f"{at:%H:%M}"


# ------------------------------------------------------------------------------------------ who is told what


async def test_who_chose_text_messages_gets_one_and_no_mail(town: Town, number: str) -> None:
    bob = await reader(town, number)
    await assign(town, bob)
    assert town.text_messages(number) == ["Troupe: Ada assigned a task to you: Land"]
    assert (town.mails(bob), await town.kinds(bob)) == ([], [])


async def test_by_default_nothing_goes_as_a_text_message(town: Town, number: str) -> None:
    bob = await town.person("Bob", phone=number)
    await assign(town, bob)
    assert town.text_messages(number) == []
    assert len(town.mails(bob)) == 1


async def test_mail_and_text_message_go_both_when_both_are_chosen(town: Town, number: str) -> None:
    bob = await reader(town, number)
    await town.choose(bob, events={"task_assigned": ["email", "sms", "in_app"]})
    await assign(town, bob)
    assert (len(town.text_messages(number)), len(town.mails(bob)), await town.kinds(bob)) == (1, 1, ["task_assigned"])


async def test_a_closed_channel_sends_nothing(town: Town, number: str) -> None:
    bob = await reader(town, number)
    await town.choose(bob, channels=Channels(email=True, sms=False, in_app=True))
    await assign(town, bob)
    assert town.text_messages(number) == []


async def test_a_new_password_and_a_new_network_are_texted_to_those_who_chose_it(town: Town, number: str) -> None:
    bob = await reader(town, number)
    await town.stage.given(
        PasswordChanged(user_id=bob.id, at=AT), NewNetwork(user_id=bob.id, network="192.0.2.7", at=AT)
    )
    assert "Troupe: Your password was changed" in town.text_messages(number)
    # of the same account: the second one waits for the minute to end
    await town.later(minutes=2)
    assert town.text_messages(number)[1:] == ["Troupe: Your account was signed in to from a new place: 192.0.2.7"]


async def test_without_a_number_nothing_is_sent(town: Town) -> None:
    await assign(town, await reader(town, None))
    assert await town.stage.dispatches["notify"].store.dead() == []


async def test_an_account_with_an_unproven_address_gets_no_text_message(town: Town, number: str) -> None:
    await assign(town, await reader(town, number, verified=False))
    assert town.text_messages(number) == []


async def test_a_suspended_account_gets_no_text_message(town: Town, number: str) -> None:
    bob = await reader(town, number)
    suspended = Person(id=bob.id, name="Bob", active=False, version=2)
    await town.stage.given(UserUpdated(person=suspended, contact=contact(bob, phone=number)))
    await assign(town, bob)
    assert town.text_messages(number) == []


async def test_the_number_is_that_of_the_account(town: Town, number: str) -> None:
    user = await town.stage.ask(Register(email=f"{uuid.uuid4()}@example.org", password="correct horse", name="Bob"))
    await town.stage.ask(UpdateMe(phone=number), caller=user.id)
    await town.stage.drain()
    recipient = await sql(town.stage.dispatches["notify"].store.reader).row(
        "select phone from person where id = $1", user.id
    )
    assert recipient == {"phone": number}


# ----------------------------------------------------------------------------------------------------- when


async def test_several_within_a_minute_are_one_text_message(town: Town, number: str) -> None:
    bob, ada = await reader(town, number), await town.person("Ada")
    task = await town.task(await town.project(ada), ada)
    for title in ("Land", "Fly", "Rest"):
        await tell_of(town, task, bob, ada, title)
    assert len(town.text_messages(number)) == 1
    await town.later(minutes=1)
    await town.stage.tick("notify", "send_due")  # another replica, in the same slot
    assert town.text_messages(number)[1:] == ["Troupe: Ada assigned a task to you: Rest (+1)"]


async def test_in_quiet_hours_it_waits_and_goes_later(town: Town, number: str) -> None:
    bob = await reader(town, number)
    await town.choose(bob, quiet_hours=QuietHours(begin=shown(town, -10), end=shown(town, 10)))
    await assign(town, bob)
    assert town.text_messages(number) == []
    await town.later(minutes=11)
    assert town.text_messages(number) == ["Troupe: Ada assigned a task to you: Land"]


async def test_quiet_hours_are_those_of_the_persons_zone(town: Town, number: str) -> None:
    bob = await reader(town, number, timezone="Asia/Tokyo")  # nine hours ahead
    await town.choose(bob, quiet_hours=QuietHours(begin=shown(town, 9 * 60 - 10), end=shown(town, 9 * 60 + 10)))
    await assign(town, bob)
    assert town.text_messages(number) == []
    await town.later(minutes=11)
    assert len(town.text_messages(number)) == 1


async def test_the_digest_is_of_mail_alone(town: Town, number: str) -> None:
    bob = await reader(town, number)
    await town.choose(bob, digest="daily", events={"task_assigned": ["email", "sms"]})
    await assign(town, bob)
    assert (len(town.text_messages(number)), town.mails(bob)) == (1, [])


# ------------------------------------------------------------------------------------------- what stops it


@pytest.mark.parametrize("how", ["cleared", "erased", "unwanted", "changed"])
async def test_what_waits_goes_to_no_number_that_is_not_theirs_any_more(town: Town, number: str, how: str) -> None:
    bob, other = await reader(town, number), next(NUMBERS)
    await town.choose(bob, quiet_hours=QuietHours(begin=shown(town, -10), end=shown(town, 10)))
    await assign(town, bob)
    if how == "cleared":
        await town.stage.given(changed(bob, 2))
    elif how == "erased":
        await town.stage.given(UserDeleted(user_id=bob.id, version=9))
    elif how == "unwanted":
        await town.choose(bob, events={"task_assigned": []})
    else:
        await town.stage.given(changed(bob, 2, phone=other))
    await town.later(minutes=11)
    assert town.text_messages(number) == []
    assert len(town.text_messages(other)) == (how == "changed")
    assert await town.stage.dispatches["notify"].store.dead() == []


@pytest.mark.parametrize("how", ["changed", "cleared", "erased"])
async def test_nothing_is_kept_of_a_number_that_is_not_theirs_any_more(town: Town, number: str, how: str) -> None:
    bob = await reader(town, number)
    await assign(town, bob)
    assert len(town.text_messages(number)) == 1
    await town.stage.given(changed(bob, 2, phone=number))
    assert len(town.text_messages(number)) == 1
    if how == "erased":
        await town.stage.given(UserDeleted(user_id=bob.id, version=9))
    else:
        await town.stage.given(changed(bob, 3, phone=next(NUMBERS) if how == "changed" else None))
    assert town.text_messages(number) == []
    phone = await sql(town.stage.dispatches["notify"].store.reader).row(
        "select phone from person where id = $1", bob.id
    )
    assert phone is not None
    assert phone["phone"] != number


# ------------------------------------------------------------------------------------------- what it says


async def test_it_speaks_the_persons_language(town: Town, number: str) -> None:
    bob = await reader(town, number, locale="de-AT")
    await assign(town, bob)
    assert town.text_messages(number) == ["Troupe: Ada hat dir eine Aufgabe zugewiesen: Land"]


@pytest.mark.parametrize("title", ["Land\r\nFly", "Land\x01\x1bFly", "Land\u2028Fly", "Land\x85\nFly"])
async def test_control_characters_of_users_are_in_no_text_message(town: Town, number: str, title: str) -> None:
    bob = await reader(town, number)
    await assign(town, bob, title, actor="A\r\nda")
    assert town.text_messages(number) == ["Troupe: A da assigned a task to you: Land Fly"]


async def test_it_is_short(town: Town, number: str) -> None:
    bob = await reader(town, number)
    await assign(town, bob, "x" * 500)
    (text,) = town.text_messages(number)
    assert len(text) == LONGEST
    assert text.endswith("xxx...")


# ------------------------------------------------------------------------------------------------ once, and caps


async def letter_of(town: Town, bob: Person) -> str:
    """The id of the text message that waits for Bob."""
    row = await sql(town.stage.dispatches["notify"].store.reader).row(
        "select id from letter where user_id = $1", bob.id
    )
    assert row is not None
    return str(row["id"])


async def waiting(town: Town, number: str) -> str:
    """The id of a letter that is not sent yet."""
    bob = await reader(town, number)
    await town.choose(bob, quiet_hours=QuietHours(begin=shown(town, -10), end=shown(town, 10)))
    await assign(town, bob)
    return await letter_of(town, bob)


async def test_the_same_message_again_is_ignored(town: Town, number: str) -> None:
    dispatch, letter = town.stage.dispatches["notify"], await waiting(town, number)
    envelope = Envelope(town.stage._new_id(), "send_text", "notify", encode(SendText(letter_id=letter)))
    await dispatch([Received(envelope)])
    assert len(town.text_messages(number)) == 1
    for path in town.texts.glob("*.json"):
        path.unlink()
    await dispatch([Received(envelope)])
    assert town.text_messages(number) == []


async def test_a_letter_that_is_gone_is_not_sent(town: Town) -> None:
    await town.stage.given(SendText(letter_id=str(uuid.uuid4())))
    assert await town.stage.dispatches["notify"].store.dead() == []


async def test_a_number_gets_ten_a_day_and_then_again_on_the_next(town: Town, number: str) -> None:
    bob = await reader(town, number)
    for n in range(12):
        await assign(town, bob, f"{n:02}")
    assert [text[-2:] for text in town.text_messages(number)] == [f"{n:02}" for n in range(10)]
    assert await town.stage.dispatches["notify"].store.dead(type="send_text") == []
    town.stage.advance(hours=24)
    await assign(town, bob, "tomorrow")
    assert town.text_messages(number)[-1].endswith("tomorrow")


async def test_a_number_gets_its_share_once_in_however_many_accounts(town: Town, number: str) -> None:
    for n in range(12):
        await assign(town, await reader(town, number), f"{n:02}")
    assert len(town.text_messages(number)) == 10


async def test_an_attempt_again_counts_no_second_time(town: Town, number: str) -> None:
    async with town.stage.dispatches["notify"].store.transaction() as transaction:
        kept = Texts(sql(transaction))
        assert [await kept.begin("m1" + number, number, town.stage.now, per_day=1) for _ in range(3)] == [True] * 3
        assert not await kept.begin("m2" + number, number, town.stage.now, per_day=1)


@pytest.fixture
def away(town: Town, tmp_path: Path) -> Any:
    """Take the folder of text messages away; what it returns brings it back."""
    town.texts.mkdir(exist_ok=True)
    kept = town.texts.rename(tmp_path / "sms")
    town.texts.write_bytes(b"no folder")

    def back() -> None:
        town.texts.unlink()
        kept.rename(town.texts)

    return back


@pytest.mark.parametrize("meanwhile", ["nothing", "cleared", "erased"])
async def test_while_the_provider_is_away_it_waits(town: Town, number: str, away: Any, meanwhile: str) -> None:
    bob = await reader(town, number)
    await town.choose(bob, quiet_hours=QuietHours(begin=shown(town, -10), end=shown(town, 10)))
    await assign(town, bob)
    letter, dispatch = await letter_of(town, bob), town.stage.dispatches["notify"]
    envelope = Envelope(town.stage._new_id(), "send_text", "notify", encode(SendText(letter_id=letter)))
    await dispatch([Received(envelope)])
    row = await dispatch.store.parked(envelope.id)
    assert row is not None
    assert TexterAway.__name__ in row.reason
    assert number.encode() not in row.envelope
    away()
    if meanwhile == "cleared":
        await town.stage.given(changed(bob, 2))
    elif meanwhile == "erased":
        await town.stage.given(UserDeleted(user_id=bob.id, version=9))
    await dispatch([dispatch.parking.received(row)])
    assert len(town.text_messages(number)) == (meanwhile == "nothing")
    assert await dispatch.store.parked(envelope.id) is None


async def test_what_is_kept_of_a_number_can_be_forgotten(town: Town, number: str) -> None:
    await assign(town, await reader(town, number))
    await town.stage.given(ForgetText(number=number))
    assert town.text_messages(number) == []
