"""What `Poster` promises: it reaches nothing that a user's address should not reach."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from ipaddress import ip_address, ip_network

import pytest

from runtime.drivers.post_http import HttpPoster, connect, is_public, plain
from runtime.errors import Invalid, TargetAway
from tests.actors.receiver import Receiver, receiving

HERE = [ip_network("127.0.0.0/8")]
EVERYWHERE = [ip_network("0.0.0.0/0"), ip_network("::/0")]

NOT_PUBLIC = [
    # B102
    "http://127.0.0.1/",
    "http://127.8.9.10:8080/",
    "http://[::1]/",
    "http://0.0.0.0/",
    "http://[::]/",
    "http://10.1.2.3/",
    "http://172.16.0.1/",
    "http://192.168.1.1/",
    "http://100.64.0.1/",
    "http://169.254.169.254/latest/meta-data/",
    "http://[fe80::1]/",
    "http://[fd00:ec2::254]/",
    "http://224.0.0.1/",
    "http://[ff02::1]/",
    "http://255.255.255.255/",
    "http://192.0.2.1/",
    "http://localhost/",
    "http://localhost:5432/",
    "http://LOCALHOST./",
    "http://metadata.google.internal/computeMetadata/v1/",
    "http://metadata/",
    "http://printer.local/",
    # B103
    "http://2130706433/",
    "http://0177.0.0.1/",
    "http://0x7f.0.0.1/",
    "http://0x7f000001/",
    "http://017700000001/",
    "http://127.1/",
    "http://0/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[::ffff:a9fe:a9fe]/",
    "http://[64:ff9b::127.0.0.1]/",
    "http://[64:ff9b::a9fe:a9fe]/",
    "http://[64:ff9b:1::7f00:1]/",
    "http://[::127.0.0.1]/",
    "http://[2002:7f00:1::]/",
    "http://[2001:0:7f00:1::]/",
    "http://\uff11\uff12\uff17.0.0.1/",
    "http://①②⑦.0.0.1/",
]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


@asynccontextmanager
async def posting(poster: HttpPoster) -> AsyncIterator[HttpPoster]:
    try:
        yield poster
    finally:
        await poster.close()


def names(*answers: Sequence[str]) -> Callable[[str], Awaitable[Sequence[str]]]:
    """A resolver that gives these answers, one after the other, and the last one for ever."""
    waiting = list(answers)

    async def resolve(host: str) -> Sequence[str]:
        return waiting.pop(0) if len(waiting) > 1 else waiting[0]

    return resolve


async def no_name(host: str) -> Sequence[str]:
    raise OSError("no such name")


@pytest.mark.parametrize("url", NOT_PUBLIC)
async def test_b102_b103_what_is_not_public_is_refused(url: str) -> None:
    async with posting(HttpPoster()) as poster:
        with pytest.raises(Invalid) as refusal:
            await poster.check(url)
        assert refusal.value.code == "target.not_public"


@pytest.mark.parametrize("url", [url for url in NOT_PUBLIC if "local." not in url and "metadata" not in url])
async def test_b102_b103_nothing_is_sent_there_either(url: str) -> None:
    async with posting(HttpPoster()) as poster:
        with pytest.raises((Invalid, TargetAway)):
            await poster.post(url, b"{}", {})


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd", "gopher://example.org/", "http://", "http:///x", "http://user@example.org/",
        "http://user:password@example.org/", "http://example.org:99999/", "http://[::1/", "", "example.org",
    ],
)  # fmt: skip
async def test_b103_b105_what_is_no_such_url_is_refused(url: str) -> None:
    async with posting(HttpPoster(EVERYWHERE)) as poster:
        for act in (poster.check(url), poster.post(url, b"{}", {})):
            with pytest.raises(Invalid):
                await act


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(plain(ip_address(address)))


async def test_a_name_that_does_not_resolve_is_taken_and_fails_later() -> None:
    async with posting(HttpPoster(resolve=no_name)) as poster:
        await poster.check("https://receiver.example.org/hook")
        with pytest.raises(TargetAway):
            await poster.post("https://receiver.example.org/hook", b"{}", {})


async def test_one_address_that_is_not_public_is_enough_to_refuse() -> None:
    async with posting(HttpPoster(resolve=names(["8.8.8.8", "10.0.0.1"]))) as poster:
        with pytest.raises(Invalid):
            await poster.check("http://receiver.example.org/")


async def test_allowed_networks_may_be_reached_and_no_others(receiver: Receiver) -> None:
    async with posting(HttpPoster(HERE)) as poster:
        await poster.check(receiver.url)
        assert await poster.post(receiver.url, b'{"a":1}', {"webhook-id": "1"}) == 204
        with pytest.raises(Invalid):
            await poster.check("http://10.0.0.1/")
    ((headers, body),) = receiver.received
    assert (headers["webhook-id"], body) == ("1", b'{"a":1}')
    allowed = connect("10.0.0.0/8, fd00::/8")
    await allowed.check("http://10.0.0.1/")
    await allowed.check("http://[fd00::1]/")
    await allowed.check("http://[::ffff:10.0.0.1]/")
    await allowed.close()


async def test_b104_a_name_is_looked_at_again_and_the_connection_goes_to_what_was_looked_at(receiver: Receiver) -> None:
    url = f"http://receiver.example.org:{receiver.port}/"
    async with posting(HttpPoster(resolve=names(["8.8.8.8"], ["127.0.0.1"]))) as poster:
        await poster.check(url)  # public at first
        with pytest.raises(Invalid) as refusal:
            await poster.post(url, b"{}", {})
        assert refusal.value.code == "target.not_public"
    assert receiver.received == []
    async with posting(HttpPoster(HERE, resolve=names(["127.0.0.1"]))) as poster:
        assert await poster.post(url, b"{}", {}) == 204
    assert receiver.received[0][0]["host"] == f"receiver.example.org:{receiver.port}"


async def test_b105_redirects_are_not_followed(receiver: Receiver) -> None:
    receiver.location = f"http://127.0.0.1:{receiver.port}/inward"
    async with posting(HttpPoster(HERE)) as poster:
        assert await poster.post(receiver.url, b"{}", {}) == 307
    assert len(receiver.received) == 1


@asynccontextmanager
async def answering(answer: Callable[[asyncio.StreamWriter], Awaitable[None]]) -> AsyncIterator[str]:
    """A server that says what it wants."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            await answer(writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    server.close()


