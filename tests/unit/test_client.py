"""Asking: sent again until the deadline, answered once. Time is made to jump: see `stopwatch`."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

import msgspec
import pytest

from runtime.client import COPIES, HEDGES_PER_ASK, MOST_HEDGES, Client
from runtime.drivers.broker_memory import MemoryBroker, Queues
from runtime.errors import BrokerAway, Conflict, DeadlinePassed, MessageError, Unavailable
from runtime.keys import Keys, sign_grant
from runtime.message import (
    Answer,
    Caller,
    Command,
    Envelope,
    Failed,
    Grant,
    Ok,
    encode,
    failed,
    frame_answers,
    unframe,
)
from runtime.ports import Delivery, Topology
from runtime.telemetry import Metrics
from tests.unit.counter import Add, GetTotal, Total
from tests.unit.house import KEY
from tests.unit.stopwatch import run_at_once

KEYS = Keys(None, {"counter": KEY, "test": KEY})


class Office:
    """An actor's queue that a test looks into and answers by hand.

    :ivar frames: what arrived: (time, envelopes).
    """

    def __init__(self) -> None:
        queues = Queues()
        self.frames: list[tuple[float, list[Envelope]]] = []
        self.broker = MemoryBroker(queues, prefix="t")
        self.metrics = Metrics()
        self.client = Client(self.broker, KEYS, self.metrics)
        self._far = MemoryBroker(queues, prefix="t")

    async def open(self) -> Office:
        topology = Topology(("counter",), {})
        await self.broker.open(topology)
        await self._far.open(topology)
        await self.serve()
        return self

    async def serve(self) -> None:
        """Take what comes."""
        self._counter = await self._far.consume_requests("counter", self._take, prefetch=1000)

    async def close(self) -> None:
        """Take nothing; it waits in the queue."""
        await self._counter.pause()

    def _take(self, delivery: Delivery) -> None:
        envelopes, signed = unframe(delivery.body, KEY)
        assert signed
        self.frames.append((asyncio.get_running_loop().time(), envelopes))
        delivery.ack()

    def answer(self, envelope: Envelope, total: int = 1, *, by: str | None = None) -> None:
        reply = Ok(encode(Total(name="a", value=total)), envelope.nonce if by is None else by)
        assert envelope.reply_to is not None
        self._far.reply(envelope.reply_to, frame_answers([Answer(envelope.nonce, reply)]))

    def fail(self, envelope: Envelope, reply: Failed) -> None:
        assert envelope.reply_to is not None
        self._far.reply(envelope.reply_to, frame_answers([Answer(envelope.nonce, reply)]))

    async def arrived(self, frames: int) -> None:
        while len(self.frames) < frames:
            await asyncio.sleep(0.01)


def in_an_office(test: Callable[[Office], Awaitable[None]]) -> Callable[[], None]:
    async def main() -> None:
        await test(await Office().open())

    def run() -> None:
        run_at_once(main())

    run.__doc__ = test.__doc__
    return run


@in_an_office
async def test_asks_of_one_tick_travel_as_one_message_and_a_lone_one_alone(office: Office) -> None:
    asks = [asyncio.ensure_future(office.client.ask(GetTotal(name=str(n)))) for n in range(5)]
    await office.arrived(1)
    lone = asyncio.ensure_future(office.client.ask(GetTotal(name="lone")))
    await office.arrived(2)
    assert [len(envelopes) for _, envelopes in office.frames] == [5, 1]
    for _, envelopes in office.frames:
        for envelope in envelopes:
            office.answer(envelope, 7)
    assert {total.value for total in await asyncio.gather(*asks, lone)} == {7}


@in_an_office
async def test_an_unanswered_ask_is_hedged_and_sent_again_after_1_3_and_7_seconds_alone_with_the_same_id(
    office: Office,
) -> None:
    asks = [asyncio.ensure_future(office.client.ask(Add(name="a"), id=id)) for id in ("x", "y")]
    await office.arrived(11)
    assert [time for time, _ in office.frames] == pytest.approx([0, *[0.4] * 4, 1, 1, 3, 3, 7, 7], abs=0.2)
    first, *again = [envelopes for _, envelopes in office.frames]
    assert [each.id for each in first] == ["x", "y"]
    assert [[each.id for each in envelopes] for envelopes in again] == [["x"], ["x"], ["y"], ["y"], *[["x"], ["y"]] * 3]
    assert [each.attempt for each in (first[0], again[0][0], again[1][0], again[4][0], again[6][0])] == [0, 1, 1, 2, 3]
    assert {each.nonce for _, envelopes in office.frames for each in envelopes if each.id == "x"} == {first[0].nonce}
    budgets = [envelopes[0].budget_ms or 0 for _, envelopes in office.frames]
    assert budgets == sorted(budgets, reverse=True), "what is left of the deadline"
    office.answer(again[-1][0])
    office.answer(first[0])
    assert [total.value for total in await asyncio.gather(*asks)] == [1, 1]


@in_an_office
async def test_queries_say_that_their_caller_has_just_written(office: Office) -> None:
    ada, bob = Caller("ada"), Caller("bob")
    asks = [asyncio.ensure_future(office.client.ask(Add(name="a"), caller=ada))]
    await office.arrived(1)
    asks += [asyncio.ensure_future(office.client.ask(GetTotal(name="a"), caller=each)) for each in (ada, bob)]
    await office.arrived(2)
    assert [each.fresh for _, envelopes in office.frames for each in envelopes] == [False, True, False]
    for _, envelopes in office.frames:
        for envelope in envelopes:
            office.answer(envelope)
    await asyncio.gather(*asks)


@in_an_office
async def test_what_cannot_be_sent_is_not_under_way(office: Office) -> None:
    for _ in range(20):
        with pytest.raises(OverflowError):
            await office.client.ask(Add(name="a", amount=1 << 70))
    with pytest.raises(DeadlinePassed):  # from here on no more may be under way than is answered
        await office.client.ask(Add(name="a"), budget_ms=500)
    sent = len(office.frames)
    ask = asyncio.ensure_future(office.client.ask(Add(name="a")))
    await office.arrived(sent + 1)
    office.answer(office.frames[-1][1][0])
    await ask


@in_an_office
async def test_hedges_are_a_tenth_of_the_asks_and_some_that_have_been_saved_up(office: Office) -> None:
    asks = [asyncio.ensure_future(office.client.ask(Add(name="a"))) for _ in range(200)]
    await asyncio.sleep(0.9)
    copies = [envelopes[0] for _, envelopes in office.frames if envelopes[0].attempt]
    assert len(copies) == MOST_HEDGES
    for _, envelopes in office.frames:
        for envelope in envelopes:
            office.answer(envelope)
    await asyncio.gather(*asks)
    office.frames.clear()
    asks = [asyncio.ensure_future(office.client.ask(GetTotal(name="a"))) for _ in range(100)]
    await asyncio.sleep(0.9)
    copies = [envelopes[0] for _, envelopes in office.frames if envelopes[0].attempt]
    assert 0 <= 100 * HEDGES_PER_ASK - len(copies) <= COPIES
    for ask in asks:
        ask.cancel()


@in_an_office
async def test_what_is_always_slow_is_not_hedged_and_all_else_is(office: Office) -> None:
    for _ in range(20):
        slow = asyncio.ensure_future(office.client.ask(Add(name="a")))
        await asyncio.sleep(0.6)
        office.answer(office.frames[-1][1][0])
        await slow
    office.frames.clear()
    asks = [asyncio.ensure_future(office.client.ask(each)) for each in (Add(name="a"), GetTotal(name="a"))]
    await asyncio.sleep(0.9)
    assert [envelopes[0].type for _, envelopes in office.frames[1:]] == ["get_total"] * COPIES
    for ask in asks:
        ask.cancel()


@in_an_office
async def test_f22_under_five_times_overload_an_actor_does_what_it_can_and_nothing_twice(office: Office) -> None:
    """It handles a hundred requests a second, in the order in which they come, whether anybody still waits or not."""

    async def work() -> None:
        for n in range(100_000):
            await office.arrived(n + 1)
            await asyncio.sleep(0.01)
            for envelope in office.frames[n][1]:
                office.answer(envelope)

    async def ask() -> str:
        try:
            await office.client.ask(GetTotal(name="a"), budget_ms=5_000)
        except Unavailable as error:
            return type(error).__name__
        return "done"

    working = asyncio.ensure_future(work())
    asks = []
    for _ in range(10_000):
        asks.append(asyncio.ensure_future(ask()))
        await asyncio.sleep(0.002)
    outcomes = Counter(await asyncio.gather(*asks))
    working.cancel()
    assert outcomes["done"] > 0.9 * 2_000
    assert outcomes["Overloaded"] > 7_000
    again = sum(envelope.attempt > 0 for _, envelopes in office.frames for envelope in envelopes)
    assert again < 100


@in_an_office
async def test_what_others_have_overtaken_is_sent_again_and_what_waits_its_turn_is_not(office: Office) -> None:
    """Two thirds of what is asked for can be done, so that all wait longer and longer; one is lost."""

    def first(n: int) -> Envelope:
        return next(each for _, (each, *_) in office.frames if each.body == encode(GetTotal(name=str(n))))

    async def work() -> None:
        for n in range(40):
            await asyncio.sleep(0.15)
            if n != 5:
                office.answer(first(n))

    working = asyncio.ensure_future(work())
    asks = []
    for n in range(40):
        asks.append(asyncio.ensure_future(office.client.ask(GetTotal(name=str(n)))))
        await asyncio.sleep(0.1)
    await working
    after_a_second = [envelopes[0].nonce for _, envelopes in office.frames if envelopes[0].attempt > 1]
    assert set(after_a_second) == {first(5).nonce}
    assert await asyncio.gather(*asks[:5], *asks[6:])
    asks[5].cancel()


@in_an_office
async def test_the_deadline_is_kept_and_names_the_actor(office: Office) -> None:
    loop = asyncio.get_running_loop()
    with pytest.raises(DeadlinePassed, match="the actor 'counter' did not answer in time"):
        await office.client.ask(Add(name="a"), budget_ms=2500)
    assert 2.5 <= loop.time() < 2.6


@in_an_office
async def test_f20_an_actor_that_has_stopped_answering_is_asked_four_times_a_second_and_the_rest_is_told(
    office: Office,
) -> None:
    loop = asyncio.get_running_loop()
    first = asyncio.ensure_future(office.client.ask(Add(name="a"), budget_ms=30_000))
    await asyncio.sleep(4.9)
    second = asyncio.ensure_future(office.client.ask(Add(name="b"), budget_ms=30_000))
    await asyncio.sleep(0.3)
    asked = loop.time()
    probe = asyncio.ensure_future(office.client.ask(Add(name="c"), budget_ms=30_000))
    await asyncio.sleep(0)
    for _ in range(3):
        with pytest.raises(Unavailable, match="the actor 'counter' has stopped answering"):
            await office.client.ask(Add(name="d"))
    assert loop.time() == asked
    await office.arrived(len(office.frames) + 1)
    office.answer(office.frames[-1][1][0])
    await asyncio.wait({first, second, probe}, return_when=asyncio.FIRST_COMPLETED)
    others = asyncio.gather(
        *(office.client.ask(Add(name="e"), budget_ms=100) for _ in range(3)), return_exceptions=True
    )
    assert [type(each) for each in await others] == [DeadlinePassed] * 3, "asked again, all of them"
    for each in (first, second, probe):
        each.cancel()


@in_an_office
async def test_f20_an_actor_that_answers_others_is_not_silent(office: Office) -> None:
    slow = asyncio.ensure_future(office.client.ask(Add(name="slow"), budget_ms=30_000))
    for _ in range(8):
        await asyncio.sleep(1)
        quick = asyncio.ensure_future(office.client.ask(Add(name="quick")))
        await asyncio.sleep(0.01)
        office.answer(next(each for _, sent in office.frames[::-1] for each in sent if b"quick" in each.body))
        assert (await quick).value == 1
    both = (office.client.ask(Add(name="late"), budget_ms=100) for _ in range(2))
    found = await asyncio.gather(*both, return_exceptions=True)
    assert [type(each) for each in found] == [DeadlinePassed] * 2, "both were sent"
    slow.cancel()


@in_an_office
async def test_an_answer_after_the_deadline_is_nobody_s(office: Office) -> None:
    with pytest.raises(DeadlinePassed):
        await office.client.ask(Add(name="a"), budget_ms=100)
    office.answer(office.frames[0][1][0])
    await asyncio.sleep(0.1)


@in_an_office
async def test_without_a_broker_an_ask_fails_at_once(office: Office) -> None:
    await office.broker.close()
    with pytest.raises(BrokerAway):
        await office.client.ask(Add(name="a"))
    assert asyncio.get_running_loop().time() == 0


@in_an_office
async def test_after_a_reconnect_what_still_waits_is_asked_again_at_once(office: Office) -> None:
    ask = asyncio.ensure_future(office.client.ask(Add(name="a")))
    await office.arrived(1)
    await asyncio.sleep(0.3)
    office.client.reconnected()
    await office.arrived(2)
    time, (again,) = office.frames[1]
    assert time < 0.4
    assert again.attempt == 1
    office.answer(again)
    assert (await ask).value == 1


@in_an_office
async def test_what_was_sent_before_the_broker_went_away_is_asked_again_when_it_is_back(office: Office) -> None:
    ask = asyncio.ensure_future(office.client.ask(Add(name="a")))
    await office.arrived(1)
    await office.broker.close()
    await asyncio.sleep(3)
    await office.broker.open(Topology(("counter",), {}))
    office.client.reconnected()
    await office.arrived(2)
    office.answer(office.frames[1][1][0])
    assert (await ask).value == 1


@in_an_office
async def test_an_answer_that_an_earlier_ask_made_is_a_replay(office: Office) -> None:
    for by, replayed in ((None, False), ("earlier", True)):
        office.frames.clear()
        asking = asyncio.ensure_future(office.client.ask_raw(Add(name="a"), budget_ms=1000))
        await office.arrived(1)
        office.answer(office.frames[0][1][0], by=by)
        assert (await asking).replayed is replayed


@in_an_office
async def test_a_no_is_raised_as_what_the_actor_raised(office: Office) -> None:
    ask = asyncio.ensure_future(office.client.ask(Add(name="a")))
    await office.arrived(1)
    office.fail(office.frames[0][1][0], failed(Conflict("counter.full", "no room")))
    with pytest.raises(Conflict, match="no room") as caught:
        await ask
    assert caught.value.code == "counter.full"


class Nowhere(Command[None], frozen=True, kw_only=True):
    """For an actor that has no queue: its name is that of this file."""


@in_an_office
async def test_an_actor_without_a_queue_is_away(office: Office) -> None:
    with pytest.raises(Unavailable, match="the actor 'test' is away"):
        await office.client.ask(Nowhere())
    assert asyncio.get_running_loop().time() < 0.1


@in_an_office
async def test_bytes_that_are_no_reply_are_passed_over(office: Office) -> None:
    ask = asyncio.ensure_future(office.client.ask(Add(name="a")))
    await office.arrived(1)
    (envelope,) = office.frames[0][1]
    assert envelope.reply_to is not None
    for body in (b"", b"\xc1", b"\x91" * 5000):
        office.broker.reply(envelope.reply_to, body)
    office.answer(envelope)
    assert (await ask).value == 1


@in_an_office
async def test_a_grant_goes_along_while_it_is_good_and_a_forged_one_is_refused(office: Office) -> None:
    grant = sign_grant(KEY, Grant("counter", "fact", "subject", b"yes", 2000))
    with pytest.raises(MessageError, match="not signed"):
        await office.client.ask_raw(
            Add(name="a"), budget_ms=1000, grants=(msgspec.structs.replace(grant, value=b"no"),)
        )
    asking = asyncio.ensure_future(office.client.ask_raw(Add(name="a"), budget_ms=9000, grants=(grant,)))
    await office.arrived(5)
    left = [sum(grant.expires_in for grant in envelopes[0].grants) for _, envelopes in office.frames]
    assert left == pytest.approx([2000, 1600, 1600, 1000, 0], abs=100)
    office.answer(office.frames[0][1][0])
    await asking


@in_an_office
async def test_a_message_is_gone_from_the_queue_when_its_grant_has_expired(office: Office) -> None:
    await office.close()
    grant = sign_grant(KEY, Grant("counter", "fact", "subject", b"yes", 2000))
    asking = asyncio.ensure_future(office.client.ask_raw(Add(name="a"), budget_ms=9000, grants=(grant,)))
    await asyncio.sleep(2.5)
    await office.serve()  # what was sent in the first 2 s has been dropped
    await office.arrived(1)
    ((_, (again,)),) = office.frames
    assert (again.grants, again.attempt) == ((), 3)
    office.answer(again)
    await asking


@in_an_office
async def test_a_cancelled_ask_is_forgotten(office: Office) -> None:
    ask = asyncio.ensure_future(office.client.ask(Add(name="a")))
    await office.arrived(1)
    ask.cancel()
    await asyncio.sleep(5)
    assert len(office.frames) == 1


@in_an_office
async def test_many_asks_of_one_tick_are_split_into_messages_of_128(office: Office) -> None:
    asks = [asyncio.ensure_future(office.client.ask(GetTotal(name="a"))) for _ in range(300)]
    await office.arrived(3)
    assert [len(envelopes) for _, envelopes in office.frames] == [128, 128, 44]
    for ask in asks:
        ask.cancel()
    await asyncio.gather(*asks, return_exceptions=True)
