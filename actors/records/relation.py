"""How tasks stand to each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from runtime.ports import Session


class RelationRecords:
    """The table `relation`: each of them has two rows, one for how it looks from either side."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def lock_blocks(self) -> None:
        """Nobody else adds blocks, in any project, until the transaction ends: two could close a circle together."""
        await self._session.execute(
            "insert into tally (name, last) values ('blocks', 0) on conflict (name) do update set last = tally.last"
        )

    async def blocked_by(self, id: str) -> set[str]:
        """The tasks that wait for this one, for those that do, and so on."""
        rows = await self._session.fetch(
            "with recursive waiting (id) as (select other_id from relation where task_id = $1 and type = 'blocks'"
            " union select r.other_id from relation r join waiting on r.task_id = waiting.id where r.type = 'blocks')"
            " select id from waiting",
            id,
        )
        return {row["id"] for row in rows}

    async def add(self, rows: Sequence[tuple[str, str, str]]) -> None:
        """:param rows: (task, type, other), none of them there yet."""
        await self._session.insert("relation", ("task_id", "type", "other_id"), rows)

    async def remove(self, rows: Sequence[tuple[str, str, str]]) -> None:
        """:param rows: (task, type, other)."""
        for row in rows:
            await self._session.execute("delete from relation where task_id = $1 and type = $2 and other_id = $3", *row)

    async def forget(self, erased: Sequence[str]) -> Mapping[str, set[str]]:
        """Remove what is left of relations to tasks that were erased: task → those of them that it was related to."""
        rows = await self._session.fetch(
            "delete from relation where other_id = any($1) returning task_id, other_id", erased
        )
        found: dict[str, set[str]] = {}
        for row in rows:
            found.setdefault(row["task_id"], set()).add(row["other_id"])
        return found
