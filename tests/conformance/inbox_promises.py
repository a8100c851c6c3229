"""What `Store` promises of inbox and leases, each as one function over a world of stores."""

from __future__ import annotations

import asyncio

import pytest

from runtime.ports import Busy, Claim, Claimed, Outgoing, Parked, Raced, Saved, Settled, Store, Transaction
from tests.conformance.store_promises import PROMPT_S, fail_after
from tests.conformance.store_worlds import World

LONG = 60_000
"""A lease, in ms, that no test outlives. A lease of 0 ms has lapsed when it is given."""

X = Claim("x", b"hash")


async def claimed(store: Store, claim: Claim = X) -> Claimed:
    """What `begin` says, undone."""
    async with store.transaction() as transaction:
        (found,) = await transaction.begin([claim])
    return found


async def settle(store: Store, claim: Claim = X, reply: bytes | None = b"reply") -> None:
    async with store.transaction() as transaction:
        assert await transaction.begin([claim]) == [None]
        await transaction.finish([Settled(claim, reply)], [], lease_ms=LONG)


# --------------------------------------------------------------------------------------------------- inbox


async def promise_a_settled_id_has_its_saved_reply(world: World) -> None:
    store, other = await world.store(), await world.store()
    await settle(store, X, b"reply \x00\xff")
    await settle(store, Claim("silent"), None)
    for each in (store, other):
        assert await claimed(each, X) == Saved(b"reply \x00\xff", b"hash")
        assert await claimed(each, Claim("x", b"of something else")) == Saved(b"reply \x00\xff", b"hash")
        assert await claimed(each, Claim("silent")) == Saved(None, None)
        assert await claimed(each, Claim("new")) is None
    await world.stop()
    assert await claimed(await world.store()) == Saved(b"reply \x00\xff", b"hash")


async def promise_an_id_that_was_not_settled_is_free_again(world: World) -> None:
    store = await world.store()
    assert await claimed(store) is None

    async def handle(transaction: Transaction) -> None:
        assert await transaction.begin([X]) == [None]
        await transaction.finish([Settled(X, b"reply")], [], lease_ms=LONG)

    await fail_after(store, handle)
    assert await claimed(store) is None


async def promise_many_ids_are_answered_in_their_order(world: World) -> None:
    store = await world.store()
    await settle(store, Claim("b"), b"B")
    await store.claim(Claim("c"), "lease", lease_ms=LONG)
    async with store.transaction() as transaction:
        found = await transaction.begin([Claim(id) for id in ("d", "c", "b", "a")])
        assert found == [None, Busy(), Saved(b"B", None), None]
        await transaction.finish([Settled(Claim("d"), b"D"), Settled(Claim("a"), b"A")], [], lease_ms=LONG)
    async with store.transaction() as transaction:
        assert await transaction.begin([Claim("a"), Claim("d")]) == [Saved(b"A", None), Saved(b"D", None)]
        assert await transaction.begin([]) == []


async def promise_an_id_is_claimed_once_in_a_transaction(world: World) -> None:
    store = await world.store()
    async with store.transaction() as transaction:
        assert await transaction.begin([X, Claim("y"), X]) == [None, None, Busy()]
        assert await transaction.begin([X]) == [Busy()]


async def promise_of_fifty_that_claim_an_id_at_once_one_wins(world: World) -> None:
    stores = [await world.store(), await world.store(), await world.store()]

    async def handle(store: Store, n: int) -> Claimed | str:
        try:
            async with store.transaction() as transaction:
                (found,) = await transaction.begin([X])
                if found is None:
                    await world.put(transaction, str(n))
                    await transaction.finish([Settled(X, str(n).encode())], [], lease_ms=LONG)
        except Raced:
            return "raced"
        return found

    results = await asyncio.gather(*(handle(stores[n % 3], n) for n in range(50)))
    assert results.count(None) == len(await world.ids(stores[0])) == 1
    saved = Saved((await world.ids(stores[0]))[0].encode(), b"hash")
    assert all(each in (None, Busy(), saved, "raced") for each in results)


async def promise_of_fifty_that_lease_an_id_at_once_one_wins(world: World) -> None:
    stores = [await world.store(), await world.store(), await world.store()]
    results = await asyncio.gather(*(stores[n % 3].claim(X, str(n), lease_ms=LONG) for n in range(50)))
    assert results.count(None) == 1
    assert results.count(Busy()) == 49


