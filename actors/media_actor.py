"""The media actor: files, who may see them, and the addresses of their bytes.

Bytes go past it: the edge streams them into the object store with a ticket from here, and serves them, or the store
does, at signed addresses that are made here.
"""

from __future__ import annotations

import hashlib
from typing import Final, Protocol

from actors.contracts.media import (
    Attachments,
    AttachmentsCounted,
    CancelUpload,
    DeleteMedia,
    FinishUpload,
    GetMedia,
    GetMediaUrl,
    GetStoredFile,
    GetSubject,
    ListAttachments,
    ListRecentMedia,
    Media,
    MediaAttached,
    MediaDeleted,
    MediaUrl,
    OpenUpload,
    RemoveObjects,
    StoredFile,
    Subject,
)
from actors.contracts.task import TaskAccess, TasksErased
from actors.contracts.user import UserDeleted
from actors.contracts.values import Ticket, rfc3339
from actors.file_names import cleaned, disposition
from actors.media_types import Content
from actors.pages import cursor, place
from actors.records.media import MediaRecords, MediaRow
from runtime.actor import Actor, every, handles
from runtime.context import Context, OutsideContext
from runtime.errors import (
    Conflict,
    Fault,
    Forbidden,
    Invalid,
    NotFound,
    PreconditionFailed,
    Refusal,
    Unauthenticated,
    Unsupported,
)
from runtime.message import Page, Tick, decoder
from runtime.policy import PATIENT
from runtime.ports import Blobs
from runtime.signed_urls import SignedUrls

HOUR_MS: Final = 3600 * 1000
"""An upload that is not finished after this is given up."""

RESYNC: Final = 500
"""Tasks whose count is told again in one transaction."""


class MediaSettings(Protocol):
    """What this actor reads of the settings."""

    @property
    def upload_limit(self) -> int:
        """Bytes of a file that goes through the edge, at most."""
        ...

    @property
    def media_origin(self) -> str:
        """Where clients fetch files that the edge serves."""
        ...


