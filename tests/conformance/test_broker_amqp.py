"""What happens to connections, and what becomes of the broker then. The ids are those of the faults it survives."""

from __future__ import annotations

import asyncio
import os
import re
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import aio_pika
import pamqp.frame
import pytest
from aiormq import spec
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from msgspec.structs import replace
from pamqp.base import Frame

from runtime.drivers import amqp_link, broker_amqp
from runtime.errors import BrokerAway, StartError
from runtime.ports import Broker, Delivery, Publication
from tests.conformance.broker_promises import LONG, TOPOLOGY, Inbox, confirmed, until, until_depth
from tests.conformance.broker_worlds import AmqpWorld
from tests.conformance.proxy import Proxy
from tests.conformance.watch_promises import Sights


class Wiretap(Proxy):
    """A proxy that can say something to the clients in the server's name, while the server is silent."""

    def say(self, frame: Frame) -> None:
        for client in self._clients:
            if not client.is_closing():
                client.write(pamqp.frame.marshal(frame, 0))


class Fuse(Proxy):
    """Ends a connection when a queue is declared on it, as a broker does that has a fault inside.

    :ivar blows: how many more times.
    """

    blows = 0

    def passes(self, piece: bytes) -> bool:
        if self.blows == 0 or b"x-queue-type" not in piece:
            return True
        self.blows -= 1
        return False


class TlsProxy(Proxy):
    """Takes TLS off what goes to a server."""

    def __init__(self, host: str, port: int, server: ssl.SSLContext) -> None:
        super().__init__(host, port)
        self._server = server

    async def up(self) -> None:
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", self.port, ssl=self._server)
        self.port = self._listener.sockets[0].getsockname()[1]


