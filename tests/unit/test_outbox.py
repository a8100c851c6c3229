"""What a transaction wanted to send is published after it, at least once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import cast

from runtime.closing import OUTBOX_LEASE_MS
from runtime.drivers.broker_memory import MemoryBroker, Queues
from runtime.message import unframe
from runtime.outbox import Relay
from runtime.parked import ParkedLoop
from runtime.ports import Broker, Outgoing, Publication, Store
from runtime.telemetry import Metrics
from tests.shelves import lapse
from tests.unit.counter import Add, Issue
from tests.unit.house import KEY, House
from tests.unit.line import TOPOLOGY, Line, until
from tests.unit.stopwatch import run_at_once


def relay(house: House, broker: Broker) -> Relay:
    return Relay("counter", house.store, broker, key=KEY, metrics=house.metrics)


class Outsider(MemoryBroker):
    """Where nobody consumes, an event is safe at once; it notes what it was given."""

    def __init__(self) -> None:
        super().__init__(Queues(), prefix="t")
        self.published: list[Publication] = []

    async def publish(self, publications: Sequence[Publication]) -> Sequence[bool]:
        self.published += publications
        await asyncio.sleep(0)
        return [self.available] * len(publications)


async def test_what_was_committed_is_published_and_deleted(line: Line) -> None:
    house, _, broker = await line.replica()
    sender = relay(house, broker)
    await house.one(Add(name="a"))
    assert (await line.store.counts())["outbox"] == 1
    sender.offer(house.offered)
    assert await sender.step() == 1
    assert (await line.store.counts())["outbox"] == 0
    await until(lambda: house.total("added a"))


async def test_what_was_offered_goes_out_at_once_and_needs_no_poll(memory_line: Line) -> None:
    house, _, broker = await memory_line.replica()
    sender = relay(house, broker)
    memory_line.loop(sender.run())
    await asyncio.sleep(0.01)
    begun = asyncio.get_running_loop().time()
    await house.one(Add(name="a"))
    sender.offer(house.offered)
    await until(lambda: house.total("added a"))
    assert asyncio.get_running_loop().time() - begun < 0.15, "less than a poll"


async def test_f40_embedded_what_its_sender_may_have_died_of_is_counted_before_it_runs(memory_line: Line) -> None:
    """The broker has died with it and could not count."""
    house, _, broker = await memory_line.replica()
    await house.one(Add(name="a"))
    (sent,) = house.sent()
    await lapse(memory_line.store, "outbox")  # its process is gone
    assert await relay(house, broker).step() == 1
    assert ((await house.row(sent.id)).attempt, await house.total("added a")) == (1, 0)
    assert await ParkedLoop(house.dispatch).step() == 1
    assert (await house.total("added a"), await memory_line.store.parked(sent.id)) == (1, None)


async def test_a_tell_reaches_its_actor_and_is_opened_for_the_way(line: Line) -> None:
    house, _, broker = await line.replica()
    await house.one(Issue(token="canary"))
    sender = relay(house, broker)
    sender.offer(house.offered)
    assert await sender.step() == 2
    await until(lambda: house.total("kept"))
    await until(lambda: house.total("issued"))


async def test_f17_while_the_broker_is_away_rows_stay_and_go_out_when_it_is_back(house: House) -> None:
    broker = Outsider()
    sender = relay(house, broker)
    await house.one(Add(name="a"))
    sender.offer(house.offered)
    assert await sender.step() == 0
    await broker.open(TOPOLOGY)
    assert await sender.step() == 1, "the lease is still ours: nobody has to wait until it lapses"
    assert [each.id for each in broker.published] == [house.offered[0].id]
    assert (await house.store.counts())["outbox"] == 0


def test_f17_rows_whose_lease_has_lapsed_meanwhile_are_left_to_whoever_leases_them() -> None:
    async def main() -> None:
        broker = Outsider()
        sender = Relay("counter", cast(Store, Nothing()), broker, key=KEY, metrics=Metrics())
        sender.offer([Outgoing("a", "added", b"")])
        assert await sender.step() == 0
        await asyncio.sleep(OUTBOX_LEASE_MS / 1000 + 0.1)
        await broker.open(TOPOLOGY)
        assert await sender.step() == 0
        assert broker.published == []

    run_at_once(main())


class Nothing:
    """A store whose outbox is empty."""

    async def lease_outgoing(self, *, limit: int, lease_ms: int) -> list[Outgoing]:
        return []


async def test_what_was_not_confirmed_stays(house: House) -> None:
    broker = Outsider()
    await broker.open(TOPOLOGY)
    sender = relay(house, broker)
    await house.one(Add(name="a"))
    sender.offer(house.offered)
    sending = asyncio.ensure_future(sender.step())
    while not broker.published:
        await asyncio.sleep(0)
    broker.available = False
    assert await sending == 0
    assert (await house.store.counts())["outbox"] == 1


async def test_two_relays_on_one_store_send_every_row_and_no_row_twice_within_its_lease(house: House) -> None:
    broker = Outsider()
    await broker.open(TOPOLOGY)
    await asyncio.gather(*(house.one(Add(name=f"a{n}")) for n in range(30)))
    await lapse(house.store, "outbox")
    loops = [asyncio.ensure_future(relay(each, broker).run()) for each in (house, house.replica())]

    async def empty() -> bool:
        return (await house.store.counts())["outbox"] == 0

    await until(empty)
    for loop in loops:
        loop.cancel()
    await asyncio.gather(*loops, return_exceptions=True)
    assert Counter(each.id for each in broker.published) == Counter(row.id for row in house.offered)


async def test_a_row_that_was_sent_twice_has_one_effect(line: Line) -> None:
    """The relay died between the confirm and the delete."""
    house, consumer, broker = await line.replica()
    await house.one(Add(name="a"))
    (row,) = house.offered
    publication = Publication(row.id, row.route, house.dispatch.sealer.unwrap(row.envelope))
    assert await broker.publish([publication]) == [True]
    await lapse(line.store, "outbox")
    assert await relay(house, broker).step() == 1
    await until(lambda: house.total("added a"))
    assert await consumer.drain(5) == []
    while await ParkedLoop(house.dispatch).step():
        pass
    assert await house.total("added a") == 1


async def test_a_row_sealed_with_another_key_keeps_no_other_back(house: House) -> None:
    broker = Outsider()
    await broker.open(TOPOLOGY)
    await house.one(Issue(token="canary"))
    await house.one(Add(name="a"))
    await lapse(house.store, "outbox")
    stranger = Relay("counter", house.store, broker, key=b"another", metrics=house.metrics)
    assert await stranger.step() == 1
    assert [unframe(each.body, KEY)[0][0].type for each in broker.published] == ["added"]
    assert (await house.store.counts())["outbox"] == 2


async def test_a_store_that_is_away_does_not_end_the_relay(house: House) -> None:
    broker = Outsider()
    await broker.open(TOPOLOGY)
    sender = relay(house, broker)
    await house.one(Add(name="a"))
    sender.offer(house.offered)
    await house.store.close()
    assert await sender.step() == 1, "published, but still in the outbox: it goes out again"
    assert await sender.step() == 0
