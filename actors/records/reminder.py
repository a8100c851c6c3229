"""Reminders: the times at which tasks want to be thought of, as far as they have not come yet."""

from __future__ import annotations

from collections.abc import Sequence

from runtime.ports import Session

Reminder = tuple[str, int]
"""A task, and when; ms since the epoch."""


class ReminderRecords:
    """The table `reminder`; a row goes when its time has come."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def add(self, reminders: Sequence[Reminder]) -> None:
        await self._session.insert("reminder", ("task_id", "at"), reminders)

    async def drop(self, task_ids: Sequence[str]) -> set[Reminder]:
        """All of these tasks; what there was."""
        rows = await self._session.fetch("delete from reminder where task_id = any($1) returning task_id, at", task_ids)
        return {(row["task_id"], row["at"]) for row in rows}

    async def take(self, now: int, limit: int) -> list[Reminder]:
        """Some whose time has come, the longest due first; they are gone then, and nobody else has taken them."""
        rows = await self._session.fetch(
            "delete from reminder where (task_id, at) in"
            " (select task_id, at from reminder where at <= $1 order by at, task_id limit $2) returning task_id, at",
            now,
            limit,
        )
        return sorted(((row["task_id"], row["at"]) for row in rows), key=lambda each: (each[1], each[0]))
