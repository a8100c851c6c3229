"""What `Broker.watch` promises; see `broker_promises`."""

from __future__ import annotations

import asyncio

from runtime.ports import Publication
from tests.conformance.broker_promises import Inbox, World, confirmed, promises_of


class Sights:
    """What a watcher was shown."""

    def __init__(self, world: World) -> None:
        self._patience_s = world.patience_s
        self._queue: asyncio.Queue[bytes] = asyncio.Queue()
        self.show = self._queue.put_nowait

    async def next(self) -> bytes:
        async with asyncio.timeout(self._patience_s):
            return await self._queue.get()

    @property
    def nothing(self) -> bool:
        return self._queue.empty()

    async def until(self, last: bytes) -> list[bytes]:
        """All that came, that one as the last."""
        seen = [await self.next()]
        while seen[-1] != last:
            seen.append(await self.next())
        return seen


async def promise_each_watcher_sees_each_event_of_its_types_once(world: World) -> None:
    sender, left, right = await world.broker(), await world.broker(), await world.broker()
    every, some = Sights(world), Sights(world)
    await left.watch(["nobody_cares", "unheard_of"], every.show)
    await right.watch(["unheard_of"], some.show)
    assert await confirmed(world, sender, Publication("1", "nobody_cares", b"one")) == [True]
    assert await confirmed(world, sender, Publication("2", "unheard_of", b"two")) == [True]
    assert await every.until(b"two") == [b"one", b"two"]
    assert await some.until(b"two") == [b"two"]
    assert await confirmed(world, sender, Publication("3", "unheard_of", b"three")) == [True]
    assert await every.until(b"three") == [b"three"]
    assert await some.until(b"three") == [b"three"]


async def promise_watching_takes_nothing_from_consumers(world: World) -> None:
    sender, actor, watcher = await world.broker(), await world.broker(), await world.broker()
    sights, notes = Sights(world), Inbox(world)
    await watcher.watch(["note_sent"], sights.show)
    await actor.consume_events("note", notes.take, prefetch=10)
    publishing = asyncio.create_task(
        confirmed(world, sender, Publication("1", "note", b"tell", direct=True), Publication("2", "note_sent", b"fact"))
    )
    assert sorted(await notes.take_and_ack(2)) == [b"fact", b"tell"]
    assert list(await publishing) == [True, True]
    assert await sights.until(b"fact") == [b"fact"]


async def promise_a_watcher_that_was_paused_or_is_gone_sees_nothing(world: World) -> None:
    sender, left, right, gone = [await world.broker() for _ in range(4)]
    paused, lost, sights = Sights(world), Sights(world), Sights(world)
    subscription = await left.watch(["unheard_of"], paused.show)
    await gone.watch(["unheard_of"], lost.show)
    await subscription.pause()
    await gone.close()
    await right.watch(["unheard_of"], sights.show)
    assert await confirmed(world, sender, Publication("1", "unheard_of", b"late")) == [True]
    assert await sights.until(b"late") == [b"late"]
    assert paused.nothing
    assert lost.nothing


async def promise_a_watcher_whose_callback_fails_sees_what_comes_next(world: World) -> None:
    sender, watcher = await world.broker(), await world.broker()
    sights = Sights(world)

    def fail_once(body: bytes) -> None:
        sights.show(body)
        if body == b"first":
            raise LookupError("a fault of the callback, made for this test")

    await watcher.watch(["unheard_of"], fail_once)
    for body in (b"first", b"second"):
        assert await confirmed(world, sender, Publication(body.decode(), "unheard_of", body)) == [True]
    assert await sights.until(b"second") == [b"first", b"second"]


PROMISES = promises_of(__name__)
