"""Whom tasks concern: assignees, watchers and creators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from runtime.ports import Session


class AudienceRecords:
    """Who is told of tasks, and for whom they wait."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def of(self, ids: Sequence[str]) -> Mapping[str, list[str]]:
        """Task → its assignees, watchers and creator, as far as they take part in its project now."""
        return await self._members(ids, "true")

    async def to_remind(self, ids: Sequence[str]) -> Mapping[str, list[str]]:
        """Task → its assignees and watchers, and its creator when nobody is assigned; likewise."""
        return await self._members(ids, "assignee_ids = '[]'")

    async def _members(self, ids: Sequence[str], with_creator: str) -> Mapping[str, list[str]]:
        """:param with_creator: of which tasks the creator is among them; a condition."""
        rows = await self._session.fetch(
            "select p.task_id, p.user_id from ("  # noqa: S608 # conditions from code
            f" select id as task_id, created_by as user_id from task where id = any($1) and {with_creator}"
            " union select task_id, user_id from assignee where task_id = any($1)"
            " union select task_id, user_id from watcher where task_id = any($1)) p"
            " join task t on t.id = p.task_id"
            " join member m on m.project_id = t.project_id and m.user_id = p.user_id order by p.user_id",
            ids,
        )
        audiences: dict[str, list[str]] = {id: [] for id in ids}
        for row in rows:
            audiences[row["task_id"]].append(row["user_id"])
        return audiences

    async def watch(self, id: str, user_id: str) -> bool:
        """False: they watched it already."""
        sql = "insert into watcher (task_id, user_id) values ($1, $2) on conflict (task_id, user_id) do nothing"
        watches = await self._session.execute(sql, id, user_id) == 1
        return watches and await self._count_watchers([id], 1)

    async def unwatch(self, id: str, user_id: str) -> bool:
        """False: they did not watch it."""
        sql = "delete from watcher where task_id = $1 and user_id = $2"
        watched = await self._session.execute(sql, id, user_id) == 1
        return watched and await self._count_watchers([id], -1)

    async def unwatch_all(self, project_id: str, user_id: str) -> list[str]:
        """Somebody watches no task of a project any more; those that they did."""
        rows = await self._session.fetch(
            "delete from watcher where user_id = $2 and task_id in (select id from task where project_id = $1)"
            " returning task_id",
            project_id,
            user_id,
        )
        ids = [row["task_id"] for row in rows]
        await self._count_watchers(ids, -1)
        return ids

    async def unwatch_strangers(self, ids: Sequence[str], project_id: str) -> None:
        """Who takes no part in a project watches these tasks no longer, which are on their way into it."""
        await self._session.execute(
            "delete from watcher where task_id = any($1)"
            " and user_id not in (select user_id from member where project_id = $2)",
            ids,
            project_id,
        )
        await self._session.execute(
            "update task set watcher_count = (select count(*) from watcher w where w.task_id = task.id)"
            " where id = any($1)",
            ids,
        )

    async def _count_watchers(self, ids: Sequence[str], change: int) -> bool:
        """Their number is part of what is shown, so of the version."""
        sql = "update task set watcher_count = watcher_count + $2, version = version + 1 where id = any($1)"
        return await self._session.execute(sql, ids, change) > 0

    async def waiting(self, user_id: str, now: int, today: tuple[int, int]) -> tuple[int, int, int]:
        """How many open tasks are assigned to somebody; of these, how many were due before now, and today.

        :param today: its beginning and its end, which is not part of it.
        """
        row = await self._session.row(
            "select count(*) as assigned, count(case when t.due_at < $2 then 1 end) as overdue,"
            " count(case when t.due_at >= $3 and t.due_at < $4 then 1 end) as today"
            " from assignee a join task t on t.id = a.task_id"
            " join member m on m.project_id = t.project_id and m.user_id = a.user_id"
            " where a.user_id = $1 and t.deleted_at is null and t.status not in ('done', 'cancelled')",
            user_id,
            now,
            *today,
        )
        return (row["assigned"], row["overdue"], row["today"]) if row else (0, 0, 0)
