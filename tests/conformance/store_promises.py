"""What `Store` promises of statements, transactions and migrations, each as one function over a world of stores."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from uuid import uuid4

import pytest

from runtime.errors import StartError, StoreAway
from runtime.ports import Claim, Duplicate, Migration, Store, Transaction
from tests.conformance.store_worlds import World

Promise = Callable[[World], Awaitable[None]]

PROMPT_S = 2.0
"""A promise that something does not wait is broken after this."""


async def fail_after(store: Store, work: Callable[[Transaction], Awaitable[None]]) -> None:
    """A transaction that is left by an exception after `work`."""

    async def fail() -> None:
        async with store.transaction() as transaction:
            await work(transaction)
            raise LookupError

    with pytest.raises(LookupError):
        await fail()


# ---------------------------------------------------------------------------------------------- statements


async def promise_a_read_sees_what_was_committed_before(world: World) -> None:
    store, other = await world.store(), await world.store()
    for n in range(20):
        async with store.transaction() as transaction:
            await world.put(transaction, str(n))
        assert len(await world.ids(store)) == len(await world.ids(other)) == n + 1


async def promise_a_read_sees_nothing_uncommitted(world: World) -> None:
    store = await world.store()
    async with store.transaction() as transaction:
        await world.put(transaction, "a")
        assert await world.ids(store) == []


async def promise_insert_is_all_or_none(world: World) -> None:
    store = await world.store()
    async with store.transaction() as transaction:
        await world.put(transaction)
        await world.put(transaction, "taken")
    with pytest.raises(Duplicate):
        async with store.transaction() as transaction:
            await world.put(transaction, "a", "b", "taken")
    assert await world.ids(store) == ["taken"]


# -------------------------------------------------------------------------------------------- transactions


async def promise_a_transaction_left_normally_is_kept(world: World) -> None:
    store = await world.store()
    async with store.transaction() as transaction:
        await world.put(transaction, "a")
    await world.stop()
    assert await world.ids(await world.store()) == ["a"]


async def promise_a_transaction_left_by_an_exception_is_undone(world: World) -> None:
    store = await world.store()
    for _ in range(12):  # more than there are connections
        await fail_after(store, lambda transaction: world.put(transaction, uuid4().hex))
    assert await world.ids(store) == []


async def promise_after_a_failed_statement_there_is_only_rollback(world: World) -> None:
    store = await world.store()

    async def handle() -> None:
        async with store.transaction() as transaction:
            await world.put(transaction, "a")
            with pytest.raises(Duplicate):
                await world.put(transaction, "a")
            with pytest.raises(RuntimeError, match="rolled back"):
                await world.put(transaction, "b")

    with pytest.raises(RuntimeError, match="rolled back"):
        await handle()
    assert await world.ids(store) == []


async def promise_a_cancelled_transaction_is_undone_and_its_connection_usable(world: World) -> None:
    store = await world.store()

    async def handle(reached: asyncio.Event) -> None:
        async with store.transaction() as transaction:
            await world.put(transaction, "a")
            reached.set()
            await asyncio.Event().wait()

    for _ in range(12):
        reached = asyncio.Event()
        task = asyncio.create_task(handle(reached))
        await reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    async with asyncio.timeout(PROMPT_S), store.transaction() as transaction:
        await world.put(transaction, "b")
    assert await world.ids(store) == ["b"]


async def promise_a_statement_that_is_cancelled_ends(world: World) -> None:
    store = await world.store()

    async def handle() -> None:
        async with store.transaction() as transaction:
            await world.put(transaction, "a")
            await world.dawdle(transaction)

    for work in (handle, lambda: world.dawdle(store.reader)):
        for _ in range(3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await work()
    async with asyncio.timeout(PROMPT_S), store.transaction() as transaction:
        await world.put(transaction, "a")
    assert await world.ids(store) == ["a"]


async def promise_who_is_cancelled_ends_at_whatever_moment(world: World) -> None:
    store = await world.store()

    async def work() -> None:
        while True:
            await world.ids(store)
            async with store.transaction() as transaction:
                await transaction.begin([Claim("x")])

    for moment in range(60):
        await world.ids(store)  # so there is a connection: one that is being made is another matter
        task = asyncio.create_task(work())
        for _ in range(moment):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task], timeout=PROMPT_S)
        assert task.cancelled()


async def promise_transactions_are_served_in_order(world: World) -> None:
    store = await world.store(pool_size=1)
    served: list[int] = []

    async def handle(n: int) -> None:
        async with store.transaction() as transaction:
            await transaction.begin([])
            served.append(n)

    async with store.transaction() as transaction:
        await transaction.begin([])
        waiting = [asyncio.create_task(handle(n)) for n in range(20)]
        waiting[7].cancel()  # whoever gives up is in nobody's way
        await asyncio.sleep(0)
    await handle(20)  # and a late comer overtakes nobody
    await asyncio.gather(*waiting, return_exceptions=True)
    assert served == [n for n in range(21) if n != 7]


async def promise_only_one_is_in_an_exclusive_block(world: World) -> None:
    stores = [await world.store(), await world.store(), await world.store()]
    inside = 0

    async def work(store: Store, n: int) -> None:
        nonlocal inside
        async with store.exclusive("boot") as transaction:
            inside += 1
            await asyncio.sleep(0)
            await world.put(transaction, str(n))
            assert inside == 1
            inside -= 1

    await asyncio.gather(*(work(store, n) for n, store in enumerate(stores * 3)))
    assert len(await world.ids(stores[0])) == 9


async def promise_a_closed_store_says_that_it_is_away(world: World) -> None:
    store = await world.store()
    await world.ids(store)
    await world.stop()
    with pytest.raises(StoreAway):
        await world.ids(store)
    with pytest.raises(StoreAway):
        async with store.transaction() as transaction:
            await world.put(transaction, "a")
    with pytest.raises(StoreAway):
        await store.ping()


async def promise_ping_says_that_it_would_take_a_write(world: World) -> None:
    await (await world.bare()).ping()


# ---------------------------------------------------------------------------------------------- migrations


async def promise_migrations_are_applied_once_in_order(world: World) -> None:
    store = await world.bare()
    assert await store.migrate([world.things]) == ["0001_things"]
    assert await store.migrate([world.things, world.second]) == ["0002_second"]
    assert await store.migrate([world.things, world.second]) == []
    await world.stop()
    again = await world.bare()
    assert await again.migrate([world.things, world.second]) == []
    assert await world.applied(again) == [2]


async def promise_it_says_whether_migrations_are_applied_and_applies_none(world: World) -> None:
    store = await world.bare()
    for known, expected in (
        ([], [False, False]),
        ([world.things], [True, False]),
        ([world.things, world.second], [True, True]),
    ):
        if known:
            await store.migrate(known)
        assert [await store.migrated(each) for each in ([world.things], [world.things, world.second])] == expected


async def promise_ten_that_migrate_at_once_apply_each_once(world: World) -> None:
    stores = await asyncio.gather(*(world.bare() for _ in range(10)))
    names = await asyncio.gather(*(store.migrate([world.things, world.second]) for store in stores))
    assert sorted(map(list, names)) == [[]] * 9 + [["0001_things", "0002_second"]]
    assert await world.applied(stores[0]) == [2]


async def promise_a_changed_migration_is_named(world: World) -> None:
    await world.store([world.things, world.second])
    for changed in (Migration("0002_second", "select 1"), Migration("0002_second", world.second.text + " ")):
        with pytest.raises(StartError, match="0002_second"):
            await world.store([world.things, changed])


async def promise_a_missing_migration_is_named(world: World) -> None:
    await world.store([world.things, world.second])
    with pytest.raises(StartError, match="0002_second"):
        await world.store([world.things])


async def promise_a_migration_that_fails_leaves_nothing(world: World) -> None:
    store = await world.bare()
    with pytest.raises(Exception, match="syntax error"):
        await store.migrate([world.things, world.broken])
    assert await store.migrate([world.things, world.second]) == ["0001_things", "0002_second"]
