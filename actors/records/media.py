"""Files and what they are attached to."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from actors.contracts.media import Attachments, Media, MediaStatus, Visibility
from actors.contracts.values import rfc3339
from runtime.ports import Session


class MediaRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `media`; times are ms since the epoch. What is pending has neither size nor digest yet."""

    id: str
    owner_id: str | None
    task_id: str | None = None
    filename: str = "file"
    content_type: str = "application/octet-stream"
    size: int = 0
    sha256: str | None = None
    visibility: Visibility = "private"
    status: MediaStatus = "pending"
    width: int | None = None
    height: int | None = None
    created_at: int
    version: int = 1

    def view(self) -> Media:
        """As who may see it sees it."""
        return Media(
            id=self.id,
            filename=self.filename,
            content_type=self.content_type,
            size=self.size,
            sha256=self.sha256,
            visibility=self.visibility,
            status=self.status,
            width=self.width,
            height=self.height,
            owner_id=self.owner_id,
            task_id=self.task_id,
            created_at=rfc3339(self.created_at),
            version=self.version,
        )


_COLUMNS = MediaRow.__struct_fields__
_SELECT = f"select {', '.join(_COLUMNS)} from media"  # noqa: S608 # constants


class MediaRecords:
    """The media actor's store."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def add(self, media: MediaRow) -> None:
        await self._session.insert("media", _COLUMNS, [msgspec.structs.astuple(media)])

    async def media(self, id: str) -> MediaRow | None:
        rows = await self._fetch(f"{_SELECT} where id = $1", id)
        return rows[0] if rows else None

    async def finish(self, media: MediaRow) -> bool:
        """Let a pending row be this one. False: there is none that is pending, or it is another's."""
        sql = (
            "update media set task_id = $3, filename = $4, content_type = $5, size = $6, sha256 = $7,"
            " visibility = $8, status = $9, created_at = $10"
            " where id = $1 and owner_id = $2 and status = 'pending'"
        )
        changed = await self._session.execute(
            sql,
            media.id,
            media.owner_id,
            media.task_id,
            media.filename,
            media.content_type,
            media.size,
            media.sha256,
            media.visibility,
            media.status,
            media.created_at,
        )
        return changed == 1

    async def delete(self, id: str) -> bool:
        """False: it is gone already."""
        return await self._session.execute("delete from media where id = $1", id) == 1

    async def drop_pending(self, id: str, owner_id: str | None) -> bool:
        """False: there is none that is pending, or it is another's."""
        sql = "delete from media where id = $1 and owner_id = $2 and status = 'pending'"
        return await self._session.execute(sql, id, owner_id) == 1

    async def drop_stale(self, before: int) -> list[str]:
        """Those still pending that were made before; their ids."""
        sql = "delete from media where status = 'pending' and created_at < $1 returning id"
        return [row["id"] for row in await self._session.fetch(sql, before)]

    async def drop_of_tasks(self, task_ids: Sequence[str]) -> list[str]:
        """All files of some tasks, and their numbers; the ids of the files."""
        await self._session.execute("delete from attached where task_id = any($1)", task_ids)
        rows = await self._session.fetch("delete from media where task_id = any($1) returning id", task_ids)
        return [row["id"] for row in rows]

    async def drop_of_owner(self, owner_id: str) -> list[str]:
        """The files of someone that no task has, and their name on all others; the ids of the files."""
        rows = await self._session.fetch(
            "delete from media where owner_id = $1 and task_id is null returning id", owner_id
        )
        await self._session.execute("update media set owner_id = null where owner_id = $1", owner_id)
        return [row["id"] for row in rows]

    async def of_task(self, task_id: str, *, limit: int, after: tuple[int | str, str] | None) -> list[MediaRow]:
        """Files that are attached to a task, newest first."""
        older = "" if after is None else "and (created_at, id) < ($3, $4)"
        sql = f"{_SELECT} where task_id = $1 and status = 'ready' {older} order by created_at desc, id desc limit $2"
        return await self._fetch(sql, task_id, limit, *(after or ()))

    async def newest_of(self, owner_id: str, *, limit: int) -> list[MediaRow]:
        """Someone's own files, newest first."""
        sql = f"{_SELECT} where owner_id = $1 and status = 'ready' order by created_at desc, id desc limit $2"
        return await self._fetch(sql, owner_id, limit)

    async def count(self, task_id: str, change: int) -> Attachments:
        """A task has so many files more; its row is locked until the transaction ends, so each count has a version."""
        row = await self._session.row(
            "insert into attached (task_id, files, version) values ($1, $2, 1)"
            " on conflict (task_id) do update set files = attached.files + excluded.files,"
            " version = attached.version + 1 returning task_id, files, version",
            task_id,
            change,
        )
        assert row is not None  # noqa: S101 # an upsert returns its row
        return Attachments(**row)

    async def counts_after(self, task_id: str, limit: int) -> Sequence[Attachments]:
        """Of the tasks after that id, in the order of ids."""
        sql = "select task_id, files, version from attached where task_id > $1 order by task_id limit $2"
        return [Attachments(**row) for row in await self._session.fetch(sql, task_id, limit)]

    async def _fetch(self, sql: str, *args: int | str) -> list[MediaRow]:
        rows = await self._session.fetch(sql, *args)
        return [MediaRow(**dict(zip(_COLUMNS, row.values(), strict=True))) for row in rows]
