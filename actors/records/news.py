"""What handlers have to say, until it is written with the rest of their transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from actors.contracts.notify import NotificationKind, SubjectType
from actors.contracts.notify_preferences import EventName


class News(msgspec.Struct, frozen=True, kw_only=True):
    """Something that people are told.

    :ivar about: title of the task, or name of what else it is about.
    :ivar body: what it says in a language.
    """

    kind: NotificationKind
    people: Iterable[str]
    actor_id: str | None
    subject: tuple[SubjectType, str]
    about: str
    body: Callable[[str], str] = lambda locale: ""

    @property
    def told(self) -> list[str]:
        """Each of them but the one who did it, once."""
        return sorted({id for id in self.people if id != self.actor_id})


class Happening(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened, as those who may see it are told.

    :ivar user_id: whom alone it concerns, or whose part in the project changes.
    :ivar version: of the task or project.
    :ivar more: what else there is to say of it.
    """

    type: EventName
    at: str
    actor_id: str | None
    project_id: str | None = None
    user_id: str | None = None
    task_id: str | None = None
    version: int | None = None
    more: dict[str, Any] = {}

    def data(self) -> str:
        """As JSON."""
        values: dict[str, Any] = {"type": self.type, "project_id": self.project_id}
        if self.task_id is not None:
            values["task_id"] = self.task_id
        values |= {"version": self.version, "actor_id": self.actor_id, "at": self.at, **self.more}
        return msgspec.json.encode(values).decode()
