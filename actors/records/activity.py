"""The history of tasks."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from actors.contracts.task_activity import Activity
from actors.contracts.task_project import ProjectRole
from actors.contracts.values import rfc3339
from runtime.ports import Session


class Entry(msgspec.Struct, frozen=True):
    """A row of `activity`: what became of a field, as JSON texts of its values in `Task`."""

    id: str
    task_id: str
    actor_id: str | None
    field: str
    was: str
    became: str
    created_at: int

    def view(self) -> Activity:
        """As a member of the project sees it."""
        return Activity(
            id=self.id,
            task_id=self.task_id,
            actor_id=self.actor_id,
            field=self.field,
            was=msgspec.json.decode(self.was),
            became=msgspec.json.decode(self.became),
            created_at=rfc3339(self.created_at),
        )


_COLUMNS = ", ".join(f"a.{column}" for column in Entry.__struct_fields__)


class ActivityRecords:
    """What happened to all tasks."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def add(self, entries: Sequence[Entry]) -> None:
        """All in one statement."""
        if entries:
            rows = [msgspec.structs.astuple(entry) for entry in entries]
            await self._session.insert("activity", Entry.__struct_fields__, rows)

    async def seen(self, id: str, user_id: str) -> tuple[Entry, ProjectRole] | None:
        """An entry, and someone's role in the project of its task; None where they have none."""
        sql = (
            f"select m.role, {_COLUMNS} from activity a join task t on t.id = a.task_id"  # noqa: S608 # constants
            " join member m on m.project_id = t.project_id where a.id = $1 and m.user_id = $2"
        )
        row = await self._session.row(sql, id, user_id)
        if row is None:
            return None
        role, *values = row.values()
        return Entry(*values), role

    async def page_of(self, task_id: str, *, limit: int, after: str | None) -> list[Entry]:
        """What happened to a task, newest first, which is the order of ids."""
        older = "" if after is None else "and a.id < $3"
        sql = f"select {_COLUMNS} from activity a where a.task_id = $1 {older} order by a.id desc limit $2"  # noqa: S608 # constants
        rows = await self._session.fetch(sql, task_id, limit, *([] if after is None else [after]))
        return [Entry(*row.values()) for row in rows]
