"""Objects as files below one folder, for one host.

An object is one file: its bytes, then a trailer of 512 bytes that holds what the file system cannot (content type and
digest) as JSON, padded with spaces. So both change in one rename, and neither can be there without the other.
What is being written lies in `.unfinished`, a name that no key can have.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path, PurePath
from typing import BinaryIO, ClassVar, ParamSpec, TypeVar
from urllib.parse import unquote, urlsplit
from uuid import uuid4

import msgspec

from runtime.context import system_clock
from runtime.drivers.blob_keys import check_key, check_prefix
from runtime.errors import BlobsAway, SettingError
from runtime.ports import BlobInfo, Blobs, LocalFile, UploadUrl

P = ParamSpec("P")
T = TypeVar("T")

_TRAILER = 512
_PIECE = 256 << 10
"""Bytes that are read at once: big enough that the hop to a thread does not count."""

_GATHERED = 64 << 10
"""Bytes that are written at once, at least: each of many writers waits for its thread with as many in hand."""

_THREADS = 4
_MISSING = (FileNotFoundError, NotADirectoryError, IsADirectoryError)


class _Trailer(msgspec.Struct, frozen=True):
    etag: str
    content_type: str


_decode = msgspec.json.Decoder(_Trailer).decode


def connect(url: str) -> Blobs:
    """`file:var/media` or `file:///var/lib/troupe/media`.

    :raises SettingError: no path, a host or options.
    """
    parts = urlsplit(url)
    if not parts.path or parts.netloc or parts.query:
        raise SettingError(f"the object store's URL must be like `file:var/media` or `file:///abs/media`, not {url!r}")
    return FileBlobs(Path(unquote(parts.path)))


class FileBlobs:
    """All file work is done in four threads of its own; in memory is at most one piece of each object under way."""

    lacks: ClassVar[frozenset[str]] = frozenset({"signed_urls"})

    def __init__(self, root: Path) -> None:
        self._root = root
        self._unfinished = root / ".unfinished"
        self._threads = ThreadPoolExecutor(_THREADS, "blobs")

    async def open(self) -> None:
        await self._run(lambda: self._unfinished.mkdir(parents=True, exist_ok=True))

    async def close(self) -> None:
        self._threads.shutdown()

    async def ping(self) -> None:
        await self._run(self._try_to_write)

    async def put(self, key: str, chunks: AsyncIterator[bytes], *, content_type: str) -> BlobInfo:
        check_key(key)
        opened = ExitStack()
        try:
            draft = await self._run(_Draft, self._unfinished / uuid4().hex, opened)
            piece = bytearray()
            async for chunk in chunks:
                piece += chunk
                if len(piece) >= _GATHERED:
                    await self._run(draft.write, piece)
                    piece = bytearray()
            await self._run(draft.write, piece)
            return await self._run(draft.publish, self._root, key, content_type)
        finally:
            await self._run(opened.close)

    async def get(self, key: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        check_key(key)
        with ExitStack() as opened:
            file, size = await self._run(self._open, key, start, opened)
            left = (size if end is None else min(end, size)) - start
            while left > 0:
                piece = await self._run(file.read, min(_PIECE, left))
                left -= len(piece)
                yield piece

    async def local_file(self, key: str) -> LocalFile | None:
        check_key(key)
        with ExitStack() as opened:
            file, size = await self._run(self._open, key, 0, opened)
            opened.pop_all()
            return LocalFile(file, size)

    async def info(self, key: str) -> BlobInfo | None:
        check_key(key)
        return await self._run(self._info, key)

    async def move(self, source: str, target: str) -> None:
        check_key(source)
        check_key(target)
        await self._run(self._move, source, target)

    async def delete(self, keys: Sequence[str]) -> None:
        for key in keys:
            check_key(key)
        await self._run(self._delete, keys)

    async def list(self, prefix: str) -> AsyncIterator[BlobInfo]:
        check_prefix(prefix)
        folder, slash, _ = prefix.rpartition("/")
        async for blob in self._below(folder + slash, prefix):
            yield blob

    async def sweep(self, *, older_than_ms: int) -> int:
        return await self._run(self._sweep, system_clock() - older_than_ms)

    def url(self, key: str, *, expires_s: int, answer: Mapping[str, str] | None = None) -> str | None:
        return None

    def upload_url(
        self, key: str, *, expires_s: int, size: int, content_type: str, sha256: str | None = None
    ) -> UploadUrl | None:
        return None

    async def _run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do file work in a thread. A cancelled caller still waits for it: the file is in use until then."""
        future = asyncio.get_running_loop().run_in_executor(self._threads, partial(work, *args, **kwargs))
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            with suppress(OSError):  # the cancellation is what the caller must hear of
                await future
            raise
        except OSError as error:
            raise BlobsAway(f"the object store's folder cannot be used: {error.strerror}") from error

    # What follows runs in the threads.

    def _try_to_write(self) -> None:
        probe = self._unfinished / uuid4().hex
        probe.touch(exist_ok=False)
        probe.unlink()

    def _open(self, key: str, start: int, opened: ExitStack) -> tuple[BinaryIO, int]:
        try:
            file = opened.enter_context((self._root / key).open("rb"))
        except _MISSING:
            raise KeyError(key) from None
        file.seek(start)
        return file, os.fstat(file.fileno()).st_size - _TRAILER

    def _info(self, key: str) -> BlobInfo | None:
        try:
            with (self._root / key).open("rb") as file:
                status = os.fstat(file.fileno())
                file.seek(-_TRAILER, os.SEEK_END)
                trailer = _decode(file.read())
        except _MISSING:
            return None
        size, modified_at = status.st_size - _TRAILER, status.st_mtime_ns // 1_000_000
        return BlobInfo(key, size, trailer.etag, trailer.content_type, modified_at)

    def _move(self, source: str, target: str) -> None:
        try:
            _rename(self._root / source, self._root / target)
        except _MISSING:
            raise KeyError(source) from None
        for folder in PurePath(target).parents:
            _sync_folder(self._root / folder)

    def _delete(self, keys: Sequence[str]) -> None:
        for key in keys:
            with suppress(*_MISSING):
                (self._root / key).unlink()
            for folder in list(PurePath(key).parents)[:-1]:
                try:
                    (self._root / folder).rmdir()
                except OSError:  # not empty, or gone already
                    break

    async def _below(self, folder: str, prefix: str) -> AsyncIterator[BlobInfo]:
        """What lies in a folder (empty, or ending with a slash), in the order of keys."""
        for name in await self._run(self._names, folder):
            path = folder + name
            if not path.startswith(prefix):
                continue
            if name.endswith("/"):
                async for blob in self._below(path, prefix):
                    yield blob
            elif (found := await self.info(path)) is not None:
                yield found

    def _names(self, folder: str) -> Sequence[str]:
        """Sorted, a folder with its slash, which is where its keys stand among those of files."""
        try:
            with os.scandir(self._root / folder) as entries:
                return sorted(e.name + "/" * e.is_dir() for e in entries if not e.name.startswith("."))
        except _MISSING:
            return []

    def _sweep(self, before: int) -> int:
        swept = 0
        for path in self._unfinished.iterdir():
            with suppress(FileNotFoundError):  # its writer, or another process that sweeps, was faster
                if path.stat().st_mtime_ns // 1_000_000 <= before:
                    path.unlink()
                    swept += 1
        return swept


