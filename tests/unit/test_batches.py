"""Lists of `many` handlers: one transaction, and one bad command never fails its neighbours."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from runtime.actor import handles
from runtime.context import ManyContext
from runtime.errors import Later, Refusal, StoreAway
from runtime.message import Ok, encode
from runtime.ports import Store
from runtime.verdict import Settle
from tests.unit.counter import AddEach, Added, CounterActor, GetEach, Total, Totals
from tests.unit.house import House, answer, code, codes, envelope


async def test_a_list_is_one_transaction_with_an_inbox_row_for_each(house: House) -> None:
    verdicts = await house.handle(*(envelope(AddEach(name=name)) for name in "abc"))
    assert [answer(each, Total).name for each in verdicts] == ["a", "b", "c"]
    assert (house.actor.lists, await house.inbox(), len(house.sent())) == ([3], 3, 3)


async def test_one_refused_command_leaves_its_neighbours_unharmed_and_sends_nothing(house: House) -> None:
    requests = [envelope(AddEach(name=name, amount=amount)) for name, amount in (("a", 1), ("b", -1), ("c", 1))]
    verdicts = await house.handle(*requests)
    assert codes(verdicts) == ["ok", "counter.negative", "ok"]
    assert house.actor.lists == [3], "all in one transaction"
    assert [await house.total(name) for name in "abc"] == [1, 0, 1]
    assert len(house.sent()) == 2
    again = await house.handle(*requests)
    assert [encode(each) for each in again] == [encode(each) for each in verdicts], "all were saved"


async def test_a_list_that_fails_as_a_whole_is_run_one_by_one(house: House) -> None:
    async def during(name: str) -> None:
        if name == "bad":
            raise ZeroDivisionError
        if name == "slow":
            raise Later(1)

    house.actor.during = during
    verdicts = await house.handle(*(envelope(AddEach(name=name)) for name in ("a", "bad", "b", "slow")))
    assert codes(verdicts) == ["ok", "internal", "ok", "edge.unavailable"]
    assert house.actor.lists == [4, 1, 1, 1, 1]
    assert (await house.total("a"), await house.total("b"), await house.inbox()) == (1, 1, 2)
    assert len(house.failures) == 1, "only what failed alone is a fault"


async def test_an_unreadable_command_in_a_list_fails_alone(house: House) -> None:
    good = envelope(AddEach(name="a"))
    bad = type(good)(good.id + "x", good.type, good.to, b"\xc1", good.nonce, good.reply_to)
    assert codes(await house.handle(good, bad)) == ["ok", "internal"]


async def test_the_same_id_twice_in_a_list_has_one_effect_and_one_answer(house: House) -> None:
    first, again = (envelope(AddEach(name="a"), id="k", nonce=nonce) for nonce in ("1", "2"))
    verdicts = await house.handle(first, envelope(AddEach(name="b")), again)
    assert encode(verdicts[0]) == encode(verdicts[2])
    assert await house.total("a") == 1


async def test_the_same_id_twice_in_a_list_for_different_requests_is_refused(house: House) -> None:
    verdicts = await house.handle(
        envelope(AddEach(name="a"), id="k", hash=b"1"), envelope(AddEach(name="b"), id="k", hash=b"2")
    )
    assert codes(verdicts) == ["ok", "idempotency.key_reused"]
    assert await house.total("b") == 0


async def test_known_ones_in_a_list_get_their_saved_reply(house: House) -> None:
    known = envelope(AddEach(name="a"))
    made = await house.one(known)
    replayed, fresh = await house.handle(known, envelope(AddEach(name="a")))
    assert encode(made) == encode(replayed)
    assert answer(fresh, Total).value == 2


async def test_a_list_is_answered_as_unavailable_while_the_store_is_away(house: House) -> None:
    async def during(name: str) -> None:
        raise StoreAway("unplugged")

    house.actor.during = during
    assert codes(await house.handle(*(envelope(AddEach(name=name)) for name in "ab"))) == ["edge.unavailable"] * 2
    assert house.actor.lists == [2], "no use in trying each"


async def test_queries_of_a_list_are_handed_over_together(house: House) -> None:
    verdicts = await house.handle(*(envelope(GetEach(name=name)) for name in "ab"))
    assert codes(verdicts) == ["ok", "ok"]
    assert house.actor.lists == [2]


async def test_queries_that_fail_as_a_whole_are_run_one_by_one(house: House) -> None:
    async def during(name: str) -> None:
        if name == "bad":
            raise ZeroDivisionError

    house.actor.during = during
    assert codes(await house.handle(*(envelope(GetEach(name=name)) for name in ("a", "bad")))) == ["ok", "internal"]
    assert house.actor.lists == [2, 1, 1]


class Forgetful(CounterActor):
    @handles(many=True)
    async def add_each(self, commands: Sequence[AddEach], ctx: ManyContext[Totals]) -> list[Total | Refusal]:
        return []


async def test_a_handler_that_loses_answers_is_found_out(store: Store) -> None:
    house = House(store, Forgetful())
    assert code(await house.one(AddEach(name="a"))) == "internal"
    assert "answered 0 of 1" in str(house.failures[0])


async def test_two_replicas_with_the_same_command_in_their_lists_have_one_effect(house: House) -> None:
    requests = [envelope(AddEach(name=name)) for name in "abcdefgh"]
    # the second replica has them as the first one's, sent again
    again = [
        envelope(AddEach(name=each), id=r.id, attempt=1) for each, r in zip("hgfedcba", requests[::-1], strict=True)
    ]
    verdicts, others = await asyncio.gather(house.handle(*requests), house.replica().handle(*again))
    for verdict, other in zip(verdicts, others[::-1], strict=True):
        assert isinstance(verdict, Ok) or isinstance(other, Ok)
    assert [await house.total(name) for name in "abcdefgh"] == [1] * 8


async def test_an_event_in_two_replicas_at_once_is_handled_once_and_lost_by_neither(house: House) -> None:
    """Whoever finds it in another's hands keeps it until that one has settled it."""
    if "concurrent_transactions" in house.store.lacks:
        pytest.skip("this store runs one transaction at a time")
    running, finish = asyncio.Event(), asyncio.Event()

    async def during(name: str) -> None:
        running.set()
        await finish.wait()

    house.actor.during = during
    event = envelope(Added(name="a", value=1))
    first = asyncio.ensure_future(house.one(event))
    await running.wait()
    other = house.replica()
    assert await other.one(event) is Settle.HOLD
    finish.set()
    assert await first is Settle.DONE
    assert await other.one(event) is Settle.DONE
    assert await house.total("added a") == 1
