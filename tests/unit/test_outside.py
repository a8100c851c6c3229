"""`outside=True`: claim, work without a transaction, finish; and a crash anywhere between."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from runtime.actor import handles
from runtime.context import OutsideContext
from runtime.errors import Conflict, Invalid, Later, StoreAway, Throttled
from runtime.message import Ok, encode
from runtime.parked import OUTSIDE_AT_ONCE, ParkedLoop
from runtime.ports import Claim, Saved, Store
from runtime.verdict import Settle, Verdict
from tests.shelves import lapse
from tests.unit.counter import Added, AddSlowly, CounterActor, Mailed, Total, Totals, nothing
from tests.unit.house import House, answer, code, envelope


async def test_the_last_transaction_commits_with_the_reply_and_what_is_sent(house: House) -> None:
    request = envelope(AddSlowly(name="a"))
    made = await house.one(request)
    assert answer(made, Total).value == 1
    assert (await house.total("steps"), await house.inbox(), len(house.sent())) == (1, 1, 1)
    assert encode(await house.one(request)) == encode(made)
    assert (await house.total("a"), await house.total("steps")) == (1, 1)


async def test_no_transaction_is_held_during_the_work(house: House) -> None:
    async def during(name: str) -> None:
        async with asyncio.timeout(2), house.store.transaction() as transaction:
            await transaction.begin([Claim("another")])

    house.actor.during = during
    assert isinstance(await house.one(AddSlowly(name="a")), Ok)


async def test_f38_while_one_works_its_twin_is_in_progress_and_a_copy_is_silent(house: House) -> None:
    twins: list[str] = []
    copies: list[Verdict] = []

    async def during(name: str) -> None:
        for attempt in (0, 1):
            twin = envelope(AddSlowly(name="a"), id=request.id, nonce="second", attempt=attempt)
            twins.append(code(await house.replica().one(twin)))
            copies.append(await house.replica().one(msgspec.structs.replace(request, attempt=attempt)))

    house.actor.during = during
    request = envelope(AddSlowly(name="a"), nonce="first")
    assert isinstance(await house.one(request), Ok)
    assert twins == ["idempotency.in_progress"] * 2
    assert copies == [Settle.DONE] * 2
    assert await house.total("a") == 1


async def test_a_refusal_in_finish_undoes_it_and_is_saved(house: House) -> None:
    request = envelope(AddSlowly(name="a", amount=-1))
    made = await house.one(request)
    assert code(made) == "counter.negative"
    assert (await house.total("a"), await house.total("steps"), house.sent()) == (0, 1, [])
    assert encode(await house.one(request)) == encode(made)
    assert await house.total("steps") == 1, "it did not run again"


async def test_a_refusal_before_finish_is_saved(house: House) -> None:
    async def during(name: str) -> None:
        raise Conflict("counter.no")

    house.actor.during = during
    request = envelope(AddSlowly(name="a"))
    assert [code(await house.one(request)) for _ in range(2)] == ["counter.no"] * 2
    assert (await house.total("steps"), await house.inbox()) == (1, 1)


@pytest.mark.parametrize("error", [ZeroDivisionError(), Later(1), Throttled("counter.fast", retry_after=1)])
async def test_after_a_failure_the_id_is_free_at_once(house: House, error: Exception) -> None:
    async def during(name: str) -> None:
        house.actor.during = nothing
        raise error

    house.actor.during = during
    request = envelope(AddSlowly(name="a"))
    code(await house.one(request))
    assert isinstance(await house.one(request), Ok)
    assert await house.total("a") == 1


async def test_a_cancelled_one_gives_its_lease_back(house: House) -> None:
    working = asyncio.Event()

    async def during(name: str) -> None:
        working.set()
        await asyncio.Event().wait()

    house.actor.during = during
    request = envelope(AddSlowly(name="a"))
    task = asyncio.ensure_future(house.one(request))
    await working.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert isinstance(await house.replica().one(request), Ok)


async def test_after_a_crash_between_claim_and_finish_it_runs_again_when_the_lease_has_lapsed(house: House) -> None:
    request = envelope(AddSlowly(name="a"))
    assert await house.store.claim(Claim(request.id), "of a dead process", lease_ms=60_000) is None
    assert code(await house.one(request)) == "idempotency.in_progress"
    await lapse(house.store, "inbox")
    assert isinstance(await house.one(request), Ok)
    assert await house.total("a") == 1


async def test_one_whose_lease_was_taken_over_finishes_nothing(house: House) -> None:
    request = envelope(AddSlowly(name="a"))

    async def during(name: str) -> None:
        house.actor.during = nothing
        await house.total("a")
        await lapse(house.store, "inbox")
        taken.append(await house.replica().one(request))

    taken: list[object] = []
    house.actor.during = during
    mine = await house.one(request)
    assert taken == [mine], "the reply of the one that took over"
    assert await house.total("a") == 1


async def test_whoever_is_slow_keeps_its_lease_while_it_is_at_work(house: House) -> None:
    event = envelope(Mailed(name="a"))
    slow, other = House(house.store, house.actor, lease_ms=60), house.replica()
    verdicts: list[Verdict] = []

    async def during(name: str) -> None:
        ends = asyncio.get_running_loop().time() + 0.4  # several leases
        while asyncio.get_running_loop().time() < ends:
            verdicts.append(await other.one(event))
            await asyncio.sleep(0.02)

    house.actor.during = during
    assert await slow.one(event) is Settle.DONE
    assert set(verdicts) == {Settle.HOLD}
    assert await other.one(event) is Settle.DONE
    assert await house.total("mailed a") == 1


async def test_an_event_whose_lease_is_of_a_dead_process_is_held_and_not_lost(house: House) -> None:
    event = envelope(Mailed(name="a"))
    assert await house.store.claim(Claim(event.id), "of a dead process", lease_ms=60_000) is None
    assert await house.one(event) is Settle.HOLD
    await lapse(house.store, "inbox")
    assert await house.one(event) is Settle.DONE
    assert await house.total("mailed a") == 1


async def test_an_event_survives_a_store_that_goes_away_during_the_work(house: House) -> None:
    async def during(name: str) -> None:
        house.actor.during = nothing
        raise StoreAway("unplugged")

    house.actor.during = during
    event = envelope(Mailed(name="a"))
    assert await house.one(event) is Settle.HOLD
    assert await house.one(event) is Settle.DONE
    assert await house.total("mailed a") == 1


async def test_a_parked_one_that_was_settled_meanwhile_is_no_longer_parked(house: House) -> None:
    event = envelope(Mailed(name="a"))
    await house.one(event)
    await house.store.park([house.dispatch.parking.form(event, 1, 0, "its consumer went away")])
    assert await ParkedLoop(house.dispatch).step() == 1
    assert await house.store.parked(event.id) is None
    assert await house.total("mailed a") == 1


async def test_parked_ones_wait_for_their_servers_side_by_side_as_many_as_may(house: House) -> None:
    mails = [envelope(Mailed(name=f"m{n}")) for n in range(OUTSIDE_AT_ONCE + 1)]
    working: set[str] = set()
    go_on = asyncio.Event()

    async def during(name: str) -> None:
        if name.startswith("m"):
            working.add(name)
            await go_on.wait()

    house.actor.during = during
    for each in mails[1:]:
        await house.store.park([house.dispatch.parking.form(each, 1, 0, "the server was away")])
    loop = asyncio.ensure_future(ParkedLoop(house.dispatch).run())
    try:
        async with asyncio.timeout(10):
            while len(working) < OUTSIDE_AT_ONCE:
                await asyncio.sleep(0.01)
            await house.store.park([house.dispatch.parking.form(mails[0], 1, 0, "the server was away")])
            await asyncio.sleep(0.5)  # time for what must not happen
            assert len(working) == OUTSIDE_AT_ONCE
            go_on.set()
            while (await house.store.counts())["parked"]:
                await asyncio.sleep(0.01)
    finally:
        loop.cancel()
    assert len(working) == len(mails)
    assert await house.total("mailed m0") == 1


async def test_beside_a_parked_one_that_waits_for_its_server_others_are_tried(house: House) -> None:
    go_on = asyncio.Event()

    async def during(name: str) -> None:
        if name == "slow":
            await go_on.wait()

    house.actor.during = during
    for each in (envelope(Mailed(name="slow")), envelope(Added(name="a", value=1))):
        await house.store.park([house.dispatch.parking.form(each, 1, 0, "oh")])
    loop = asyncio.ensure_future(ParkedLoop(house.dispatch).run())
    try:
        async with asyncio.timeout(10):
            while not await house.total("added a"):
                await asyncio.sleep(0.01)
    finally:
        go_on.set()
        loop.cancel()


async def test_a_parked_one_in_another_s_hands_stays_parked(house: House) -> None:
    event = envelope(Mailed(name="a"))
    assert await house.store.claim(Claim(event.id), "another's", lease_ms=60_000) is None
    await house.store.park([house.dispatch.parking.form(event, 1, 0, "its consumer went away")])
    assert await ParkedLoop(house.dispatch).step() == 1
    assert (await house.row(event.id)).due_at is not None


async def test_a_refused_event_is_dead_and_its_id_free_for_a_replay(house: House) -> None:
    async def during(name: str) -> None:
        house.actor.during = nothing
        raise Invalid("counter.no")

    house.actor.during = during
    event = envelope(Mailed(name="a"))
    assert await house.one(event) is Settle.DONE
    assert (await house.row(event.id)).due_at is None
    await house.store.revive(event.id)
    assert await ParkedLoop(house.dispatch).step() == 1
    assert await house.store.parked(event.id) is None
    assert await house.total("mailed a") == 1


class Brief(CounterActor):
    @handles(outside=True)
    async def on_mailed(self, event: Mailed, ctx: OutsideContext[Totals]) -> None: ...


async def test_a_handler_that_never_enters_finish_is_settled_all_the_same(store: Store) -> None:
    event = envelope(Mailed(name="a"))
    assert await House(store, Brief()).one(event) is Settle.DONE
    async with store.transaction() as transaction:
        assert await transaction.begin([Claim(event.id)]) == [Saved(None, None)]


async def test_what_a_step_wrote_stays_whatever_comes(house: House) -> None:
    async def during(name: str) -> None:
        raise ZeroDivisionError

    house.actor.during = during
    assert code(await house.one(AddSlowly(name="a"))) == "internal"
    assert (await house.total("steps"), await house.total("a")) == (1, 0)
    assert Added not in map(type, house.sent())
