"""How files come in: through the edge, with a ticket, or straight into the object store, with a signed address."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from actors.contracts.media import (
    CancelUpload,
    FinishUpload,
    Media,
    MediaAttached,
    OpenUpload,
    RemoveObjects,
    RenderImage,
)
from actors.contracts.values import Ticket, rfc3339
from actors.file_names import cleaned
from actors.media_access import no_attaching, no_media, no_task
from actors.media_intake import Intake, Served, workplace
from actors.media_types import is_image_type
from actors.records.media import MediaRecords, MediaRow, folder_of
from actors.requests import caller_of
from runtime.actor import Actor, every, handles
from runtime.context import Context, OutsideContext
from runtime.errors import Conflict, Later, Refusal, TroupeError, Unsupported
from runtime.message import Tick
from runtime.policy import PATIENT
from runtime.ports import Blobs

HOUR_MS: Final = 3600 * 1000
"""An upload through the edge that is not finished after this is given up."""

DAY_MS: Final = 24 * HOUR_MS
"""Likewise a file that was announced and is not completed."""


class MediaUploads(Actor[MediaRecords]):
    """What the media actor does until a file is ready."""

    _blobs: Blobs
    _intake: Intake
    _limit: int
    _quota: int
    _types: frozenset[str]

    @handles
    async def open_upload(self, command: OpenUpload, ctx: Context[MediaRecords]) -> Ticket:
        """Leave to put a file into the object store."""
        id = ctx.new_id()
        media = MediaRow(id=id, owner_id=caller_of(ctx), created_at=ctx.now, expires_at=ctx.now + HOUR_MS)
        await ctx.records.add(media)
        return Ticket(id=id, key=original_key(id), limit=self._limit)

    @handles(outside=True)
    async def finish_upload(self, command: FinishUpload, ctx: OutsideContext[MediaRecords]) -> Media:
        """Take the file that was put there, for what its content says it is.

        Refuses `media.type_not_allowed`, `media.image_invalid`, `quota.exceeded`, a task that the
        caller does not see, `auth.forbidden` and `task.deleted`, and then what was put there is removed; emits
        MediaAttached.
        """
        id, filename = command.upload.id, cleaned(command.upload.filename)
        refusal = no_attaching(command.task_id, ctx)
        with workplace() as folder:
            if refusal is None:
                try:
                    looked = await self._intake.look(original_key(id), filename, folder)
                    if looked.kind not in self._types:
                        raise not_allowed("the content is of no kind of file that is taken here")
                    served = await self._intake.serve(looked, original_key(id), folder)
                except KeyError:
                    raise given_up() from None
                except Refusal as error:
                    refusal = error
        if refusal is not None:
            async with ctx.finish() as records:
                await self._drop(id, records, ctx)
            refusal.keep = True
            raise refusal
        media = MediaRow(
            id=id,
            owner_id=caller_of(ctx),
            task_id=command.task_id,
            filename=filename,
            content_type=looked.kind or "",
            visibility=command.visibility,
            created_at=ctx.now,
        )
        async with ctx.finish() as records:
            return await self._keep(media, served, records, ctx, charged=0, lost=given_up())

    @handles
    async def cancel_upload(self, command: CancelUpload, ctx: Context[MediaRecords]) -> None:
        """Forget a ticket of the caller's that was not finished."""
        await self._drop(command.id, ctx.records, ctx)

    @every(minutes=10)
    async def sweep(self, tick: Tick, ctx: Context[MediaRecords]) -> None:
        """Give up uploads that nobody finished, and what broken ones left in the object store."""
        stale = await ctx.records.drop_stale(ctx.now)
        for media in stale:
            await ctx.records.refund(media.owner_id, media.size)
        folders = [folder_of(original_key(media.id)) for media in stale]
        ctx.tell(RemoveObjects(folders=folders, keys=[incoming_key(media.id) for media in stale], unfinished=True))

    @handles(outside=True, retry=PATIENT)
    async def remove_objects(self, command: RemoveObjects, ctx: OutsideContext[MediaRecords]) -> None:
        """Delete objects that no row names any more."""
        keys: Sequence[str] = command.keys
        for folder in command.folders:
            keys = [*keys, *[blob.key async for blob in self._blobs.list(f"{folder}/")]]
        await self._blobs.delete(keys)
        if command.unfinished:
            await self._blobs.sweep(older_than_ms=HOUR_MS)
            # what came to an address after its file was given up, or was ready
            late = [blob.key async for blob in self._blobs.list("incoming/") if blob.modified_at < ctx.now - 2 * DAY_MS]
            await self._blobs.delete(late)

    async def _keep(
        self,
        media: MediaRow,
        served: Served,
        records: MediaRecords,
        ctx: Context[MediaRecords],
        *,
        charged: int,
        lost: TroupeError,
    ) -> Media:
        """Let a pending file be ready, in the last transaction: counted, stored once however often it came.

        :param charged: bytes that its owner's account has for it already.
        :param lost: raised when it is not pending any more.
        :raises Refusal: nothing of it was done.
        """
        owner_id = media.owner_id or ""
        match await records.charge(owner_id, served.size - charged, self._quota):
            case "full":
                raise no_room(self._quota)
            case "erased":
                raise no_media()
        key = await records.keep_object(owner_id, served.sha256, served.key)
        ready = media.ready(key, served.size, served.sha256, served.width, served.height)
        if not await records.finish(ready):
            raise lost
        if ready.task_id is not None:
            attachments = await records.count(ready.task_id, 1)
            if attachments is None:
                raise no_task()
            at = rfc3339(ctx.now)
            ctx.emit(MediaAttached(media=ready.view(), attachments=attachments, actor_id=owner_id, at=at))
        image = is_image_type(ready.content_type)
        if key != served.key:  # the same content is there already
            ctx.tell(RemoveObjects(folders=[folder_of(served.key)]))
        elif image:
            ctx.tell(RemoveObjects(keys=[original_key(ready.id)]))
        if image and (key == served.key or ready.visibility == "public"):
            ctx.tell(RenderImage(id=ready.id))
        return ready.view()

    async def _drop(self, id: str, records: MediaRecords, ctx: Context[MediaRecords]) -> None:
        media = await records.drop_pending(id, ctx.caller.id)
        if media is not None:
            await records.refund(media.owner_id, media.size)
            ctx.tell(RemoveObjects(folders=[folder_of(original_key(id))], keys=[incoming_key(id)]))


def original_key(id: str) -> str:
    """Of the object that holds a file as it was uploaded; nothing that a client chose is in it."""
    return f"media/{id}/original"


def incoming_key(id: str) -> str:
    """Of the object that a client writes at a signed address."""
    return f"incoming/{id}"


def given_up() -> Later:
    """The edge has given up the ticket: what it asks for now is a late copy, whose answer must not be kept for the
    client's next try, which has a ticket of its own."""
    return Later(1, "the upload was given up")


def not_allowed(why: str) -> Unsupported:
    """A kind of file that is not taken."""
    return Unsupported("media.type_not_allowed", why)


def no_room(quota: int) -> Conflict:
    """The owner's files would have too many bytes."""
    return Conflict("quota.exceeded", f"all of your files together may have {quota} bytes; delete some first")
