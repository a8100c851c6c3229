"""The feed of all that happens in projects."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from runtime.ports import Session


class ChangeRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `change`, but for its number; `at` is ms since the epoch."""

    type: str
    project_id: str
    task_id: str | None = None
    version: int | None = None
    at: int


_COLUMNS = ChangeRow.__struct_fields__
_SHOWN = ", ".join(f"c.{column}" for column in ("seq", *_COLUMNS))


class FeedRecords:
    """The table `change`. A trigger numbers its rows at the commit, without gaps: the order of numbers is that of
    commits."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def add(self, changes: Sequence[ChangeRow]) -> None:
        """All of them in one statement."""
        await self._session.insert("change", _COLUMNS, [msgspec.structs.astuple(change) for change in changes])

    async def page_of(self, user_id: str, *, limit: int, after: int) -> list[tuple[int, ChangeRow]]:
        """Those behind a number in projects that someone takes part in, with their numbers, in order."""
        sql = (
            f"select {_SHOWN} from change c join member m on m.project_id = c.project_id"  # noqa: S608 # constants
            " where m.user_id = $1 and c.seq > $2 order by c.seq limit $3"
        )
        rows = await self._session.fetch(sql, user_id, after, limit)
        return [(row["seq"], ChangeRow(**{each: row[each] for each in _COLUMNS})) for row in rows]

    async def version(self, user_id: str, projects: Sequence[str]) -> str:
        """Other than it was after every change in the projects that someone takes part in, and of which these are.

        :param projects: only of these; empty: of all.
        """
        joined = "string_agg" if self._session.dialect == "postgresql" else "group_concat"
        row = await self._session.row(
            f"select {joined}(m.project_id || ' ' ||"  # noqa: S608 # names and a place
            " coalesce((select max(c.seq) from change c where c.project_id = m.project_id), 0), ' ') as version"
            f" from member m where m.user_id = $1{' and m.project_id = any($2)' if projects else ''}",
            user_id,
            *([projects] if projects else []),
        )
        return (row["version"] if row else None) or ""

    async def forget(self, before: int, limit: int) -> int:
        """Delete some of those that were made before a time; how many."""
        sql = "delete from change where id in (select id from change where at < $1 limit $2)"
        return await self._session.execute(sql, before, limit)
