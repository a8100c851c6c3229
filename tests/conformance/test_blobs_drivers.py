"""What is one driver's own: files and folders, and an S3 server that goes away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from runtime.drivers import blobs_files, blobs_s3
from runtime.errors import BlobsAway, SettingError
from runtime.ports import Blobs
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
