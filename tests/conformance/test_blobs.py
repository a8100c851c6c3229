"""What `Blobs` promises, asked of all drivers; and that twins which break a promise are found out."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import sys
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import aiohttp
import msgspec
import pytest

from config.settings import Settings
from runtime import connect
from runtime.drivers.blobs_cloudinary import CloudinaryBlobs
from runtime.drivers.blobs_files import FileBlobs
from runtime.drivers.blobs_s3 import S3Blobs
from runtime.ports import BlobInfo, Blobs, LocalFile
from tests.conformance.cloudinary_server import cloudinary_server, cloudinary_url

MIB = 1 << 20
BIG = bytes(range(256)) * 4096 * 11 + b"tail"  # 11 MiB and a bit: three parts of a multipart upload


class Place(msgspec.Struct, frozen=True):
    """A store, its URL, and a key prefix that no other test uses."""

    blobs: Blobs
    url: str
    prefix: str

    def key(self, name: str) -> str:
        return f"{self.prefix}/{name}"


Make = Callable[[], AbstractAsyncContextManager[Place]]
Promise = Callable[[Make], Awaitable[None]]


async def pieces(content: bytes, size: int = 100_000) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


async def put(place: Place, name: str, content: bytes, content_type: str = "text/plain") -> BlobInfo:
    return await place.blobs.put(place.key(name), pieces(content), content_type=content_type)


async def get(place: Place, name: str, start: int = 0, end: int | None = None) -> bytes:
    return b"".join([piece async for piece in place.blobs.get(place.key(name), start=start, end=end)])


async def names(place: Place, prefix: str = "") -> list[str]:
    return [info.key.removeprefix(f"{place.prefix}/") async for info in place.blobs.list(f"{place.prefix}/{prefix}")]


# ---------------------------------------------------------------------------------------------- promises


async def promise_what_is_put_comes_back_with_what_is_known_of_it(make: Make) -> None:
    async with make() as place:
        for content in (b"", b"x", BIG[: 5 * MIB], BIG):
            before = int(time.time() * 1000)
            stored = await put(place, "a/b.bin", content, "image/png")
            found = await place.blobs.info(place.key("a/b.bin"))
            assert await get(place, "a/b.bin") == content
            assert found is not None
            assert (found.key, found.size, found.content_type) == (place.key("a/b.bin"), len(content), "image/png")
            assert (stored.key, stored.size, stored.content_type) == (found.key, found.size, found.content_type)
            assert stored.etag == found.etag
            assert '"' not in found.etag
            for moment in (stored.modified_at, found.modified_at):  # S3 tells whole seconds
                assert before - 1000 <= moment <= time.time() * 1000 + 1000


async def promise_a_new_object_replaces_the_old_one_in_one_step(make: Make) -> None:
    async with make() as place:
        old = await put(place, "a", BIG[: 6 * MIB], "text/plain")
        reading = place.blobs.get(place.key("a"))
        read = [await anext(reading)]
        new = await put(place, "a", b"new", "image/gif")
        read += [piece async for piece in reading]
        assert b"".join(read) == BIG[: 6 * MIB]  # who reads on gets all of the old one
        assert await get(place, "a") == b"new"
        info = await place.blobs.info(place.key("a"))
        assert info is not None
        assert (info.content_type, info.size) == ("image/gif", 3)
        assert info.etag == new.etag != old.etag


async def promise_nothing_is_visible_before_the_end(make: Make) -> None:
    async with make() as place:
        await put(place, "old", b"old")
        seen: list[object] = []

        async def watched() -> AsyncIterator[bytes]:
            async for piece in pieces(BIG, MIB):
                yield piece
            seen.extend([await place.blobs.info(place.key("new")), await get(place, "old"), await names(place)])

        await place.blobs.put(place.key("new"), watched(), content_type="text/plain")
        await place.blobs.put(place.key("old"), watched(), content_type="text/plain")
        assert seen == [None, b"old", ["old"], await place.blobs.info(place.key("new")), b"old", ["new", "old"]]


async def promise_a_failed_put_stores_nothing_and_leaves_nothing(make: Make) -> None:
    async with make() as place:
        await put(place, "kept", b"kept")

        async def failing(size: int) -> AsyncIterator[bytes]:
            async for piece in pieces(BIG[:size], MIB):
                yield piece
            raise ConnectionResetError("the client went away")

        for size in (0, MIB, 11 * MIB):
            for name in ("kept", "new"):
                with pytest.raises(ConnectionResetError):
                    await place.blobs.put(place.key(name), failing(size), content_type="text/plain")
        assert await names(place) == ["kept"]
        assert await get(place, "kept") == b"kept"
        assert await place.blobs.sweep(older_than_ms=-60_000) == 0


async def promise_a_cancelled_put_stores_nothing_and_leaves_nothing(make: Make) -> None:
    async with make() as place:
        stuck = asyncio.Event()

        async def stalling() -> AsyncIterator[bytes]:
            async for piece in pieces(BIG, MIB):
                yield piece
            stuck.set()
            await asyncio.Event().wait()

        task = asyncio.create_task(place.blobs.put(place.key("a"), stalling(), content_type="text/plain"))
        await stuck.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await names(place) == []
        assert await place.blobs.sweep(older_than_ms=-60_000) == 0


async def promise_a_range_is_what_a_slice_is(make: Make) -> None:
    async with make() as place:
        content = BIG[:600_000]
        await put(place, "a", content)
        await put(place, "empty", b"")
        size = len(content)
        for start, end in ((0, 1), (1, 10), (size - 1, None), (300_000, 300_001), (5, 5), (9, 3), (0, size + 5)):
            assert await get(place, "a", start, end) == content[start:end]
        assert await get(place, "a", size) == await get(place, "a", size + 9, size + 20) == b""
        assert await get(place, "empty") == await get(place, "empty", 0, 5) == b""


async def promise_a_local_file_is_the_object_and_stays_it(make: Make) -> None:
    async with make() as place:
        await put(place, "a", BIG)
        opened = await place.blobs.local_file(place.key("a"))
        if "local_files" in place.blobs.lacks:
            assert opened is None
            return
        assert opened is not None
        await put(place, "a", b"another")
        with opened.file as file:
            assert opened.size == len(BIG)
            assert file.read(opened.size) == BIG
        await place.blobs.delete([place.key("a")])
        with pytest.raises(KeyError):
            await place.blobs.local_file(place.key("a"))


async def promise_what_is_not_there_is_said_not_to_be(make: Make) -> None:
    async with make() as place:
        await put(place, "folder/file", b"x")
        for name in ("missing", "folder", "folder/file/below", "a/b/c"):
            assert await place.blobs.info(place.key(name)) is None
            for start, end in ((0, None), (3, 9), (4, 4)):
                with pytest.raises(KeyError):
                    await get(place, name, start, end)


async def promise_what_is_deleted_is_gone_and_missing_ones_are_no_error(make: Make) -> None:
    async with make() as place:
        for number in range(20):
            await put(place, f"a/{number}", b"x")
        await place.blobs.delete([place.key("missing"), *(place.key(f"a/{number}") for number in range(1, 20))])
        assert await names(place) == ["a/0"]
        await place.blobs.delete([place.key("a/0")])
        await place.blobs.delete([])
        assert await names(place) == []
        await put(place, "a", b"what was a folder")


async def promise_a_list_is_sorted_by_key_and_complete(make: Make) -> None:
    async with make() as place:
        keys = ["a-b", "a.b", "a/b", "a/b-c", "a/c/d", "a0", "B", "_", "z/z"]
        for key in keys:
            await put(place, key, key.encode())
        assert await names(place) == sorted(keys)
        assert await names(place, "a") == sorted(key for key in keys if key.startswith("a"))
        assert await names(place, "a/") == ["a/b", "a/b-c", "a/c/d"]
        assert await names(place, "a/b") == ["a/b", "a/b-c"]
        assert await names(place, "missing/") == []
        async for info in place.blobs.list(place.key("a/c/")):
            found = await place.blobs.info(info.key)
            assert found is not None
            assert (info.size, info.modified_at // 1000) == (found.size, found.modified_at // 1000)
            assert info.etag in ("", found.etag)


async def promise_a_key_that_could_lead_elsewhere_is_refused(make: Make) -> None:
    async with make() as place:
        bad = [
            "",
            "/",
            "/a",
            "a/",
            "a//b",
            "..",
            "a/../b",
            "./a",
            ".a",
            "a\\b",
            "a b",
            "ä",
            "a\x00",
            "a\n",
            "a?b",
            "%2e",
        ]
        bad += ["x" * 129, "/".join(["x" * 100] * 6)]
        for key in bad:
            with pytest.raises(ValueError, match="key"):
                await place.blobs.put(key, pieces(b"x"), content_type="text/plain")
            with pytest.raises(ValueError, match="key"):
                await place.blobs.info(key)
            with pytest.raises(ValueError, match="key"):
                _ = [piece async for piece in place.blobs.get(key)]
            with pytest.raises(ValueError, match="key"):
                await place.blobs.delete([place.key("a"), key])
        for prefix in ("../", "/", "a/../", ".", "a//"):
            with pytest.raises(ValueError, match="key"):
                _ = [info async for info in place.blobs.list(prefix)]


async def promise_memory_is_bounded(make: Make) -> None:
    async with make() as place:

        async def endless() -> AsyncIterator[bytes]:
            for _ in range(48):
                yield bytes(MIB)

        await put(place, "warm", BIG[: 6 * MIB])
        gc.collect()
        tracemalloc.start()
        try:
            await place.blobs.put(place.key("a"), endless(), content_type="text/plain")
            size = 0
            async for piece in place.blobs.get(place.key("a")):
                size += len(piece)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert size == 48 * MIB
        assert peak < 24 * MIB


async def promise_what_a_killed_process_left_is_swept_once_it_is_old(make: Make) -> None:
    async with make() as place:
        writer = await asyncio.create_subprocess_exec(
            sys.executable, "-c", KILLED_WRITER, place.url, place.key("a"), stdout=asyncio.subprocess.PIPE
        )
        assert writer.stdout is not None
        assert await writer.stdout.readline() == b"in the middle\n"
        writer.kill()
        await writer.wait()
        assert await names(place) == []
        if "sweep" in place.blobs.lacks:
            assert await place.blobs.sweep(older_than_ms=-60_000) == 0
            return
        assert await place.blobs.sweep(older_than_ms=60_000) == 0  # it could be another's, still at work
        assert await place.blobs.sweep(older_than_ms=-60_000) == 1
        assert await place.blobs.sweep(older_than_ms=-60_000) == 0


KILLED_WRITER = f"""
import asyncio, sys
from config.settings import Settings
from runtime import connect

