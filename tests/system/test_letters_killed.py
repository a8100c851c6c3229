"""F36 by a crash: the process is killed while a server has a letter and has not said so. None is lost, one goes twice."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.conformance.smtp_server import Inbox, smtp_server
from tests.conformance.twilio_server import SID, TOKEN, Provider, twilio_server
from tests.system.test_notifications import mails, token_in, until, verify
from tests.system.world import Api, Running, World

MakeClient = Callable[[str], Api]
TASKS = 5
KILLED_AT = 3
"""The letter during which it is killed."""


class Killer:
    """Kills a process, once, when so many letters have arrived; whoever asks then gets no answer from it any more."""

    def __init__(self) -> None:
        self.running: Running | None = None

    def look(self, arrived: int) -> None:
        if self.running is not None and arrived >= KILLED_AT:
            self.running.process.kill()
            self.running = None


class MailsOfTasks(Inbox):
    """:ivar subjects: of the mails about tasks that have arrived."""

    def __init__(self, killer: Killer) -> None:
        super().__init__()
        self.killer = killer
        self.subjects: list[str] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 # aiosmtpd's name
        answer = await super().handle_DATA(server, session, envelope)
        subject = str(message_from_bytes(envelope.content, policy=policy.default)["Subject"])
        if "task" in subject:
            self.subjects.append(subject)
            self.killer.look(len(self.subjects))
        return answer


class Telephone(Provider):
    """What has arrived is counted before it is answered."""

    def __init__(self, killer: Killer) -> None:
        super().__init__()
        self.killer = killer

    def taken(self) -> None:
        self.killer.look(len(self.received))


@pytest.mark.parametrize("way", ["email", "sms"])
async def test_f36_killed_while_a_server_has_a_letter_none_is_lost_and_one_goes_twice(
    tmp_path: Path, client: MakeClient, free_port: Callable[[], int], way: str
) -> None:
    killer, port = Killer(), free_port()
    inbox = MailsOfTasks(killer)
    async with twilio_server(Telephone(killer)) as phone, smtp_server(inbox, port):
        settings = {
            "SECRET_KEY": "",
            "MAIL_URL": f"smtp://127.0.0.1:{port}",
            "SMS_URL": f"twilio://{SID}:{quote(TOKEN, safe='')}@%2B15005550006?api={phone.address}",
            "RATE_LIMITS": "off",
        }
        async with World(tmp_path, settings) as world:
            running = await world.start()
            ada, bob = [await client(running.address).person(name) for name in ("Ada", "Bob")]
            project = await befriended(ada, bob, inbox, way)
            killer.running = running
            fields = {"op": "create", "project_id": project, "assignee_ids": [bob.user["id"]]}
            operations = [{**fields, "title": f"Title {number}"} for number in range(TASKS)]
            assert (await ada("POST", "/v1/tasks/batch", {"operations": operations})).status == 200
            assert await running.process.wait() != 0
            let_leases_lapse(tmp_path / "var")
            await world.start()

            async def all_arrived() -> bool:
                return len(titles()) == TASKS

            def titles() -> Counter[str]:
                said = inbox.subjects if way == "email" else [form["Body"] for form in phone.received]
                return Counter(re.findall(r"Title \d", " ".join(said)))

            await until(20, all_arrived)
            assert await nothing_waits(tmp_path / "var")
            assert sorted(titles().values()) == [1] * (TASKS - 1) + [2]


async def befriended(ada: Api, bob: Api, inbox: Inbox, way: str) -> str:
    """A project of both, of whose tasks Bob is told that way; its id."""

    async def bob_has_mail() -> bool:
        return len(mails(inbox, bob)) == 1

    await until(10, bob_has_mail)
    await verify(bob.anonymous(), token_in(mails(inbox, bob)[0]))
    assert (await bob("PATCH", "/v1/me", {"phone": "+4917612345678"})).status == 200
    chosen = (await bob("GET", "/v1/me/notification-preferences")).json
    chosen["events"] |= {"task_assigned": [way], "member_added": []}
    assert (await bob("PUT", "/v1/me/notification-preferences", chosen)).status == 200
    project = await ada.project()
    assert (await ada("PUT", f"/v1/projects/{project}/members/{bob.user['id']}", {"role": "editor"})).status == 200
    return project


def let_leases_lapse(folder: Path) -> None:
    """As if the dead process had been missed for a minute."""
    for path in folder.glob("*.db"):
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("update inbox set leased_until = 0 where settled_at is null")
            database.execute("update outbox set leased_until = 0")


async def nothing_waits(folder: Path) -> bool:
    """Once all that was under way is settled."""
    async with asyncio.timeout(10):
        while True:
            with closing(sqlite3.connect(folder / "notify.db")) as database:
                (waiting,) = database.execute(
                    "select (select count(*) from inbox where settled_at is null) + (select count(*) from outbox)"
                ).fetchone()
            if waiting == 0:
                return True
            await asyncio.sleep(0.05)
