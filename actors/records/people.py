"""Who has to do with whom, over all projects."""

from __future__ import annotations

from runtime.ports import Session


async def share_a_project(session: Session, one: str, other: str) -> bool:
    """Whether both take part in the same project."""
    sql = (
        "select 1 from member m join member o on o.project_id = m.project_id"
        " where m.user_id = $1 and o.user_id = $2 limit 1"
    )
    return await session.row(sql, one, other) is not None


async def is_needed(session: Session, user_id: str) -> bool:
    """Whether a project with other members would be without an owner."""
    sql = (
        "select 1 from member m where m.user_id = $1 and m.role = 'owner'"
        " and exists (select 1 from member o where o.project_id = m.project_id and o.user_id <> $1)"
        " and not exists"
        " (select 1 from member o where o.project_id = m.project_id and o.user_id <> $1 and o.role = 'owner') limit 1"
    )
    return await session.row(sql, user_id) is not None


async def projects_of(session: Session, user_id: str) -> list[str]:
    """Where someone takes part."""
    rows = await session.fetch("select project_id from member where user_id = $1 order by project_id", user_id)
    return [row["project_id"] for row in rows]


async def eldest(session: Session, project_id: str) -> tuple[str, bool] | None:
    """Who takes part in a project for longest, the owners before all others, and whether they are one."""
    row = await session.row(
        "select user_id, role from member where project_id = $1"
        " order by case role when 'owner' then 0 when 'editor' then 1 else 2 end, added_at, user_id limit 1",
        project_id,
    )
    return (row["user_id"], row["role"] == "owner") if row else None


async def forget_author(session: Session, user_id: str) -> None:
    """What is kept of someone's name beside what they wrote. It reads all comments: people are seldom erased."""
    await session.execute("update comment set author_name = '' where author_id = $1 and author_name <> ''", user_id)
