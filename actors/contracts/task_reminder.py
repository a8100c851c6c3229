"""What the task actor tells of time."""

from __future__ import annotations

from typing import ClassVar

from actors.contracts.task import Task
from actors.contracts.values import Id, Time
from runtime.message import Command, Event


class Remind(Command[None], frozen=True, kw_only=True):
    """Remind of the next tasks whose time has come; what the task actor tells itself while there are more."""


class TaskDue(Event, frozen=True, kw_only=True):
    """It is time to think of a task. Nobody did this, so `actor_id` is null.

    :param remind_at: which of its times has come; `at` is later when nothing ran then.
    :param audience_ids: assignees and watchers, and the creator when nobody is assigned.
    """

    consumers: ClassVar[tuple[str, ...]] = ("notify",)

    task: Task
    remind_at: Time
    actor_id: Id | None
    at: Time
    audience_ids: list[Id]
