"""What `Store` promises of outbox, parked and histories, each as one function over a world of stores."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
import pytest

from runtime.ports import About, Busy, Claim, History, Outgoing, Parked, ParkedRow, Settled, Store
from tests.conformance.inbox_promises import LONG, X, claimed, settle
from tests.conformance.store_promises import PROMPT_S
from tests.conformance.store_worlds import World


def outgoing(*ids: str) -> list[Outgoing]:
    return [Outgoing(id, "task_created", id.encode()) for id in ids]


def failed(id: str, *, due_in_ms: int | None = 0, attempt: int = 1, type: str = "mail_due") -> Parked:
    return Parked(id, type, id.encode(), attempt, due_in_ms, "it broke")


async def send(store: Store, *rows: Outgoing, lease_ms: int = 0) -> None:
    async with store.transaction() as transaction:
        await transaction.finish([], rows, lease_ms=lease_ms)


async def lease(store: Store, *, limit: int = 100, lease_ms: int = LONG) -> list[str]:
    return [row.id for row in await store.lease_outgoing(limit=limit, lease_ms=lease_ms)]


async def due(store: Store, *, limit: int = 100, lease_ms: int = LONG) -> list[str]:
    return [row.id for row in await store.lease_parked(limit=limit, lease_ms=lease_ms)]


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
    parts = await asyncio.gather(*(lease(stores[n % 3], limit=7) for n in range(12)))
    found = [id for part in parts for id in part]
    assert len(found) == len(set(found)) > 0
    assert sorted(found + await lease(stores[0])) == [f"{n:03}" for n in range(100)]


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
    leased = [
        *await store.lease_parked(limit=10, lease_ms=0),
        *await other.lease_parked(limit=10, lease_ms=LONG),
        *await store.lease_parked(limit=10, lease_ms=LONG),
    ]
    assert [row.attempt for row in leased] == [2, 3]


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
        "a", "task_due", b"other", 5, None, "it broke again", first.first_failed_at, last.last_failed_at, "a"
    )
    assert last == expected
    assert last.last_failed_at > last.first_failed_at


async def promise_any_reason_can_be_parked(world: World) -> None:
    store = await world.store()
    await store.park([Parked("a", "mail_due", b"", 1, None, "NUL \0, half a pair \ud800")])
    row = await store.parked("a")
    assert row is not None
    assert row.reason.startswith("NUL \N{REPLACEMENT CHARACTER}, half a pair ")


async def promise_parking_at_once_never_fails(world: World) -> None:
    stores = [await world.store(), await world.store()]
    rows = [failed(f"{n}") for n in range(20)]
    orders: Sequence[Sequence[Parked]] = [rows, rows[::-1], rows[10:] + rows[:10], rows]
    await asyncio.gather(*(stores[n % 2].park(order) for n, order in enumerate(orders)))
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


async def promise_a_dead_letter_has_an_id_of_its_own_while_it_is_dead(world: World) -> None:
    store = await world.store()
    await store.park([Parked("a", "mail_due", b"a", 1, None, "it broke", None, "l1")])
    await store.park([Parked("b", "mail_due", b"b", 1, None, "it broke", None, "l0"), failed("c", due_in_ms=LONG)])
    await store.park([Parked("a", "mail_due", b"a", 2, None, "it broke again", None, "l2")])
    assert [row.letter for row in await store.dead()] == ["l1", "l0"]
    assert [row.id for row in await store.dead(after="l1")] == ["b"]
    found = await store.letter("l1")
    assert found is not None
    assert (found.id, found.reason) == ("a", "it broke again")
    assert [await store.letter(each) for each in ("a", "c", "unknown")] == [None, None, None]


async def promise_letters_are_revived_and_discarded_with_their_transaction(world: World) -> None:
    store = await world.store()
    await store.park([failed(id, due_in_ms=None, attempt=8) for id in ("a", "b", "d")])
    await store.park([failed(id, due_in_ms=None, type="task_due") for id in ("t", "u")] + [failed("c", due_in_ms=LONG)])
    with pytest.raises(ZeroDivisionError):
        async with store.transaction() as transaction:
            assert await transaction.revive_letter("a")
            assert await transaction.discard_letter("b")
            assert await transaction.revive_type("task_due") == 2
            raise ZeroDivisionError
    assert len(await store.dead()) == 5
    async with store.transaction() as transaction:
        assert await transaction.revive_letter("a", b"edited")
        assert not await transaction.revive_letter("a")
        assert await transaction.discard_letter("b")
        assert [await transaction.discard_letter(each) for each in ("b", "c", "unknown")] == [False, False, False]
        assert await transaction.revive_type("task_due") == 2
        assert await transaction.revive_type("task_due") == 0
    rows = {row.id: (row.envelope, row.attempt) for row in await store.lease_parked(limit=10, lease_ms=LONG)}
    assert rows == {"a": (b"edited", 1), "t": (b"t", 1), "u": (b"u", 1)}
    assert [row.id for row in await store.dead()] == ["d"]


async def promise_processes_that_are_here_are_counted(world: World) -> None:
    store, other = await world.store(), await world.store()
    await store.beat("one", in_flight=3)
    await store.beat("one", in_flight=4)
    await other.beat("two", in_flight=5)
    counts = await other.counts()
    assert (counts["instances"], counts["in_flight"]) == (2, 9)
    await store.leave("one")
    counts = await other.counts()
    assert (counts["instances"], counts["in_flight"]) == (1, 5)


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
    assert await store.counts() == dict.fromkeys(
        ("outbox", "outbox_age_ms", "parked", "dead", "instances", "in_flight"), 0
    )
    await send(store, *outgoing("a", "b"), lease_ms=LONG)
    await store.park([failed("now"), failed("later", due_in_ms=LONG), failed("dead", due_in_ms=None)])
    counts = await store.counts()
    assert (counts["outbox"], counts["parked"], counts["dead"]) == (2, 2, 1)
    async with asyncio.timeout(PROMPT_S):
        while (await store.counts())["outbox_age_ms"] <= counts["outbox_age_ms"]:  # the clock tells nobody
            await asyncio.sleep(0)  # nothing happens but the time, which is the point


# ------------------------------------------------------------------------------------------------- history


async def promise_the_history_of_a_request_has_all_that_is_kept_of_it(world: World) -> None:
    store = await world.store()
    about = About("create_task", "r1", "cause", "ada", "task_created e1")
    sent = [
        Outgoing("e1", "task_created", b"\x00", request_id="r1"),
        Outgoing("e2", "task_created", b"", request_id="r2"),
    ]
    async with store.transaction() as transaction:
        await transaction.begin([X, Claim("y")])
        await transaction.finish([Settled(X, b"reply", about), Settled(Claim("y"))], sent, lease_ms=LONG)
    parked = msgspec.structs.replace(failed("p", due_in_ms=None), request_id="r1")
    await store.park([parked, failed("q")])
    await store.park([failed("p")])  # put aside once more, by somebody who does not know the request
    history = await store.history("r1")
    assert [(row.id, row.about, row.reply) for row in history.handled] == [("x", about, b"reply")]
    assert history.unsent == sent[:1]
    assert [row.id for row in history.parked] == ["p"]
    assert await store.history("r3") == History([], [], [])


async def promise_the_history_names_a_lease_only_when_it_is_settled(world: World) -> None:
    store = await world.store()
    assert await store.claim(X, "lease", lease_ms=LONG) is None
    assert (await store.history("r1")).handled == []
    async with store.transaction() as transaction:
        assert await transaction.resume("x", "lease")
        await transaction.finish([Settled(X, None, About("send_mail", "r1"))], [], lease_ms=LONG)
    assert [row.about for row in (await store.history("r1")).handled] == [About("send_mail", "r1")]
