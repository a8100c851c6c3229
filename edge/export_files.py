"""Attachments of a project as elements of its JSON file: streamed from the object store, a piece at a time."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Sequence
from typing import Final, Protocol, TypeVar

import msgspec

from actors.contracts.media import GetStoredFile, ListAttachments, Media
from actors.contracts.task import VouchForTask
from runtime.errors import Refusal
from runtime.message import Grant, Query
from runtime.ports import Blobs

Reply = TypeVar("Reply")

PIECE: Final = 3 << 16
"""Bytes of one element, at most; a multiple of three, so that base64 has no padding before the end."""

PAGE: Final = 50


class ExportedPiece(Media, frozen=True, kw_only=True):
    """A file of a task, or the next piece of it.

    :param offset: where in the file the piece begins; those of one file follow each other.
    :param content: base64.
    """

    offset: int
    content: str


class Ask(Protocol):
    """Asks an actor, as the caller. :raises TroupeError: what asking raises."""

    async def __call__(self, query: Query[Reply], /, *, grants: Sequence[Grant] = ()) -> Reply: ...


async def attached(ask: Ask, blobs: Blobs, task_ids: Sequence[str]) -> AsyncIterator[ExportedPiece]:
    """All files of tasks; what is removed meanwhile may be missing."""
    for id in task_ids:
        cursor: str | None = None
        while True:
            try:
                grant = await ask(VouchForTask(task_id=id))
                page = await ask(ListAttachments(id=id, limit=PAGE, cursor=cursor), grants=[grant])
            except Refusal:  # it is gone
                break
            for media in page.items:
                async for piece in _pieces(ask, blobs, media):
                    yield piece
            if (cursor := page.next_cursor) is None:
                break


async def _pieces(ask: Ask, blobs: Blobs, media: Media) -> AsyncIterator[ExportedPiece]:
    try:
        file = await ask(GetStoredFile(id=media.id))
    except Refusal:
        return
    fields, offset, waiting = msgspec.structs.asdict(media), 0, bytearray()
    try:
        async for octets in blobs.get(file.key):
            waiting += octets
            while len(waiting) > PIECE:
                yield ExportedPiece(**fields, offset=offset, content=_text(waiting[:PIECE]))
                offset += PIECE
                del waiting[:PIECE]
    except KeyError:
        return
    yield ExportedPiece(**fields, offset=offset, content=_text(waiting))


def _text(octets: bytearray) -> str:
    return base64.b64encode(octets).decode()
