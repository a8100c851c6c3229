"""Labels of projects."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from actors.contracts.task_label import Label
from actors.contracts.task_project import ProjectRole
from runtime.ports import Session

_LABEL = Label.__struct_fields__
_COLUMNS = ", ".join(f"l.{column}" for column in _LABEL)


class LabelRecords:
    """The labels of all projects."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def add(self, label: Label) -> bool:
        """False: its project has a label of that name already."""
        places = ", ".join(f"${n}" for n in range(1, len(_LABEL) + 1))
        sql = f"insert into label ({', '.join(_LABEL)}) values ({places}) on conflict (project_id, name) do nothing"  # noqa: S608 # constants
        return await self._session.execute(sql, *msgspec.structs.astuple(label)) == 1

    async def seen(self, id: str, user_id: str) -> tuple[Label, ProjectRole] | None:
        """A label and someone's role in its project; None where they have none."""
        sql = (
            f"select m.role, {_COLUMNS} from label l join member m on m.project_id = l.project_id"  # noqa: S608 # constants
            " where l.id = $1 and m.user_id = $2"
        )
        row = await self._session.row(sql, id, user_id)
        if row is None:
            return None
        role, *values = row.values()
        return _label(values), role

    async def page_of(self, project_id: str, *, limit: int, after: str | None) -> list[Label]:
        """Those of a project, newest first, which is the order of their ids."""
        older = "" if after is None else "and l.id < $3"
        sql = f"select {_COLUMNS} from label l where l.project_id = $1 {older} order by l.id desc limit $2"  # noqa: S608 # constants
        rows = await self._session.fetch(sql, project_id, limit, *([] if after is None else [after]))
        return [_label(list(row.values())) for row in rows]

    async def change(self, label: Label) -> bool:
        """Replace a label's row, unless someone else has changed it since it was read: then False.

        :raises Duplicate: its project has another label of that name.
        """
        sql = "update label set name = $3, color = $4, version = $2 + 1 where id = $1 and version = $2"
        return await self._session.execute(sql, label.id, label.version - 1, label.name, label.color) == 1

    async def delete(self, id: str) -> None:
        await self._session.execute("delete from label where id = $1", id)

    async def named(self, project_id: str, names: Sequence[str]) -> dict[str, str]:
        """Name → id of the project's labels with these names."""
        sql = "select name, id from label where project_id = $1 and name = any($2)"
        return {row["name"]: row["id"] for row in await self._session.fetch(sql, project_id, names)}

    async def names_of(self, ids: Sequence[str]) -> dict[str, str]:
        """Label → its name."""
        rows = await self._session.fetch("select id, name from label where id = any($1)", ids)
        return {row["id"]: row["name"] for row in rows}

    async def projects_of(self, ids: Sequence[str]) -> dict[str, str]:
        """Label → its project."""
        rows = await self._session.fetch("select id, project_id from label where id = any($1)", ids)
        return {row["id"]: row["project_id"] for row in rows}


def _label(values: Sequence[object]) -> Label:
    return Label(**dict(zip(_LABEL, values, strict=True)))  # type: ignore[arg-type] # columns of its fields