async def test_b106_an_endless_answer_is_not_read() -> None:
    sent = 0

    async def endless(writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()
            sent += 65536

    async with answering(endless) as url, posting(HttpPoster(HERE)) as poster:
        begun = time.monotonic()
        assert await poster.post(url, b"{}", {}) == 200
        assert time.monotonic() - begun < 2
        await asyncio.sleep(0.1)
        before = sent
        await asyncio.sleep(0.2)
        assert sent == before


async def test_b106_a_byte_a_second_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    async def drop_by_drop(writer: asyncio.StreamWriter) -> None:
        for byte in b"HTTP/1.1 200 OK\r\n" * 10:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(1)

    async with answering(drop_by_drop) as url, posting(HttpPoster(HERE)) as poster:
        begun = time.monotonic()
        with pytest.raises(TargetAway):
            await poster.post(url, b"{}", {})
        assert 4.5 < time.monotonic() - begun < 6.5


async def test_no_proxy_of_the_environment_is_used(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1/")
    async with posting(HttpPoster(HERE)) as poster:
        assert await poster.post(receiver.url, b"{}", {}) == 204


async def test_nobody_there_and_no_http_are_no_answer(free_port: Callable[[], int]) -> None:
    async def noise(writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.org ESMTP\r\n")
        await writer.drain()

    async with answering(noise) as url, posting(HttpPoster(HERE)) as poster:
        for each in (url, f"http://127.0.0.1:{free_port()}/"):
            with pytest.raises(TargetAway):
                await poster.post(each, b"{}", {})
