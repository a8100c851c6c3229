"""What `Broker` promises, each as one function over a world of brokers, so that broken twins can be asked too."""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import pytest

from runtime.errors import BrokerAway
from runtime.ports import Broker, Delivery, Publication, Topology

TOPOLOGY = Topology(
    actors=("task", "note"), bindings={"task_created": ("task", "note"), "note_sent": ("note",), "nobody_cares": ()}
)
LONG = 60_000


class World(Protocol):
    """Brokers that stand to each other as processes on one server.

    :ivar patience_s: how long to wait for what must come.
    """

    patience_s: float

    async def broker(self, prepare: Callable[[Broker], None] = ...) -> Broker:
        """Another process's broker, opened; `prepare` sets its callbacks before."""
        ...

    async def restart(self) -> None:
        """Every process is gone, and with it what only lived in one."""
        ...


class Inbox:
    """Receives deliveries and keeps them."""

    def __init__(self, world: World) -> None:
        self._patience_s = world.patience_s
        self._queue: asyncio.Queue[Delivery] = asyncio.Queue()
        self.seen: list[bytes] = []

    def take(self, delivery: Delivery) -> None:
        self.seen.append(delivery.body)
        self._queue.put_nowait(delivery)

    async def next(self) -> Delivery:
        async with asyncio.timeout(self._patience_s):
            return await self._queue.get()

    async def take_and_ack(self, count: int) -> list[bytes]:
        bodies = []
        for _ in range(count):
            delivery = await self.next()
            bodies.append(delivery.body)
            delivery.ack()
        return bodies


