"""Twins of the memory broker, each of which breaks one promise: the conformance suite must find them out."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence

from runtime.drivers.broker_memory import MemoryBroker
from runtime.ports import Delivery, Publication, Subscription, Topology

Deliver = Callable[[Delivery], None]


class Wrapped:
    """A delivery that can be told otherwise."""

    def __init__(self, delivery: Delivery) -> None:
        self._delivery = delivery

    @property
    def body(self) -> bytes:
        return self._delivery.body

    @property
    def redelivered(self) -> bool:
        return self._delivery.redelivered

    def ack(self) -> None:
        self._delivery.ack()

    def requeue(self) -> None:
        self._delivery.requeue()


class Meddling(MemoryBroker):
    """Hands deliveries on through `meddle`."""

    def meddle(self, deliver: Deliver) -> Deliver:
        raise NotImplementedError

    async def consume_requests(self, actor: str, deliver: Deliver, *, prefetch: int) -> Subscription:
        return await super().consume_requests(actor, self.meddle(deliver), prefetch=prefetch)

    async def consume_events(self, actor: str, deliver: Deliver, *, prefetch: int) -> Subscription:
        return await super().consume_events(actor, self.meddle(deliver), prefetch=prefetch)


class Dropping(MemoryBroker):
    """Loses every third request."""

    sent = 0

    def request(self, actor: str, body: bytes, *, ttl_ms: int) -> None:
        self.sent += 1
        if self.sent % 3:
            super().request(actor, body, ttl_ms=ttl_ms)


class DroppingReplies(MemoryBroker):
    def reply(self, queue: str, body: bytes) -> None:
        """Forgets it."""


class Doubling(Meddling):
    """Delivers all twice."""

    def meddle(self, deliver: Deliver) -> Deliver:
        def twice(delivery: Delivery) -> None:
            deliver(delivery)
            deliver(delivery)

        return twice


class Unmarking(Meddling):
    """Does not say that a message came back."""

    class Fresh(Wrapped):
        @property
        def redelivered(self) -> bool:
            return False

    def meddle(self, deliver: Deliver) -> Deliver:
        return lambda delivery: deliver(self.Fresh(delivery))


class Remembering(Meddling):
    """Takes no ack seriously."""

    class Unacked(Wrapped):
        def ack(self) -> None:
            pass

    def meddle(self, deliver: Deliver) -> Deliver:
        return lambda delivery: deliver(self.Unacked(delivery))


class AckingEarly(Meddling):
    """Forgets a message once it was handed over: whoever crashes with it has lost it."""

    def meddle(self, deliver: Deliver) -> Deliver:
        def ack_first(delivery: Delivery) -> None:
            delivery.ack()
            deliver(delivery)

        return ack_first


class ConfirmingEarly(MemoryBroker):
    """Says that an event is safe when it only is on its way."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type] # handed through as they came
        self._background: set[asyncio.Task[Sequence[bool]]] = set()

    async def publish(self, publications: Sequence[Publication]) -> Sequence[bool]:
        task = asyncio.create_task(super().publish(publications))
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return [True] * len(publications)


class Hoarding(MemoryBroker):
    """Knows no bound on what a consumer holds."""

    async def consume_requests(self, actor: str, deliver: Deliver, *, prefetch: int) -> Subscription:
        return await super().consume_requests(actor, deliver, prefetch=1000 * prefetch)


class Timeless(MemoryBroker):
    """Keeps requests for ever."""

    def request(self, actor: str, body: bytes, *, ttl_ms: int) -> None:
        super().request(actor, body, ttl_ms=10**9)


class Restless(MemoryBroker):
    """Does not stop when it is told to pause."""

    class Deaf:
        async def pause(self) -> None:
            pass

        async def resume(self) -> None:
            pass

    async def consume_requests(self, actor: str, deliver: Deliver, *, prefetch: int) -> Subscription:
        await super().consume_requests(actor, deliver, prefetch=prefetch)
        return self.Deaf()


class Unbinding(MemoryBroker):
    """Gives an event to one actor only."""

    async def open(self, topology: Topology) -> None:
        bindings = {route: actors[:1] for route, actors in topology.bindings.items()}
        await super().open(Topology(topology.actors, bindings))


class Blind(MemoryBroker):
    """Shows an event to the first watcher only."""

    def _show(self, publication: Publication) -> None:
        for watcher in self._queues.watchers[:1]:
            watcher.show(publication.body)


