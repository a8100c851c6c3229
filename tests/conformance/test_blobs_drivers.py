"""What is one driver's own: files and folders, an S3 server that goes away, and what Cloudinary counts and refuses."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from runtime.drivers import blobs_cloudinary, blobs_files, blobs_s3
from runtime.errors import BlobsAway, SettingError
from runtime.ports import Blobs
from tests.conformance.cloudinary_server import Cloudinary, cloudinary_server, cloudinary_url
from tests.conformance.proxy import Proxy

MIB = 1 << 20


async def pieces(*content: bytes) -> AsyncIterator[bytes]:
    for piece in content:
        yield piece


async def read(blobs: Blobs, key: str) -> bytes:
    return b"".join([piece async for piece in blobs.get(key)])


def entries(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


# ---------------------------------------------------------------------------------------------- of files


async def test_a_folder_that_cannot_be_used_is_away(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    blobs = blobs_files.connect(f"file:{tmp_path}/file/media")
    for call in (blobs.open(), blobs.ping(), blobs.put("a", pieces(b"x"), content_type="text/plain")):
        with pytest.raises(BlobsAway):
            await call
    await blobs.close()


async def test_files_end_with_their_metadata_and_folders_that_are_empty_are_removed(tmp_path: Path) -> None:
    blobs = blobs_files.connect(f"file:{tmp_path}")
    await blobs.open()
    stored = await blobs.put("a/b/c", pieces(b"content"), content_type="text/plain")
    assert (tmp_path / "a/b/c").read_bytes().startswith(b"content")
    assert stored.etag.encode() in (tmp_path / "a/b/c").read_bytes()
    await blobs.delete(["a/b/c"])
    assert entries(tmp_path) == [".unfinished"]
    with pytest.raises(ValueError, match="content type"):
        await blobs.put("a", pieces(b"x"), content_type="x" * 600)
    assert entries(tmp_path / ".unfinished") == []
    await blobs.close()


async def test_puts_and_deletes_of_one_folder_at_once_do_not_hinder_each_other(tmp_path: Path) -> None:
    blobs = blobs_files.connect(f"file:{tmp_path}")
    await blobs.open()

    async def put_and_delete(number: int) -> None:
        for _ in range(20):
            await blobs.put(f"a/b/{number}", pieces(b"x"), content_type="text/plain")
            await blobs.delete([f"a/b/{number}"])

    await asyncio.gather(*(put_and_delete(number) for number in range(4)))
    await blobs.close()


@pytest.mark.parametrize("url", ["file:", "file://host/media", "file:media?a=1"])
def test_files_say_which_url_would_be_right(url: str) -> None:
    with pytest.raises(SettingError, match="file:var/media"):
        blobs_files.connect(url)


# ------------------------------------------------------------------------------------------------- of S3


async def test_an_s3_that_is_down_is_away_soon_and_opening_says_so(free_port: Callable[[], int]) -> None:
    blobs = blobs_s3.connect(f"s3://bucket?endpoint=http://k:s@127.0.0.1:{free_port()}")
    began = time.monotonic()
    with pytest.raises(BlobsAway):
        await blobs.open()
    assert time.monotonic() - began < 2.5


async def test_an_s3_that_goes_away_and_comes_back_is_usable_again(s3_url: str, run_id: str) -> None:
    endpoint = urlsplit(s3_url.partition("endpoint=")[2])
    async with Proxy(endpoint.hostname or "", endpoint.port or 80) as proxy:
        blobs = blobs_s3.connect(s3_url.replace(f"{endpoint.hostname}:{endpoint.port}", f"127.0.0.1:{proxy.port}"))
        await blobs.open()
        key = f"{run_id}/away"
        content = bytes(range(256)) * 4096 * 11
        await blobs.put(key, pieces(content), content_type="text/plain")

        body = blobs.get(key)
        await anext(body)
        await proxy.down()
        with pytest.raises(BlobsAway):
            _ = [piece async for piece in body]
        began = time.monotonic()
        calls = (blobs.ping(), blobs.info(key), blobs.delete([key]), blobs.sweep(older_than_ms=0), read(blobs, key))
        assert {type(answer) for answer in await asyncio.gather(*calls, return_exceptions=True)} == {BlobsAway}
        assert time.monotonic() - began < 2.5
        await proxy.up()
        assert await read(blobs, key) == content

        async def interrupted() -> AsyncIterator[bytes]:
            yield bytes(11 * MIB)
            await proxy.down()
            yield bytes(11 * MIB)

        with pytest.raises(BlobsAway):
            await blobs.put(f"{run_id}/half", interrupted(), content_type="text/plain")
        await proxy.up()
        assert await blobs.info(f"{run_id}/half") is None
        assert await blobs.sweep(older_than_ms=-60_000) == 1  # which could not be aborted while it was away
        await blobs.delete([key])
        await blobs.close()


async def test_a_missing_bucket_is_made(s3_url: str, run_id: str) -> None:
    bucket = urlsplit(s3_url).netloc
    blobs = blobs_s3.connect(s3_url.replace(f"s3://{bucket}", f"s3://made-{run_id}", 1))
    await blobs.open()
    await blobs.put("a", pieces(b"x"), content_type="text/plain")
    await blobs.delete(["a"])
    await blobs.close()


async def test_wrong_credentials_are_away_not_missing(s3_url: str) -> None:
    endpoint = urlsplit(s3_url.partition("endpoint=")[2])
    blobs = blobs_s3.connect(s3_url.replace(f":{endpoint.password}@", ":wrong@"))
    with pytest.raises(BlobsAway):
        await blobs.open()


def test_signed_addresses_name_the_public_endpoint_and_credentials_may_come_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKID")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a+b/c")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
    blobs = blobs_s3.connect("s3://b?public_endpoint=https://media.example.org/&region=eu-central-1")
    signed = blobs.url("a/b", expires_s=300)
    assert signed is not None
    assert signed.startswith("https://media.example.org/b/a/b?X-Amz-Algorithm=AWS4-HMAC-SHA256")
    for part in ("Credential=AKID%2F", "%2Feu-central-1%2Fs3%2F", "X-Amz-Expires=300", "Security-Token=token"):
        assert part in signed
    amazon = blobs_s3.connect("s3://b?region=eu-central-1").url("a", expires_s=1)
    assert amazon is not None
    assert amazon.startswith("https://s3.eu-central-1.amazonaws.com/b/a?")


@pytest.mark.parametrize(
    ("url", "right"),
    [
        ("s3://?endpoint=http://k:s@h", "s3://bucket"),
        ("s3://b/path?endpoint=http://k:s@h", "s3://bucket"),
        ("s3://b?endpoint=ftp://k:s@h", "http://key:secret@host"),
        ("s3://b?endpoint=http://h", "credentials"),
        ("s3://b?endpoint=http://k:s@h&zone=1", "public_endpoint"),
        ("s3://b?endpoint=http://k:s@h&connect_timeout_s=x", "connect_timeout_s"),
    ],
)
def test_s3_says_which_url_would_be_right(url: str, right: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SettingError, match=right):
        blobs_s3.connect(url)


# ----------------------------------------------------------------------------------------- of Cloudinary


@asynccontextmanager
async def clouded(folder: Path, port: int) -> AsyncIterator[tuple[Cloudinary, Blobs]]:
    async with cloudinary_server(folder, port) as cloud:
        blobs = blobs_cloudinary.connect(cloudinary_url(port))
        await blobs.open()
        try:
            yield cloud, blobs
        finally:
            await blobs.close()


def test_a_signature_is_made_of_the_string_that_cloudinary_documents() -> None:
    """The example of "Generating authentication signatures", whose digest is SHA-1's."""
    wanted = {"timestamp": "1315060510", "public_id": "sample_image", "eager": "w_400,h_300,c_pad|w_260,h_200,c_crop"}
    signed = blobs_cloudinary.string_to_sign(wanted) + "abcd"
    assert hashlib.sha1(signed.encode()).hexdigest() == "bfd09f95f331f558cbd1320e67aa8d488770583e"


