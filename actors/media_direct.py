"""Files that clients put straight into the object store: announced, sent to a signed address, completed.

Bytes wait under a key of their own, `incoming/…`, which their address can write to until it expires. What is looked at
is moved away from there first, so that nothing that arrives later can take the place of what was found good.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from actors.contracts.media import (
    BeginUpload,
    Begun,
    CompleteUpload,
    GetUploadTicket,
    Media,
    RemoveObjects,
    UploadAddress,
)
from actors.contracts.values import Ticket, rfc3339
from actors.file_names import cleaned
from actors.media_access import no_attaching, no_media, seen
from actors.media_intake import Looked, Served, workplace
from actors.media_types import plain
from actors.media_uploads import DAY_MS, MediaUploads, incoming_key, no_room, not_allowed, original_key
from actors.records.media import MediaRecords, MediaRow, folder_of
from actors.requests import caller_of
from runtime.actor import handles
from runtime.context import Context, OutsideContext
from runtime.errors import Forbidden, Invalid, Later, TooLarge, Unavailable
from runtime.signed_urls import SignedUrls

ADDRESS_S: Final = 3600
"""How long an address takes bytes."""

LOOKING_MS: Final = 60_000
"""Whoever looks at a file's bytes has so long until another may; as the lease of what works outside transactions."""

REJECTIONS: Final[Mapping[str, str]] = {
    "media.mismatch": "size, type or digest are not what was announced, or there are no bytes",
    "media.image_invalid": "the image is broken, or has more than 25 million pixels",
}


class MediaDirect(MediaUploads):
    """What the media actor does about files that do not come through the edge."""

    _direct_limit: int
    _origin: str
    _urls: SignedUrls

    @handles
    async def begin_upload(self, command: BeginUpload, ctx: Context[MediaRecords]) -> Begun:
        """Await a file. What it will have is counted already.

        Refuses `media.type_not_allowed`, `request.too_large`, `quota.exceeded`, a task that the caller does not see,
        `auth.forbidden` and `task.deleted`.
        """
        owner_id, kind = caller_of(ctx), plain(command.content_type)
        if kind not in self._types:
            raise not_allowed("no file of this type is taken here")
        if command.size > self._direct_limit:
            raise TooLarge("request.too_large", f"a file may have {self._direct_limit} bytes at most")
        if (refusal := no_attaching(command.task_id, ctx)) is not None:
            raise refusal
        if await ctx.records.charge(owner_id, command.size, self._quota) != "done":
            raise no_room(self._quota)
        media = MediaRow(
            id=ctx.new_id(),
            owner_id=owner_id,
            task_id=command.task_id,
            filename=cleaned(command.filename),
            content_type=kind,
            size=command.size,
            sha256=command.sha256,
            visibility=command.visibility,
            created_at=ctx.now,
            expires_at=ctx.now + DAY_MS,
        )
        await ctx.records.add(media)
        return Begun(media=media.view(), upload=self._address(media, ctx.now // 1000 + ADDRESS_S))

    @handles
    async def upload_ticket(self, query: GetUploadTicket, ctx: Context[MediaRecords]) -> Ticket:
        """Where the edge puts what comes to its own address, and how much. Refuses `media.not_found`."""
        media = await ctx.records.media(query.id)
        if media is None or media.status != "pending":
            raise no_media()
        return Ticket(id=media.id, key=incoming_key(media.id), limit=media.size)

    @handles(outside=True)
    async def complete_upload(self, command: CompleteUpload, ctx: OutsideContext[MediaRecords]) -> Media:
        """Look at what has arrived, and let the file be ready or rejected.

        Refuses `media.not_found`, `auth.forbidden`, `task.deleted`, `media.mismatch`, `media.image_invalid` and
        `quota.exceeded`; emits MediaAttached.
        """
        media, _ = await seen(command.id, ctx)
        if media.owner_id != caller_of(ctx):
            raise Forbidden("auth.forbidden", "only its uploader can complete this file")
        if media.status == "ready":
            return media.view()
        if media.status == "rejected":
            raise rejection(media.rejected_for)
        if (refusal := no_attaching(media.task_id, ctx)) is not None:
            raise refusal
        async with ctx.step() as records:
            if not await records.take(media.id, ctx.cause, ctx.now, ctx.now + LOOKING_MS):
                raise Later(1, "the file is being looked at")
        try:
            served = await self._arrived(media)
        except Invalid as invalid:
            async with ctx.finish() as records:
                await self._reject(media, invalid.code, records, ctx)
            raise rejection(invalid.code, keep=True) from None
        except Unavailable:
            async with ctx.step() as records:
                await records.leave(media.id, ctx.cause)
            raise
        async with ctx.finish() as records:
            return await self._keep(media.next(), served, records, ctx, charged=media.size, lost=no_media())

    async def _arrived(self, media: MediaRow) -> Served:
        """:raises Invalid: not what was announced, or a broken image."""
        raw = original_key(media.id)
        with suppress(KeyError):  # nothing has come; or an attempt that died had moved it
            await self._blobs.move(incoming_key(media.id), raw)
        try:
            with workplace() as folder:
                if (found := await self._blobs.info(raw)) is None or found.size != media.size:
                    raise rejection("media.mismatch")
                looked = await self._intake.look(raw, media.filename, folder)
                if not _as_announced(looked, media):
                    raise rejection("media.mismatch")
                return await self._intake.serve(looked, raw, folder)
        except KeyError:
            raise rejection("media.mismatch") from None

    async def _reject(self, media: MediaRow, code: str, records: MediaRecords, ctx: Context[MediaRecords]) -> None:
        if not await records.finish(media.next().rejected(code)):
            raise no_media()
        await records.refund(media.owner_id, media.size)
        ctx.tell(RemoveObjects(keys=[incoming_key(media.id)], folders=[folder_of(original_key(media.id))]))

    def _address(self, media: MediaRow, expires: int) -> UploadAddress:
        """Of the object store where that signs its own, else of the edge."""
        upload = self._blobs.upload_url(
            incoming_key(media.id),
            expires_s=ADDRESS_S,
            size=media.size,
            content_type=media.content_type,
            sha256=media.sha256,
        )
        expires_at = rfc3339(expires * 1000)
        if upload is not None:
            return UploadAddress(url=upload.url, headers=dict(upload.headers), expires_at=expires_at)
        url = self._origin + self._urls.sign("PUT", f"/uploads/{media.id}", "original", expires)
        headers = {"Content-Type": media.content_type, "Content-Length": str(media.size)}
        return UploadAddress(url=url, headers=headers, expires_at=expires_at)


def _as_announced(looked: Looked, media: MediaRow) -> bool:
    same_digest = media.sha256 is None or looked.sha256 == media.sha256
    return looked.kind == media.content_type and looked.size == media.size and same_digest


def rejection(code: str | None, *, keep: bool = False) -> Invalid:
    """Why a file was rejected, for good."""
    code = code or "media.mismatch"
    return Invalid(code, REJECTIONS[code], keep=keep)