async def promise_what_is_finished_is_kept_together_or_not_at_all(world: World) -> None:
    store = await world.store()
    event = Outgoing("o", "task_created", b"")
    await store.park([Parked("p", "mail_due", b"", 1, 0, "it broke")])

    async def handle(transaction: Transaction) -> None:
        await transaction.begin([X])
        await world.put(transaction, "a")
        await transaction.finish([Settled(X, b"reply")], [event], unpark=["p"], lease_ms=0)

    await fail_after(store, handle)
    assert await world.ids(store) == []
    assert await store.lease_outgoing(limit=9, lease_ms=0) == []
    assert await claimed(store) is None
    assert await store.parked("p") is not None
    async with store.transaction() as transaction:
        await handle(transaction)
    assert await world.ids(store) == ["a"]
    assert await store.lease_outgoing(limit=9, lease_ms=0) == [event]
    assert await claimed(store) == Saved(b"reply", b"hash")
    assert await store.parked("p") is None


# -------------------------------------------------------------------------------------------------- leases


async def promise_a_lease_is_settled_by_its_holder(world: World) -> None:
    store, other = await world.store(), await world.store()
    assert await store.claim(X, "mine", lease_ms=LONG) is None
    assert await other.claim(X, "theirs", lease_ms=LONG) == await claimed(other) == Busy()
    async with store.transaction() as transaction:
        assert not await transaction.resume("x", "theirs")
        assert not await transaction.resume("unknown", "mine")
        assert await transaction.resume("x", "mine")
        await transaction.finish([Settled(X, b"reply")], [], lease_ms=LONG)
    assert await other.claim(X, "theirs", lease_ms=LONG) == await claimed(other) == Saved(b"reply", b"hash")
    async with store.transaction() as transaction:
        assert not await transaction.resume("x", "mine")


async def promise_f38_a_lease_tells_copies_of_its_asking_from_others(world: World) -> None:
    store, other = await world.store(), await world.store()
    mine, theirs = Claim("x", b"hash", "mine"), Claim("x", b"hash", "theirs")
    assert await store.claim(mine, "mine", lease_ms=LONG) is None
    for each in (store, other):
        assert await each.claim(mine, "copy", lease_ms=LONG) == await claimed(each, mine) == Busy(same=True)
        assert await each.claim(theirs, "theirs", lease_ms=LONG) == await claimed(each, theirs) == Busy()
    await store.release("x", "mine")
    await store.claim(X, "nobody asked", lease_ms=LONG)
    assert await claimed(store) == Busy()


async def promise_a_lapsed_lease_is_taken_by_another(world: World) -> None:
    store, other = await world.store(), await world.store()
    assert await store.claim(X, "mine", lease_ms=0) is None
    assert await other.claim(Claim("x", b"newer"), "theirs", lease_ms=LONG) is None
    async with store.transaction() as transaction:
        assert not await transaction.resume("x", "mine")
    assert await claimed(store) == Busy()
    async with other.transaction() as transaction:
        assert await transaction.resume("x", "theirs")
        await transaction.finish([Settled(Claim("x", b"newer"))], [], lease_ms=LONG)
    assert await claimed(store) == Saved(None, b"newer")


async def promise_a_lapsed_lease_is_taken_by_a_transaction(world: World) -> None:
    store = await world.store()
    assert await store.claim(X, "mine", lease_ms=0) is None
    await settle(store, X, b"second")
    async with store.transaction() as transaction:
        assert not await transaction.resume("x", "mine")
    assert await claimed(store) == Saved(b"second", b"hash")


async def promise_a_lapsed_lease_that_nobody_took_is_still_its_holders(world: World) -> None:
    store = await world.store()
    assert await store.claim(X, "mine", lease_ms=0) is None
    async with store.transaction() as transaction:
        assert await transaction.resume("x", "mine")
        await transaction.finish([Settled(X, b"late")], [], lease_ms=LONG)
    assert await claimed(store) == Saved(b"late", b"hash")


async def promise_a_prolonged_lease_is_not_taken(world: World) -> None:
    store, other = await world.store(), await world.store()
    await store.claim(X, "mine", lease_ms=0)
    assert not await other.prolong("x", "theirs", lease_ms=LONG)
    assert await store.prolong("x", "mine", lease_ms=LONG)
    assert await other.claim(X, "theirs", lease_ms=LONG) == Busy()
    async with store.transaction() as transaction:
        assert await transaction.resume("x", "mine")


async def promise_what_is_another_s_or_settled_is_not_prolonged(world: World) -> None:
    store, other = await world.store(), await world.store()
    await store.claim(X, "mine", lease_ms=0)
    await other.claim(X, "theirs", lease_ms=LONG)
    assert not await store.prolong("x", "mine", lease_ms=LONG)
    async with other.transaction() as transaction:
        await transaction.resume("x", "theirs")
        await transaction.finish([Settled(X, b"reply")], [], lease_ms=LONG)
    assert not await other.prolong("x", "theirs", lease_ms=LONG)
    assert not await store.prolong("unknown", "mine", lease_ms=LONG)
    assert await claimed(store) == Saved(b"reply", b"hash")


