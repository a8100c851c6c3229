"""Chunks of unknown size and number, gathered into parts of one size: what stores of objects take a large one in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from tempfile import SpooledTemporaryFile
from types import TracebackType

_IN_MEMORY = 256 << 10


class Parts:
    """Parts of one size, the last one shorter: each in a file, for a hundred uploads at once would be half a gibibyte
    of memory.

    :ivar file: the present part, at its beginning; closed when the next one comes.
    :ivar last: nothing comes after it.
    """

    def __init__(self, chunks: AsyncIterator[bytes], size: int) -> None:
        self._chunks = chunks
        self._size = size
        self._rest = b""
        self.file = SpooledTemporaryFile[bytes](_IN_MEMORY)
        self.last = False

    def __enter__(self) -> Parts:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.file.close()

    async def next(self) -> int:
        """Go on to the next part; its bytes, 0 when there are no more."""
        self.file.close()
        self.file = SpooledTemporaryFile[bytes](_IN_MEMORY)
        size = self._write(self._rest, 0)
        while not self._rest:  # also once it is full: only what comes then says that it is not the last
            chunk = await anext(self._chunks, None)
            if chunk is None:
                self.last = True
                break
            size = self._write(chunk, size)
        self.file.seek(0)
        return size

    def _write(self, chunk: bytes, size: int) -> int:
        room = self._size - size
        self.file.write(chunk[:room])
        self._rest = chunk[room:]
        return size + min(room, len(chunk))