def test_a_value_cannot_sign_for_another_parameter() -> None:
    one = blobs_cloudinary.string_to_sign({"context": "content_type=a&overwrite=true"})
    assert one != blobs_cloudinary.string_to_sign({"context": "content_type=a", "overwrite": "true"})


async def test_cloudinary_counts_only_what_is_looked_up(tmp_path: Path, free_port: Callable[[], int]) -> None:
    async with clouded(tmp_path, free_port()) as (cloud, blobs):
        await blobs.ping()
        await blobs.put("a", pieces(b"x"), content_type="text/plain;charset=utf-8|&")
        assert await read(blobs, "a") == b"x"
        await blobs.move("a", "b")
        assert cloud.counted == 0
        info = await blobs.info("b")
        assert info is not None
        assert info.content_type == "text/plain;charset=utf-8|&"
        assert cloud.counted == 1
        await blobs.delete(["b", "c"])
        assert cloud.counted == 1
        assert cloud.assets == {}


async def test_what_others_keep_in_a_cloud_is_not_looked_at(tmp_path: Path, free_port: Callable[[], int]) -> None:
    port = free_port()
    async with clouded(tmp_path, port) as (cloud, blobs):
        other = blobs_cloudinary.connect(cloudinary_url(port).replace("?", "/other?"))
        await other.open()
        await other.put("a", pieces(b"x"), content_type="text/plain")
        assert list(cloud.assets) == ["other/a"]
        assert [info.key async for info in blobs.list("")] == []
        assert [info.key async for info in other.list("")] == ["a"]
        await other.close()


