"""Calendar feeds: whose they are, and which tasks are in them."""

from __future__ import annotations

from actors.records.task_row import COLUMNS, TaskRow
from runtime.ports import Session


async def put_feed(session: Session, user_id: str, digest: bytes, now: int) -> None:
    """Make somebody's feed, in place of the one that they had. :param digest: of the token in its address."""
    await session.execute(
        "insert into calendar_feed (user_id, digest, created_at) values ($1, $2, $3)"
        " on conflict (user_id) do update set digest = excluded.digest, created_at = excluded.created_at",
        user_id,
        digest,
        now,
    )


async def remove_feed(session: Session, user_id: str) -> None:
    await session.execute("delete from calendar_feed where user_id = $1", user_id)


async def reader_of(session: Session, digest: bytes) -> str | None:
    """Whose feed it is; None: nobody's, or that of somebody who may not come in any more."""
    row = await session.row(
        "select f.user_id from calendar_feed f left join person p on p.id = f.user_id"
        " where f.digest = $1 and coalesce(p.active, 1) = 1",
        digest,
    )
    return row["user_id"] if row else None


async def dated(session: Session, user_id: str, limit: int) -> list[TaskRow]:
    """The open tasks that are assigned to somebody and have a date, the earliest first."""
    columns = ", ".join(f"t.{column}" for column in COLUMNS)
    rows = await session.fetch(
        f"select {columns} from assignee a join task t on t.id = a.task_id"  # noqa: S608 # constants
        " join member m on m.project_id = t.project_id and m.user_id = a.user_id"
        " where a.user_id = $1 and t.deleted_at is null and t.status not in ('done', 'cancelled')"
        " and coalesce(t.due_at, t.start_at) is not null order by coalesce(t.due_at, t.start_at), t.id limit $2",
        user_id,
        limit,
    )
    return [TaskRow(*row.values()) for row in rows]
