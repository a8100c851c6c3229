"""Files and what they are attached to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from actors.contracts.media import Attachments, Media, MediaStatus, Visibility
from actors.contracts.values import rfc3339
from runtime.ports import Session, Value


class MediaRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `media`; times are ms since the epoch.

    What is pending has the size, type and digest that were announced, if any; `expires_at` is when it is given up. What
    is ready has the key of the object that holds its bytes, perhaps with others. What was rejected says in
    `rejected_for` with which code.
    """

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
    object_key: str | None = None
    expires_at: int | None = None
    rejected_for: str | None = None

    def ready(self, key: str, size: int, sha256: str, width: int | None, height: int | None) -> MediaRow:
        """As it is once its bytes are known."""
        return msgspec.structs.replace(
            self,
            status="ready",
            object_key=key,
            size=size,
            sha256=sha256,
            width=width,
            height=height,
            expires_at=None,
        )

    def rejected(self, code: str) -> MediaRow:
        """As it is once its bytes are found bad."""
        return msgspec.structs.replace(self, status="rejected", rejected_for=code, expires_at=None)

    def next(self) -> MediaRow:
        """Its next version."""
        return msgspec.structs.replace(self, version=self.version + 1)

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
_NAMES = ", ".join(_COLUMNS)
_SELECT = f"select {_NAMES} from media"  # noqa: S608 # constants


