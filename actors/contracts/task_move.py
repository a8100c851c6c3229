"""What can be asked of the task actor about where tasks stand."""

from __future__ import annotations

from actors.contracts.task import Task, TaskStatus
from actors.contracts.values import Id
from runtime.message import Command


class MoveTask(Command[Task], frozen=True, kw_only=True):
    """Move a task on its board, before or after another one, to a status, or with its subtasks into another project.

    There it leaves its parent, takes the next number and stands last, unless a neighbour there is named. Assignees who
    take no part in that project are dropped, and labels of whose name it has none.
    Refuses `task.not_found`, `project.not_found`, `auth.forbidden`, `task.deleted`, and `request.invalid` for both
    neighbours, for nothing at all, and for a neighbour that is no other task of the project.
    """

    id: Id
    status: TaskStatus | None = None
    project_id: Id | None = None
    before_id: Id | None = None
    after_id: Id | None = None