async def chunks():
    for _ in range(12):
        yield bytes({MIB})
    print("in the middle", flush=True)
    await asyncio.Event().wait()

async def main(url, key):
    blobs = connect.blobs(Settings(blob_url=url))
    await blobs.open()
    await blobs.put(key, chunks(), content_type="text/plain")

asyncio.run(main(*sys.argv[1:]))
"""


async def promise_a_moved_object_has_its_new_key_alone(make: Make) -> None:
    async with make() as place:
        await put(place, "from/a", b"bytes", content_type="image/png")
        await put(place, "to", b"what was there before")
        await place.blobs.move(place.key("from/a"), place.key("to"))
        assert await place.blobs.info(place.key("from/a")) is None
        info = await place.blobs.info(place.key("to"))
        assert info is not None
        assert (info.size, info.content_type) == (5, "image/png")
        await put(place, "from/a", b"another")
        assert b"".join([piece async for piece in place.blobs.get(place.key("to"))]) == b"bytes"
        with pytest.raises(KeyError):
            await place.blobs.move(place.key("missing"), place.key("to"))
        with pytest.raises(ValueError, match="key"):
            await place.blobs.move(place.key("from/a"), "../outside")


async def promise_a_signed_address_serves_that_object_and_method_until_it_expires(make: Make) -> None:
    async with make() as place, aiohttp.ClientSession() as client:
        if "signed_urls" in place.blobs.lacks:
            assert place.blobs.url(place.key("a"), expires_s=60) is None
            assert place.blobs.upload_url(place.key("a"), expires_s=60, size=5, content_type="image/png") is None
            return
        sha256 = hashlib.sha256(b"bytes").hexdigest()
        upload = place.blobs.upload_url(place.key("a"), expires_s=60, size=5, content_type="image/png", sha256=sha256)
        assert upload is not None
        bound = dict(upload.headers)
        for data, headers in (
            (b"bytes", bound | {"Content-Type": "text/html"}),
            (b"more bytes", bound | {"Content-Length": "10"}),
        ):
            async with client.put(upload.url, data=data, headers=headers) as answer:
                assert answer.status == 403
        async with client.put(upload.url, data=b"bytes", headers=bound) as answer:
            assert answer.status == 200
        info = await place.blobs.info(place.key("a"))
        assert info is not None
        assert (info.size, info.content_type) == (5, "image/png")

        download = place.blobs.url(place.key("a"), expires_s=60)
        assert download is not None
        async with client.get(download) as answer:
            assert (answer.status, await answer.read()) == (200, b"bytes")
        other = download.replace(place.key("a"), place.key("b"))
        for refused in (client.delete(download), client.put(download, data=b""), client.get(other)):
            async with refused as answer:
                assert answer.status == 403
        expiring = place.blobs.url(place.key("a"), expires_s=1)
        assert expiring is not None
        async with asyncio.timeout(5):
            while True:
                async with client.get(expiring) as answer:
                    if answer.status == 403:
                        break
                await asyncio.sleep(0.1)


async def promise_ping_answers_and_opening_twice_does_no_harm(make: Make) -> None:
    async with make() as one, make() as other:
        await one.blobs.ping()
        await put(one, "a", b"x")
        assert await other.blobs.info(one.key("a")) is not None


PROMISES = [each for name, each in globals().items() if name.startswith("promise_")]


@pytest.fixture
async def cloudinary(tmp_path: Path, free_port: Callable[[], int]) -> AsyncIterator[str]:
    """The address of a cloud of one's own."""
    port = free_port()
    (tmp_path / "cloud").mkdir()
    async with cloudinary_server(tmp_path / "cloud", port):
        yield cloudinary_url(port)