class MediaActor(Actor[MediaRecords]):
    """Whose files there are, and what they are. Of tasks it knows what the task actor vouches for."""

    name = "media"
    records = MediaRecords

    def __init__(self, *, blobs: Blobs, settings: MediaSettings, signing_key: bytes) -> None:
        self._blobs = blobs
        self._limit = settings.upload_limit
        self._origin = settings.media_origin
        self._urls = SignedUrls(signing_key)

    # ------------------------------------------------------------------------------------ uploads

    @handles
    async def open_upload(self, command: OpenUpload, ctx: Context[MediaRecords]) -> Ticket:
        """Leave to put a file into the object store."""
        id = ctx.new_id()
        await ctx.records.add(MediaRow(id=id, owner_id=_caller(ctx), created_at=ctx.now))
        return Ticket(id=id, key=_key(id), limit=self._limit)

    @handles(outside=True)
    async def finish_upload(self, command: FinishUpload, ctx: OutsideContext[MediaRecords]) -> Media:
        """Take the file that was put there, for what its content says it is.

        Refuses `media.not_found`, `media.type_not_allowed`, a task that the caller does not see, `auth.forbidden`
        and `task.deleted`, and then removes what was put there; emits MediaAttached.
        """
        id, filename = command.upload.id, cleaned(command.upload.filename)
        refusal = _no_attaching(command.task_id, ctx)
        digest, size, kind = hashlib.sha256(), 0, None
        if refusal is None:
            content = Content()
            try:
                async for piece in self._blobs.get(_key(id)):
                    content.feed(piece)
                    digest.update(piece)
                    size += len(piece)
            except KeyError:
                raise _no_media() from None
            kind = content.media_type(filename)
        if kind is None:
            async with ctx.finish() as records:
                await self._drop(id, records, ctx)
            raise refusal or Unsupported(
                "media.type_not_allowed", "the content is of no kind of file that is taken here", keep=True
            )
        media = MediaRow(
            id=id,
            owner_id=_caller(ctx),
            task_id=command.task_id,
            filename=filename,
            content_type=kind,
            size=size,
            sha256=digest.hexdigest(),
            visibility=command.visibility,
            status="ready",
            created_at=ctx.now,
        )
        async with ctx.finish() as records:
            if not await records.finish(media):
                raise _no_media()
            if media.task_id is not None:
                attachments = await records.count(media.task_id, 1)
                at = rfc3339(ctx.now)
                ctx.emit(MediaAttached(media=media.view(), attachments=attachments, actor_id=media.owner_id, at=at))
        return media.view()

    @handles
    async def cancel_upload(self, command: CancelUpload, ctx: Context[MediaRecords]) -> None:
        """Forget a ticket of the caller's that was not finished."""
        await self._drop(command.id, ctx.records, ctx)

    @every(minutes=10)
    async def sweep(self, tick: Tick, ctx: Context[MediaRecords]) -> None:
        """Give up uploads that nobody finished, and what broken ones left in the object store."""
        stale = await ctx.records.drop_stale(ctx.now - HOUR_MS)
        ctx.tell(RemoveObjects(keys=list(map(_key, stale)), unfinished=True))

    @handles(outside=True, retry=PATIENT)
    async def remove_objects(self, command: RemoveObjects, ctx: OutsideContext[MediaRecords]) -> None:
        """Delete objects that no row names any more."""
        await self._blobs.delete(command.keys)
        if command.unfinished:
            await self._blobs.sweep(older_than_ms=HOUR_MS)

    async def _drop(self, id: str, records: MediaRecords, ctx: Context[MediaRecords]) -> None:
        if await records.drop_pending(id, ctx.caller.id):
            ctx.tell(RemoveObjects(keys=[_key(id)]))

    # ------------------------------------------------------------------------------------ files

    @handles
    async def get(self, query: GetMedia, ctx: Context[MediaRecords]) -> Media:
        """What is known of a file. Refuses `media.not_found`."""
        media, _ = await _seen(query.id, ctx)
        return media.view()

    @handles
    async def subject(self, query: GetSubject, ctx: Context[MediaRecords]) -> Subject:
        """The task that access to a file hangs on. Refuses `media.not_found`."""
        media = await ctx.records.media(query.id)
        if media is None:
            raise _no_media()
        return Subject(task_id=media.task_id)

    @handles
    async def url(self, query: GetMediaUrl, ctx: Context[MediaRecords]) -> MediaUrl:
        """An address of a file's bytes, of the object store where that signs its own.

        Refuses `media.not_found` and `media.not_ready`.
        """
        media, _ = await _seen(query.id, ctx)
        if media.status != "ready":
            raise Conflict("media.not_ready", "there are no bytes of this file")
        file = _stored(media)
        answer = {"Content-Type": file.content_type, "Content-Disposition": file.disposition}
        url = self._blobs.url(file.key, method="GET", expires_s=query.expires_in, headers={}, answer=answer)
        expires = ctx.now // 1000 + query.expires_in
        if url is None:
            url = self._origin + self._urls.sign(f"/media/{media.id}", query.variant, expires)
        return MediaUrl(url=url, expires_at=rfc3339(expires * 1000))

    @handles
    async def stored(self, query: GetStoredFile, ctx: Context[MediaRecords]) -> StoredFile:
        """Where the bytes are, for whoever holds a signed address. Refuses `media.not_found`."""
        media = await ctx.records.media(query.id)
        if media is None or media.status != "ready":
            raise _no_media()
        return _stored(media)

    @handles
    async def delete(self, command: DeleteMedia, ctx: Context[MediaRecords]) -> None:
        """Remove a file.

        Refuses `media.not_found`, `auth.forbidden`, `task.deleted` and `request.precondition_failed`; emits
        MediaDeleted.
        """
        media, access = await _seen(command.id, ctx)
        if ctx.caller.id != media.owner_id and (access is None or access.role != "owner"):
            raise Forbidden("auth.forbidden", "its uploader or an owner of its project can remove this file")
        if access is not None and access.deleted:
            raise _in_trash()
        if command.if_match is not None and media.version not in command.if_match:
            raise PreconditionFailed("request.precondition_failed", "the file has changed since; look at it again")
        if not await ctx.records.delete(media.id):
            raise _no_media()
        attachments: Attachments | None = None
        if media.task_id is not None and media.status == "ready":
            attachments = await ctx.records.count(media.task_id, -1)
        at = rfc3339(ctx.now)
        ctx.emit(MediaDeleted(media=media.view(), attachments=attachments, actor_id=ctx.caller.id, at=at))
        ctx.tell(RemoveObjects(keys=[_key(media.id)]))

    @handles
    async def drop_with_tasks(self, event: TasksErased, ctx: Context[MediaRecords]) -> None:
        """Remove the files of tasks that are gone for good."""
        dropped = await ctx.records.drop_of_tasks(event.task_ids)
        if dropped:
            ctx.tell(RemoveObjects(keys=list(map(_key, dropped))))

    @handles
    async def drop_with_owner(self, event: UserDeleted, ctx: Context[MediaRecords]) -> None:
        """Remove the files that were an erased person's alone; those of tasks stay there, and are nobody's."""
        dropped = await ctx.records.drop_of_owner(event.user_id)
        if dropped:
            ctx.tell(RemoveObjects(keys=list(map(_key, dropped))))

    # ------------------------------------------------------------------------------------ lists

    @handles
    async def attachments(self, query: ListAttachments, ctx: Context[MediaRecords]) -> Page[Media]:
        """The files of a task. Refuses `task.not_found`."""
        if _access(query.id, ctx) is None:
            raise NotFound("task.not_found", "there is no such task")
        rows = await ctx.records.of_task(query.id, limit=query.limit + 1, after=place(query, query.cursor))
        items = [row.view() for row in rows[: query.limit]]
        if len(rows) <= query.limit:
            return Page(items)
        last = rows[query.limit - 1]
        return Page(items, cursor(query, last.created_at, last.id))

    @handles
    async def recent(self, query: ListRecentMedia, ctx: Context[MediaRecords]) -> list[Media]:
        """The caller's own newest files."""
        return [row.view() for row in await ctx.records.newest_of(_caller(ctx), limit=query.limit)]

    async def resync(self, ctx: Context[MediaRecords], after: str | None) -> str | None:
        """Tell the next tasks' counts again."""
        counts = await ctx.records.counts_after(after or "", RESYNC)
        for each in counts:
            ctx.emit(AttachmentsCounted(attachments=each))
        return counts[-1].task_id if len(counts) == RESYNC else None


