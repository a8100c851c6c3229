"""What can be asked of the task actor about tasks, and what it tells of them."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from actors.contracts.task_project import Project, ProjectRole
from actors.contracts.task_recurrence import NewRecurrence, Occurrences, Recurrence
from actors.contracts.values import Cursor, Id, Limit, Text, Time, TimeIn, Title, Versions
from runtime.message import Command, Event, Grant, Page, Query

TaskStatus = Literal["todo", "in_progress", "in_review", "done", "cancelled"]
Priority = Annotated[int, Meta(ge=0, le=4, description="a whole number from 0 (none) to 4 (urgent)")]
Minutes = Annotated[int, Meta(ge=0, le=100_000, description="a whole number from 0 to 100000")]
Reminders = Annotated[list[TimeIn], Meta(max_length=10, description="at most 10 times")]
# a list that no honest client needs to exceed; each id in it is checked
Ids = Annotated[list[Id], Meta(max_length=1000, description="at most 1000 ids")]
Sort = Literal[
    "created_at", "-created_at", "updated_at", "-updated_at", "due_at", "-due_at",
    "priority", "-priority", "position", "-position",
]  # fmt: skip


Assignee = Annotated[str, Meta(pattern=r"^(me|none|[0-9a-f-]{36})$(?!\n)", description="an id, me or none")]


RelationType = Literal["blocks", "blocked_by", "relates", "duplicates", "duplicated_by"]


class Relation(msgspec.Struct, frozen=True, kw_only=True):
    """How a task stands to another one."""

    type: RelationType
    task_id: Id


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """A task as one member of its project sees it.

    :param occurrences: only where they were asked for: the dates of the tasks that would follow, were it done now.
    """

    id: Id
    project_id: Id
    number: int
    title: str
    description: str
    status: TaskStatus
    priority: Priority
    assignee_ids: list[Id]
    label_ids: list[Id]
    watching: bool
    watcher_count: int
    start_at: Time | None
    due_at: Time | None
    remind_at: list[Time]
    parent_id: Id | None
    recurrence: Recurrence | None = None
    relations: list[Relation]
    estimate_minutes: int | None
    position: str
    comment_count: int
    attachment_count: int
    created_by: Id | None
    created_at: Time
    updated_at: Time
    completed_at: Time | None
    deleted_at: Time | None
    version: int
    occurrences: list[Time] | UnsetType = UNSET


class CreateTask(Command[Task], frozen=True, kw_only=True):
    """Put a task into a project, last on its board.

    Refuses `project.not_found`, `auth.forbidden` and `quota.exceeded`.
    """

    project_id: Id
    title: Title
    description: Text = ""
    status: TaskStatus = "todo"
    priority: Priority = 0
    assignee_ids: Ids = []
    label_ids: Ids = []
    start_at: TimeIn | None = None
    due_at: TimeIn | None = None
    remind_at: Reminders = []
    parent_id: Id | None = None
    recurrence: NewRecurrence | None = None
    estimate_minutes: Minutes | None = None


class GetTask(Query[Task], frozen=True, kw_only=True):
    """One task, also from the trash. Refuses `task.not_found`.

    `occurrences`: show so many dates of the tasks that would follow if it were done now.
    """

    id: Id
    occurrences: Occurrences | None = None


class TaskAccess(msgspec.Struct, frozen=True, kw_only=True):
    """What someone may do with a task; `deleted`: it is in the trash."""

    user_id: Id
    project_id: Id
    role: ProjectRole
    deleted: bool


class VouchForTask(Query[Grant], frozen=True, kw_only=True):
    """A grant `task` on a task that the caller sees: its value is an encoded `TaskAccess`.

    Refuses `task.not_found`.
    """

    task_id: Id


class ListTasks(Query[Page[Task]], frozen=True, kw_only=True):
    """Tasks of the caller's projects; repeated values mean any of, different parameters all of."""

    project_id: Ids = []
    status: list[TaskStatus] = []
    assignee_id: list[Assignee] = []
    label_id: Ids = []
    priority: list[Priority] = []
    parent_id: list[Annotated[str, Meta(pattern=r"^(none|[0-9a-f-]{36})$(?!\n)", description="an id or none")]] = []
    due_before: TimeIn | None = None
    due_after: TimeIn | None = None
    created_after: TimeIn | None = None
    updated_after: TimeIn | None = None
    q: Annotated[str, Meta(max_length=500, pattern=r"^[^\x00]*$", description="at most 500 characters")] | None = None
    deleted: bool = False
    sort: Sort = "-created_at"
    limit: Limit = 50
    cursor: Cursor | None = None