@pytest.fixture(params=["files", "s3_url", "cloudinary"])
def make(request: pytest.FixtureRequest, run_id: str, tmp_path: Path) -> Make:
    url = f"file:{tmp_path}/media" if request.param == "files" else request.getfixturevalue(request.param)
    prefix = f"{run_id}/{tmp_path.name}"

    @asynccontextmanager
    async def opened() -> AsyncIterator[Place]:
        blobs = connect.blobs(Settings(blob_url=url))
        await blobs.open()
        try:
            yield Place(blobs, url, prefix)
            await blobs.delete([info.key async for info in blobs.list(prefix + "/")])
        finally:
            await blobs.close()

    return opened


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.__name__)
async def test_keeps(promise: Promise, make: Make) -> None:
    await promise(make)


def test_what_is_not_promised_is_declared() -> None:
    assert FileBlobs.lacks == {"signed_urls"}
    assert S3Blobs.lacks == {"local_files"}
    assert CloudinaryBlobs.lacks == {"local_files", "signed_urls", "ranges", "sweep"}


# ------------------------------------------------------------------------------------------ broken twins


class WritesInPlace(FileBlobs):
    async def put(self, key: str, chunks: AsyncIterator[bytes], *, content_type: str) -> BlobInfo:
        async def once(content: bytes) -> AsyncIterator[bytes]:
            yield content

        content = b""
        async for chunk in chunks:
            content += chunk
            stored = await super().put(key, once(content), content_type=content_type)
        return stored


