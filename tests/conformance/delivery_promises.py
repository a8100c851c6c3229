"""What `Store` promises of inbox, outbox and parked, each as one function over a world of stores."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from runtime.ports import Busy, Claim, Claimed, Outgoing, Parked, ParkedRow, Raced, Saved, Settled, Store
from tests.conformance.store_promises import PROMPT_S, ids, put
from tests.conformance.store_worlds import World

LONG = 60_000
"""A lease, in ms, that no test outlives. A lease of 0 ms has lapsed when it is given."""

X = Claim("x", b"hash")


def outgoing(*ids: str) -> list[Outgoing]:
    return [Outgoing(id, "task_created", id.encode()) for id in ids]


def failed(id: str, *, due_in_ms: int | None = 0, attempt: int = 1, type: str = "mail_due") -> Parked:
    return Parked(id, type, id.encode(), attempt, due_in_ms, "it broke")


async def claimed(store: Store, claim: Claim = X) -> Claimed:
    """What `begin` says, undone."""
    async with store.transaction() as transaction:
        (found,) = await transaction.begin([claim])
    return found


async def settle(store: Store, claim: Claim = X, reply: bytes | None = b"reply") -> None:
    async with store.transaction() as transaction:
        assert await transaction.begin([claim]) == [None]
        await transaction.finish([Settled(claim, reply)], [], lease_ms=LONG)


async def send(store: Store, *rows: Outgoing, lease_ms: int = 0) -> None:
    async with store.transaction() as transaction:
        await transaction.finish([], rows, lease_ms=lease_ms)


async def lease(store: Store, *, limit: int = 100, lease_ms: int = LONG) -> list[str]:
    return [row.id for row in await store.lease_outgoing(limit=limit, lease_ms=lease_ms)]


async def due(store: Store, *, limit: int = 100, lease_ms: int = LONG) -> list[str]:
    return [row.id for row in await store.lease_parked(limit=limit, lease_ms=lease_ms)]


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
    with pytest.raises(LookupError):
        async with store.transaction() as transaction:
            assert await transaction.begin([X]) == [None]
            await transaction.finish([Settled(X, b"reply")], [], lease_ms=LONG)
            raise LookupError
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
                    await put(transaction, str(n))
                    await transaction.finish([Settled(X, str(n).encode())], [], lease_ms=LONG)
        except Raced:
            return "raced"
        return found

    results = await asyncio.gather(*(handle(stores[n % 3], n) for n in range(50)))
    (winner,) = await ids(stores[0])
    assert results.count(None) == 1
    assert all(each in (None, Busy(), Saved(winner.encode(), b"hash"), "raced") for each in results)


async def promise_of_fifty_that_lease_an_id_at_once_one_wins(world: World) -> None:
    stores = [await world.store(), await world.store(), await world.store()]
    results = await asyncio.gather(*(stores[n % 3].claim(X, str(n), lease_ms=LONG) for n in range(50)))
    assert results.count(None) == 1
    assert results.count(Busy()) == 49


async def promise_what_is_finished_is_kept_together_or_not_at_all(world: World) -> None:
    store = await world.store()
    await store.park([failed("p")])
    for leave in (True, False):
        try:
            async with store.transaction() as transaction:
                await transaction.begin([X])
                await put(transaction, "a")
                await transaction.finish([Settled(X, b"reply")], outgoing("o"), unpark=["p"], lease_ms=0)
                if leave:
                    raise LookupError
        except LookupError:
            assert await ids(store) == await lease(store) == []
            assert await claimed(store) is None
            assert await store.parked("p") is not None
    assert await ids(store) == ["a"]
    assert await lease(store) == ["o"]
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


# -------------------------------------------------------------------------------------------------- outbox


async def promise_outgoing_rows_come_back_as_they_were_put(world: World) -> None:
    store = await world.store()
    rows = [Outgoing("a", "task_created", b"\x00\xff"), Outgoing("b", "notify", b"", direct=True)]
    await send(store, *rows)
    assert await store.lease_outgoing(limit=10, lease_ms=LONG) == rows


async def promise_outgoing_rows_are_born_leased(world: World) -> None:
    store = await world.store()
    await send(store, *outgoing("a"), lease_ms=LONG)
    await send(store, *outgoing("b"), lease_ms=0)
    assert await lease(store) == ["b"]


async def promise_outgoing_rows_are_leased_oldest_first(world: World) -> None:
    store = await world.store()
    for n in range(5):
        await send(store, *outgoing(f"{n}a", f"{n}b"))
    names = [f"{n}{letter}" for n in range(5) for letter in "ab"]
    assert await lease(store, limit=3) == names[:3]
    assert await lease(store) == names[3:]


async def promise_no_outgoing_row_goes_to_two(world: World) -> None:
    stores = [await world.store(), await world.store(), await world.store()]
    await send(stores[0], *outgoing(*(f"{n:03}" for n in range(100))))
    found: list[str] = []
    while more := await asyncio.gather(*(lease(stores[n % 3], limit=7) for n in range(10))):
        if not any(more):
            break
        found += [id for part in more for id in part]
    assert sorted(found) == [f"{n:03}" for n in range(100)]


async def promise_an_outgoing_row_whose_lease_lapsed_is_leased_again(world: World) -> None:
    store, other = await world.store(), await world.store()
    await send(store, *outgoing("a"))
    assert await lease(store, lease_ms=0) == await lease(other, lease_ms=0) == await lease(store) == ["a"]
    assert await lease(other) == []


async def promise_outgoing_rows_stay_until_they_are_deleted(world: World) -> None:
    store = await world.store()
    await send(store, *outgoing("a", "b", "c"))
    assert await lease(store, lease_ms=0) == ["a", "b", "c"]
    await store.delete_outgoing(["a", "unknown"])
    await store.delete_outgoing([])
    await world.stop()
    assert await lease(await world.store()) == ["b", "c"]


# -------------------------------------------------------------------------------------------------- parked


async def promise_a_parked_envelope_is_leased_when_due_and_counted(world: World) -> None:
    store, other = await world.store(), await world.store()
    await store.park([failed("now", attempt=3), failed("later", due_in_ms=LONG), failed("dead", due_in_ms=None)])
    (row,) = await store.lease_parked(limit=10, lease_ms=LONG)
    assert (row.id, row.type, row.envelope, row.attempt, row.reason) == ("now", "mail_due", b"now", 4, "it broke")
    assert row.due_at is not None
    assert row.due_at > row.first_failed_at == row.last_failed_at > 1_700_000_000_000
    assert await other.parked("now") == row
    assert await due(other) == []


async def promise_parked_envelopes_are_leased_oldest_first(world: World) -> None:
    store = await world.store()
    await store.park([failed("a", due_in_ms=-10), failed("b", due_in_ms=-30), failed("c", due_in_ms=-20)])
    assert [await due(store, limit=1) for _ in range(4)] == [["b"], ["c"], ["a"], []]


async def promise_no_parked_envelope_goes_to_two(world: World) -> None:
    stores = [await world.store(), await world.store(), await world.store()]
    await stores[0].park([failed(f"{n:03}") for n in range(60)])
    parts = await asyncio.gather(*(due(stores[n % 3], limit=10) for n in range(9)))
    found = [id for part in parts for id in part]
    found += await due(stores[0])
    assert sorted(found) == [f"{n:03}" for n in range(60)]


async def promise_a_parked_envelope_whose_lease_lapsed_is_leased_again(world: World) -> None:
    store, other = await world.store(), await world.store()
    await store.park([failed("a")])
    (first,) = await store.lease_parked(limit=10, lease_ms=0)
    (second,) = await other.lease_parked(limit=10, lease_ms=LONG)
    assert (first.attempt, second.attempt) == (2, 3)


async def promise_parking_again_keeps_the_first_failure(world: World) -> None:
    store = await world.store()
    await store.park([failed("a")])
    first = await store.parked("a")
    assert first is not None
    last = first
    while last.last_failed_at == first.last_failed_at:  # until the clock has moved on
        await store.park([Parked("a", "task_due", b"other", 5, None, "it broke again")])
        again = await store.parked("a")
        assert again is not None
        last = again
    expected = ParkedRow(
        "a", "task_due", b"other", 5, None, "it broke again", first.first_failed_at, last.last_failed_at
    )
    assert last == expected
    assert last.last_failed_at > last.first_failed_at


async def promise_any_reason_can_be_parked(world: World) -> None:
    store = await world.store()
    await store.park([Parked("a", "mail_due", b"", 1, None, "NUL \0, half a pair \ud800")])
    row = await store.parked("a")
    assert row is not None
    assert row.reason.startswith("NUL \N{REPLACEMENT CHARACTER}, half a pair ")


async def promise_parking_can_settle(world: World) -> None:
    store = await world.store()
    await store.claim(Claim("leased", b"hash"), "mine", lease_ms=LONG)
    await settle(store, Claim("settled", b"hash"), b"reply")
    await store.park(
        [failed("a", due_in_ms=None)], settle=[X, Claim("leased", b"hash"), Claim("settled"), Claim("alone")]
    )
    assert await claimed(store) == await claimed(store, Claim("leased")) == Saved(None, b"hash")
    assert await claimed(store, Claim("settled")) == Saved(b"reply", b"hash")
    assert await claimed(store, Claim("alone")) == Saved(None, None)
    async with store.transaction() as transaction:
        assert not await transaction.resume("leased", "mine")


async def promise_parking_at_once_never_fails(world: World) -> None:
    stores = [await world.store(), await world.store()]
    rows = [failed(f"{n}") for n in range(20)]
    orders: Sequence[Sequence[Parked]] = [rows, rows[::-1], rows[10:] + rows[:10], rows]
    await asyncio.gather(
        *(stores[n % 2].park(order, settle=[Claim(row.id) for row in order]) for n, order in enumerate(orders))
    )
    assert (await stores[0].counts())["parked"] == 20


async def promise_the_dead_are_listed_newest_first(world: World) -> None:
    store = await world.store()
    await store.park([failed(f"m{n}", due_in_ms=None) for n in range(3)])
    await store.park([failed(f"t{n}", due_in_ms=None, type="task_due") for n in range(2)])
    await store.park([failed("waiting", due_in_ms=LONG)])

    async def dead(type: str | None = None, after: str | None = None, limit: int = 50) -> list[str]:
        return [row.id for row in await store.dead(type=type, after=after, limit=limit)]

    assert await dead() == ["t1", "t0", "m2", "m1", "m0"]
    assert await dead(limit=2) == ["t1", "t0"]
    assert await dead(after="t0", limit=2) == ["m2", "m1"]
    assert await dead("mail_due") == ["m2", "m1", "m0"]
    assert await dead("mail_due", "m2", 1) == ["m1"]
    assert await due(store) == []


async def promise_an_unparked_envelope_is_gone(world: World) -> None:
    store = await world.store()
    await store.park([failed("a"), failed("dead", due_in_ms=None)])
    assert await store.unpark("a")
    assert await store.unpark("dead")
    assert not await store.unpark("a")
    assert await store.parked("a") is None
    assert await due(store) == []


async def promise_a_dead_letter_is_revived_once(world: World) -> None:
    store = await world.store()
    await store.park([failed("a", due_in_ms=None, attempt=8), failed("b", due_in_ms=None), failed("c")])
    assert await store.revive("a")
    assert not await store.revive("a")
    assert await store.revive("b", b"edited")
    assert not await store.revive("c")
    assert not await store.revive("unknown")
    rows = {row.id: (row.envelope, row.attempt) for row in await store.lease_parked(limit=10, lease_ms=LONG)}
    assert rows == {"a": (b"a", 1), "b": (b"edited", 1), "c": (b"c", 2)}


# -------------------------------------------------------------------------------------------- housekeeping


async def promise_old_inbox_rows_are_pruned(world: World) -> None:
    store = await world.store()
    for n in range(5):
        await settle(store, Claim(str(n)))
    await store.claim(Claim("leased"), "mine", lease_ms=LONG)
    await store.claim(Claim("left behind"), "mine", lease_ms=0)
    assert await store.prune(older_than_ms=LONG, limit=100) == 0
    assert await store.prune(older_than_ms=0, limit=2) == 2
    assert await store.prune(older_than_ms=0, limit=100) == 4
    assert await claimed(store, Claim("0")) is None
    assert await claimed(store, Claim("leased")) == Busy()


async def promise_what_waits_is_counted(world: World) -> None:
    store = await world.store()
    assert await store.counts() == {"outbox": 0, "outbox_age_ms": 0, "parked": 0, "dead": 0}
    await send(store, *outgoing("a", "b"), lease_ms=LONG)
    await store.park([failed("now"), failed("later", due_in_ms=LONG), failed("dead", due_in_ms=None)])
    counts = await store.counts()
    assert (counts["outbox"], counts["parked"], counts["dead"]) == (2, 2, 1)
    async with asyncio.timeout(PROMPT_S):
        while (await store.counts())["outbox_age_ms"] <= counts["outbox_age_ms"]:
            await asyncio.sleep(0)


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
    for id in ("x", "leased"):
        with pytest.raises(Raced):
            async with store.transaction() as transaction:
                if id == "leased":
                    assert await transaction.resume(id, "mine")
                else:
                    assert await transaction.begin([Claim(id)]) == [None]
                await put(transaction, id)
                await other.park([], settle=[Claim(id)])
                await transaction.finish([Settled(Claim(id), b"reply")], outgoing(id), lease_ms=0)
        assert await claimed(store, Claim(id)) == Saved(None, None)
    assert await ids(store) == await lease(store) == []
