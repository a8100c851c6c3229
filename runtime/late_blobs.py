"""An object store that is opened when it is first needed: it being away keeps no process from starting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence

from runtime.ports import BlobInfo, Blobs, LocalFile, UploadUrl


class LateBlobs:
    """All of `Blobs`, on a store that is opened before its first use, and again for each use until that succeeds."""

    def __init__(self, store: Blobs) -> None:
        self._store = store
        self._opening: asyncio.Task[None] | None = None

    @property
    def lacks(self) -> frozenset[str]:
        """What the store's driver does not promise."""
        return self._store.lacks

    async def open(self) -> None:
        """:raises BlobsAway: it does not answer."""
        opening = self._opening
        if opening is None or (opening.done() and (opening.cancelled() or opening.exception() is not None)):
            opening = self._opening = asyncio.create_task(self._store.open())
        await asyncio.shield(opening)

    async def close(self) -> None:
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait([self._opening])
            if not self._opening.cancelled() and self._opening.exception() is None:
                await self._store.close()

    async def ping(self) -> None:
        await self.open()
        await self._store.ping()

    async def put(self, key: str, chunks: AsyncIterator[bytes], *, content_type: str) -> BlobInfo:
        await self.open()
        return await self._store.put(key, chunks, content_type=content_type)

    async def get(self, key: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        await self.open()
        async for piece in self._store.get(key, start=start, end=end):
            yield piece

    async def local_file(self, key: str) -> LocalFile | None:
        await self.open()
        return await self._store.local_file(key)

    async def info(self, key: str) -> BlobInfo | None:
        await self.open()
        return await self._store.info(key)

    async def move(self, source: str, target: str) -> None:
        await self.open()
        await self._store.move(source, target)

    async def delete(self, keys: Sequence[str]) -> None:
        await self.open()
        await self._store.delete(keys)

    async def list(self, prefix: str) -> AsyncIterator[BlobInfo]:
        await self.open()
        async for blob in self._store.list(prefix):
            yield blob

    async def sweep(self, *, older_than_ms: int) -> int:
        await self.open()
        return await self._store.sweep(older_than_ms=older_than_ms)

    def url(self, key: str, *, expires_s: int, answer: Mapping[str, str] | None = None) -> str | None:
        return self._store.url(key, expires_s=expires_s, answer=answer)

    def upload_url(
        self, key: str, *, expires_s: int, size: int, content_type: str, sha256: str | None = None
    ) -> UploadUrl | None:
        return self._store.upload_url(key, expires_s=expires_s, size=size, content_type=content_type, sha256=sha256)