class _Draft:
    """A file that is being written, invisible until `publish`; closing `opened` removes one that never was."""

    def __init__(self, path: Path, opened: ExitStack) -> None:
        opened.callback(path.unlink, missing_ok=True)
        self._file = opened.enter_context(path.open("xb"))
        self._path = path
        self._digest = hashlib.sha256()
        self._size = 0

    def write(self, piece: bytes | bytearray) -> None:
        self._file.write(piece)
        self._digest.update(piece)
        self._size += len(piece)

    def publish(self, root: Path, key: str, content_type: str) -> BlobInfo:
        etag = self._digest.hexdigest()
        trailer = msgspec.json.encode(_Trailer(etag, content_type)).ljust(_TRAILER)
        if len(trailer) > _TRAILER:
            raise ValueError("the content type is too long")
        self._file.write(trailer)
        self._file.flush()
        os.fsync(self._file.fileno())
        modified_at = os.fstat(self._file.fileno()).st_mtime_ns // 1_000_000
        _rename(self._path, root / key)
        for folder in PurePath(key).parents:
            _sync_folder(root / folder)
        return BlobInfo(key, self._size, etag, content_type, modified_at)


def _rename(source: Path, target: Path) -> None:
    while True:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            source.replace(target)
            return
        except FileNotFoundError:
            if not source.exists():
                raise
        except FileExistsError:
            if any(folder.is_file() for folder in target.parents):
                raise
        # a delete has just removed the empty folder: make it again


def _sync_folder(folder: Path) -> None:
    """Make a rename or a new folder survive a power cut (fsync(2) of the folder that holds the entry)."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