class Rendition(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `rendition`: an image made of another. `folder` and `name` are its key."""

    folder: str
    name: str
    size: int
    sha256: str

    @property
    def key(self) -> str:
        """Of the object that holds it."""
        return f"{self.folder}/{self.name}"


def folder_of(key: str) -> str:
    """All objects that are made of one upload lie in one folder."""
    return key.rpartition("/")[0]


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
        fields = msgspec.structs.asdict(media)
        id, owner_id = fields.pop("id"), fields.pop("owner_id")
        sets = ", ".join(f"{name} = ${place}" for place, name in enumerate(fields, 3))
        sql = f"update media set {sets} where id = $1 and owner_id = $2 and status = 'pending'"  # noqa: S608 # constants
        return await self._session.execute(sql, id, owner_id, *fields.values()) == 1

    async def delete(self, id: str) -> bool:
        """False: it is gone already."""
        return await self._session.execute("delete from media where id = $1", id) == 1

    async def drop_pending(self, id: str, owner_id: str | None) -> MediaRow | None:
        """The row; None: there is none that is pending, or it is another's."""
        sql = f"delete from media where id = $1 and owner_id = $2 and status = 'pending' returning {_NAMES}"  # noqa: S608
        rows = await self._fetch(sql, id, owner_id)
        return rows[0] if rows else None

    async def drop_stale(self, now: int) -> list[MediaRow]:
        """Those still pending that were to be finished by now."""
        sql = f"delete from media where status = 'pending' and expires_at <= $1 returning {_NAMES}"  # noqa: S608
        return await self._fetch(sql, now)

    async def take(self, id: str, who: str, now: int, until: int) -> bool:
        """Be the one who looks at a pending file's bytes. False: another is, and has time left."""
        sql = (
            "update media set busy_with = $2, busy_until = $4 where id = $1 and status = 'pending'"
            " and (busy_with is null or busy_with = $2 or busy_until <= $3)"
        )
        return await self._session.execute(sql, id, who, now, until) == 1

    async def leave(self, id: str, who: str) -> None:
        """Look no longer."""
        await self._session.execute("update media set busy_until = 0 where id = $1 and busy_with = $2", id, who)

    # ------------------------------------------------------------------------------------ what is stored

    async def charge(self, owner_id: str, size: int, limit: int) -> Literal["done", "full", "erased"]:
        """Count bytes on an owner's account, whose row is locked until the transaction ends."""
        sql = (
            "insert into account (owner_id, bytes, erased) values ($1, 0, 0) on conflict (owner_id)"
            " do update set bytes = account.bytes returning bytes, erased"
        )
        row = await self._session.row(sql, owner_id)
        assert row is not None  # noqa: S101 # an upsert returns its row
        if row["erased"]:
            return "erased"
        if row["bytes"] + size > limit:
            return "full"
        await self.refund(owner_id, -size)
        return "done"

    async def refund(self, owner_id: str | None, size: int) -> None:
        """Take bytes off an owner's account again."""
        await self._session.execute("update account set bytes = bytes - $2 where owner_id = $1", owner_id, size)

    async def keep_object(self, owner_id: str, sha256: str, key: str) -> str:
        """One file more has this content; the key of the object that holds it, which is this one if it is the first."""
        row = await self._session.row(
            "insert into stored (owner_id, sha256, object_key, files) values ($1, $2, $3, 1)"
            " on conflict (owner_id, sha256) do update set files = stored.files + 1 returning object_key",
            owner_id,
            sha256,
            key,
        )
        assert row is not None  # noqa: S101 # likewise
        return str(row["object_key"])

    async def leave_object(self, key: str) -> bool:
        """One file less is held by this object. True: it was the last, and nothing names the object now."""
        row = await self._session.row("update stored set files = files - 1 where object_key = $1 returning files", key)
        if row is None or row["files"] > 0:
            return False
        await self._session.execute("delete from stored where object_key = $1", key)
        await self._session.execute("delete from rendition where folder = $1", folder_of(key))
        return True

    async def holds(self, key: str) -> bool:
        """Whether the object is in use; it stays so until the transaction ends."""
        return await self._session.execute("update stored set files = files where object_key = $1", key) == 1

    async def add_rendition(self, rendition: Rendition) -> None:
        """What was made of an object; made again, it replaces the first."""
        await self._session.execute(
            "insert into rendition (folder, name, size, sha256) values ($1, $2, $3, $4)"
            " on conflict (folder, name) do update set size = excluded.size, sha256 = excluded.sha256",
            *msgspec.structs.astuple(rendition),
        )

    async def rendition(self, folder: str, name: str) -> Rendition | None:
        sql = "select folder, name, size, sha256 from rendition where folder = $1 and name = $2"
        row = await self._session.row(sql, folder, name)
        return None if row is None else Rendition(**row)

    # ------------------------------------------------------------------------------------ what is gone for good

    async def close_tasks(self, task_ids: Sequence[str]) -> None:
        """Nothing is attached to these any more: `count` heeds it, also in transactions that are under way."""
        for task_id in sorted(task_ids):
            await self._session.execute(
                "insert into attached (task_id, files, version, gone) values ($1, 0, 1, 1)"
                " on conflict (task_id) do update set gone = 1",
                task_id,
            )

    async def is_gone(self, task_id: str) -> bool:
        """Whether nothing is attached to a task any more."""
        return await self._session.row("select 1 from attached where task_id = $1 and gone = 1", task_id) is not None

    async def close_account(self, owner_id: str) -> None:
        """Nothing is kept for this one any more: `charge` heeds it, likewise."""
        await self._session.execute(
            "insert into account (owner_id, bytes, erased) values ($1, 0, 1)"
            " on conflict (owner_id) do update set erased = 1",
            owner_id,
        )

    async def some_of_tasks(self, task_ids: Sequence[str], limit: int) -> list[MediaRow]:
        """Any files of these."""
        return await self._fetch(f"{_SELECT} where task_id = any($1) limit $2", task_ids, limit)

    async def some_of_owner(self, owner_id: str, limit: int) -> list[MediaRow]:
        """Any files of someone that no task shows."""
        sql = f"{_SELECT} where owner_id = $1 and (task_id is null or status <> 'ready') limit $2"
        return await self._fetch(sql, owner_id, limit)

    async def forget_owner(self, owner_id: str) -> None:
        """Take someone's name off all files that they leave behind."""
        await self._session.execute("update media set owner_id = null where owner_id = $1", owner_id)
        await self._session.execute("update stored set owner_id = object_key where owner_id = $1", owner_id)

    # ------------------------------------------------------------------------------------ lists

    async def of_task(self, task_id: str, *, limit: int, after: tuple[int | str, str] | None) -> list[MediaRow]:
        """Files that are attached to a task, newest first."""
        older = "" if after is None else "and (created_at, id) < ($3, $4)"
        sql = f"{_SELECT} where task_id = $1 and status = 'ready' {older} order by created_at desc, id desc limit $2"
        return await self._fetch(sql, task_id, limit, *(after or ()))

    async def newest_of(self, owner_id: str, *, limit: int) -> list[MediaRow]:
        """Someone's own files, newest first."""
        sql = f"{_SELECT} where owner_id = $1 and status = 'ready' order by created_at desc, id desc limit $2"
        return await self._fetch(sql, owner_id, limit)

    async def count(self, task_id: str, change: int) -> Attachments | None:
        """A task has so many files more; its row is locked until the transaction ends, so each count has a version.
        None: the task is gone for good, and nothing is counted."""
        row = await self._session.row(
            "insert into attached (task_id, files, version) values ($1, $2, 1)"
            " on conflict (task_id) do update set files = attached.files + excluded.files,"
            " version = attached.version + 1 where attached.gone = 0 returning task_id, files, version",
            task_id,
            change,
        )
        return None if row is None else Attachments(**row)

    async def counts_after(self, task_id: str, limit: int) -> Sequence[Attachments]:
        """Of the tasks after that id, in the order of ids."""
        sql = "select task_id, files, version from attached where task_id > $1 order by task_id limit $2"
        return [Attachments(**row) for row in await self._session.fetch(sql, task_id, limit)]

    async def _fetch(self, sql: str, *args: Value | Sequence[Value]) -> list[MediaRow]:
        rows = await self._session.fetch(sql, *args)
        return [MediaRow(**dict(zip(_COLUMNS, row.values(), strict=True))) for row in rows]
