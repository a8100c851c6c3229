"""The log of what happened and who may see it, as the notify actor reads and writes them."""

from __future__ import annotations

from actors.contracts.notify_live import LogEntry, Standing
from actors.contracts.notify_preferences import EventName
from runtime.ports import Session


class LogRecords:
    """The tables `log`, numbered without gaps in the order of commits, and `membership`.

    What is added is written by `write`. Who writes holds the counter until the transaction ends, and numbers are in the
    order of commits: transactions queue up there, so write last.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._added: list[tuple[EventName, str | None, str | None, str, int]] = []

    def add(self, type: EventName, project_id: str | None, user_id: str | None, data: str, now: int) -> None:
        """One more entry, in this transaction."""
        self._added.append((type, project_id, user_id, data, now))

    async def write(self) -> None:
        """Number and write what was added."""
        if not (added := self._added):
            return
        row = await self._session.row(
            "insert into log_counter (id, last) values (1, $1)"
            " on conflict (id) do update set last = log_counter.last + excluded.last returning last",
            len(added),
        )
        first = int(row["last"]) - len(added) + 1 if row else 0
        await self._session.insert(
            "log",
            ("seq", "type", "project_id", "user_id", "data", "at"),
            [(first + index, *entry) for index, entry in enumerate(added)],
        )
        added.clear()

    async def last(self) -> int:
        """The number of the newest entry."""
        row = await self._session.row("select last from log_counter where id = 1")
        return int(row["last"]) if row else 0

    async def after(self, seq: int, limit: int) -> list[LogEntry]:
        """The next entries after that one."""
        rows = await self._session.fetch(
            "select seq, type, project_id, user_id, data from log where seq > $1 order by seq limit $2", seq, limit
        )
        return [LogEntry(**row) for row in rows]

    async def forget(self, before: int) -> None:
        await self._session.execute("delete from log where at < $1", before)

    async def standing(self, user_id: str) -> Standing:
        """In one statement, so that both halves are of the same moment."""
        rows = await self._session.fetch(
            "select c.last, (select min(seq) from log) as first, m.project_id"
            " from (select coalesce((select last from log_counter where id = 1), 0) as last) c"
            " left join membership m on m.user_id = $1 and m.active = 1",
            user_id,
        )
        last, first = rows[0]["last"], rows[0]["first"]
        projects = [row["project_id"] for row in rows if row["project_id"] is not None]
        return Standing(first=last + 1 if first is None else first, last=last, project_ids=projects)

    async def keep_member(self, project_id: str, user_id: str, at: str, *, active: bool) -> bool:
        """Whether that was news: what is known is not newer."""
        touched = await self._session.execute(
            "insert into membership (project_id, user_id, active, at) values ($1, $2, $3, $4)"
            " on conflict (user_id, project_id) do update set active = excluded.active, at = excluded.at"
            " where membership.at <= excluded.at",
            project_id,
            user_id,
            int(active),
            at,
        )
        return bool(touched)

    async def members(self, project_id: str) -> set[str]:
        """Who takes part in a project, as far as is known."""
        rows = await self._session.fetch(
            "select user_id from membership where project_id = $1 and active = 1", project_id
        )
        return {row["user_id"] for row in rows}

    async def forget_person(self, user_id: str) -> None:
        await self._session.execute("delete from membership where user_id = $1", user_id)
