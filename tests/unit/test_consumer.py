"""From the broker into dispatch and back."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from runtime.consumer import Consumer
from runtime.drivers.broker_memory import MemoryBroker, Queues
from runtime.errors import Invalid, Overloaded, StoreAway, Unavailable
from runtime.message import Caller, frame
from runtime.parked import ParkedLoop
from runtime.ports import Delivery
from runtime.seams import Seams
from tests.sql import sql
from tests.unit.counter import Add, AddEach, Added, CounterActor, GetTotal, Mailed, Total, WhoAmI, nothing
from tests.unit.house import KEY, envelope
from tests.unit.line import TOPOLOGY, Line, until


class Gate:
    """Holds handlers up until it is opened."""

    def __init__(self) -> None:
        self.inside = 0
        self.most = 0
        self.entered = asyncio.Event()
        self.opened = asyncio.Event()

    async def __call__(self, name: str) -> None:
        self.inside += 1
        self.most = max(self.most, self.inside)
        self.entered.set()
        await self.opened.wait()
        self.inside -= 1


# ------------------------------------------------------------------------------------------------ requests


async def test_a_request_is_answered(line: Line) -> None:
    await line.replica()
    assert await line.client.ask(Add(name="a", amount=3)) == Total(name="a", value=3)
    with pytest.raises(Invalid, match="only up"):
        await line.client.ask(Add(name="a", amount=-1))
    assert await line.client.ask(WhoAmI(), caller=Caller(id="ada")) == "ada/None"


async def test_the_commands_of_one_tick_become_one_list(line: Line) -> None:
    house, _, _ = await line.replica()
    totals = await asyncio.gather(*(line.client.ask(AddEach(name="a")) for _ in range(20)))
    assert sorted(total.value for total in totals) == list(range(1, 21))
    assert house.actor.lists == [20]


async def test_a_many_handler_has_two_lists_running_at_most_while_the_next_one_grows(memory_line: Line) -> None:
    line = memory_line
    house, _, _ = await line.replica()
    house.actor.during = gate = Gate()
    asks = []
    for _ in range(5):
        asks.append(asyncio.ensure_future(line.client.ask(AddEach(name="a"))))
        await gate.entered.wait()
        for _ in range(5):  # from the client through the broker to the consumer takes some ticks
            await asyncio.sleep(0)
    gate.opened.set()
    await asyncio.gather(*asks)
    assert house.actor.lists == [1, 1, 3]


async def test_no_more_requests_than_allowed_are_in_flight(memory_line: Line) -> None:
    line = memory_line
    house, _, _ = await line.replica(in_flight=3)
    house.actor.during = gate = Gate()
    asks = [asyncio.ensure_future(line.client.ask(GetTotal(name="a"))) for _ in range(10)]
    await gate.entered.wait()
    for _ in range(5):
        await asyncio.sleep(0)
    assert gate.inside == 3
    gate.opened.set()
    await asyncio.gather(*asks)
    assert gate.most == 3


async def test_what_has_waited_for_half_of_its_budget_is_shed(memory_line: Line) -> None:
    line = memory_line
    house, _, _ = await line.replica(in_flight=1)
    house.actor.during = gate = Gate()
    first = asyncio.ensure_future(line.client.ask(GetTotal(name="a")))
    await gate.entered.wait()
    hurried = asyncio.ensure_future(line.client.ask(GetTotal(name="b"), budget_ms=200))
    patient = asyncio.ensure_future(line.client.ask(GetTotal(name="c"), budget_ms=5_000))
    await asyncio.sleep(0.11)  # the time is the point
    gate.opened.set()
    with pytest.raises(Overloaded, match="more work than it can do in time"):
        await hurried
    assert [(await each).name for each in (first, patient)] == ["a", "c"]


async def test_a_failed_request_is_acked_and_answered(line: Line) -> None:
    house, _, broker = await line.replica()

    async def during(name: str) -> None:
        raise ZeroDivisionError

    house.actor.during = during
    with pytest.raises(Unavailable):
        await line.client.ask(Add(name="a"))
    house.actor.during = nothing
    await broker.close()
    house, _, _ = await line.replica()
    await line.client.ask(GetTotal(name="a"))
    assert await house.total("a") == 0


class Observed(MemoryBroker):
    """Notes the order of replies and acks."""

    def __init__(self, queues: Queues, seen: list[str]) -> None:
        super().__init__(queues, prefix="t")
        self._seen = seen

    def reply(self, queue: str, body: bytes) -> None:
        self._seen.append("reply")
        super().reply(queue, body)


async def test_the_ack_follows_the_reply(memory_line: Line) -> None:
    seen: list[str] = []

    class Held:
        redelivered = False
        body = frame([msgspec.structs.replace(envelope(Add(name="a")), budget_ms=1000)], KEY)

        def ack(self) -> None:
            seen.append("ack")

        def requeue(self) -> None:
            seen.append("requeue")

    house, _, _ = await memory_line.replica()
    broker = Observed(Queues(), seen)
    await broker.open(TOPOLOGY)
    consumer = Consumer(broker, house.dispatch, key=KEY, in_flight=1, metrics=house.metrics, seams=Seams(""))
    held: Delivery = Held()
    consumer._on_request(held)
    assert await consumer.drain(5) == []
    assert seen == ["reply", "ack"]


async def test_malformed_frames_become_dead_letters_and_the_consumer_lives(line: Line) -> None:
    """F41"""
    house, _, _ = await line.replica()
    broken = [b"", b"\x00", b"\x01" + b"?" * 50, b"\x07hello", b"\x00\xc1", b"\x00" + b"\x91" * 5000]
    for body in broken:
        line.asking.request("counter", body, ttl_ms=10_000)
    await line.send(envelope(Add(name="forged"), caller=Caller(id="eve")), key=None)
    await line.send(envelope(Add(name="forged")), key=b"another actor's")
    await line.brokers.bury(b"\x00 garbage")
    assert (await line.client.ask(Add(name="a"))).value == 1

    async def found() -> bool:
        return len(await line.store.dead()) == len(broken) + 3

    await until(found)
    assert await house.total("forged") == 0
    reasons = " ".join(row.reason for row in await line.store.dead())
    for reason in ("unknown tag byte", "signature does not belong", "without a signature", "not an envelope"):
        assert reason in reasons


# ------------------------------------------------------------------------------------------ after a crash


async def take_and_go_away(line: Line, *, events: bool = False) -> None:
    """A consumer that dies with all that it was given; some are needed, or it waits for ever."""
    broker = await line.brokers.open()
    held: list[Delivery] = []
    consume = broker.consume_events if events else broker.consume_requests
    await consume("counter", held.append, prefetch=100)

    async def taken() -> bool:
        return bool(held)

    await until(taken)
    await broker.close()


async def test_what_comes_back_after_a_crash_is_handled_one_at_a_time(line: Line) -> None:
    asks = [asyncio.ensure_future(line.client.ask(AddEach(name="a"))) for _ in range(5)]
    await take_and_go_away(line)
    actor = CounterActor()
    actor.during = gate = Gate()
    gate.opened.set()
    house, _, _ = await line.replica(actor=actor)
    assert {total.value for total in await asyncio.gather(*asks)} == {1, 2, 3, 4, 5}
    assert (house.actor.lists, gate.most) == ([1] * 5, 1)
    assert await line.store.dead() == [], "innocent ones leave nothing behind"


async def test_a_request_that_takes_its_consumer_down_three_times_is_dead_and_answered_with_500(line: Line) -> None:
    """F40: those beside it are answered, and are no dead letters."""
    poison = asyncio.ensure_future(line.client.ask(GetTotal(name="poison"), id="poison"))
    others = [asyncio.ensure_future(line.client.ask(AddEach(name="a"))) for _ in range(5)]
    await take_and_go_away(line)
    for _ in range(2):
        actor = CounterActor()
        poisoned = asyncio.Event()

        async def during(name: str, poisoned: asyncio.Event = poisoned) -> None:
            if name == "poison":
                poisoned.set()
                await asyncio.Event().wait()

        actor.during = during
        _, _, broker = await line.replica(actor=actor)
        async with asyncio.timeout(10):
            await poisoned.wait()
        await broker.close()
    house, _, _ = await line.replica()
    with pytest.raises(Unavailable, match="the actor failed"):
        await poison
    assert {total.value for total in await asyncio.gather(*others)} == {1, 2, 3, 4, 5}

    async def only_the_poison_is_dead() -> bool:
        # copies of the others may still be on trial
        dead = [(row.id, row.attempt, row.reason) for row in await line.store.dead()]
        return dead == [("poison", 3, "it took its process down 3 times")]

    await until(only_the_poison_is_dead)
    assert house.actor.contexts == []


async def test_a_copy_that_its_asker_sent_again_is_on_trial_too(line: Line) -> None:
    request = envelope(GetTotal(name="poison"), id="poison", attempt=1)
    house, consumer, _ = await line.replica()
    await line.store.park([house.dispatch.parking.form(request, 2, None, "its process went away")])
    await line.send(msgspec.structs.replace(request, budget_ms=10_000))

    async def dead() -> bool:
        return (await house.row("poison")).attempt == 3

    await until(dead)
    assert house.actor.contexts == []
    assert await consumer.drain(5) == []


async def test_an_event_that_comes_back_is_parked_first_and_counted_before_it_runs(line: Line) -> None:
    event = envelope(Added(name="a", value=1))
    await line.publish(event)
    await take_and_go_away(line, events=True)
    house, _, _ = await line.replica()

    async def parked() -> bool:
        return await line.store.parked(event.id) is not None

    await until(parked)
    assert ((await house.row(event.id)).attempt, await house.total("added a")) == (1, 0)
    attempts = []

    async def during(name: str) -> None:
        row = await sql(line.store.reader).row("select attempt from parked")
        attempts.append(row and row["attempt"])

    house.actor.during = during
    assert await ParkedLoop(house.dispatch).step() == 1
    assert (attempts, await house.total("added a"), await line.store.parked(event.id)) == ([2], 1, None)


async def test_an_event_that_comes_back_again_keeps_the_attempts_that_were_counted(line: Line) -> None:
    event = envelope(Added(name="a", value=1))
    await line.publish(event)
    await take_and_go_away(line, events=True)
    actor = CounterActor()
    house, consumer, broker = await line.replica(actor=actor)
    await line.store.park([house.dispatch.parking.form(event, 2, 3_600_000, "oh")])

    async def settled() -> bool:
        return await consumer.drain(5) == []

    await until(settled)
    assert (await house.row(event.id)).attempt == 2
    await broker.close()


async def test_the_events_of_one_tick_share_a_transaction(memory_line: Line) -> None:
    house, _, _ = await memory_line.replica()
    await asyncio.gather(*(memory_line.publish(envelope(Added(name="a", value=n))) for n in range(20)))

    async def handled() -> bool:
        return await house.total("added a") == 20

    await until(handled)
    assert len(house.actor.committing) == 1


async def test_an_event_that_fails_among_others_is_parked_and_they_are_done(line: Line) -> None:
    house, _, _ = await line.replica()

    async def during(name: str) -> None:
        if name == "bad":
            raise ValueError("not this one")

    house.actor.during = during
    bad = envelope(Added(name="bad", value=1))
    await asyncio.gather(*(line.publish(each) for each in (envelope(Added(name="a", value=1)), bad)))
    await asyncio.gather(*(line.publish(envelope(Added(name="a", value=n))) for n in range(5)))

    async def handled() -> bool:
        return await house.total("added a") == 6 and await line.store.parked(bad.id) is not None

    await until(handled)
    assert await house.total("added bad") == 0


async def test_outside_handlers_of_events_run_side_by_side(memory_line: Line) -> None:
    house, _, _ = await memory_line.replica()
    house.actor.during = gate = Gate()
    await asyncio.gather(*(memory_line.publish(envelope(Mailed(name=str(n)))) for n in range(3)))

    async def entered() -> bool:
        return gate.inside == 3

    await until(entered)
    gate.opened.set()


async def test_an_event_is_kept_while_the_store_is_away(line: Line) -> None:
    house, _, _ = await line.replica()

    async def during(name: str) -> None:
        house.actor.during = nothing
        raise StoreAway("unplugged")

    house.actor.during = during
    event = envelope(Added(name="a", value=1))
    await line.publish(event)

    async def handled() -> bool:
        return await house.total("added a") == 1

    await until(handled)
    assert await line.store.parked(event.id) is None


# ------------------------------------------------------------------------------------------------ stopping


async def test_drain_finishes_what_runs_and_what_waits(line: Line) -> None:
    house, consumer, _ = await line.replica(in_flight=2)
    house.actor.during = gate = Gate()
    asks = [asyncio.ensure_future(line.client.ask(GetTotal(name=name))) for name in "abcd"]
    await line.publish(envelope(Added(name="e", value=1)))

    async def all_there() -> bool:
        return gate.inside == 3

    await until(all_there)
    draining = asyncio.ensure_future(consumer.drain(10))
    await asyncio.sleep(0)
    gate.opened.set()
    assert await draining == []
    assert {total.name for total in await asyncio.gather(*asks)} == set("abcd")
    assert await house.total("added e") == 1


async def test_drain_hands_back_the_rest_with_its_ids_and_nothing_runs_after_it(line: Line) -> None:
    house, consumer, broker = await line.replica(in_flight=2)
    house.actor.during = gate = Gate()
    asks = [asyncio.ensure_future(line.client.ask(GetTotal(name=name), id=name)) for name in "abc"]
    await line.publish(envelope(Added(name="e", value=1), id="e"))

    async def all_there() -> bool:
        return gate.inside == 3

    await until(all_there)
    assert sorted(await consumer.drain(0.01)) == ["a", "b", "c", "e"]
    gate.opened.set()
    assert gate.most == 3
    await broker.close()
    other, _, _ = await line.replica()
    assert {total.name for total in await asyncio.gather(*asks)} == set("abc")
    await until(lambda: ParkedLoop(other.dispatch).step())
    assert await house.total("added e") == 1


async def test_a_request_on_trial_that_is_handed_back_at_a_stop_is_no_dead_letter(line: Line) -> None:
    ask = asyncio.ensure_future(line.client.ask(GetTotal(name="a")))
    await take_and_go_away(line)
    actor = CounterActor()
    actor.during = gate = Gate()
    _, consumer, broker = await line.replica(actor=actor)
    await gate.entered.wait()
    assert len(await line.store.dead()) == 1
    assert len(set(await consumer.drain(0))) == 1  # and copies of it
    assert await line.store.dead() == []
    await broker.close()
    await line.replica()
    assert (await ask).name == "a"
