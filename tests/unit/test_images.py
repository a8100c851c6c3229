"""Images are encoded anew, in processes of their own that may die."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from PIL import Image

from actors.image_jobs import Done, Job
from actors.images import Images
from runtime.errors import Overloaded
from tests.pictures import GPS, claims, image, noise, opened, photograph

KINDS = {"JPEG": "image/jpeg", "PNG": "image/png", "GIF": "image/gif", "WEBP": "image/webp"}


@pytest.fixture(scope="module")
async def images() -> AsyncIterator[Images]:
    images = Images()
    yield images
    await images.close()


class Desk:
    """Where one image lies."""

    def __init__(self, images: Images, folder: Path) -> None:
        self._images = images
        self._source, self._target = folder / "source", folder / "target"

    async def make(self, content: bytes, kind: str, *, side: int | None = None, square: bool = False) -> Done:
        self._source.write_bytes(content)
        job = Job(source=str(self._source), target=str(self._target), kind=KINDS[kind], side=side, square=square)
        return await self._images.make(job)

    @property
    def made(self) -> bytes:
        return self._target.read_bytes()


@pytest.fixture
def desk(images: Images, tmp_path: Path) -> Desk:
    return Desk(images, tmp_path)


@pytest.mark.parametrize("kind", KINDS)
async def test_an_image_stays_what_it_is(desk: Desk, kind: str) -> None:
    assert await desk.make(image(kind), kind) == Done(width=40, height=30)
    made = opened(desk.made)
    assert (made.format, made.size) == (kind, (40, 30))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
async def test_it_stands_upright_and_does_not_say_where_it_was_taken(desk: Desk, kind: str) -> None:
    content = photograph(kind)
    assert GPS in content
    assert await desk.make(content, kind) == Done(width=30, height=40)
    made = opened(desk.made)
    assert made.size == (30, 40)
    assert not made.getexif()
    assert GPS not in desk.made


async def test_b93_no_byte_beside_the_image_is_kept(desk: Desk) -> None:
    evil = b"<script>alert(1)</script>"
    contents = {
        "GIF": image("GIF", comment=evil),
        "JPEG": image("JPEG", comment=evil),
        "PNG": image("PNG"),
        "WEBP": image("WEBP", xmp=evil),
    }
    for kind, content in contents.items():
        assert (await desk.make(content + evil, kind)).fault is None
        assert evil not in desk.made


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
async def test_an_animation_stays_one(desk: Desk, kind: str) -> None:
    assert (await desk.make(image(kind, frames=5, loop=3), kind)).fault is None
    made = opened(desk.made)
    assert getattr(made, "n_frames", 1) == 5
    assert made.info["loop"] == 3


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16"])
async def test_all_sorts_of_pixels_are_taken(desk: Desk, mode: str, tmp_path: Path) -> None:
    kind = "JPEG" if mode == "CMYK" else "PNG"
    Image.new(mode, (7, 5)).save(tmp_path / "image", kind)
    assert await desk.make((tmp_path / "image").read_bytes(), kind) == Done(width=7, height=5)
    assert opened(desk.made).size == (7, 5)


async def test_b94_too_many_pixels_are_refused_before_they_are_decoded(desk: Desk) -> None:
    await desk.make(image(), "PNG")
    started = time.monotonic()
    done = await desk.make(claims(50_000, 50_000), "PNG")
    assert done == Done(fault="has more than 25 million pixels")
    assert time.monotonic() - started < 1


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
async def test_b94_ten_thousand_pictures_are_refused(desk: Desk, kind: str) -> None:
    content = image(kind, (2, 2), frames=10_000)
    await desk.make(image(), "PNG")
    started = time.monotonic()
    done = await desk.make(content, kind)
    assert done.fault is not None
    assert "too many pictures" in done.fault
    assert time.monotonic() - started < 1


@pytest.mark.parametrize("kind", KINDS)
async def test_b95_a_broken_image_is_refused(desk: Desk, kind: str) -> None:
    content = noise(kind, (200, 200))
    for broken in (content[: len(content) // 2], content[:30], content[:12] + b"\0" * 500):
        done = await desk.make(broken, kind)
        assert done.fault is not None


async def test_another_kind_than_was_said_is_not_decoded(desk: Desk) -> None:
    assert (await desk.make(image("PNG"), "JPEG")).fault is not None


@pytest.mark.parametrize(
    ("size", "small"), [((2000, 1000), (512, 256)), ((100, 50), (100, 50)), ((1000, 3000), (171, 512))]
)
async def test_a_thumbnail_fits_and_is_never_larger(desk: Desk, size: tuple[int, int], small: tuple[int, int]) -> None:
    for kind in KINDS:
        done = await desk.make(image(kind, size), kind, side=512)
        assert (done.width, done.height) == small
        made = opened(desk.made)
        assert (made.format, made.size) == ("WEBP", small)


async def test_a_thumbnail_stands_upright_too(desk: Desk) -> None:
    assert await desk.make(photograph(size=(1000, 500)), "JPEG", side=512) == Done(width=256, height=512)
    assert GPS not in desk.made


async def test_a_square_has_its_side(desk: Desk) -> None:
    for size in ((300, 100), (20, 60)):
        assert await desk.make(image("PNG", size), "PNG", side=64, square=True) == Done(width=64, height=64)


async def test_a_worker_that_dies_is_replaced(tmp_path: Path) -> None:
    images = Images(workers=1)
    desk = Desk(images, tmp_path)
    await desk.make(image(), "PNG")
    (worker,) = images._idle
    os.kill(worker._process.pid, signal.SIGKILL)
    assert (await desk.make(image(), "PNG")).fault is None
    await images.close()
    assert worker._process.returncode == -signal.SIGKILL


async def test_more_than_can_wait_are_turned_away(tmp_path: Path) -> None:
    images = Images(workers=1, waiting=1)
    desks = [Desk(images, tmp_path / str(number)) for number in range(3)]
    for number in range(3):
        (tmp_path / str(number)).mkdir()
    answers = await asyncio.gather(*(desk.make(image(), "PNG") for desk in desks), return_exceptions=True)
    assert [isinstance(answer, Overloaded) for answer in answers] == [False, False, True]
    await images.close()


async def test_a_worker_gets_nothing_of_our_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "not for decoders")
    images = Images(workers=1)
    await Desk(images, tmp_path).make(image(), "PNG")
    (worker,) = images._idle
    with open(f"/proc/{worker._process.pid}/environ") as environment:  # noqa: ASYNC230 # which never blocks
        assert "not for decoders" not in environment.read()
    await images.close()