async def until(world: World, condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(world.patience_s):
        while not await condition():  # a server's state, which sends no event
            await asyncio.sleep(0.005)


async def until_depth(world: World, broker: Broker, actor: str, **expected: int) -> None:
    async def reached() -> bool:
        depth = await broker.depth(actor)
        return all(depth[queue] == count for queue, count in expected.items())

    await until(world, reached)


async def confirmed(world: World, broker: Broker, *publications: Publication) -> Sequence[bool]:
    async with asyncio.timeout(world.patience_s):
        return await broker.publish(publications)


# ---------------------------------------------------------------------------------------------- requests


async def promise_a_request_reaches_its_actor_byte_for_byte(world: World) -> None:
    asker, actor = await world.broker(), await world.broker()
    tasks, notes = Inbox(world), Inbox(world)
    await actor.consume_requests("task", tasks.take, prefetch=10)
    await actor.consume_requests("note", notes.take, prefetch=10)
    # the last one is longer than a frame of AMQP (128 KiB)
    bodies = [b"", b"\x00\xff\xce", bytes(range(256)) * 1500]
    for body in bodies:
        asker.request("task", body, ttl_ms=LONG)
    assert sorted(await tasks.take_and_ack(3)) == sorted(bodies)
    assert notes.seen == []


async def promise_a_request_waits_for_a_consumer(world: World) -> None:
    asker, actor = await world.broker(), await world.broker()
    asker.request("task", b"early", ttl_ms=LONG)
    await until_depth(world, asker, "task", requests=1)
    inbox = Inbox(world)
    await actor.consume_requests("task", inbox.take, prefetch=1)
    assert (await inbox.next()).body == b"early"


async def promise_a_request_goes_to_one_consumer_once(world: World) -> None:
    asker, left, right = await world.broker(), await world.broker(), await world.broker()
    inbox = Inbox(world)
    await left.consume_requests("task", inbox.take, prefetch=5)
    await right.consume_requests("task", inbox.take, prefetch=5)
    bodies = [b"%d" % n for n in range(40)]
    for body in bodies:
        asker.request("task", body, ttl_ms=LONG)
    await inbox.take_and_ack(40)
    await until_depth(world, asker, "task", requests=0)
    assert sorted(inbox.seen) == sorted(bodies)


async def promise_a_request_that_expired_is_never_delivered(world: World) -> None:
    asker, actor = await world.broker(), await world.broker()
    asker.request("task", b"late", ttl_ms=400)
    await until_depth(world, asker, "task", requests=1)
    await until_depth(world, asker, "task", requests=0)
    asker.request("task", b"in time", ttl_ms=LONG)
    inbox = Inbox(world)
    await actor.consume_requests("task", inbox.take, prefetch=10)
    assert (await inbox.next()).body == b"in time"
    assert inbox.seen == [b"in time"]


async def promise_a_request_to_no_queue_is_returned_to_its_asker(world: World) -> None:
    returned: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()
    asker = await world.broker(
        lambda broker: broker.on_returned(lambda actor, body: returned.put_nowait((actor, body)))
    )
    asker.request("ghost", b"boo", ttl_ms=LONG)
    async with asyncio.timeout(world.patience_s):
        actor, body = await returned.get()
    assert actor == "ghost"
    assert body == b"boo"


# --------------------------------------------------------------------------------------- holding, settling


async def promise_at_most_prefetch_are_held(world: World) -> None:
    asker, actor = await world.broker(), await world.broker()
    inbox = Inbox(world)
    await actor.consume_requests("task", inbox.take, prefetch=2)
    for n in range(5):
        asker.request("task", b"%d" % n, ttl_ms=LONG)
    first, _ = await inbox.next(), await inbox.next()
    await until_depth(world, asker, "task", requests=3)
    assert len(inbox.seen) == 2
    first.ack()
    await inbox.next()
    await until_depth(world, asker, "task", requests=2)
    assert len(inbox.seen) == 3


async def promise_what_is_delivered_first_is_not_marked(world: World) -> None:
    asker, actor = await world.broker(), await world.broker()
    inbox = Inbox(world)
    await actor.consume_requests("task", inbox.take, prefetch=1)
    await actor.consume_events("task", inbox.take, prefetch=1)
    asker.request("task", b"request", ttl_ms=LONG)
    publishing = asyncio.create_task(asker.publish([Publication("1", "task_created", b"event")]))
    for _ in range(2):
        delivery = await inbox.next()
        assert not delivery.redelivered
        delivery.ack()
    await asker.close()
    await publishing


async def promise_what_is_acked_never_comes_back(world: World) -> None:
    asker, actor = await world.broker(), await world.broker()
    inbox = Inbox(world)
    await actor.consume_requests("task", inbox.take, prefetch=10)
    asker.request("task", b"done", ttl_ms=LONG)
    (await inbox.next()).ack()
    await actor.close()
    asker.request("task", b"marker", ttl_ms=LONG)
    successor, later = await world.broker(), Inbox(world)
    await successor.consume_requests("task", later.take, prefetch=10)
    assert (await later.next()).body == b"marker"
    await until_depth(world, asker, "task", requests=0)
    assert later.seen == [b"marker"]


async def promise_what_a_gone_consumer_held_comes_again_marked(world: World) -> None:
    asker, actor = await world.broker(), await world.broker()
    held, later = Inbox(world), Inbox(world)
    await actor.consume_requests("task", held.take, prefetch=10)
    await actor.consume_events("task", held.take, prefetch=10)
    asker.request("task", b"request", ttl_ms=LONG)
    publishing = asyncio.create_task(asker.publish([Publication("1", "task_created", b"event")]))
    await held.next(), await held.next()
    await actor.close()
    successor = await world.broker()
    await successor.consume_requests("task", later.take, prefetch=10)
    await successor.consume_events("task", later.take, prefetch=10)
    for _ in range(2):
        delivery = await later.next()
        assert delivery.redelivered
        delivery.ack()
    assert sorted(later.seen) == [b"event", b"request"]
    await asker.close()
    await publishing


async def promise_what_is_requeued_comes_again_marked(world: World) -> None:
    asker, actor = await world.broker(), await world.broker()
    inbox = Inbox(world)
    await actor.consume_requests("task", inbox.take, prefetch=1)
    asker.request("task", b"again", ttl_ms=LONG)
    (await inbox.next()).requeue()
    second = await inbox.next()
    assert second.body == b"again"
    assert second.redelivered


async def promise_what_a_failing_callback_was_given_comes_again(world: World) -> None:
    asker, actor = await world.broker(), await world.broker()
    inbox = Inbox(world)

    def fail_once(delivery: Delivery) -> None:
        inbox.take(delivery)
        if len(inbox.seen) == 1:
            raise LookupError("a fault of the callback, made for this test")

    await actor.consume_requests("task", fail_once, prefetch=1)
    asker.request("task", b"again", ttl_ms=LONG)
    await inbox.next()
    assert (await inbox.next()).redelivered


async def promise_settling_after_the_end_is_silent(world: World) -> None:
    asker, actor = await world.broker(), await world.broker()
    inbox = Inbox(world)
    await actor.consume_requests("task", inbox.take, prefetch=10)
    asker.request("task", b"1", ttl_ms=LONG)
    asker.request("task", b"2", ttl_ms=LONG)
    first, second = await inbox.next(), await inbox.next()
    await actor.close()
    first.ack()
    second.requeue()
    await until_depth(world, asker, "task", requests=2)


async def promise_a_paused_consumer_takes_nothing_new_and_settles_what_it_holds(world: World) -> None:
    asker, actor = await world.broker(), await world.broker()
    inbox, other = Inbox(world), Inbox(world)
    consumer = await actor.consume_requests("task", inbox.take, prefetch=10)
    await actor.consume_requests("note", other.take, prefetch=10)
    asker.request("task", b"held", ttl_ms=LONG)
    held = await inbox.next()
    await consumer.pause()
    asker.request("task", b"waiting", ttl_ms=LONG)
    asker.request("note", b"marker", ttl_ms=LONG)
    await other.take_and_ack(1)
    await until_depth(world, asker, "task", requests=1)
    assert inbox.seen == [b"held"]
    held.ack()
    await actor.close()
    await until_depth(world, asker, "task", requests=1)
    assert inbox.seen == [b"held"]


# ----------------------------------------------------------------------------------------------- replies


async def promise_a_reply_reaches_its_asker_alone(world: World) -> None:
    replies: list[asyncio.Queue[bytes]] = [asyncio.Queue(), asyncio.Queue()]
    first = await world.broker(lambda broker: broker.on_reply(replies[0].put_nowait))
    second = await world.broker(lambda broker: broker.on_reply(replies[1].put_nowait))
    assert first.reply_queue != second.reply_queue
    actor = await world.broker()
    actor.reply(first.reply_queue, b"for the first")
    actor.reply(second.reply_queue, b"for the second")
    async with asyncio.timeout(world.patience_s):
        assert await replies[0].get() == b"for the first"
        assert await replies[1].get() == b"for the second"


async def promise_a_reply_to_a_gone_asker_is_swallowed(world: World) -> None:
    replies: asyncio.Queue[bytes] = asyncio.Queue()
    gone, asker = await world.broker(), await world.broker(lambda broker: broker.on_reply(replies.put_nowait))
    actor = await world.broker()
    lost = gone.reply_queue
    await gone.close()
    actor.reply(lost, b"too late")
    actor.reply(asker.reply_queue, b"in time")
    async with asyncio.timeout(world.patience_s):
        assert await replies.get() == b"in time"


# ---------------------------------------------------------------------------------------------- publishing


async def promise_an_event_reaches_each_bound_queue_once(world: World) -> None:
    sender, actor = await world.broker(), await world.broker()
    tasks, notes = Inbox(world), Inbox(world)
    await actor.consume_events("task", tasks.take, prefetch=10)
    await actor.consume_events("note", notes.take, prefetch=10)
    publishing = asyncio.create_task(
        confirmed(world, sender, Publication("1", "task_created", b"both"), Publication("2", "note_sent", b"one"))
    )
    assert await tasks.take_and_ack(1) == [b"both"]
    assert sorted(await notes.take_and_ack(2)) == [b"both", b"one"]
    assert list(await publishing) == [True, True]
    await until_depth(world, sender, "task", events=0)
    await until_depth(world, sender, "note", events=0)
    assert tasks.seen == [b"both"]
    assert len(notes.seen) == 2


async def promise_a_tell_reaches_its_actor_alone(world: World) -> None:
    sender, actor = await world.broker(), await world.broker()
    tasks, notes = Inbox(world), Inbox(world)
    await actor.consume_events("task", tasks.take, prefetch=10)
    await actor.consume_events("note", notes.take, prefetch=10)
    publishing = asyncio.create_task(confirmed(world, sender, Publication("1", "note", b"tell", direct=True)))
    assert await notes.take_and_ack(1) == [b"tell"]
    assert list(await publishing) == [True]
    assert tasks.seen == []


async def promise_each_publication_has_its_own_answer(world: World) -> None:
    sender, actor = await world.broker(), await world.broker()
    inbox = Inbox(world)
    await actor.consume_events("task", lambda delivery: delivery.ack(), prefetch=10)
    await actor.consume_events("note", inbox.take, prefetch=10)
    publishing = asyncio.create_task(
        confirmed(
            world,
            sender,
            Publication("1", "nobody_cares", b""),
            Publication("2", "ghost", b"", direct=True),
            Publication("3", "unheard_of", b""),
            Publication("4", "task_created", b"4"),
            Publication("5", "ghost", b"", direct=True),
        )
    )
    await inbox.take_and_ack(1)
    assert list(await publishing) == [True, False, True, True, False]
    assert list(await sender.publish([])) == []


async def promise_thousands_in_flight_are_confirmed_and_delivered_once(world: World) -> None:
    sender, actor = await world.broker(), await world.broker()
    inbox = Inbox(world)
    await actor.consume_events("note", inbox.take, prefetch=100)
    publications = [Publication(str(n), "note_sent", b"%d" % n) for n in range(1200)]
    publishing = asyncio.create_task(confirmed(world, sender, *publications))
    bodies = await inbox.take_and_ack(1200)
    assert all(await publishing)
    assert len(set(bodies)) == 1200
    await until_depth(world, sender, "note", events=0)
    assert len(inbox.seen) == 1200


async def promise_what_is_confirmed_survives_the_end_of_all_processes(world: World) -> None:
    sender, actor = await world.broker(), await world.broker()
    held = Inbox(world)
    await actor.consume_events("note", held.take, prefetch=1)
    publishing = asyncio.create_task(sender.publish([Publication(str(n), "note_sent", b"%d" % n) for n in range(3)]))
    await held.next()
    stores = "durable" not in sender.lacks  # else nothing is confirmed, for nothing is settled
    await asyncio.wait({publishing}, timeout=world.patience_s if stores else 0.01)
    assert publishing.done() or not stores
    await world.restart()
    safe = {b"%d" % n for n, is_safe in enumerate(await publishing) if is_safe}
    successor, inbox = await world.broker(), Inbox(world)
    await successor.consume_events("note", inbox.take, prefetch=10)
    assert safe <= set(await inbox.take_and_ack(len(safe)))


async def promise_publishing_ends_when_the_broker_is_closed(world: World) -> None:
    sender = await world.broker()
    publishing = asyncio.create_task(sender.publish([Publication(str(n), "note_sent", b"") for n in range(100)]))
    await asyncio.sleep(0)
    await sender.close()
    async with asyncio.timeout(world.patience_s):
        assert len(await publishing) == 100
        assert list(await sender.publish([Publication("late", "note_sent", b"")])) == [False]


# --------------------------------------------------------------------------------------------- dead letters


async def promise_an_event_that_always_comes_back_dies(world: World) -> None:
    sender, actor = await world.broker(), await world.broker()
    dead, seen = Inbox(world), Inbox(world)

    def refuse(delivery: Delivery) -> None:
        seen.take(delivery)
        delivery.requeue()

    await actor.consume_events("note", refuse, prefetch=1)
    publishing = asyncio.create_task(sender.publish([Publication("1", "note_sent", b"poison")]))
    await actor.consume_dead("note", dead.take, prefetch=1)
    assert await dead.take_and_ack(1) == [b"poison"]
    assert 2 <= len(seen.seen) <= 30
    async with asyncio.timeout(world.patience_s):
        assert list(await publishing) == [True]


# ------------------------------------------------------------------------------------------ opening, closing


async def promise_any_number_may_open_at_once(world: World) -> None:
    brokers = await asyncio.gather(*(world.broker() for _ in range(6)))
    assert len({broker.reply_queue for broker in brokers}) == 6
    assert all(broker.available for broker in brokers)


async def promise_a_closed_broker_is_away_and_says_so(world: World) -> None:
    changes: list[bool] = []
    broker = await world.broker(lambda broker: broker.on_change(changes.append))
    assert broker.available
    await broker.close()
    assert not broker.available
    assert changes == [True, False]
    with pytest.raises(BrokerAway):
        broker.request("task", b"", ttl_ms=LONG)
    with pytest.raises(BrokerAway):
        await broker.depth("task")
    broker.reply("anyone", b"")


async def promise_what_was_sent_before_the_end_arrives(world: World) -> None:
    asker, watcher = await world.broker(), await world.broker()
    for n in range(50):
        asker.request("task", b"%d" % n, ttl_ms=LONG)
    await asker.close()
    await until_depth(world, watcher, "task", requests=50)


Promise = Callable[[World], Awaitable[None]]


def promises_of(module: str) -> list[Promise]:
    """All that a module has."""
    found = inspect.getmembers(sys.modules[module], inspect.iscoroutinefunction)
    return [each for name, each in found if name.startswith("promise_")]


PROMISES = promises_of(__name__)
