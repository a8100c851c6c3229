"""How much of everything there can be: exact also when many ask at once, since each count is taken under a lock."""

from __future__ import annotations

from typing import Protocol

import msgspec

from actors.records.project import Board, ProjectRecords
from runtime.errors import Conflict


class QuotaSettings(Protocol):
    """What quotas read of the settings."""

    @property
    def quota_projects_per_user(self) -> int: ...
    @property
    def quota_tasks_per_project(self) -> int: ...
    @property
    def quota_comments_per_task(self) -> int: ...


class Quotas(msgspec.Struct, frozen=True):
    """The most that there can be; what lies in the trash counts."""

    projects_per_user: int
    tasks_per_project: int
    comments_per_task: int

    @classmethod
    def of(cls, settings: QuotaSettings) -> Quotas:
        return cls(settings.quota_projects_per_user, settings.quota_tasks_per_project, settings.quota_comments_per_task)

    async def check_projects(self, creator: str, projects: ProjectRecords) -> None:
        """Room for one more that someone creates; until the transaction ends they create no other.

        Refuses `quota.exceeded`.
        """
        if await projects.count_of(creator) >= self.projects_per_user:
            raise Conflict("quota.exceeded", f"you may have {self.projects_per_user} projects; delete one first")

    async def room(self, project_id: str, board: Board, coming: int, projects: ProjectRecords) -> int:
        """How many more tasks a project may have.

        Numbers are given out once, so there are never more tasks than that: they are counted only beyond the quota.

        :param board: locked; those that are coming have their numbers already.
        """
        quota, numbers = self.tasks_per_project, board.last_number - coming
        if board.last_number <= quota:
            return quota - numbers
        return max(0, quota - await projects.count_tasks(project_id))

    def check_comments(self, count: int) -> None:
        """With the new one. Refuses `quota.exceeded`."""
        if count > self.comments_per_task:
            raise Conflict("quota.exceeded", f"a task may have {self.comments_per_task} comments")

    def no_more_tasks(self) -> Conflict:
        """Why a project takes none."""
        return Conflict("quota.exceeded", f"a project may have {self.tasks_per_project} tasks, its trash included")


class Limited:
    """A part of the task actor that quotas matter to."""

    _quotas: Quotas
