"""People with files: the media actor beside the task actor."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest

from actors.contracts.media import (
    DeleteMedia,
    FinishUpload,
    GetMedia,
    GetMediaUrl,
    GetStoredFile,
    Media,
    OpenUpload,
    Visibility,
)
from actors.contracts.task import VouchForTask
from actors.contracts.values import Ticket, Upload
from actors.media_actor import MediaActor
from actors.task_actor import TaskActor
from config.settings import Settings
from runtime import connect
from runtime.errors import NotFound
from runtime.message import Grant
from runtime.ports import Blobs
from runtime.testing import Stage
from tests.actors.company import Company

KEY = b"signs addresses in tests"


class Office(Company):
    """A company with files."""

    def __init__(self, stage: Stage, blobs: Blobs) -> None:
        super().__init__(stage)
        self.blobs = blobs

    def another(self) -> Office:
        """With other people, in the same house."""
        return Office(self.stage, self.blobs)

    async def ticket(self, content: bytes, caller: str | None = None) -> Ticket:
        """What the edge does before it tells the actor."""

        async def pieces() -> AsyncIterator[bytes]:
            yield content

        ticket = await self.stage.ask(OpenUpload(), caller=caller or self.ada)
        await self.blobs.put(ticket.key, pieces(), content_type="application/octet-stream")
        return ticket

    async def word(self, task_id: str | None, caller: str) -> Sequence[Grant]:
        """The task actor's grants, where it gives any."""
        if task_id is None:
            return []
        try:
            return [await self.stage.ask(VouchForTask(task_id=task_id), caller=caller)]
        except NotFound:
            return []

    async def file(
        self,
        content: bytes = b"text",
        name: str = "a.txt",
        *,
        caller: str | None = None,
        task_id: str | None = None,
        visibility: Visibility = "private",
    ) -> Media:
        """Upload it."""
        caller = caller or self.ada
        ticket = await self.ticket(content, caller)
        command = FinishUpload(upload=Upload(id=ticket.id, filename=name), task_id=task_id, visibility=visibility)
        return await self.stage.ask(command, caller=caller, grants=await self.word(task_id, caller))

    async def sees(self, media: Media, caller: str) -> bool:
        """Whether someone gets to know of a file; its address goes the same way."""
        grants = await self.word(media.task_id, caller)
        try:
            assert await self.stage.ask(GetMedia(id=media.id), caller=caller, grants=grants) == media
        except NotFound:
            with pytest.raises(NotFound, match=r"media\.not_found"):
                await self.stage.ask(GetMediaUrl(id=media.id), caller=caller, grants=grants)
            return False
        await self.stage.ask(GetMediaUrl(id=media.id), caller=caller, grants=grants)
        return True

    async def delete(self, media: Media, caller: str, if_match: tuple[int, ...] | None = None) -> None:
        grants = await self.word(media.task_id, caller)
        await self.stage.ask(DeleteMedia(id=media.id, if_match=if_match), caller=caller, grants=grants)

    async def content(self, media: Media, variant: str = "original") -> bytes:
        """What is served."""
        file = await self.stage.ask(GetStoredFile(id=media.id, variant=variant))
        served = b"".join([piece async for piece in self.blobs.get(file.key)])
        assert (file.size, file.etag) == (len(served), hashlib.sha256(served).hexdigest())
        return served

    async def folder(self, media: Media) -> set[str]:
        """The objects of one upload, once nothing moves any more."""
        return {key for key in await self.objects() if media.id in key}

    async def objects(self) -> set[str]:
        """All that is in the object store once nothing moves any more."""
        await self.stage.drain()
        return {blob.key async for blob in self.blobs.list("media/")}


@contextlib.asynccontextmanager
async def office_of(store_url: Callable[[str], str] | None, blob_url: str, **settings: Any) -> AsyncIterator[Office]:
    """An office of its own. :param settings: those that are not the default."""
    async with contextlib.AsyncExitStack() as stack:
        chosen = Settings(
            **{"blob_url": blob_url, "public_url": "http://edge.test", "upload_limit": 1 << 20, **settings}
        )
        blobs = connect.blobs(chosen)
        await blobs.open()
        stack.push_async_callback(blobs.close)
        media = MediaActor(blobs=blobs, settings=chosen, signing_keys=[KEY])
        yield Office(
            await stack.enter_async_context(Stage(TaskActor(blobs=blobs, settings=chosen), media, store_url=store_url)),
            blobs,
        )
