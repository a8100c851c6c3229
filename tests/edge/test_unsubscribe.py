"""Preferences over HTTP, and the page behind the link in a mail."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from tests.edge.whole_house import House, house_of
from tests.system.world import Api

PREFERENCES = "/v1/me/notification-preferences"
FORM = "application/x-www-form-urlencoded"


@pytest.fixture(scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    folder = tmp_path_factory.mktemp("house")
    async with house_of(folder) as house:
        yield house


async def mails(house: House, to: Api, count: int) -> list[EmailMessage]:
    """What has arrived there, once it is so much."""
    folder = Path(house.app.settings.var_dir) / "mail"
    async with asyncio.timeout(10):
        while True:
            found = [message_from_bytes(path.read_bytes(), policy=policy.default) for path in folder.glob("*.eml")]
            theirs = [mail for mail in found if mail["To"] == to.user["email"]]
            if len(theirs) >= count:
                return theirs
            await asyncio.sleep(0.05)


async def verify(house: House, person: Api) -> None:
    """Prove their address by the mail that they got."""
    (welcome,) = await mails(house, person, 1)
    (token,) = re.findall(r"\?token=([\w-]+)", welcome.get_body(("plain",)).get_content())  # type: ignore[union-attr] # it has a text
    assert (await house.anyone("POST", "/v1/email-verifications", {"token": token})).status == 204


async def text_messages(house: House, number: str, count: int) -> list[str]:
    """What has arrived at a telephone, once it is so much."""
    folder = Path(house.app.settings.var_dir) / "sms"
    async with asyncio.timeout(10):
        while True:
            found = [json.loads(path.read_bytes()) for path in folder.glob("*.json")]
            theirs = [text["body"] for text in found if text["to"] == number]
            if len(theirs) >= count:
                return theirs
            await asyncio.sleep(0.05)


async def test_preferences_are_replaced_as_a_whole(house: House) -> None:
    ada = await house.anyone.person("Ada")
    defaults = (await ada("GET", PREFERENCES)).json
    assert set(defaults) == {"channels", "events", "quiet_hours", "digest"}
    assert defaults["events"]["task_assigned"] == ["email", "in_app"]
    assert defaults["events"]["task_updated"] == ["in_app"]
    chosen = {**defaults, "quiet_hours": {"from": "22:00", "to": "07:00"}, "digest": "daily"}
    put = await ada("PUT", PREFERENCES, chosen)
    assert (put.status, put.json) == (200, chosen)
    assert (await ada("GET", PREFERENCES)).json == chosen


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"channels": None}, "/channels"),
        ({"channels": {"email": 1, "sms": True, "in_app": True}}, "/channels/email"),
        ({"channels": {"email": True, "sms": True}}, "/channels/in_app"),
        ({"channels": {"email": True, "sms": True, "in_app": True, "fax": True}}, "/channels/fax"),
        ({"events": {"task_burnt": []}}, "/events/task_burnt"),
        ({"events": {"task_due": ["fax"]}}, "/events/task_due/0"),
        ({"events": {"task_due": None}}, "/events/task_due"),
        ({"events": []}, "/events"),
        ({"quiet_hours": {"from": "24:00", "to": "07:00"}}, "/quiet_hours/from"),
        ({"quiet_hours": {"from": "22:00"}}, "/quiet_hours/to"),
        ({"digest": "weekly"}, "/digest"),
    ],
)
async def test_wrong_preferences_are_refused_where_they_are_wrong(
    house: House, change: dict[str, Any], pointer: str
) -> None:
    ada = await house.anyone.person("Ada")
    defaults = (await ada("GET", PREFERENCES)).json
    refused = await ada("PUT", PREFERENCES, {**defaults, **change})
    assert (refused.status, refused.problem()) == (422, "request.invalid")
    assert [fault["pointer"] for fault in refused.json["errors"]] == [pointer]
    assert (await ada("GET", PREFERENCES)).json == defaults


@pytest.mark.parametrize("missing", ["channels", "events", "quiet_hours", "digest"])
async def test_all_four_members_are_required(house: House, missing: str) -> None:
    ada = await house.anyone.person("Ada")
    chosen = (await ada("GET", PREFERENCES)).json
    del chosen[missing]
    refused = await ada("PUT", PREFERENCES, chosen)
    assert [fault["pointer"] for fault in refused.json["errors"]] == [f"/{missing}"]


async def test_a_link_in_a_mail_shows_a_page_and_one_click_unsubscribes(house: House) -> None:
    ada, bob = await house.anyone.person("Ada"), await house.anyone.person("Bob")
    await verify(house, bob)
    project = await ada.project()
    assert (await ada("PUT", f"/v1/projects/{project}/members/{bob.user['id']}", {"role": "editor"})).status == 200
    (mail,) = [each for each in await mails(house, bob, 2) if each["List-Unsubscribe"]]
    path = mail["List-Unsubscribe"].strip("<>").removeprefix(house.address)
    before = (await bob("GET", PREFERENCES)).json

    page = await house.anyone("GET", path)
    assert (page.status, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert "form-action 'self'" in page.headers["Content-Security-Policy"]
    assert page.headers["Cache-Control"] == "no-store"
    assert b'<form method="post">' in page.body
    assert bob.user["email"].encode() in page.body
    assert (await bob("GET", PREFERENCES)).json == before

    for _ in range(2):
        done = await house.anyone("POST", path, body=b"List-Unsubscribe=One-Click", content_type=FORM)
        assert (done.status, b"<form" in done.body) == (200, False)
    events = {**before["events"], "member_added": ["in_app"]}
    assert (await bob("GET", PREFERENCES)).json == {**before, "events": events}


async def test_who_chose_text_messages_and_has_a_number_gets_one(house: House) -> None:
    ada, bob, number = await house.anyone.person("Ada"), await house.anyone.person("Bob"), "+4917612345678"
    await verify(house, bob)
    assert (await bob("PATCH", "/v1/me", {"phone": number})).json["phone"] == number
    chosen = (await bob("GET", PREFERENCES)).json
    chosen["events"]["member_added"] = ["sms"]
    assert (await bob("PUT", PREFERENCES, chosen)).status == 200
    project = await ada.project()
    assert (await ada("PUT", f"/v1/projects/{project}/members/{bob.user['id']}", {"role": "editor"})).status == 200
    (text,) = await text_messages(house, number, 1)
    assert text.startswith("Troupe: Ada added you to ")
    assert len(await mails(house, bob, 1)) == 1  # to prove the address


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("token", ["x", "A" * 100, "a%00b", "<script>"])
async def test_a_wrong_token_is_answered_with_a_page(house: House, method: str, token: str) -> None:
    answer = await house.anyone(method, f"/unsubscribe/{token}")
    assert (answer.status, answer.headers["Content-Type"]) == (404, "text/html; charset=utf-8")
    assert b"script" not in answer.body