async def promise_a_released_id_is_free(world: World) -> None:
    store = await world.store()
    await store.claim(X, "mine", lease_ms=LONG)
    await store.release("x", "theirs")
    assert await claimed(store) == Busy()
    await store.release("x", "mine")
    assert await store.claim(X, "theirs", lease_ms=LONG) is None


async def promise_what_is_settled_is_not_released(world: World) -> None:
    store = await world.store()
    await store.claim(X, "mine", lease_ms=LONG)
    async with store.transaction() as transaction:
        await transaction.resume("x", "mine")
        await transaction.finish([Settled(X, b"reply")], [], lease_ms=LONG)
    await store.release("x", "mine")
    assert await claimed(store) == Saved(b"reply", b"hash")


# --------------------------------------------------- of stores that do not lack `concurrent_transactions`


async def concurrent_promise_begin_never_waits_for_another(world: World) -> None:
    store, other = await world.store(), await world.store()
    async with store.transaction() as holder:
        assert await holder.begin([X]) == [None]
        await holder.finish([Settled(X, b"reply")], [], lease_ms=LONG)
        async with asyncio.timeout(PROMPT_S):
            assert await claimed(other) == await other.claim(X, "theirs", lease_ms=LONG) == Busy()
            assert await claimed(other, Claim("y")) is None
    assert await claimed(other) == Saved(b"reply", b"hash")


async def concurrent_promise_f38_begin_tells_copies_of_one_asking_from_others(world: World) -> None:
    store, other = await world.store(), await world.store()
    mine, theirs = Claim("x", b"hash", "mine"), Claim("x", b"hash", "theirs")
    async with store.transaction() as holder:
        assert await holder.begin([mine]) == [None]
        await holder.finish([Settled(mine, b"reply")], [], lease_ms=LONG)
        for _ in range(2):
            async with other.transaction() as transaction:
                assert await transaction.begin([theirs, Claim("y", None, "mine too")]) == [Busy(), None]
            assert await claimed(other, mine) == await other.claim(mine, "copy", lease_ms=LONG) == Busy(same=True)
    assert await claimed(other, mine) == await claimed(other, theirs) == Saved(b"reply", b"hash")


async def concurrent_promise_f38_of_copies_and_twins_at_once_no_copy_is_taken_for_a_twin(world: World) -> None:
    """However the locks of the one that was first are let go of."""
    stores = [await world.store(), await world.store(), await world.store()]

    async def handle(store: Store, claim: Claim) -> Claimed | str:
        try:
            async with store.transaction() as transaction:
                (found,) = await transaction.begin([claim])
                if found is None:
                    await transaction.finish([Settled(claim, b"reply")], [], lease_ms=LONG)
        except Raced:
            return "raced"
        return found

    for n in range(40):
        claim = Claim(f"x{n}", b"hash", f"asking {n}")
        results = await asyncio.gather(*(handle(stores[i % 3], claim) for i in range(9)))
        assert results.count(None) == 1
        assert Busy() not in results


async def concurrent_promise_resuming_never_waits_for_another(world: World) -> None:
    store, other = await world.store(), await world.store()
    await store.claim(X, "mine", lease_ms=0)
    async with other.transaction() as holder:
        assert await holder.begin([X]) == [None]
        async with asyncio.timeout(PROMPT_S), store.transaction() as transaction:
            assert not await transaction.resume("x", "mine")
            assert await claimed(store) == Busy()


async def concurrent_promise_finish_notices_that_another_was_first(world: World) -> None:
    store, other = await world.store(), await world.store()
    await store.claim(Claim("leased"), "mine", lease_ms=LONG)

    async def handle(id: str) -> None:
        async with store.transaction() as transaction:
            if id == "leased":
                assert await transaction.resume(id, "mine")
            else:
                assert await transaction.begin([Claim(id)]) == [None]
            await world.put(transaction, id)
            async with other.transaction() as another:
                await world.settle_unseen(another, id)
            await transaction.finish([Settled(Claim(id), b"reply")], [Outgoing(id, "t", b"")], lease_ms=0)

    for id in ("x", "leased"):
        with pytest.raises(Raced):
            await handle(id)
        assert await claimed(store, Claim(id)) == Saved(None, None)
    assert await world.ids(store) == []
    assert await store.lease_outgoing(limit=9, lease_ms=0) == []
