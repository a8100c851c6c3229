"""What can be asked of the task actor about how tasks stand to each other."""

from __future__ import annotations

from typing import Literal

from actors.contracts.task import Task
from actors.contracts.values import Id, Versions
from runtime.message import Command

RelationKind = Literal["blocks", "relates", "duplicates"]


class RelateTask(Command[Task], frozen=True, kw_only=True):
    """Relate a task to another one; both show it, and again is no error. The caller must be able to change both.

    Refuses `task.not_found`, `auth.forbidden`, `task.deleted`, and `task.relation_cycle` for itself and for a circle of
    blocks.
    """

    id: Id
    kind: RelationKind
    other_id: Id


class UnrelateTask(Command[Task], frozen=True, kw_only=True):
    """End a relation; one that is not there is no error.

    Refuses `task.not_found`, `auth.forbidden`, `task.deleted` and `request.precondition_failed`.
    """

    id: Id
    kind: RelationKind
    other_id: Id
    if_match: Versions = None
