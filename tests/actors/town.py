"""People who are told things, and the mail that reaches them."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors.contracts.notify import ListNotifications, Notification
from actors.contracts.notify_preferences import GetPreferences, Preferences, SetPreferences
from actors.contracts.task import CreateTask, Task
from actors.contracts.task_project import CreateProject, Project, SetMember
from actors.contracts.user import Contact, Person, UserCreated, UserUpdated
from runtime.context import Context
from runtime.message import Event
from runtime.ports import Text
from runtime.testing import Stage

ORIGIN = "https://tasks.example.org"


class Town:
    """User, task and notify actor on one stage; mail lies in a folder."""

    def __init__(self, stage: Stage, folder: Path) -> None:
        self.stage = stage
        self._folder = folder
        self.texts = folder / "sms"

    async def person(
        self,
        name: str,
        *,
        verified: bool = True,
        email: str = "",
        version: int = 1,
        locale: str = "en",
        timezone: str = "UTC",
        phone: str | None = None,
    ) -> Person:
        """Somebody new, whom all actors know."""
        person = Person(id=str(uuid.uuid4()), name=name, active=True, version=version)
        reached = contact(person, verified=verified, email=email, locale=locale, timezone=timezone, phone=phone)
        await self.stage.given(UserCreated(person=person, contact=reached))
        return person

    async def choose(self, person: Person, **choice: object) -> None:
        """Change some of their preferences."""
        chosen: Preferences = await self.stage.ask(GetPreferences(), caller=person.id)
        present = msgspec.structs.asdict(chosen)
        events = {**present["events"], **choice.pop("events", {})}  # type: ignore[dict-item] # a dictionary of theirs
        await self.stage.ask(SetPreferences(**{**present, "events": events, **choice}), caller=person.id)

    async def later(self, **time: float) -> None:
        """Move the clock, and send what has become due."""
        self.stage.advance(**time)
        await self.stage.tick("notify", "send_due")

    async def project(self, owner: Person, *members: Person, name: str = "Apollo") -> Project:
        """One with these editors, who were told about it already."""
        project = await self.stage.ask(CreateProject(name=name), caller=owner.id)
        for member in members:
            await self.stage.ask(SetMember(id=project.id, user_id=member.id, role="editor"), caller=owner.id)
        await self.stage.drain()
        return project

    async def task(self, project: Project, creator: Person, title: str = "Land", **fields: object) -> Task:
        """A new one, whose events have arrived."""
        command = CreateTask(project_id=project.id, title=title, **fields)  # type: ignore[arg-type] # any field of it
        task = await self.stage.ask(command, caller=creator.id)
        await self.stage.drain()
        return task

    async def inbox(self, person: Person) -> Sequence[Notification]:
        """Newest first."""
        return (await self.stage.ask(ListNotifications(limit=200), caller=person.id)).items

    async def kinds(self, person: Person) -> Sequence[str]:
        """Of the inbox, newest first."""
        return [each.kind for each in await self.inbox(person)]

    def text_messages(self, number: str) -> Sequence[str]:
        """What has arrived at a telephone, oldest first: ids grow."""
        found = [msgspec.json.decode(path.read_bytes(), type=Text) for path in self.texts.glob("*.json")]
        return [text.body for text in sorted(found, key=lambda text: text.id) if text.to == number]

    def mails(self, to: Person | str) -> list[EmailMessage]:
        """What has arrived there, oldest first."""
        address = to if isinstance(to, str) else address_of(to)
        found = []
        for path in sorted(self._folder.glob("*.eml"), key=lambda path: path.stat().st_mtime_ns):
            mail = message_from_bytes(path.read_bytes(), policy=policy.default)
            if mail["To"] == address:
                found.append(mail)
        return found


def changed(person: Person, version: int, **reached: Any) -> UserUpdated:
    """What is told when somebody is to be reached otherwise. :param reached: of `contact`."""
    return UserUpdated(person=msgspec.structs.replace(person, version=version), contact=contact(person, **reached))


def address_of(person: Person) -> str:
    return f"{person.id}@example.org"


def contact(
    person: Person,
    *,
    verified: bool = True,
    email: str = "",
    locale: str = "en",
    timezone: str = "UTC",
    phone: str | None = None,
) -> Contact:
    return Contact(
        email=email or address_of(person), email_verified=verified, locale=locale, timezone=timezone, phone=phone
    )


async def present_state(stage: Stage, actor: str) -> list[Event]:
    """What `python -m runtime resync ACTOR` has it tell."""
    dispatch = stage.dispatches[actor]
    context = Context(
        dispatch.records(dispatch.store.reader),
        now=stage.now,
        new_id=lambda: str(uuid.uuid4()),
        vouch=lambda *_: pytest.fail("resync vouches for nobody"),
    )
    after = await dispatch.actor.resync(context, None)
    while after is not None:
        after = await dispatch.actor.resync(context, after)
    return context.emitted


def part(mail: EmailMessage, subtype: str) -> str:
    """The text, or the HTML, of a mail."""
    found = mail.get_body((subtype,))
    assert found is not None
    return str(found.get_content()).replace("\r\n", "\n")