@pytest.mark.parametrize(("status", "reason"), [(420, "this hour"), (401, "HTTP 401"), (500, "HTTP 500")])
async def test_a_cloud_that_refuses_is_away(
    tmp_path: Path, free_port: Callable[[], int], status: int, reason: str
) -> None:
    async with clouded(tmp_path, free_port()) as (cloud, blobs):
        cloud.status = status
        calls = (blobs.ping(), blobs.info("a"), blobs.delete(["a"]), blobs.move("a", "b"), read(blobs, "a"))
        for answer in await asyncio.gather(*calls, return_exceptions=True):
            assert isinstance(answer, BlobsAway)
            assert reason in str(answer)


async def test_an_api_that_is_not_cloudinarys_is_away(tmp_path: Path, free_port: Callable[[], int]) -> None:
    async with clouded(tmp_path, free_port()) as (cloud, blobs):
        cloud.status = 404
        with pytest.raises(BlobsAway, match="documented"):
            await blobs.ping()
        with pytest.raises(BlobsAway, match="documented"):
            await blobs.put("a", pieces(b"x"), content_type="text/plain")


async def test_a_wrong_secret_is_away_not_missing(tmp_path: Path, free_port: Callable[[], int]) -> None:
    port = free_port()
    async with cloudinary_server(tmp_path, port):
        blobs = blobs_cloudinary.connect(cloudinary_url(port).replace("@", "x@"))
        with pytest.raises(BlobsAway):
            await blobs.open()


async def test_a_cloud_that_is_down_is_away_soon(free_port: Callable[[], int]) -> None:
    began = time.monotonic()
    with pytest.raises(BlobsAway):
        await blobs_cloudinary.connect(cloudinary_url(free_port())).open()
    assert time.monotonic() - began < 2


async def test_a_cloud_that_goes_away_in_the_middle_is_away_and_usable_later(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    port = free_port()
    content = bytes(range(256)) * 4096 * 13
    async with cloudinary_server(tmp_path, port) as cloud, Proxy("127.0.0.1", port) as proxy:
        blobs = blobs_cloudinary.connect(cloudinary_url(proxy.port))
        await blobs.open()
        await blobs.put("a", pieces(content), content_type="text/plain")
        body = blobs.get("a")
        await anext(body)
        await proxy.down()
        with pytest.raises(BlobsAway):
            _ = [piece async for piece in body]
        await proxy.up()

        async def interrupted() -> AsyncIterator[bytes]:
            yield content
            await proxy.down()
            yield content

        with pytest.raises(BlobsAway):
            await blobs.put("half", interrupted(), content_type="text/plain")
        await proxy.up()
        assert list(cloud.assets) == ["troupe/a"]
        assert await read(blobs, "a") == content
        await blobs.close()


@pytest.mark.parametrize(
    ("url", "right"),
    [
        ("cloudinary://k:s@", "cloudinary://key:secret@cloud"),
        ("cloudinary://k@cloud", "cloudinary://key:secret@cloud"),
        ("cloudinary://k:s@cloud/a/b", "cloudinary://key:secret@cloud"),
        ("cloudinary://k:s@cloud?secure=true", "upload_prefix"),
        ("cloudinary://k:s@cloud?upload_prefix=api-eu.cloudinary.com", "https://api-eu"),
        ("cloudinary://k:s@cloud?connect_timeout_s=x", "connect_timeout_s"),
    ],
)
def test_cloudinary_says_which_url_would_be_right(url: str, right: str) -> None:
    with pytest.raises(SettingError, match=right):
        blobs_cloudinary.connect(url)
