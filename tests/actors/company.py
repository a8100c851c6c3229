"""People and projects for tests of the actors."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from actors.contracts.task import CreateTask, GetTask, Task
from actors.contracts.task_comment import AddComment, Comment
from actors.contracts.task_label import CreateLabel, Label
from actors.contracts.task_project import CreateProject, Member, Project, ProjectRole, SetMember
from actors.contracts.user import Person
from runtime.errors import Refusal
from runtime.message import Event, Request, encode
from runtime.testing import Stage
from tests.sql import sql


class Company:
    """A few people, each with an id that nobody had before, and what they share."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.ada, self.bob, self.eve = (str(uuid.uuid4()) for _ in range(3))
        self._seen = len(stage.events)

    async def project(self, name: str = "Apollo", **fields: str) -> Project:
        """One of Ada's."""
        return await self.stage.ask(CreateProject(name=name, **fields), caller=self.ada)

    async def join(self, project: Project, user_id: str, role: ProjectRole = "editor") -> Member:
        """Ada lets someone in whom the user actor vouches for."""
        person = Person(id=user_id, name="Someone", active=True, version=1)
        grant = self.stage.grant("user", "person", user_id, encode(person))
        command = SetMember(id=project.id, user_id=user_id, role=role)
        return await self.stage.ask(command, caller=self.ada, grants=[grant])

    async def task(self, project: Project, title: str = "Land", **fields: object) -> Task:
        """One that Ada creates."""
        command = CreateTask(project_id=project.id, title=title, **fields)  # type: ignore[arg-type] # any field of it
        return await self.stage.ask(command, caller=self.ada)

    async def tasks(self, project: Project, titles: Sequence[str]) -> list[Task]:
        """One after the other, a second apart."""
        made = []
        for title in titles:
            self.stage.advance(seconds=1)
            made.append(await self.task(project, title))
        return made

    async def label(self, project: Project, name: str = "urgent") -> Label:
        """One that Ada makes."""
        return await self.stage.ask(CreateLabel(id=project.id, name=name), caller=self.ada)

    async def comment(self, task: Task, body: str = "Well done", caller: str | None = None) -> Comment:
        """Ada says something, or whoever calls."""
        return await self.stage.ask(AddComment(id=task.id, body=body), caller=caller or self.ada)

    async def attempt(self, message: Request[Any], caller: str) -> Any:
        """The reply, or the refusal."""
        try:
            return await self.stage.ask(message, caller=caller)
        except Refusal as refusal:
            return refusal

    async def refuses(self, refusal: type[Refusal], code: str, caller: str, *messages: Request[Any]) -> None:
        """All of them are refused with that code."""
        for message in messages:
            with pytest.raises(refusal) as refused:
                await self.stage.ask(message, caller=caller)
            assert refused.value.code == code, message

    async def look(self, task: Task, caller: str | None = None) -> Task:
        """As it is now, for Ada or whoever calls."""
        return await self.stage.ask(GetTask(id=task.id), caller=caller or self.ada)

    async def history(self, task: Task) -> Sequence[tuple[str, object, object]]:
        """(field, was, became), oldest first, without the creation."""
        reader = self.stage.dispatches["task"].store.reader
        rows = await sql(reader).fetch(
            "select * from activity where task_id = $1 and field <> 'created_at' order by id", task.id
        )
        return [(row["field"], msgspec.json.decode(row["was"]), msgspec.json.decode(row["became"])) for row in rows]

    def events(self) -> list[Event]:
        """What went out since the last look."""
        new = self.stage.events[self._seen :]
        self._seen = len(self.stage.events)
        return new
