"""Inbox, mail and the verification of addresses over HTTP, beginning while the mail server is away."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

from tests.conformance.smtp_server import Inbox, smtp_server
from tests.system.world import PASSWORD, Api, World

MakeClient = Callable[[str], Api]


async def until(seconds: float, holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(seconds):
        while not await holds():
            await asyncio.sleep(0.05)


def mails(inbox: Inbox, to: Api) -> list[EmailMessage]:
    """What has arrived at somebody's address."""
    found = [message_from_bytes(raw, policy=policy.default) for raw in list(inbox.received)]
    return [mail for mail in found if mail["To"] == to.user["email"]]


def token_in(mail: EmailMessage) -> str:
    """What stands behind `?token=` of the link."""
    text = mail.get_body(("plain",))
    assert text is not None
    (token,) = re.findall(r"http://troupe\.test/\S*\?token=([\w-]+)", text.get_content())
    return str(token)


async def verify(anyone: Api, token: str) -> None:
    assert (await anyone("POST", "/v1/email-verifications", {"token": token})).status == 204


async def test_f35_notified_and_mailed_though_the_mail_server_comes_late(
    tmp_path: Path, client: MakeClient, free_port: Callable[[], int]
) -> None:
    inbox, port = Inbox(), free_port()
    settings = {"SECRET_KEY": "", "MAIL_URL": f"smtp://127.0.0.1:{port}", "RATE_LIMITS": "off"}
    async with World(tmp_path, settings) as world:
        running = await world.start()
        anyone = client(running.address)
        begun = time.monotonic()
        ada, bob = await anyone.person("Ada"), await anyone.person("Bob")
        again = await ada("POST", "/v1/me/email-verification")
        assert (again.status, again.body) == (202, b"")
        assert time.monotonic() - begun < 5
        async with smtp_server(inbox, port):

            async def everybody_has_mail() -> bool:
                return (len(mails(inbox, ada)), len(mails(inbox, bob))) == (2, 1)

            await until(30, everybody_has_mail)
            tokens = [token_in(mail) for mail in mails(inbox, ada)]
            codes = [(await anyone("POST", "/v1/email-verifications", {"token": token})).status for token in tokens]
            assert sorted(codes) == [204, 422]
            for token in [*tokens, "x"]:
                spent = await anyone("POST", "/v1/email-verifications", {"token": token})
                assert (spent.status, spent.problem()) == (422, "user.token_invalid")
            assert (await ada("GET", "/v1/me")).json["email_verified"] is True
            await verify(anyone, token_in(mails(inbox, bob)[0]))
            await assigned(ada, bob)

            async def bob_has_mail() -> bool:
                return len(mails(inbox, bob)) == 3

            await until(30, bob_has_mail)
            subjects = sorted(mail["Subject"] for mail in mails(inbox, bob))
            assert subjects[0].startswith("Ada added you to ")
            assert subjects[1] == "Ada assigned a task to you: {{7*7}}"
            assert len({mail["Message-ID"] for mail in mails(inbox, bob) + mails(inbox, ada)}) == 5
            assert len(inbox.received) == 5
        await read(bob)
        assert await running.stop() == 0


async def assigned(ada: Api, bob: Api) -> None:
    """Ada lets Bob in and assigns a task to him; both are in his inbox."""
    project = await ada.project()
    assert (await ada("PUT", f"/v1/projects/{project}/members/{bob.user['id']}", {"role": "editor"})).status == 200
    task = await ada.task(project, "{{7*7}}", assignee_ids=[bob.user["id"]])

    async def both_are_there() -> bool:
        return len((await bob("GET", "/v1/notifications")).json["items"]) == 2

    await until(10, both_are_there)
    items = (await bob("GET", "/v1/notifications")).json["items"]
    (told,) = [item for item in items if item["kind"] == "task_assigned"]
    assert told["subject"] == {"type": "task", "id": task["id"]}
    assert (told["actor_id"], told["read_at"]) == (ada.user["id"], None)
    assert "{{7*7}}" in told["title"]
    assert (await ada("GET", "/v1/notifications")).json == {"items": [], "next_cursor": None}


async def read(bob: Api) -> None:
    """Mark one, then all as read."""
    first, second = (await bob("GET", "/v1/notifications?unread=true")).json["items"]
    marked = await bob("POST", "/v1/notifications/read", {"ids": [first["id"]]})
    assert (marked.status, marked.body) == (204, b"")
    assert (await bob("GET", "/v1/notifications?unread=true")).json["items"] == [second]
    assert [item["id"] for item in (await bob("GET", "/v1/notifications?unread=false")).json["items"]] == [first["id"]]
    assert (await bob("POST", "/v1/notifications/read", {"ids": "all"})).status == 204
    assert (await bob("GET", "/v1/notifications?unread=true")).json["items"] == []
    for wrong in ({"ids": "some"}, {"ids": ["x"]}, {"ids": None}, {}):
        refused = await bob("POST", "/v1/notifications/read", wrong)
        assert (refused.status, refused.problem()) == (422, "request.invalid")
        assert refused.json["errors"][0]["pointer"].startswith("/ids")
    assert (await bob("GET", "/v1/notifications?unread=maybe")).json["errors"][0]["pointer"] == "?unread"


async def test_of_the_mails_to_one_address_the_sixth_within_an_hour_is_refused(
    tmp_path: Path, client: MakeClient
) -> None:
    async with World(tmp_path, {"SECRET_KEY": ""}) as world:
        running = await world.start()
        ada = await client(running.address).person("Ada")
        answers = [await ada("POST", "/v1/me/email-verification") for _ in range(5)]
        assert [answer.status for answer in answers] == [202, 202, 202, 202, 429]
        assert answers[-1].problem() == "rate.limited"
        assert 3000 < int(answers[-1].headers["Retry-After"]) <= 3600
        folder = tmp_path / "var" / "mail"

        async def five_are_there() -> bool:
            return len(list(folder.glob("*.eml"))) == 5

        await until(10, five_are_there)
        opened = await ada("POST", "/v1/sessions", {"email": ada.user["email"], "password": PASSWORD})
        assert opened.status == 201  # an address that is not proven may sign in
        assert await running.stop() == 0
