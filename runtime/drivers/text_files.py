"""The texter's embedded twin: each text message a file of JSON."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar
from urllib.parse import unquote, urlsplit
from uuid import uuid4

import msgspec

from runtime.drivers.text_check import check
from runtime.drivers.whole_files import write_whole
from runtime.errors import SettingError, TexterAway
from runtime.ports import Text, Texter


def connect(url: str) -> Texter:
    """`file:var/sms` or `file:///var/lib/troupe/sms`. :raises SettingError: no path, a host or options."""
    parts = urlsplit(url)
    if not parts.path or parts.netloc or parts.query:
        raise SettingError(f"the texter's URL must be like `file:var/sms` or `file:///abs/sms`, not {url!r}")
    return FileTexter(Path(unquote(parts.path)))


class FileTexter:
    """Writes `<id>.json` with `id`, `to` and `body`."""

    lacks: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def open(self) -> None:
        """Nothing is kept open; the folder is made when it is needed."""

    async def close(self) -> None:
        """Likewise."""

    async def ping(self) -> None:
        await self._in_thread(write_whole, self._folder / f".{uuid4().hex}", b"", False)

    async def send(self, text: Text) -> None:
        check(text)
        name = re.sub(r"[^A-Za-z0-9_-]", "_", text.id)
        await self._in_thread(write_whole, self._folder / f"{name}.json", msgspec.json.encode(text), True)

    async def forget(self, number: str) -> None:
        await self._in_thread(_forget, self._folder, number)

    async def _in_thread(self, work: Callable[..., None], *arguments: object) -> None:
        try:
            await asyncio.to_thread(work, *arguments)
        except OSError as error:
            raise TexterAway(f"the folder of text messages cannot be used: {error.strerror}") from error


def _forget(folder: Path, number: str) -> None:
    for path in folder.glob("*.json"):
        if msgspec.json.decode(path.read_bytes(), type=Text).to == number:
            path.unlink(missing_ok=True)