class HoldsAll(FileBlobs):
    async def put(self, key: str, chunks: AsyncIterator[bytes], *, content_type: str) -> BlobInfo:
        everything = [chunk async for chunk in chunks]
        return await super().put(key, pieces(b"".join(everything), MIB), content_type=content_type)


class IncludesTheEnd(FileBlobs):
    async def get(self, key: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        async for piece in super().get(key, start=start, end=None if end is None else end + 1):
            yield piece


class ShowsItsTrailer(FileBlobs):
    async def local_file(self, key: str) -> LocalFile | None:
        opened = await super().local_file(key)
        return opened and LocalFile(opened.file, opened.size + 512)


class ForgetsTypes(FileBlobs):
    async def put(self, key: str, chunks: AsyncIterator[bytes], *, content_type: str) -> BlobInfo:
        return await super().put(key, chunks, content_type="application/octet-stream")


class ListsAsItComes(FileBlobs):
    async def list(self, prefix: str) -> AsyncIterator[BlobInfo]:
        for info in reversed([info async for info in super().list(prefix)]):
            yield info


class SweepsTooEarly(FileBlobs):
    async def sweep(self, *, older_than_ms: int) -> int:
        return await super().sweep(older_than_ms=0)


class StopsAtTheFirstMissing(FileBlobs):
    async def delete(self, keys: Sequence[str]) -> None:
        for key in keys:
            if await self.info(key) is None:
                return
            await super().delete([key])


class SignsNothing(FileBlobs):
    def url(self, key: str, *, expires_s: int, answer: Mapping[str, str] | None = None) -> str | None:
        return f"file:{key}"


class LeavesACopy(FileBlobs):
    async def move(self, source: str, target: str) -> None:
        await self.put(target, self.get(source), content_type="image/png")


@pytest.mark.parametrize(
    ("twin", "promise"),
    [
        (WritesInPlace, promise_nothing_is_visible_before_the_end),
        (WritesInPlace, promise_a_failed_put_stores_nothing_and_leaves_nothing),
        (WritesInPlace, promise_a_cancelled_put_stores_nothing_and_leaves_nothing),
        (HoldsAll, promise_memory_is_bounded),
        (IncludesTheEnd, promise_a_range_is_what_a_slice_is),
        (ShowsItsTrailer, promise_a_local_file_is_the_object_and_stays_it),
        (ForgetsTypes, promise_what_is_put_comes_back_with_what_is_known_of_it),
        (ListsAsItComes, promise_a_list_is_sorted_by_key_and_complete),
        (SweepsTooEarly, promise_what_a_killed_process_left_is_swept_once_it_is_old),
        (StopsAtTheFirstMissing, promise_what_is_deleted_is_gone_and_missing_ones_are_no_error),
        (LeavesACopy, promise_a_moved_object_has_its_new_key_alone),
        (SignsNothing, promise_a_signed_address_serves_that_object_and_method_until_it_expires),
    ],
)
async def test_a_broken_twin_is_found_out(twin: type[FileBlobs], promise: Promise, tmp_path: Path) -> None:
    @asynccontextmanager
    async def opened() -> AsyncIterator[Place]:
        blobs = twin(tmp_path)
        await blobs.open()
        yield Place(blobs, f"file:{tmp_path}", "p")
        await blobs.close()

    with pytest.raises((AssertionError, UnboundLocalError)):
        await promise(opened)
