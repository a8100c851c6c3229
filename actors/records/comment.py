"""Comments on tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from actors.contracts.task_comment import Comment
from actors.contracts.task_project import ProjectRole
from actors.contracts.values import rfc3339
from actors.records.words import folded
from runtime.ports import Session


class CommentRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `comment`, but for its words; times are ms since the epoch.

    :param author_name: as it was then; for people of ours their present name is shown.
    :param source: the id that an imported comment has in its source.
    """

    id: str
    task_id: str
    author_id: str | None
    author_name: str
    body: str
    source: str | None = None
    created_at: int
    updated_at: int
    version: int = 1

    def view(self) -> Comment:
        """As a member of the project sees it."""
        return Comment(
            id=self.id,
            task_id=self.task_id,
            author_id=self.author_id,
            author_name=self.author_name,
            body=self.body,
            created_at=rfc3339(self.created_at),
            updated_at=rfc3339(self.updated_at),
            version=self.version,
        )


class SeenComment(msgspec.Struct, frozen=True):
    """A comment in the eyes of a member of its project.

    :param deleted: its task is in the trash.
    """

    role: ProjectRole
    deleted: bool
    comment: CommentRow


_COLUMNS = CommentRow.__struct_fields__
_SHOWN = ", ".join(
    "coalesce(p.name, c.author_name) as author_name" if column == "author_name" else f"c.{column}"
    for column in _COLUMNS
)
_FROM = "from comment c left join person p on p.id = c.author_id"


class CommentRecords:
    """The comments on all tasks."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def add(self, comments: Sequence[CommentRow]) -> None:
        """All in one statement."""
        rows = [(*msgspec.structs.astuple(comment), folded(comment.body)) for comment in comments]
        await self._session.insert("comment", (*_COLUMNS, "words"), rows)

    async def seen(self, id: str, user_id: str) -> SeenComment | None:
        """None: there is none, or not for them."""
        sql = (
            f"select m.role, t.deleted_at, {_SHOWN} {_FROM} join task t on t.id = c.task_id"  # constants
            " join member m on m.project_id = t.project_id where c.id = $1 and m.user_id = $2"
        )
        row = await self._session.row(sql, id, user_id)
        return SeenComment(row["role"], row["deleted_at"] is not None, _comment(row)) if row else None

    async def page_of(self, task_id: str, *, limit: int, after: tuple[int | str, str] | None) -> list[CommentRow]:
        """Those on a task, oldest first."""
        newer = "" if after is None else "and (c.created_at, c.id) > ($3, $4)"
        sql = f"select {_SHOWN} {_FROM} where c.task_id = $1 {newer} order by c.created_at, c.id limit $2"  # constants
        return [_comment(row) for row in await self._session.fetch(sql, task_id, limit, *(after or ()))]

    async def sources(self, task_ids: Sequence[str]) -> set[tuple[str, str]]:
        """(task, source) of the imported ones on these tasks."""
        sql = "select task_id, source from comment where task_id = any($1) and source is not null"
        return {(row["task_id"], row["source"]) for row in await self._session.fetch(sql, task_ids)}

    async def change(self, comment: CommentRow) -> bool:
        """Replace what it says, unless someone else has changed it since it was read: then False."""
        return (
            await self._session.execute(
                "update comment set body = $3, words = $4, updated_at = $5, version = $2 + 1"
                " where id = $1 and version = $2",
                comment.id,
                comment.version - 1,
                comment.body,
                folded(comment.body),
                comment.updated_at,
            )
            == 1
        )

    async def delete(self, comment: CommentRow) -> bool:
        """False: someone else has changed or deleted it since it was read."""
        sql = "delete from comment where id = $1 and version = $2"
        return await self._session.execute(sql, comment.id, comment.version) == 1


def _comment(row: Mapping[str, Any]) -> CommentRow:
    return CommentRow(**{column: row[column] for column in _COLUMNS})