def certificates(directory: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate for localhost that signs itself: the file to trust, and a server that shows it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    trusted, private = directory / "trusted.pem", directory / "private.pem"
    trusted.write_bytes(certificate.public_bytes(Encoding.PEM))
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(trusted, private)
    return trusted, server


@pytest.fixture
async def proxy(amqp_url: str) -> AsyncIterator[Wiretap]:
    parts = urlsplit(amqp_url)
    async with Wiretap(parts.hostname or "", parts.port or 5672) as proxy:
        yield proxy


def through(proxy: Proxy, amqp_url: str) -> AmqpWorld:
    login, _, address = urlsplit(amqp_url).netloc.rpartition("@")
    return AmqpWorld(amqp_url.replace(f"{login}@{address}", f"{login}@127.0.0.1:{proxy.port}"), watch_s=0.3)


@pytest.fixture
async def world(amqp_url: str, proxy: Wiretap) -> AsyncIterator[AmqpWorld]:
    world = through(proxy, amqp_url)
    yield world
    await world.clean(amqp_url)


@pytest.fixture
async def fuse(amqp_url: str) -> AsyncIterator[Fuse]:
    parts = urlsplit(amqp_url)
    async with Fuse(parts.hostname or "", parts.port or 5672) as fuse:
        yield fuse


class Pair:
    """An asker, and an actor that echoes."""

    def __init__(self, world: AmqpWorld) -> None:
        self._world = world
        self._replies: set[bytes] = set()
        self.changes: list[bool] = []

    async def open(self) -> None:
        def prepare(broker: Broker) -> None:
            broker.on_reply(self._replies.add)
            broker.on_change(self.changes.append)

        self.asker = await self._world.broker(prepare)
        self.actor = await self._world.broker()
        self.consumer = await self.actor.consume_requests("task", self._echo, prefetch=10)

    def _echo(self, delivery: Delivery) -> None:
        queue, _, body = delivery.body.partition(b"|")
        self.actor.reply(queue.decode(), body)
        delivery.ack()

    async def ask(self, body: bytes) -> None:
        """Ask again and again until there is an answer, as the client of the runtime does."""
        async with asyncio.timeout(self._world.patience_s):
            while body not in self._replies:
                if self.asker.available:
                    self.asker.request("task", self.asker.reply_queue.encode() + b"|" + body, ttl_ms=1000)
                await asyncio.sleep(0.02)

    async def recovery_s(self, before: str) -> float:
        """Seconds until the asker has another reply queue than `before`, and a request was answered."""
        began = time.monotonic()
        await until_renewed(self._world, self.asker, before)
        await self.ask(b"after")
        return time.monotonic() - began


@pytest.fixture
async def pair(world: AmqpWorld) -> Pair:
    pair = Pair(world)
    await pair.open()
    await pair.ask(b"before")
    return pair


async def until_available(world: AmqpWorld, broker: Broker, expected: bool) -> None:
    async def reached() -> bool:
        return broker.available is expected

    await until(world, reached)


async def until_renewed(world: AmqpWorld, broker: Broker, before: str) -> None:
    async def reached() -> bool:
        return broker.available and broker.reply_queue != before

    await until(world, reached)


async def test_who_is_cancelled_while_it_asks_is_not_told_that_the_broker_is_away(pair: Pair) -> None:
    """At any point of a question: the library answers some cancellations with an error of another kind."""

    async def ask_for_ever() -> None:
        while True:
            with suppress(BrokerAway):
                await pair.asker.depth("task")
            await asyncio.sleep(0)

    for steps in range(0, 600, 3):
        asking = asyncio.create_task(ask_for_ever())
        for _ in range(steps):
            await asyncio.sleep(0)
        asking.cancel()
        await asyncio.wait([asking], timeout=2)
        assert asking.cancelled(), f"cancelled after {steps} steps of the loop, it went on"


async def test_f14_all_connections_cut(proxy: Wiretap, pair: Pair) -> None:
    before = pair.asker.reply_queue
    await proxy.cut()
    assert await pair.recovery_s(before) <= 2
    assert pair.changes == [True, False, True]


async def test_f14_a_watcher_sees_what_is_published_once_the_broker_is_back(
    proxy: Wiretap, world: AmqpWorld, pair: Pair
) -> None:
    sights = Sights(world)
    await pair.asker.watch(["unheard_of"], sights.show)
    for round in range(3):
        before = pair.asker.reply_queue
        await proxy.cut()
        await until_renewed(world, pair.asker, before)
        await until_available(world, pair.actor, True)
        body = b"%d" % round
        assert await confirmed(world, pair.actor, Publication("1", "unheard_of", body)) == [True]
        assert await sights.until(body) == [body]


async def test_f14_all_connections_closed_by_the_server(proxy: Wiretap, pair: Pair) -> None:
    before = pair.asker.reply_queue
    proxy.say(spec.Connection.Close(reply_code=320, reply_text="CONNECTION_FORCED", class_id=0, method_id=0))
    assert await pair.recovery_s(before) <= 2


async def test_f09_the_server_goes_and_comes_back(proxy: Wiretap, world: AmqpWorld, pair: Pair) -> None:
    await proxy.down()
    await until_available(world, pair.asker, False)
    with pytest.raises(BrokerAway):
        pair.asker.request("task", b"", ttl_ms=LONG)
    with pytest.raises(BrokerAway):
        await pair.asker.depth("task")
    assert list(await pair.asker.publish([Publication("1", "note_sent", b"")])) == [False]
    await proxy.up()
    began = time.monotonic()
    await pair.ask(b"after")
    assert time.monotonic() - began <= 3


async def test_f15_a_connection_that_fell_silent_is_noticed_and_replaced(proxy: Wiretap, pair: Pair) -> None:
    proxy.silent = True
    began = time.monotonic()
    while pair.asker.available and time.monotonic() - began < 5:  # a state, which sends no event
        await asyncio.sleep(0.01)
    # watched every 0.3 s with 0.3 s to answer; by default both are 5 s
    assert time.monotonic() - began <= 2
    proxy.silent = False
    began = time.monotonic()
    await pair.ask(b"after")
    assert time.monotonic() - began <= 5


@pytest.mark.parametrize("queue", ["requests", "events"])
async def test_f13_a_queue_deleted_under_its_consumer(amqp_url: str, world: AmqpWorld, pair: Pair, queue: str) -> None:
    events = Inbox(world)
    await pair.actor.consume_events("task", events.take, prefetch=10)
    async with await aio_pika.connect(amqp_url) as connection, connection.channel() as channel:
        await channel.queue_delete(f"{world.prefix}.task.{queue}")
    began = time.monotonic()
    await pair.ask(b"after")
    while not all(await pair.asker.publish([Publication("1", "task", b"", direct=True)])):  # likewise
        await asyncio.sleep(0.02)
    await events.next()
    assert time.monotonic() - began <= 10


async def test_f18_a_blocked_broker_is_away_at_once_and_consuming_goes_on(
    proxy: Wiretap, amqp_url: str, world: AmqpWorld, pair: Pair
) -> None:
    inbox = Inbox(world)
    await pair.actor.consume_requests("note", inbox.take, prefetch=10)
    proxy.say(spec.Connection.Blocked("low on memory"))
    await until_available(world, pair.asker, False)
    with pytest.raises(BrokerAway):
        pair.asker.request("task", b"", ttl_ms=LONG)
    assert list(await pair.asker.publish([Publication("1", "note_sent", b"")])) == [False]
    outsider = AmqpWorld(amqp_url)
    outsider.prefix = world.prefix
    (await outsider.broker()).request("note", b"still consumed", ttl_ms=LONG)
    assert await inbox.take_and_ack(1) == [b"still consumed"]
    await outsider.restart()
    proxy.say(spec.Connection.Unblocked())
    await until_available(world, pair.asker, True)
    await pair.ask(b"after")
    assert pair.changes == [True, False, True]


async def test_what_was_held_when_the_connection_broke_comes_again_and_its_old_ack_says_nothing(
    proxy: Wiretap, world: AmqpWorld, pair: Pair
) -> None:
    inbox = Inbox(world)
    await pair.actor.consume_requests("note", inbox.take, prefetch=10)
    pair.asker.request("note", b"held", ttl_ms=LONG)
    old = await inbox.next()
    await proxy.cut()
    again = await inbox.next()
    assert again.redelivered
    old.ack()
    await pair.ask(b"after")
    again.ack()
    await pair.actor.close()
    await until_depth(world, pair.asker, "note", requests=0)
    assert inbox.seen == [b"held", b"held"]


async def test_publishing_through_cuts_loses_nothing_that_was_confirmed(
    proxy: Wiretap, world: AmqpWorld, pair: Pair
) -> None:
    seen: set[bytes] = set()

    def take(delivery: Delivery) -> None:
        seen.add(delivery.body)
        delivery.ack()

    await pair.actor.consume_events("note", take, prefetch=100)
    left = {str(n): Publication(str(n), "note_sent", b"%d" % n) for n in range(2000)}

    async def publish(*, cut: bool) -> None:
        await until_available(world, pair.asker, True)
        publishing = asyncio.create_task(pair.asker.publish(list(left.values())))
        if cut:
            await asyncio.sleep(0.01)
            await proxy.cut()
        for id, safe in zip(list(left), await publishing, strict=True):
            if safe:
                del left[id]

    for _ in range(3):
        await publish(cut=True)
    assert left
    async with asyncio.timeout(world.patience_s):
        while left:
            await publish(cut=False)

    async def all_there() -> bool:
        return len(seen) == 2000

    await until(world, all_there)


async def test_a_pause_outlives_a_reconnect(proxy: Wiretap, world: AmqpWorld, pair: Pair) -> None:
    inbox = Inbox(world)
    await pair.actor.consume_requests("note", inbox.take, prefetch=10)
    await pair.consumer.pause()
    before = {broker: broker.reply_queue for broker in (pair.asker, pair.actor)}
    await proxy.cut()
    for broker, queue in before.items():
        await until_renewed(world, broker, queue)
    pair.asker.request("task", b"|waiting", ttl_ms=LONG)
    pair.asker.request("note", b"marker", ttl_ms=LONG)
    await inbox.take_and_ack(1)
    await until_depth(world, pair.asker, "task", requests=1)


async def test_f48_reconnects_leave_nothing_behind(proxy: Wiretap, pair: Pair) -> None:
    def open_now() -> tuple[int, int]:
        return len(asyncio.all_tasks()), len(os.listdir("/proc/self/fd"))

    async def reconnect() -> None:
        before = pair.asker.reply_queue
        await proxy.cut()
        await pair.recovery_s(before)

    await reconnect()
    tasks, files = open_now()
    for _ in range(3):
        await reconnect()
    after_tasks, after_files = open_now()
    assert after_tasks <= tasks + 2
    assert after_files <= files + 2


async def test_callbacks_that_fail_harm_no_later_message(amqp_url: str) -> None:
    world = AmqpWorld(amqp_url)
    seen: asyncio.Queue[bytes] = asyncio.Queue()

    def fail_first(body: bytes) -> None:
        seen.put_nowait(body)
        if body == b"first":
            raise LookupError("a fault of the callback, made for this test")

    def fail_always(_: bool) -> None:
        raise LookupError("likewise")

    def prepare(broker: Broker) -> None:
        broker.on_reply(fail_first)
        broker.on_change(fail_always)

    asker = await world.broker(prepare)
    queue = asker.reply_queue
    asker.reply(queue, b"first")
    asker.reply(queue, b"second")
    async with asyncio.timeout(world.patience_s):
        assert [await seen.get(), await seen.get()] == [b"first", b"second"]
    await asker.depth("task")
    assert asker.available
    assert asker.reply_queue == queue
    await world.clean(amqp_url)


async def test_any_of_several_hosts_will_do(amqp_url: str, free_port: Callable[[], int]) -> None:
    parts = urlsplit(amqp_url)
    login, _, address = parts.netloc.rpartition("@")
    world = AmqpWorld(f"amqp://{login}@127.0.0.1:{free_port()},{address},127.0.0.1:{free_port()}{parts.path}")
    for _ in range(4):
        assert (await world.broker()).available
    await world.clean(amqp_url)


async def test_no_host_answers_is_one_sentence(free_port: Callable[[], int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(amqp_link, "OPEN_S", 0.3)
    port = free_port()
    broker = broker_amqp.connect(f"amqp://guest:secret@127.0.0.1:{port}/", prefix="t")
    with pytest.raises(BrokerAway) as raised:
        await broker.open(TOPOLOGY)
    assert str(raised.value).startswith(f"no message broker answers at 127.0.0.1:{port}: ")
    assert "secret" not in str(raised.value)
    await broker.close()


async def test_a_broker_that_ends_the_first_connections_is_asked_again(amqp_url: str, fuse: Fuse) -> None:
    """RabbitMQ 4 does, when ten replicas declare the same quorum queues at once."""
    fuse.blows = 2
    world = through(fuse, amqp_url)
    assert (await world.broker()).available
    assert (fuse.blows, fuse.connections) == (0, 4)
    await world.clean(amqp_url)


async def test_a_broker_that_ends_every_connection_is_one_sentence(
    amqp_url: str, fuse: Fuse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(amqp_link, "BUILD_S", 0.3)
    fuse.blows = 10**6
    with pytest.raises(BrokerAway) as raised:
        await through(fuse, amqp_url).broker()
    assert re.fullmatch(rf"the message broker at 127.0.0.1:{fuse.port} declares no queues: .*\w+.*", str(raised.value))


async def test_a_queue_with_other_arguments_is_named(amqp_url: str) -> None:
    world = AmqpWorld(amqp_url)
    await world.broker()
    await world.restart()
    other = broker_amqp.connect(amqp_url, prefix=world.prefix, request_queue_type="quorum")
    with pytest.raises(StartError, match=rf"{world.prefix}\.task\.requests.*BROKER_PREFIX"):
        await other.open(TOPOLOGY)
    await world.clean(amqp_url)


async def test_a_file_is_the_same_for_all_who_have_it_while_one_of_them_is_there(
    world: AmqpWorld, proxy: Wiretap
) -> None:
    here, elsewhere = [replace(TOPOLOGY, files={"TASK_STORE_URL": each}) for each in (0, 2**31 - 1)]
    held = [await world.broker(topology=here) for _ in range(2)]
    await world.broker()  # who has no file shares none
    for last in held:
        with pytest.raises(StartError, match="TASK_STORE_URL: a process that runs already has another file"):
            await world.broker(topology=elsewhere)
        await last.close()
    moved = await world.broker(topology=elsewhere)
    await proxy.cut()
    await until_available(world, moved, False)
    await until_available(world, moved, True)
    with pytest.raises(StartError):
        await world.broker(topology=here)


async def test_amqps_speaks_tls_and_checks_the_certificate(
    amqp_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(amqp_link, "OPEN_S", 1.0)
    authority, server = certificates(tmp_path)
    parts = urlsplit(amqp_url)
    login = parts.netloc.rpartition("@")[0]
    async with TlsProxy(parts.hostname or "", parts.port or 5672, server) as proxy:
        url = f"amqps://{login}@localhost:{proxy.port}{parts.path}"
        world = AmqpWorld(f"{url}?cafile={authority}")
        asker, inbox = await world.broker(), Inbox(world)
        asker.request("task", b"sealed", ttl_ms=LONG)
        await asker.consume_requests("task", inbox.take, prefetch=1)
        assert await inbox.take_and_ack(1) == [b"sealed"]
        stranger = broker_amqp.connect(url, prefix=world.prefix)
        with pytest.raises(BrokerAway, match="certificate"):
            await stranger.open(TOPOLOGY)
        await world.clean(amqp_url)
