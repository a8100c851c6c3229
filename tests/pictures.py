"""Images for tests."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

from PIL import Image

GPS = b"a secret place"


def image(kind: str = "PNG", size: tuple[int, int] = (40, 30), *, frames: int = 1, **options: Any) -> bytes:
    """One in a format of Pillow's; its pictures differ."""
    pictures = [
        Image.new("RGB", size, (60 * number % 256, number // 4 % 256, number // 1024)) for number in range(frames)
    ]
    buffer = io.BytesIO()
    if frames > 1:
        options |= {"save_all": True, "append_images": pictures[1:], "duration": 50}
    pictures[0].save(buffer, kind, **options)
    return buffer.getvalue()


def photograph(kind: str = "JPEG", size: tuple[int, int] = (40, 30)) -> bytes:
    """Lies on its side, and tells where it was taken."""
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: to be turned by 90 degrees
    exif[0x010E] = GPS.decode()
    exif[0x8825] = {1: "N", 2: (52.0, 31.0, 12.0)}
    return image(kind, size, exif=exif)


def noise(kind: str, size: tuple[int, int]) -> bytes:
    """What compresses worst."""
    buffer = io.BytesIO()
    Image.effect_noise(size, 100).convert("RGB").save(buffer, kind)
    return buffer.getvalue()


def claims(width: int, height: int) -> bytes:
    """A PNG whose header promises so many pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def opened(content: bytes) -> Image.Image:
    """What a reader sees."""
    with Image.open(io.BytesIO(content)) as found:
        found.load()
        return found
