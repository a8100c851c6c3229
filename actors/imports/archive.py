"""ZIP archives from anywhere: read piece by piece, and only as much as they say of themselves."""

from __future__ import annotations

import asyncio
import struct
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from tempfile import TemporaryFile
from typing import IO, Final
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile

from actors.imports.item import FileBroken, Pieces, Unreadable

DIRECTORY: Final = 8 << 20
"""Bytes of an archive's list of entries, at most: some 100 000 of them."""

ENTRY: Final = 512 << 20
"""Bytes of one entry once it is unpacked, at most."""

WHOLE: Final = 2 << 30
"""Likewise of all that are read; a reader never gives out more than the directory says."""

PIECE: Final = 64 << 10

_END = struct.Struct("<4s4H2LH")
"""End of central directory record (APPNOTE 4.3.16)."""

_BROKEN = (BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError, RuntimeError)


class Archive:
    """An archive that is open; entries are known by their exact names."""

    def __init__(self, archive: ZipFile) -> None:
        self._archive = archive
        self._entries = {entry.filename: entry for entry in archive.infolist()}
        self._left = WHOLE

    def refusal(self, name: str) -> str | None:
        """Why an entry cannot be read; None: it may, and is counted."""
        entry = self._entries.get(name)
        if entry is None:
            return "it is not in the archive"
        if entry.compress_type not in {ZIP_STORED, ZIP_DEFLATED} or entry.flag_bits & 1:
            return "it is encrypted, or packed in a way that is not read here"
        if entry.file_size > ENTRY or entry.file_size > self._left:
            return f"it has more than {ENTRY} bytes, or with those before it more than {WHOLE}"
        self._left -= entry.file_size
        return None

    async def pieces(self, name: str) -> AsyncIterator[bytes]:
        """Of an entry that is not refused. :raises FileBroken: it is not what the archive says."""
        try:
            with self._archive.open(self._entries[name]) as entry:
                while piece := entry.read(PIECE):
                    yield piece
                    await asyncio.sleep(0)
        except _BROKEN as error:
            raise FileBroken(f"the archive is broken there: {error}") from None


@asynccontextmanager
async def opened(pieces: Pieces) -> AsyncIterator[Archive]:
    """An archive, in a file without a name. :raises Unreadable: it is none, or has no readable `data.json`."""
    with TemporaryFile(prefix="troupe-import-") as file:
        async for piece in pieces():
            file.write(piece)
        try:
            _check_directory(file)
            with ZipFile(file) as archive:
                entries = Archive(archive)
                if (why := entries.refusal("data.json")) is not None:
                    raise Unreadable(1, f"data.json cannot be read: {why}")
                yield entries
        except FileBroken as error:  # of data.json: of others, it is caught where they are read
            raise Unreadable(1, str(error)) from None
        except BadZipFile as error:
            raise Unreadable(1, f"this is no ZIP archive: {error}") from None


def _check_directory(file: IO[bytes]) -> None:
    """The library holds all of the directory in memory. :raises Unreadable: it is too large for that."""
    size = file.seek(0, 2)
    file.seek(max(0, size - _END.size - 65535))
    tail = file.read()
    place = tail.rfind(b"PK\5\6")
    if place < 0 or len(tail) - place < _END.size:
        raise Unreadable(1, "this is no ZIP archive")
    length = _END.unpack_from(tail, place)[5]
    if length > DIRECTORY or tail[max(0, place - 20) : place].startswith(b"PK\6\7"):  # ZIP64 says it elsewhere
        raise Unreadable(1, "this archive has too many entries")