class UpdateTask(Command[Task], frozen=True, kw_only=True):
    """Change fields of a task; null gives an optional one its default.

    Refuses `task.not_found`, `auth.forbidden`, `task.deleted`, `task.parent_cycle` and
    `request.precondition_failed` when `if_match` does not hold the present version.
    """

    id: Id
    title: Title | UnsetType = UNSET
    description: Text | UnsetType | None = UNSET
    status: TaskStatus | UnsetType | None = UNSET
    priority: Priority | UnsetType | None = UNSET
    assignee_ids: Ids | UnsetType | None = UNSET
    label_ids: Ids | UnsetType | None = UNSET
    start_at: TimeIn | UnsetType | None = UNSET
    due_at: TimeIn | UnsetType | None = UNSET
    remind_at: Reminders | UnsetType | None = UNSET
    parent_id: Id | UnsetType | None = UNSET
    recurrence: NewRecurrence | UnsetType | None = UNSET
    estimate_minutes: Minutes | UnsetType | None = UNSET
    if_match: Versions = None


class RestoreTask(Command[Task], frozen=True, kw_only=True):
    """Take a task out of the trash, and what went there with it; outside the trash nothing happens.

    A task whose parent stays there leaves it. Refuses `task.not_found` and `auth.forbidden`.
    """

    id: Id


class AssignTask(Command[Task], frozen=True, kw_only=True):
    """Add an assignee; again is no error.

    Refuses `task.not_found`, `auth.forbidden`, `task.deleted` and `task.assignee_not_member`.
    """

    id: Id
    user_id: Id


class UnassignTask(Command[Task], frozen=True, kw_only=True):
    """Take an assignee off; one who is none is no error.

    Refuses `task.not_found`, `auth.forbidden`, `task.deleted` and `request.precondition_failed`.
    """

    id: Id
    user_id: Id
    if_match: Versions = None


class LabelTask(Command[Task], frozen=True, kw_only=True):
    """Put a label of the project on a task; again is no error.

    Refuses `task.not_found`, `auth.forbidden`, `task.deleted` and `label.not_found`.
    """

    id: Id
    label_id: Id


class UnlabelTask(Command[Task], frozen=True, kw_only=True):
    """Take a label off a task; one that is not on it is no error.

    Refuses `task.not_found`, `auth.forbidden`, `task.deleted` and `request.precondition_failed`.
    """

    id: Id
    label_id: Id
    if_match: Versions = None


class WatchTask(Command[Task], frozen=True, kw_only=True):
    """Be told of what happens to a task; viewers may, too. Refuses `task.not_found` and `task.deleted`."""

    id: Id


class UnwatchTask(Command[Task], frozen=True, kw_only=True):
    """Be told of it no longer.

    Refuses `task.not_found`, `task.deleted` and `request.precondition_failed`.
    """

    id: Id
    if_match: Versions = None


class TaskSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What waits for somebody: numbers of open tasks that are assigned to them, and their newest projects.

    :param overdue: those that were due before now.
    :param due_today: those due between this midnight and the next in their time zone.
    """

    overdue: int
    due_today: int
    assigned: int
    projects: list[Project]


class GetTaskSummary(Query[TaskSummary], frozen=True, kw_only=True):
    """What waits for the caller."""


class DeleteTask(Command[None], frozen=True, kw_only=True):
    """Move a task and its subtasks to the trash; again is no error."""

    id: Id
    if_match: Versions = None


class TaskCreated(Event, frozen=True, kw_only=True):
    """A task came to be."""

    consumers: ClassVar[tuple[str, ...]] = ("notify",)

    task: Task
    actor_id: Id | None
    at: Time


class TaskUpdated(Event, frozen=True, kw_only=True):
    """Fields of a task changed; `changed` names them. `audience_ids` are its assignees, watchers and creator.

    :param left_project_id: where it was before, if it is in another project now.
    """

    consumers: ClassVar[tuple[str, ...]] = ("notify",)

    task: Task
    changed: list[str]
    actor_id: Id | None
    at: Time
    audience_ids: list[Id] | None = None
    imported: bool = False
    left_project_id: Id | None = None


class TaskAssigned(Event, frozen=True, kw_only=True):
    """Someone was assigned to a task."""

    consumers: ClassVar[tuple[str, ...]] = ("notify",)

    task: Task
    assignee_id: Id
    actor_id: Id | None
    at: Time
    imported: bool = False


class TaskCompleted(Event, frozen=True, kw_only=True):
    """A task reached `done`."""

    consumers: ClassVar[tuple[str, ...]] = ("notify",)

    task: Task
    actor_id: Id | None
    at: Time
    audience_ids: list[Id] | None = None
    imported: bool = False


class TasksErased(Event, frozen=True, kw_only=True):
    """Tasks are gone for good, and whatever belongs to them should be."""

    consumers: ClassVar[tuple[str, ...]] = ("media",)

    task_ids: list[Id]


class TaskDeleted(Event, frozen=True, kw_only=True):
    """A task went to the trash: its last state, with `deleted_at`."""

    consumers: ClassVar[tuple[str, ...]] = ("notify",)

    task: Task
    actor_id: Id | None
    at: Time
    audience_ids: list[Id] | None = None
