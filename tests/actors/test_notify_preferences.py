"""By which ways people are told, when, and how they get no more of it."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any

import pytest

from actors.contracts.notify import SendMail
from actors.contracts.notify_preferences import (
    Channels,
    GetPreferences,
    GetSubscription,
    QuietHours,
    SetPreferences,
    Unsubscribe,
)
from actors.contracts.task import Task, TaskAssigned
from actors.contracts.task_comment import Comment, CommentAdded
from actors.contracts.task_import import Import, ImportDone
from actors.contracts.user import Person, UserDeleted, UserUpdated
from actors.contracts.user_notice import NewNetwork, PasswordChanged
from actors.notify_hours import after_quiet, next_digest
from actors.notify_telling import DEFAULTS
from runtime.errors import NotFound, Unauthenticated
from tests.actors.town import ORIGIN, Town, contact, part

AT = "2026-11-24T12:00:00.000Z"
MAILED = {"task_assigned", "task_due", "comment_added", "mentioned", "member_added", "password_changed", "new_network"}


async def comment(town: Town, task: Task, by: Person, to: Person, body: str = "Well done") -> None:
    said = Comment(
        id=str(uuid.uuid4()), task_id=task.id, author_id=by.id, author_name=by.name, body=body, created_at=AT,
        updated_at=AT, version=1,
    )  # fmt: skip
    await town.stage.given(CommentAdded(comment=said, task=task, actor_id=by.id, at=AT, audience_ids=[by.id, to.id]))


async def pair(town: Town, **of_bob: Any) -> tuple[Person, Person, Task]:
    """Ada, Bob, and a task of hers."""
    ada, bob = await town.person("Ada"), await town.person("Bob", **of_bob)
    return ada, bob, await town.task(await town.project(ada), ada)


def token_of(mail: EmailMessage) -> str:
    (token,) = re.findall(rf"<{ORIGIN}/unsubscribe/([\w-]+)>", mail["List-Unsubscribe"])
    return str(token)


# ---------------------------------------------------------------------------------------- what is chosen


async def test_defaults_are_everything_in_the_inbox_and_some_mailed(town: Town) -> None:
    chosen = await town.stage.ask(GetPreferences(), caller=str(uuid.uuid4()))
    assert {name for name, ways in chosen.events.items() if "email" in ways} == MAILED
    assert len(chosen.events) == 15
    assert all("in_app" in ways for ways in chosen.events.values())
    assert (chosen.quiet_hours, chosen.digest) == (None, "off")


async def test_what_is_put_is_got_and_what_is_not_named_is_not_told(town: Town) -> None:
    caller = str(uuid.uuid4())
    command = SetPreferences(
        channels=Channels(email=True, sms=False, in_app=True),
        events={"mentioned": ["email", "email"], "task_due": []},
        quiet_hours=QuietHours(begin="22:00", end="07:00"),
        digest="daily",
    )
    put = await town.stage.ask(command, caller=caller)
    assert await town.stage.ask(GetPreferences(), caller=caller) == put
    assert put.events["mentioned"] == ["email"]
    assert put.events["task_due"] == put.events["comment_added"] == []
    assert len(put.events) == 15
    assert (put.channels, put.quiet_hours, put.digest) == (command.channels, command.quiet_hours, "daily")


async def test_nobody_has_no_preferences(town: Town) -> None:
    with pytest.raises(Unauthenticated):
        await town.stage.ask(GetPreferences())


@pytest.mark.parametrize(
    ("choice", "told", "mailed"),
    [
        ({"events": {"comment_added": ["email"]}}, 0, 1),
        ({"events": {"comment_added": ["in_app"]}}, 1, 0),
        ({"events": {"comment_added": []}}, 0, 0),
        ({"channels": Channels(email=False, sms=True, in_app=True)}, 1, 0),
        ({"channels": Channels(email=True, sms=True, in_app=False)}, 0, 1),
    ],
)
async def test_people_are_told_by_the_ways_that_they_chose(
    town: Town, choice: dict[str, Any], told: int, mailed: int
) -> None:
    ada, bob, task = await pair(town)
    await town.choose(bob, **choice)
    await comment(town, task, ada, bob)
    assert (len(await town.inbox(bob)), len(town.mails(bob))) == (told, mailed)


async def test_a_new_password_and_a_new_network_are_in_the_inbox(town: Town) -> None:
    bob = await town.person("Bob")
    await town.stage.given(
        PasswordChanged(user_id=bob.id, at=AT), NewNetwork(user_id=bob.id, network="192.0.2.7", at=AT)
    )
    assert [told.title for told in await town.inbox(bob)] == [
        "Your account was signed in to from a new place: 192.0.2.7",
        "Your password was changed",
    ]
    assert {told.actor_id for told in await town.inbox(bob)} == {None}
    assert town.mails(bob) == []  # the user actor has each mailed by itself, whatever was chosen


async def test_what_an_erased_person_chose_is_forgotten(town: Town) -> None:
    ada, bob, task = await pair(town)
    await town.choose(bob, digest="daily")
    await comment(town, task, ada, bob)
    await town.stage.given(UserDeleted(user_id=bob.id, version=9))
    assert await town.stage.ask(GetPreferences(), caller=bob.id) == DEFAULTS
    await town.later(hours=24)
    assert town.mails(bob) == []


# ------------------------------------------------------------------------------------- several at a time


async def test_the_first_mail_goes_at_once_and_those_of_the_next_minute_together(town: Town) -> None:
    ada, bob, task = await pair(town)
    await comment(town, task, ada, bob, "one")
    (first,) = town.mails(bob)
    for body in ("two", "three <b>"):
        await town.later(seconds=20)
        await comment(town, task, ada, bob, body)
    assert len(town.mails(bob)) == 1
    await town.later(seconds=19)
    assert len(town.mails(bob)) == 1
    await town.later(seconds=6)  # the timer looks every 5 s
    _, second = town.mails(bob)
    assert second["Subject"] == "2 news: Land"
    text, html = part(second, "plain"), part(second, "html")
    assert text.index("two") < text.index("three <b>")
    assert "three &lt;b&gt;" in html
    assert second["In-Reply-To"] == second["References"] == first["Message-ID"]
    assert "In-Reply-To" not in first
    await comment(town, task, ada, bob, "four")
    await town.later(seconds=45)
    assert len(town.mails(bob)) == 2
    await town.later(seconds=15)
    assert town.mails(bob)[2]["References"] == first["Message-ID"]
    await town.later(minutes=10)
    assert len(town.mails(bob)) == 3
    await comment(town, task, ada, bob, "five")
    assert len(town.mails(bob)) == 4
    assert len(await town.inbox(bob)) == 5


async def test_mails_about_different_tasks_do_not_wait_for_each_other(town: Town) -> None:
    ada, bob, task = await pair(town)
    other = await town.task(await town.project(ada), ada, "Fly")
    await comment(town, task, ada, bob)
    await comment(town, other, ada, bob)
    assert [mail["Subject"] for mail in town.mails(bob)] == [
        "Ada commented on a task: Land",
        "Ada commented on a task: Fly",
    ]
    assert all("References" not in mail for mail in town.mails(bob))


async def test_a_letter_goes_once_however_often_it_is_due(town: Town) -> None:
    ada, bob, task = await pair(town)
    await comment(town, task, ada, bob)
    await comment(town, task, ada, bob)
    await town.later(seconds=60)
    await town.later(seconds=5)
    assert len(town.mails(bob)) == 2
    await town.stage.given(SendMail(notification_id=str(uuid.uuid4())))
    assert len(town.mails(bob)) == 2


# ---------------------------------------------------------------------------------- quiet hours and digest


@pytest.mark.parametrize(
    ("at", "begin", "end", "zone", "then"),
    [
        ("2026-11-24T12:00", "22:00", "07:00", "UTC", "2026-11-24T12:00"),
        ("2026-11-24T22:00", "22:00", "07:00", "UTC", "2026-11-25T07:00"),
        ("2026-11-24T06:59", "22:00", "07:00", "UTC", "2026-11-24T07:00"),
        ("2026-11-24T07:00", "22:00", "07:00", "UTC", "2026-11-24T07:00"),
        ("2026-11-24T12:30", "12:00", "13:00", "UTC", "2026-11-24T13:00"),
        ("2026-11-24T12:30", "08:00", "08:00", "UTC", "2026-11-24T12:30"),
        ("2026-11-24T21:30", "22:00", "07:00", "Europe/Berlin", "2026-11-25T06:00"),
        ("2026-03-28T22:00", "22:00", "07:00", "Europe/Berlin", "2026-03-29T05:00"),  # the clock goes forward
        ("2026-03-29T00:30", "22:00", "02:30", "Europe/Berlin", "2026-03-29T01:30"),  # to an hour that it left out
        ("2026-11-24T12:00", "22:00", "07:00", "No/Where", "2026-11-24T12:00"),
    ],
)
def test_quiet_hours_are_those_of_the_persons_clock(at: str, begin: str, end: str, zone: str, then: str) -> None:
    assert after_quiet(ms(at), QuietHours(begin=begin, end=end), zone) == ms(then)


@pytest.mark.parametrize(
    ("at", "zone", "then"),
    [
        ("2026-11-24T07:59", "UTC", "2026-11-24T08:00"),
        ("2026-11-24T08:00", "UTC", "2026-11-25T08:00"),
        ("2026-11-24T12:00", "America/New_York", "2026-11-24T13:00"),
    ],
)
def test_the_digest_goes_at_eight(at: str, zone: str, then: str) -> None:
    assert next_digest(ms(at), zone) == ms(then)


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def shown(town: Town, minutes: int) -> str:
    """The time of day in so many minutes, UTC."""
    at = datetime.fromtimestamp(town.stage.now / 1000 + minutes * 60, UTC)
    return f"{at:%H:%M}"


async def test_in_quiet_hours_mail_waits_and_the_inbox_does_not(town: Town) -> None:
    ada, bob, task = await pair(town)
    await town.choose(bob, quiet_hours=QuietHours(begin=shown(town, -10), end=shown(town, 10)))
    await comment(town, task, ada, bob, "one")
    await town.later(minutes=5)
    await comment(town, task, ada, bob, "two")
    assert (len(await town.inbox(bob)), town.mails(bob)) == (2, [])
    await town.later(minutes=6)
    (mail,) = town.mails(bob)
    assert mail["Subject"] == "2 news: Land"


async def test_the_digest_is_one_mail_a_day_about_everything(town: Town) -> None:
    ada, bob, task = await pair(town)
    other = await town.task(await town.project(ada), ada, "Fly")
    await town.choose(bob, digest="daily")
    await comment(town, task, ada, bob)
    await comment(town, other, ada, bob)
    assert (len(await town.inbox(bob)), town.mails(bob)) == (2, [])
    await town.later(hours=24)
    (mail,) = town.mails(bob)
    assert mail["Subject"] == "Your day in Troupe: 2 news"
    assert "task: Land" in part(mail, "plain")
    assert "task: Fly" in part(mail, "plain")
    await town.later(hours=24)  # nothing happened
    await town.stage.tick("notify", "send_due")  # another replica, in the same slot
    assert len(town.mails(bob)) == 1


# ------------------------------------------------------------------------------------------ unsubscribing


async def test_one_click_takes_that_events_mail_off_and_nothing_else(town: Town) -> None:
    ada, bob, task = await pair(town)
    await comment(town, task, ada, bob)
    (mail,) = town.mails(bob)
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    token = token_of(mail)
    assert f"{ORIGIN}/unsubscribe/{token}" in part(mail, "plain")
    assert f'href="{ORIGIN}/unsubscribe/{token}"' in part(mail, "html")
    about = await town.stage.ask(GetSubscription(token=token))
    assert about.events == ["comment_added"]
    assert await town.stage.ask(GetPreferences(), caller=bob.id) == DEFAULTS  # looking changes nothing
    await comment(town, task, ada, bob)  # waits for the minute to end
    assert await town.stage.ask(Unsubscribe(token=token)) == about
    assert await town.stage.ask(Unsubscribe(token=token)) == about
    chosen = await town.stage.ask(GetPreferences(), caller=bob.id)
    assert chosen.events == {**DEFAULTS.events, "comment_added": ["in_app"]}
    await town.later(minutes=2)
    assert len(town.mails(bob)) == 1
    await town.stage.given(TaskAssigned(task=task, assignee_id=bob.id, actor_id=ada.id, at=AT))
    await town.later(minutes=2)
    assert len(town.mails(bob)) == 2


async def test_a_wrong_token_is_refused(town: Town) -> None:
    ada, bob, task = await pair(town)
    await comment(town, task, ada, bob)
    token = token_of(town.mails(bob)[0])
    changed = ("B" if token[5] == "A" else "A").join((token[:5], token[6:]))
    for wrong in ("x", "", changed, token[:-4], "é"):
        for message in (GetSubscription(token=wrong), Unsubscribe(token=wrong)):
            with pytest.raises(NotFound):
                await town.stage.ask(message)
    assert await town.stage.ask(GetPreferences(), caller=bob.id) == DEFAULTS


# ------------------------------------------------------------------------------------------------- German


async def test_inbox_and_mail_speak_the_persons_language(town: Town) -> None:
    ada, bob, task = await pair(town, locale="de-CH")
    await comment(town, task, ada, bob, "<b>")
    (mail,) = town.mails(bob)
    assert mail["Subject"] == "Ada hat eine Aufgabe kommentiert: Land"
    assert "Hallo Bob" in part(mail, "plain")
    assert "Hallo Bob" in part(mail, "html")
    assert "&lt;b&gt;" in part(mail, "html")
    assert "Keine Mails dieser Art mehr" in part(mail, "plain")
    assert (await town.inbox(bob))[0].title == "Ada hat eine Aufgabe kommentiert: Land"
    result = Import(
        id=str(uuid.uuid4()), format="github-archive", project_id=None, dry_run=False, status="done", done=9, total=9,
        created=5, skipped=3, errors=[], created_at=AT,
    )  # fmt: skip
    await town.stage.given(ImportDone(result=result, name="our.json", user_id=bob.id, at=AT))
    told = (await town.inbox(bob))[0]
    assert (told.title, told.body) == ("Ein Import ist zu Ende: our.json", "Aufgaben: 9; neu: 5; schon da: 3")
    english = contact(bob, locale="fr")  # there is no French
    await town.stage.given(UserUpdated(person=Person(id=bob.id, name="Bob", active=True, version=2), contact=english))
    assert (await town.inbox(bob))[0].title == "An import has ended: our.json"
