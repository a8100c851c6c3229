"""What boards know of their projects."""

from __future__ import annotations

from runtime.ports import Store
from tests.sql import sql


async def check_boards(store: Store) -> None:
    """No task is newer than the board of its project says."""
    rows = await sql(store.reader).fetch(
        "select t.id, t.created_at, b.newest_at from task t left join board b on b.project_id = t.project_id"
        " where coalesce(b.newest_at, -1) < t.created_at"
    )
    assert not rows, rows
