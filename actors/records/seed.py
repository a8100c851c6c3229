"""What only a seed writes: rows by the thousand, without a word to anybody."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from actors.contracts.task_label import Label
from actors.records.project import ProjectRow
from actors.records.task_row import COLUMNS, TaskRow, ids, words_of
from runtime.ports import Session

Watching = tuple[str, str]
"""A task, and who watches it."""


class SeedRecords:
    """The tables of projects and tasks, from their other end."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @staticmethod
    def key(index: int) -> str:
        """Of the project with that index."""
        return f"SEED{index}"

    async def project_of(self, owner: str, index: int) -> str | None:
        row = await self._session.row(
            "select id from project where created_by = $1 and key = $2", owner, self.key(index)
        )
        return row["id"] if row else None

    async def add_projects(self, projects: Sequence[ProjectRow], people: Sequence[str], now: int) -> None:
        """:param people: who takes part in all of them, the first one as owner."""
        rows = [msgspec.structs.astuple(project) for project in projects]
        await self._session.insert("project", ProjectRow.__struct_fields__, rows)
        members = [
            (each.id, user, "editor" if n else "owner", now) for each in projects for n, user in enumerate(people)
        ]
        await self._session.insert("member", ("project_id", "user_id", "role", "added_at"), members)

    async def add_labels(self, labels: Sequence[Label]) -> None:
        rows = [msgspec.structs.astuple(label) for label in labels]
        await self._session.insert("label", Label.__struct_fields__, rows)

    async def labels_of(self, project_id: str) -> list[str]:
        rows = await self._session.fetch("select id from label where project_id = $1 order by name", project_id)
        return [row["id"] for row in rows]

    async def add(self, tasks: Sequence[TaskRow], watching: Sequence[Watching]) -> None:
        """With all that a new task does not have, and what is linked to them."""
        rows = [(*msgspec.structs.astuple(task), words_of(task)) for task in tasks]
        await self._session.insert("task", (*COLUMNS, "words"), rows)
        assigned = [(task.id, user_id) for task in tasks for user_id in ids(task.assignee_ids)]
        await self._session.insert("assignee", ("task_id", "user_id"), assigned)
        labelled = [(task.id, label_id) for task in tasks for label_id in ids(task.label_ids)]
        await self._session.insert("task_label", ("task_id", "label_id"), labelled)
        await self._session.insert("watcher", ("task_id", "user_id"), watching)
