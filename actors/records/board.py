"""Where tasks stand on the boards of projects, those in the trash too: they may come back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from runtime.ports import Session


class Standing(msgspec.Struct, frozen=True):
    """A task on a board; the id breaks ties."""

    position: str
    id: str


class BoardRecords:
    """The order of each project's tasks. Whoever changes it has locked the project's board."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def before(self, project_id: str, at: Standing, limit: int) -> list[Standing]:
        """Those that stand before it, the nearest first."""
        return await self._fetch(
            "select position, id from task where project_id = $1 and (position, id) < ($2, $3)"
            " order by position desc, id desc limit $4",
            project_id,
            at,
            limit,
        )

    async def behind(self, project_id: str, at: Standing, limit: int) -> list[Standing]:
        """Those that stand behind it, the nearest first."""
        return await self._fetch(
            "select position, id from task where project_id = $1 and (position, id) > ($2, $3)"
            " order by position, id limit $4",
            project_id,
            at,
            limit,
        )

    async def is_taken(self, project_id: str, position: str) -> bool:
        sql = "select 1 from task where project_id = $1 and position = $2 limit 1"
        return await self._session.row(sql, project_id, position) is not None

    async def _fetch(self, sql: str, project_id: str, at: Standing, limit: int) -> list[Standing]:
        rows: Sequence[Mapping[str, str]] = await self._session.fetch(sql, project_id, at.position, at.id, limit)
        return [Standing(row["position"], row["id"]) for row in rows]
