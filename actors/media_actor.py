"""The media actor: files, who may see them, and the addresses of their bytes.

Bytes go past it: the edge streams them into the object store with a ticket from here, or clients put them there
themselves, and the edge or the store serves them at signed addresses that are made here.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import Final, Protocol

from actors.contracts.media import (
    AttachmentsCounted,
    GetMedia,
    GetMediaUrl,
    GetStoredFile,
    GetSubject,
    ListAttachments,
    ListRecentMedia,
    Media,
    MediaUrl,
    StoredFile,
    Subject,
)
from actors.contracts.values import rfc3339
from actors.file_names import disposition
from actors.images import Images
from actors.media_access import no_media, not_ready, seen, task_access
from actors.media_arrivals import MediaArrivals
from actors.media_direct import MediaDirect
from actors.media_intake import WEBP, Intake
from actors.media_pictures import AVATARS, MediaPictures
from actors.media_removal import MediaRemoval
from actors.media_types import is_image_type, taken
from actors.pages import paged, place
from actors.records.media import MediaRecords, MediaRow, folder_of
from actors.requests import caller_of
from runtime.actor import handles
from runtime.context import Context
from runtime.errors import NotFound
from runtime.message import Page
from runtime.ports import Blobs
from runtime.signed_urls import SignedUrls

RESYNC: Final = 500
"""Tasks whose count is told again in one transaction."""


class MediaSettings(Protocol):
    """What this actor reads of the settings."""

    @property
    def upload_limit(self) -> int:
        """Bytes of a file that goes through the edge, at most."""
        ...

    @property
    def direct_upload_limit(self) -> int:
        """Bytes of a file that is put straight into the object store, at most."""
        ...

    @property
    def media_types(self) -> str:
        """Types that are taken, with commas; empty: all that are known."""
        ...

    @property
    def quota_media_bytes_per_user(self) -> int:
        """Bytes of all files of one account, at most."""
        ...

    @property
    def media_origin(self) -> str:
        """Where clients fetch files that the edge serves."""
        ...


class MediaActor(MediaArrivals, MediaDirect, MediaPictures, MediaRemoval):
    """Whose files there are, and what they are. Of tasks it knows what the task actor vouches for."""

    name = "media"
    records = MediaRecords

    def __init__(self, *, blobs: Blobs, settings: MediaSettings, signing_keys: Sequence[bytes]) -> None:
        self._blobs = blobs
        self._images = Images()
        self._intake = Intake(blobs, self._images)
        self._limit = settings.upload_limit
        self._direct_limit = settings.direct_upload_limit
        self._quota = settings.quota_media_bytes_per_user
        self._types = taken(settings.media_types)
        self._origin = settings.media_origin
        self._urls = SignedUrls(signing_keys)

    async def stop(self) -> None:
        """End the processes that decode images."""
        await self._images.close()

    @handles
    async def get(self, query: GetMedia, ctx: Context[MediaRecords]) -> Media:
        """What is known of a file. Refuses `media.not_found`."""
        media, _ = await seen(query.id, ctx)
        return media.view()

    @handles
    async def subject(self, query: GetSubject, ctx: Context[MediaRecords]) -> Subject:
        """The task that access to a file hangs on. Refuses `media.not_found`."""
        media = await ctx.records.media(query.id)
        if media is None:
            raise no_media()
        return Subject(task_id=media.task_id)

    @handles
    async def url(self, query: GetMediaUrl, ctx: Context[MediaRecords]) -> MediaUrl:
        """An address of a file's bytes, of the object store where that signs its own.

        Refuses `media.not_found` and `media.not_ready`.
        """
        media, _ = await seen(query.id, ctx)
        if media.status != "ready":
            raise not_ready("there are no bytes of this file")
        file = await self._stored(media, query.variant, ctx)
        if file is None:
            raise not_ready("the thumbnail is not made yet")
        answer = {"Content-Type": file.content_type, "Content-Disposition": file.disposition}
        url = self._blobs.url(file.key, expires_s=query.expires_in, answer=answer)
        expires = ctx.now // 1000 + query.expires_in
        if url is None:
            url = self._origin + self._urls.sign("GET", f"/media/{media.id}", query.variant, expires)
        return MediaUrl(url=url, expires_at=rfc3339(expires * 1000))

    @handles
    async def stored(self, query: GetStoredFile, ctx: Context[MediaRecords]) -> StoredFile:
        """Where the bytes are, for whoever holds a signed address. Refuses `media.not_found`."""
        media = await ctx.records.media(query.id)
        file = None if media is None or media.status != "ready" else await self._stored(media, query.variant, ctx)
        if file is None:
            raise no_media()
        return file

    async def _stored(self, media: MediaRow, variant: str, ctx: Context[MediaRecords]) -> StoredFile | None:
        """A file that is ready, or what was made of it. None: that is not made yet.

        :raises NotFound: nothing can be made of it.
        """
        key = media.object_key
        if key is None:
            raise no_media()
        if variant == "original":
            return StoredFile(
                key=key,
                size=media.size,
                etag=media.sha256 or "",
                content_type=media.content_type,
                disposition=disposition(media.filename, inline=is_image_type(media.content_type)),
            )
        if not is_image_type(media.content_type) or (variant in AVATARS and media.visibility != "public"):
            raise no_media()
        made = await ctx.records.rendition(folder_of(key), variant)
        if made is None:
            return None
        name = f"{PurePath(media.filename).stem}-{variant}.webp"
        return StoredFile(
            key=made.key,
            size=made.size,
            etag=made.sha256,
            content_type=WEBP,
            disposition=disposition(name, inline=True),
        )

    # ------------------------------------------------------------------------------------ lists

    @handles
    async def attachments(self, query: ListAttachments, ctx: Context[MediaRecords]) -> Page[Media]:
        """The files of a task. Refuses `task.not_found`."""
        if task_access(query.id, ctx) is None:
            raise NotFound("task.not_found", "there is no such task")
        rows = await ctx.records.of_task(query.id, limit=query.limit + 1, after=place(query, query.cursor))
        return paged(query, query.limit, rows, MediaRow.view, lambda row: (row.created_at, row.id))

    @handles
    async def recent(self, query: ListRecentMedia, ctx: Context[MediaRecords]) -> list[Media]:
        """The caller's own newest files."""
        return [row.view() for row in await ctx.records.newest_of(caller_of(ctx), limit=query.limit)]

    async def resync(self, ctx: Context[MediaRecords], after: str | None) -> str | None:
        """Tell the next tasks' counts again."""
        counts = await ctx.records.counts_after(after or "", RESYNC)
        for each in counts:
            ctx.emit(AttachmentsCounted(attachments=each))
        return counts[-1].task_id if len(counts) == RESYNC else None
