"""The task actor: projects, who takes part in them, and their tasks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from actors.contracts.task import (
    CreateProject,
    CreateTask,
    DeleteTask,
    GetTask,
    ListProjects,
    ListTasks,
    Member,
    MemberAdded,
    Project,
    SetMember,
    Task,
    TaskAssigned,
    TaskCompleted,
    TaskCreated,
    TaskDeleted,
    TaskUpdated,
    UpdateTask,
)
from actors.contracts.user import Person, UserCreated, UserUpdated
from actors.contracts.values import Versions, rfc3339
from actors.pages import cursor, place
from actors.project_keys import candidates
from actors.records.project import ProjectRow
from actors.records.task import Entry, Seen, TaskRecords, TaskRow, ids
from actors.records.task_list import order, page
from actors.task_fields import changed_task, new_task, time_faults
from actors.task_fields import place as board_place
from actors.task_mentions import Known, Mentions
from runtime.actor import Actor, handles
from runtime.context import Context, ManyContext
from runtime.errors import Conflict, Forbidden, NotFound, PreconditionFailed, Refusal
from runtime.message import Page, decoder