class Seizing(MemoryBroker):
    """A watcher takes what it sees away from the consumers."""

    async def watch(self, routes: Sequence[str], deliver: Callable[[bytes], None]) -> Subscription:
        for route in routes:
            self._queues._bindings.pop(route, None)
        return await super().watch(routes, deliver)


class Staring(MemoryBroker):
    """Does not stop watching when it is told to."""

    async def watch(self, routes: Sequence[str], deliver: Callable[[bytes], None]) -> Subscription:
        await super().watch(routes, deliver)
        return Restless.Deaf()


class Flinching(MemoryBroker):
    """A fault of the callback is the end of watching."""

    async def watch(self, routes: Sequence[str], deliver: Callable[[bytes], None]) -> Subscription:
        failed = False

        def once(body: bytes) -> None:
            nonlocal failed
            if not failed:
                failed = True
                deliver(body)
                failed = False

        return await super().watch(routes, once)


class Silent(MemoryBroker):
    def on_returned(self, deliver: Callable[[str, bytes], None]) -> None:
        """Tells no one that a request went nowhere."""


class Immortal(Meddling):
    """Lets no event die: what comes back for ever is delivered for ever."""

    class Unlimited(Wrapped):
        def __init__(self, delivery: Delivery, deliver: Deliver, broker: MemoryBroker) -> None:
            super().__init__(delivery)
            self._deliver = deliver
            self._broker = broker

        def requeue(self) -> None:
            if self._broker.available:  # for ever, but not beyond its broker: the loop belongs to other tests too
                asyncio.get_running_loop().call_soon(self._deliver, self)

    def meddle(self, deliver: Deliver) -> Deliver:
        return lambda delivery: deliver(self.Unlimited(delivery, deliver, self))


class Cutting(MemoryBroker):
    """Closes before what was sent is there."""

    def request(self, actor: str, body: bytes, *, ttl_ms: int) -> None:
        asyncio.get_running_loop().call_soon(self._send, actor, body, ttl_ms)

    def _send(self, actor: str, body: bytes, ttl_ms: int) -> None:
        if self.available:
            super().request(actor, body, ttl_ms=ttl_ms)


class Shuffling(MemoryBroker):
    """Breaks nothing: the port promises no order."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type] # handed through as they came
        self._random = random.Random(7)

    async def publish(self, publications: Sequence[Publication]) -> Sequence[bool]:
        order = list(range(len(publications)))
        self._random.shuffle(order)
        safe = await super().publish([publications[place] for place in order])
        return [safe[order.index(place)] for place in range(len(order))]


BROKEN: dict[type[MemoryBroker], tuple[str, ...]] = {
    Dropping: ("a_request_reaches_its_actor_byte_for_byte", "what_was_sent_before_the_end_arrives"),
    DroppingReplies: ("a_reply_reaches_its_asker_alone", "a_reply_to_a_gone_asker_is_swallowed"),
    Doubling: ("a_request_goes_to_one_consumer_once", "an_event_reaches_each_bound_queue_once"),
    Unmarking: ("what_a_gone_consumer_held_comes_again_marked", "what_is_requeued_comes_again_marked"),
    Remembering: ("what_is_acked_never_comes_back",),
    AckingEarly: ("what_a_gone_consumer_held_comes_again_marked", "what_is_requeued_comes_again_marked"),
    ConfirmingEarly: ("what_is_confirmed_survives_the_end_of_all_processes", "each_publication_has_its_own_answer"),
    Hoarding: ("at_most_prefetch_are_held",),
    Timeless: ("a_request_that_expired_is_never_delivered",),
    Restless: ("a_paused_consumer_takes_nothing_new_and_settles_what_it_holds",),
    Unbinding: ("an_event_reaches_each_bound_queue_once",),
    Blind: ("each_watcher_sees_each_event_of_its_types_once",),
    Seizing: ("watching_takes_nothing_from_consumers",),
    Staring: ("a_watcher_that_was_paused_or_is_gone_sees_nothing",),
    Flinching: ("a_watcher_whose_callback_fails_sees_what_comes_next",),
    Silent: ("a_request_to_no_queue_is_returned_to_its_asker",),
    Immortal: ("an_event_that_always_comes_back_dies",),
    Cutting: ("what_was_sent_before_the_end_arrives",),
}
"""Twin → the promises that it breaks."""