async def _seen(id: str, ctx: Context[MediaRecords]) -> tuple[MediaRow, TaskAccess | None]:
    """A file that the caller may see, and what they may do with its task, where they see that.

    :raises NotFound: there is none, or not for them.
    """
    media = await ctx.records.media(id)
    if media is None:
        raise _no_media()
    access = None if media.task_id is None else _access(media.task_id, ctx)
    private = access is not None if media.task_id is not None else media.owner_id == _caller(ctx)
    if media.visibility == "private" and not private:
        raise _no_media()
    return media, access


def _access(task_id: str, ctx: Context[MediaRecords]) -> TaskAccess | None:
    """The task actor's word on what the caller may do with a task; None: they do not see it."""
    granted = ctx.granted("task", "task", task_id)
    if granted is None:
        return None
    access: TaskAccess = decoder(TaskAccess).decode(granted)
    return access if access.user_id == ctx.caller.id else None


def _no_attaching(task_id: str | None, ctx: Context[MediaRecords]) -> Refusal | None:
    """Why the caller cannot attach files to a task; None when they can, or want not to."""
    if task_id is None:
        return None
    access = _access(task_id, ctx)
    if access is None:
        fault = Fault("/task_id", "must be a task that you can see")
        return Invalid("request.invalid", "the task is unknown", faults=(fault,), keep=True)
    if access.role == "viewer":
        return Forbidden("auth.forbidden", "your role in this project does not allow this", keep=True)
    return _in_trash(keep=True) if access.deleted else None


def _stored(media: MediaRow) -> StoredFile:
    return StoredFile(
        key=_key(media.id),
        size=media.size,
        etag=media.sha256 or "",
        content_type=media.content_type,
        disposition=disposition(media.filename, inline=media.content_type.startswith("image/")),
    )


def _key(id: str) -> str:
    """Of the object that holds a file as it was uploaded; nothing that a client chose is in it."""
    return f"media/{id}/original"


def _caller(ctx: Context[MediaRecords]) -> str:
    if ctx.caller.id is None:
        raise Unauthenticated("auth.required", "sign in first")
    return ctx.caller.id


def _no_media() -> NotFound:
    return NotFound("media.not_found", "there is no such file")


def _in_trash(*, keep: bool = False) -> Conflict:
    return Conflict("task.deleted", "the task is in the trash; restore it first", keep=keep)
