"""Both brokers keep the port's promises, and broken twins are found out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from runtime.drivers import broker_amqp, broker_memory
from runtime.drivers.broker_memory import MemoryBroker
from runtime.errors import SettingError
from runtime.ports import Publication
from tests.conformance import broker_promises, watch_promises
from tests.conformance.broken_brokers import BROKEN, Shuffling
from tests.conformance.broker_promises import Inbox, Promise
from tests.conformance.broker_worlds import AmqpWorld, MemoryWorld

PROMISES = [*broker_promises.PROMISES, *watch_promises.PROMISES]


@pytest.fixture
async def memory_world() -> AsyncIterator[MemoryWorld]:
    world = MemoryWorld()
    yield world
    await world.restart()


@pytest.fixture(params=["classic", "quorum"])
async def amqp_world(request: pytest.FixtureRequest, amqp_url: str) -> AsyncIterator[AmqpWorld]:
    world = AmqpWorld(amqp_url, request.param)
    yield world
    await world.clean(amqp_url)


def promise_name(promise: Promise) -> str:
    return promise.__name__.removeprefix("promise_")


@pytest.mark.parametrize("promise", PROMISES, ids=promise_name)
async def test_memory_keeps_its_promise(promise: Promise, memory_world: MemoryWorld) -> None:
    await promise(memory_world)


@pytest.mark.parametrize("promise", PROMISES, ids=promise_name)
async def test_amqp_keeps_its_promise(promise: Promise, amqp_world: AmqpWorld) -> None:
    await promise(amqp_world)


@pytest.mark.parametrize(
    ("twin", "broken"),
    [(twin, name) for twin, names in BROKEN.items() for name in names],
    ids=lambda it: it if isinstance(it, str) else it.__name__,
)
async def test_a_broken_twin_is_found_out(twin: type[MemoryBroker], broken: str) -> None:
    (promise,) = [each for each in PROMISES if promise_name(each) == broken]
    world = MemoryWorld(twin, patience_s=0.2)
    with pytest.raises((AssertionError, TimeoutError)):
        await promise(world)
    await world.restart()


@pytest.mark.parametrize("promise", PROMISES, ids=promise_name)
async def test_order_is_not_promised(promise: Promise) -> None:
    world = MemoryWorld(Shuffling)
    await promise(world)
    await world.restart()


async def test_memory_confirms_an_event_only_when_every_consumer_has_settled_it(memory_world: MemoryWorld) -> None:
    broker, inbox = await memory_world.broker(), Inbox(memory_world)
    await broker.consume_events("task", inbox.take, prefetch=1)
    await broker.consume_events("note", inbox.take, prefetch=1)
    publishing = asyncio.create_task(broker.publish([Publication("1", "task_created", b"")]))
    first, second = await inbox.next(), await inbox.next()
    first.ack()
    second.requeue()
    again = await inbox.next()
    assert not publishing.done()
    again.ack()
    assert list(await publishing) == [True]


async def test_memory_publishes_once_what_is_published_again_while_it_is_open(memory_world: MemoryWorld) -> None:
    broker, inbox = await memory_world.broker(), Inbox(memory_world)
    publishing = [asyncio.create_task(broker.publish([Publication("1", "note_sent", b"")])) for _ in range(3)]
    await broker.consume_events("note", inbox.take, prefetch=10)
    await inbox.take_and_ack(1)
    assert [list(each) for each in await asyncio.gather(*publishing)] == [[True]] * 3
    assert len(inbox.seen) == 1


@pytest.mark.parametrize(
    "url",
    ["amqp://", "http://host/", "amqp://a,,b/", "amqp://guest:guest@/", "amqp://host:port/", "amqp://host:99999/"],
)
def test_a_wrong_amqp_url_is_refused(url: str) -> None:
    with pytest.raises(SettingError, match="amqp://user:password@host"):
        broker_amqp.connect(url, prefix="t")


def test_a_wrong_memory_url_is_refused() -> None:
    with pytest.raises(SettingError, match="memory:"):
        broker_memory.connect("memory://host", prefix="t")
