"""Watching events: what a process sees of what others publish, and the beat by which it notices that nothing comes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from runtime.beat import EVERY_S, Beat, has_beat
from runtime.client import Client
from runtime.drivers.broker_memory import MemoryBroker, Queues
from runtime.errors import StoreAway
from runtime.keys import Keys
from runtime.message import Envelope, Event, encode, frame
from runtime.ports import Publication, Topology
from runtime.telemetry import Metrics
from tests.unit.counter import Add, Added, CounterActor, Mailed, Totals
from tests.unit.house import KEY, House, envelope


class Pulse(CounterActor):
    """A counter that says how much there is."""

    async def beat(self, records: Totals) -> Event | None:
        return Added(name="a", value=(await records.get("a")).value)


class Stopped(CounterActor):
    """A counter whose store is away."""

    async def beat(self, records: Totals) -> Event | None:
        raise StoreAway("the store")


class Watching:
    """A client, and what it has seen."""

    def __init__(self, queues: Queues) -> None:
        self.broker = MemoryBroker(queues, prefix="t")
        self.client = Client(self.broker, Keys(None, {"counter": KEY}), Metrics())
        self.broker.on_change(lambda available: self.client.reconnected() if available else None)
        self.seen: asyncio.Queue[tuple[str, Event]] = asyncio.Queue()
        self.anew = 0

    async def open(self) -> Watching:
        await self.broker.open(Topology(("counter",), {}))
        await self.client.watch([Added], lambda *heard: self.seen.put_nowait(heard), anew=self._again)
        return self

    def _again(self) -> None:
        self.anew += 1


async def publish(broker: MemoryBroker, route: str, body: bytes) -> None:
    assert list(await broker.publish([Publication("1", route, body)])) == [True]


def framed(event: Event, kind: str) -> bytes:
    return frame([Envelope("id", kind, "", encode(event))])


async def test_a_watcher_sees_events_of_its_types_with_their_ids() -> None:
    watching = await Watching(Queues()).open()
    await publish(watching.broker, "mailed", framed(Mailed(name="a"), "mailed"))
    await publish(watching.broker, "added", framed(Added(name="a", value=3), "added"))
    assert await watching.seen.get() == ("id", Added(name="a", value=3))


@pytest.mark.parametrize(
    "body", [b"", b"\xff", frame([Envelope("id", "added", "", b"\xc1")]), frame([Envelope("id", "added", "", b"\x90")])]
)
async def test_b110_what_is_no_event_is_passed_over(body: bytes) -> None:
    watching = await Watching(Queues()).open()
    await publish(watching.broker, "added", body)
    await publish(watching.broker, "added", framed(Added(name="a", value=3), "added"))
    assert await watching.seen.get() == ("id", Added(name="a", value=3))


async def test_a_watcher_is_told_when_it_may_have_missed_something() -> None:
    watching = await Watching(Queues()).open()
    assert watching.anew == 0
    await watching.broker.close()
    assert watching.anew == 0
    await watching.broker.open(Topology(("counter",), {}))
    assert watching.anew == 1


async def test_an_actor_beats_with_what_its_store_holds_now(house: House) -> None:
    watching = await Watching(Queues()).open()
    beat = Beat(Pulse(), house.store, watching.broker)
    await house.handle(envelope(Add(name="a", amount=2)))
    await beat.step()
    await house.handle(envelope(Add(name="a", amount=5)))
    await beat.step()
    (first, two), (second, seven) = [await watching.seen.get() for _ in range(2)]
    assert (two, seven) == (Added(name="a", value=2), Added(name="a", value=7))
    assert first != second


async def test_a_commit_that_asks_for_it_is_followed_by_one_beat_at_once(house: House) -> None:
    """Real time: a beat of its own accord would come 0.4 s after the first."""
    watching = await Watching(Queues()).open()
    beat = Beat(Pulse(), house.store, watching.broker)
    running = asyncio.ensure_future(beat.run())
    assert (await watching.seen.get())[1] == Added(name="a", value=0)
    began = asyncio.get_running_loop().time()
    await house.handle(envelope(Add(name="a", amount=2)))
    beat.soon()
    beat.soon()
    assert (await watching.seen.get())[1] == Added(name="a", value=2)
    assert asyncio.get_running_loop().time() - began < EVERY_S / 2
    assert watching.seen.empty()
    running.cancel()


async def test_a_beat_is_asked_for_once_the_transaction_has_committed(house: House) -> None:
    found: list[int] = []

    class Telling(CounterActor):
        async def before_commit(self, records: Totals, events: Sequence[Event]) -> None:
            found.append(house.beats)

    actor = Telling()

    async def during(name: str) -> None:
        actor.contexts[-1].beat()
        if name == "bad":
            raise ValueError

    actor.during = during
    house = House(house.store, actor)
    await house.handle(envelope(Add(name="a")))
    assert (found, house.beats) == ([0], 1)
    await house.handle(envelope(Add(name="bad")))
    assert house.beats == 1


async def test_an_actor_beats_for_nobody_while_the_broker_or_its_store_is_away(house: House) -> None:
    watching = await Watching(Queues()).open()
    beat = Beat(Pulse(), house.store, watching.broker)
    await watching.broker.close()
    await beat.step()
    await watching.broker.open(Topology(("counter",), {}))
    await Beat(Stopped(), house.store, watching.broker).step()
    assert watching.seen.empty()


def test_an_actor_without_anything_to_say_has_no_beat() -> None:
    assert has_beat(Pulse())
    assert not has_beat(CounterActor())
