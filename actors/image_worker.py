"""A process that decodes images: `python -m actors.image_worker` reads jobs from its input and answers each.

What decoding can do to a process stays in this one: it holds no secret, opens no connection, and its memory, its time
and the size of its files are limited by the system. Pixels are counted from the header before any is decoded. Nothing
of a file is copied but what its pixels are: no EXIF, XMP, comments, colour profile (applied before), nor bytes behind
the image's end.
"""

from __future__ import annotations

import io
import resource
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec
from PIL import Image, ImageCms, ImageFile, ImageOps, ImageSequence

from actors.image_jobs import Done, Job

PIXELS: Final = 25_000_000
"""Pixels of one picture, at most."""

FRAMES: Final = 1_000
"""Pictures of an animation, at most; all of them together have at most four times `PIXELS`."""

MEMORY: Final = 1 << 30
"""Bytes of address space, at most: four pictures of 25 megapixels with 8 bytes each, and the interpreter."""

FILE_BYTES: Final = 256 << 20
"""Bytes of a file that is written, at most."""

SECONDS: Final = 20.0
"""A job may take so long; a noise of 25 megapixels takes 6."""

_FORMATS: dict[str, str] = {"image/jpeg": "JPEG", "image/png": "PNG", "image/gif": "GIF", "image/webp": "WEBP"}
_SAVED: dict[str, dict[str, Any]] = {
    "image/jpeg": {"quality": 90, "optimize": True},
    "image/png": {"compress_level": 4},
    "image/gif": {},
    "image/webp": {"quality": 90, "method": 2},
}
# modes that each format keeps; others become RGB, or RGBA where they have transparency
_MODES: dict[str, set[str]] = {
    "image/jpeg": {"L", "RGB"},
    "image/png": {"1", "L", "LA", "I;16", "P", "RGB", "RGBA"},
    "image/gif": {"1", "L", "P", "RGB", "RGBA"},
    "image/webp": {"RGB", "RGBA"},
}


class Faulty(Exception):
    """The image cannot be taken; says why."""


def work(job: Job) -> Done:
    """Do it. Whatever a decoder raises says that the image is broken."""
    try:
        return _made(job)
    except Faulty as fault:
        return Done(fault=str(fault))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        return Done(fault="has more than 25 million pixels")
    except MemoryError:
        return Done(fault="takes too much memory to decode")
    except Exception as error:
        return Done(fault=f"cannot be decoded ({type(error).__name__})")


def _made(job: Job) -> Done:
    with Image.open(job.source, formats=[_FORMATS[job.kind]]) as image:
        if job.side is not None:
            image.draft(None, (2 * job.side, 2 * job.side))  # a JPEG can be decoded at a fraction of its size
            small = _small(image, job.side, square=job.square)
            small.save(job.target, "WEBP", quality=80, method=4)
            return Done(width=small.width, height=small.height)
        frames = list(_frames(image, job.kind)) if _is_animated(image) else [_upright(image, job.kind)]
        first, durations = frames[0], image.info.get("duration")
        more: dict[str, Any] = {}
        if len(frames) > 1:
            durations = [frame.info.get("duration", 100) for frame in frames]
            more = {"save_all": True, "append_images": frames[1:], "duration": durations}
            more |= {"loop": image.info["loop"]} if "loop" in image.info else {}
        for frame in frames:
            frame.info = {key: frame.info[key] for key in ("transparency", "background") if key in frame.info}
        first.save(job.target, _FORMATS[job.kind], **_SAVED[job.kind], **more)
        return Done(width=first.width, height=first.height)


def _is_animated(image: ImageFile.ImageFile) -> bool:
    """Whether it has more than one picture; they are counted without being decoded.

    :raises Faulty: there are too many.
    """
    frames = 1
    if image.format == "GIF":
        with Image.open(image.filename, formats=["GIF"]) as counted, suppress(EOFError):
            while frames <= FRAMES:
                counted._seek(frames, False)  # type: ignore[attr-defined] # the step of `seek` that decodes nothing
                frames += 1
    else:
        frames = getattr(image, "n_frames", 1)
    if frames > FRAMES or frames * image.width * image.height > 4 * PIXELS:
        raise Faulty(f"has too many pictures: more than {FRAMES}, or 100 million pixels in all")
    return frames > 1


def _frames(image: ImageFile.ImageFile, kind: str) -> Iterator[Image.Image]:
    for frame in ImageSequence.Iterator(image):
        copy = _fitting(frame.copy(), kind)
        copy.info = dict(frame.info)
        yield copy


def _upright(image: Image.Image, kind: str) -> Image.Image:
    """Turned as its EXIF data says (CIPA DC-008 4.6.5, tag 0x0112), in sRGB."""
    image.load()
    return _fitting(_in_srgb(ImageOps.exif_transpose(image)), kind)


def _in_srgb(image: Image.Image) -> Image.Image:
    profile = image.info.get("icc_profile")
    if not profile or image.mode not in ("RGB", "RGBA", "CMYK"):
        return image
    mode = "RGBA" if image.mode == "RGBA" else "RGB"
    # a profile that cannot be read is left out, as browsers do
    with suppress(ImageCms.PyCMSError, OSError, ValueError):
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode=mode)
        if converted is not None:
            return converted
    return image


def _fitting(image: Image.Image, kind: str) -> Image.Image:
    if image.mode in _MODES[kind]:
        return image
    transparent = image.has_transparency_data and "RGBA" in _MODES[kind]
    return image.convert("RGBA" if transparent else "RGB")


def _small(image: Image.Image, side: int, *, square: bool) -> Image.Image:
    """The first picture of it; what is small already is not made larger, but for a square."""
    image.load()
    turned = ImageOps.exif_transpose(image)
    plain = turned.convert("RGBA" if turned.has_transparency_data else "RGB")
    plain.info = {}
    if square:
        return ImageOps.fit(plain, (side, side))
    plain.thumbnail((side, side), reducing_gap=2.0)
    return plain


def main() -> None:
    """Jobs in lines of JSON, an answer in a line for each, until the input ends."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_BYTES, FILE_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    warnings.simplefilter("ignore")
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    Image.MAX_IMAGE_PIXELS = PIXELS
    Image.init()
    decode = msgspec.json.Decoder(Job).decode
    for line in sys.stdin.buffer:
        job = decode(line)
        signal.setitimer(signal.ITIMER_REAL, SECONDS)  # whose signal ends the process
        done = work(job)
        signal.setitimer(signal.ITIMER_REAL, 0)
        if done.fault is not None:
            Path(job.target).unlink(missing_ok=True)
        sys.stdout.buffer.write(msgspec.json.encode(done) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
