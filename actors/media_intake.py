"""Looking at what was uploaded, and making of it what is served."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import msgspec

from actors.image_jobs import Done, Job
from actors.images import Images
from actors.media_types import SIGNATURE, Content, is_image_type
from actors.records.media import Rendition
from runtime.errors import Invalid
from runtime.ports import Blobs

IMAGE_BYTES: Final = 128 << 20
"""Bytes of an image, at most: 25 megapixels of noise as a PNG have 64 MiB."""

AT_ONCE: Final = 4
"""Objects that are read at a time: who came first is answered first, instead of all at the end."""

WEBP: Final = "image/webp"

_PIECE = 256 << 10


class Looked(msgspec.Struct, frozen=True, kw_only=True):
    """What arrived. :param kind: None: of no kind that is known. :param image: path of a copy, if it is one."""

    size: int
    sha256: str
    kind: str | None
    image: str | None


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """What is served of it, and under which key."""

    key: str
    size: int
    sha256: str
    width: int | None = None
    height: int | None = None


class Intake:
    """Reads objects, and writes those that are made of them."""

    def __init__(self, blobs: Blobs, images: Images) -> None:
        self._blobs = blobs
        self._images = images
        self._reading = asyncio.Semaphore(AT_ONCE)

    async def look(self, key: str, filename: str, folder: Path) -> Looked:
        """Read all of it, once. :param folder: where the copy of an image goes: its decoders want a file.

        :raises KeyError: there is no such object.
        """
        content, digest, size = Content(), hashlib.sha256(), 0
        copy = folder / "uploaded"
        async with self._reading:
            with copy.open("wb") as file:
                async for piece in self._blobs.get(key):
                    content.feed(piece)
                    digest.update(piece)
                    size += len(piece)
                    if size <= IMAGE_BYTES and (content.may_be_image or size < SIGNATURE):
                        file.write(piece)
        kind = content.media_type(filename)
        image = str(copy) if kind is not None and is_image_type(kind) else None
        return Looked(size=size, sha256=digest.hexdigest(), kind=kind, image=image)

    async def serve(self, looked: Looked, raw: str, folder: Path) -> Served:
        """The object as it is, or, of an image, one that is encoded anew.

        :param raw: its key. :raises Invalid: `media.image_invalid`.
        """
        if looked.image is None or looked.kind is None:
            return Served(key=raw, size=looked.size, sha256=looked.sha256)
        if looked.size > IMAGE_BYTES:
            raise Invalid("media.image_invalid", f"the image has more than {IMAGE_BYTES} bytes")
        encoded = folder / "encoded"
        done = await self._made(Job(source=looked.image, target=str(encoded), kind=looked.kind))
        key = f"{raw.rpartition('/')[0]}/image"
        size, sha256 = await self._put(key, encoded, looked.kind)
        return Served(key=key, size=size, sha256=sha256, width=done.width, height=done.height)

    async def render(self, key: str, kind: str, sides: dict[str, int], *, square: bool = False) -> list[Rendition]:
        """Smaller ones of an image of ours, as WebP, beside it.

        :param sides: name → pixels. :raises KeyError: there is no such object. :raises Invalid: it is broken.
        """
        made = []
        with workplace() as folder:
            source, target = folder / "original", folder / "small"
            with source.open("wb") as file:
                async for piece in self._blobs.get(key):
                    file.write(piece)
            for name, side in sides.items():
                await self._made(Job(source=str(source), target=str(target), kind=kind, side=side, square=square))
                beside = key.rpartition("/")[0]
                size, sha256 = await self._put(f"{beside}/{name}", target, WEBP)
                made.append(Rendition(folder=beside, name=name, size=size, sha256=sha256))
        return made

    async def _made(self, job: Job) -> Done:
        done = await self._images.make(job)
        if done.fault is not None:
            raise Invalid("media.image_invalid", f"the image {done.fault}")
        return done

    async def _put(self, key: str, file: Path, content_type: str) -> tuple[int, str]:
        digest = hashlib.sha256()

        async def pieces() -> AsyncIterator[bytes]:
            with file.open("rb") as opened:
                while piece := opened.read(_PIECE):
                    digest.update(piece)
                    yield piece

        stored = await self._blobs.put(key, pieces(), content_type=content_type)
        return stored.size, digest.hexdigest()


@contextmanager
def workplace() -> Iterator[Path]:
    """A folder that is removed when the work is done."""
    with TemporaryDirectory(prefix="troupe-media-") as folder:
        yield Path(folder)
