"""Files that come with imports: they wait in the object store, and are looked at like any upload."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from datetime import datetime

import msgspec

from actors.contracts.media import ImportedFileRefused, RemoveObjects
from actors.contracts.task_import import FileImported
from actors.contracts.values import milliseconds
from actors.file_names import cleaned
from actors.media_access import no_media
from actors.media_intake import Served, workplace
from actors.media_uploads import MediaUploads, no_room, not_allowed, original_key
from actors.records.media import MediaRecords, MediaRow, folder_of
from runtime.actor import handles
from runtime.context import OutsideContext
from runtime.errors import Refusal, TooLarge
from runtime.policy import PATIENT


class MediaArrivals(MediaUploads):
    """What the media actor does about files of imported tasks."""

    _direct_limit: int

    @handles(outside=True, retry=PATIENT)
    async def take_imported(self, event: FileImported, ctx: OutsideContext[MediaRecords]) -> None:
        """Let a file belong to its task, once however often it is imported; or say why it cannot.

        Emits MediaAttached or ImportedFileRefused.
        """
        created_at = milliseconds(datetime.fromisoformat(event.created_at))
        media = MediaRow(
            id=imported_id(event.task_id, event.source, created_at),
            owner_id=event.user_id,
            task_id=event.task_id,
            filename=cleaned(event.filename),
            visibility="public" if event.public else "private",
            created_at=created_at,
        )
        raw = original_key(media.id)
        if await ctx.records.media(media.id) is not None or await ctx.records.is_gone(event.task_id):
            async with ctx.finish():
                ctx.tell(RemoveObjects(keys=[event.key]))
            return
        with suppress(KeyError):  # an attempt that died had moved it
            await self._blobs.move(event.key, raw)
        try:
            kind, served = await self._looked_at(raw, media.filename)
        except KeyError:  # it has waited for too long, and was swept
            async with ctx.finish():
                ctx.emit(_refused(event, media, no_media()))
            return
        except Refusal as refusal:
            async with ctx.finish():
                ctx.tell(RemoveObjects(folders=[folder_of(raw)]))
                ctx.emit(_refused(event, media, refusal))
            return
        async with ctx.finish() as records:
            if await records.charge(event.user_id, served.size, self._quota) != "done":
                ctx.tell(RemoveObjects(folders=[folder_of(raw)]))
                ctx.emit(_refused(event, media, no_room(self._quota)))
                return
            await records.add(media)
            kept = msgspec.structs.replace(media, content_type=kind)
            await self._keep(kept, served, records, ctx, charged=served.size, lost=no_media())

    async def _looked_at(self, raw: str, filename: str) -> tuple[str, Served]:
        """What it is, and what is served of it. :raises KeyError: nothing is there. :raises Refusal: not taken."""
        with workplace() as folder:
            info = await self._blobs.info(raw)
            if info is not None and info.size > self._direct_limit:
                raise TooLarge("request.too_large", f"a file may have {self._direct_limit} bytes at most")
            looked = await self._intake.look(raw, filename, folder)
            if looked.kind is None or looked.kind not in self._types:
                raise not_allowed("the content is of no kind of file that is taken here")
            return looked.kind, await self._intake.serve(looked, raw, folder)


def _refused(event: FileImported, media: MediaRow, why: Refusal) -> ImportedFileRefused:
    return ImportedFileRefused(import_id=event.import_id, line=event.line, filename=media.filename, detail=why.detail)


def imported_id(task_id: str, source: str, created_at: int) -> str:
    """Of a file of a task, the same in every import: a UUIDv7 (RFC 9562 section 5.7) whose random part is a digest."""
    digest = int.from_bytes(hashlib.blake2b(f"{task_id} {source}".encode(), digest_size=16).digest())
    value = (created_at & ((1 << 48) - 1)) << 80 | 0x7 << 76 | (digest >> 64 & 0xFFF) << 64 | 0x2 << 62
    text = f"{value | digest & ((1 << 62) - 1):032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
