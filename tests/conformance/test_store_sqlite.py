"""What is special to the store in a file: locks, threads, crashes, paths."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from runtime.context import system_clock
from runtime.drivers import sqlite_connection, store_sqlite
from runtime.drivers.store_sqlite import connect
from runtime.errors import SettingError, StartError, StoreAway
from runtime.ports import Claim, Migration, Saved, Store
from tests.conformance.inbox_promises import X, claimed
from tests.conformance.outbox_promises import outgoing, send
from tests.conformance.store_promises import PROMPT_S
from tests.conformance.store_worlds import ENDLESS, SqliteWorld, ids, put
from tests.sql import sql

ROOT = Path(__file__).parents[2]
KILLS = 4


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[SqliteWorld]:
    world = SqliteWorld(tmp_path)
    yield world
    await world.stop()


async def writer(path: Path, name: str, count: int) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.conformance.sqlite_writer", str(path), name, str(count)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


def integrity(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        (found,) = connection.execute("pragma integrity_check").fetchone()
    return str(found)


# -------------------------------------------------------------------------------------------------- faults


async def test_f28_twenty_writers_and_a_long_reader_never_see_a_lock(world: SqliteWorld) -> None:
    stores = [await world.store(), await world.store()]
    reading = asyncio.create_task(sql(stores[0].reader).fetch(ENDLESS))

    async def write(store: Store, name: str) -> None:
        for n in range(10):
            async with store.transaction() as transaction:
                await put(transaction, f"{name}-{n}")

    await asyncio.gather(*(write(stores[n % 2], str(n)) for n in range(20)))
    assert not reading.done()
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    assert len(await ids(stores[0])) == 200


async def test_ten_that_open_a_fresh_file_at_once_never_see_a_lock(tmp_path: Path) -> None:
    for n in range(30):
        stores = [connect(f"sqlite:{tmp_path}/{n}.db", actor="test") for _ in range(10)]
        await asyncio.gather(*(store.open() for store in stores))
        await asyncio.gather(*(store.close() for store in stores))


async def test_f29_what_was_acknowledged_survives_kill_9(world: SqliteWorld) -> None:
    acknowledged: list[str] = []
    for kill in range(KILLS):
        process = await writer(world.path, f"w{kill}", 1_000_000)
        assert process.stdout is not None
        for _ in range(10 + 7 * kill):
            acknowledged.append((await process.stdout.readline()).decode().strip())  # noqa: PERF401 - one after the other
        process.kill()
        acknowledged += (await process.stdout.read()).decode().split("\n")[:-1]
        await process.wait()
        assert integrity(world.path) == "ok"
    store = await world.store()
    sent = {row.id for row in await store.lease_outgoing(limit=1_000_000, lease_ms=0)}
    assert "" not in acknowledged
    assert set(acknowledged) <= set(await ids(store)) == sent
    for id in acknowledged[::10]:
        assert await claimed(store, Claim(id)) == Saved(b"reply", None)


async def test_processes_that_start_on_a_new_file_at_once_share_it(world: SqliteWorld) -> None:
    processes = [await writer(world.path, f"p{n}", 10) for n in range(4)]
    outputs = await asyncio.gather(*(process.communicate() for process in processes))
    assert [process.returncode for process in processes] == [0] * 4, outputs
    assert len(await ids(await world.store())) == 40


async def test_a_lock_that_another_process_keeps_is_the_store_being_away(
    world: SqliteWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_sqlite, "WAIT_S", 0.05)
    store, other = await world.store(), await world.store()
    async with other.transaction() as holder:
        await put(holder, "a")
        for work in (store.ping, lambda: send(store, *outgoing("o")), lambda: store.park([])):
            with pytest.raises(StoreAway):
                await work()
        assert await ids(store) == []
    await store.ping()
    await send(store, *outgoing("o"))


async def test_a_turn_that_does_not_come_is_the_store_being_away(
    world: SqliteWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_sqlite, "TURN_S", 0.05)
    store = await world.store()
    async with store.transaction() as holder:
        await put(holder, "a")
        with pytest.raises(StoreAway):
            await store.ping()
    await store.ping()


async def test_exclusive_waits_longer_than_others(world: SqliteWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_sqlite, "WAIT_S", 0.02)
    store, other = await world.store(), await world.store()

    async def boot() -> None:
        async with store.exclusive("boot") as transaction:
            await put(transaction, "b")

    async with other.transaction() as holder:
        await put(holder, "a")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await boot()
        waiting = asyncio.create_task(boot())
        await asyncio.wait([waiting], timeout=0.1)
        assert not waiting.done()
    async with asyncio.timeout(PROMPT_S):
        await waiting
    assert await ids(store) == ["a", "b"]


async def test_a_statement_without_end_is_the_store_being_away(
    world: SqliteWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_connection, "STATEMENT_S", 0.05)
    store = await world.store()

    async def handle() -> None:
        async with store.transaction() as transaction:
            await put(transaction, "a")
            await sql(transaction).fetch(ENDLESS)

    for work in (handle, lambda: sql(store.reader).fetch(ENDLESS)):
        with pytest.raises(StoreAway):
            await work()
    assert await ids(store) == []


async def test_a_slow_read_does_not_hold_up_the_loop(world: SqliteWorld) -> None:
    store = await world.store()
    slow = ENDLESS.replace("2000000000", "1000000")
    loop = asyncio.get_running_loop()
    for _ in range(2):
        reading = asyncio.create_task(sql(store.reader).fetch(slow))
        gaps, last = [], loop.time()
        while not reading.done():
            await asyncio.sleep(0.001)
            gaps.append(loop.time() - last)
            last = loop.time()
        assert await reading == [{"n": 1_000_000}]
        assert len(gaps) > 10
        assert sorted(gaps)[len(gaps) // 2] < 0.02


async def test_leases_are_measured_by_the_clock_that_was_given(tmp_path: Path) -> None:
    now = 1_000_000
    world = SqliteWorld(tmp_path, clock=lambda: now)
    store = await world.store()
    await send(store, *outgoing("o"), lease_ms=1000)
    await store.claim(X, "mine", lease_ms=1000)
    now += 999
    assert await store.lease_outgoing(limit=1, lease_ms=0) == []
    assert await claimed(store) is not None
    now += 1
    assert await store.lease_outgoing(limit=1, lease_ms=0) == outgoing("o")
    assert await claimed(store) is None
    assert (await store.counts())["outbox_age_ms"] == 1000
    await world.stop()


async def test_foreign_keys_are_heeded(world: SqliteWorld) -> None:
    store = await world.store([Migration("0001", "create table a (id text primary key, of text references a (id))")])

    async def orphan() -> None:
        async with store.transaction() as transaction:
            await sql(transaction).insert("a", ["id", "of"], [["1", "none"]])

    with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
        await orphan()


# --------------------------------------------------------------------------------------------------- paths


async def test_the_folder_is_made_and_the_file_is_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = connect("sqlite:var/deep/task.db?synchronous=normal", actor="task")
    await store.open()
    await store.migrate([])
    for path in (tmp_path / "var" / "deep").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    await store.close()


@pytest.mark.parametrize(
    "url", ["sqlite:", "sqlite::memory:", "sqlite:a.db?synchronous=off", "sqlite:a.db?schema=x", "sqlite:?"]
)
def test_another_url_is_refused(url: str) -> None:
    with pytest.raises(SettingError, match=r"sqlite:path/to/file\.db"):
        connect(url, actor="task")


def test_there_is_no_replica() -> None:
    with pytest.raises(SettingError, match="replica"):
        connect("sqlite:a.db", actor="task", read_url="sqlite:b.db")


async def test_what_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("Dear Madam or Sir, " * 100)
    for path in (tmp_path / "letter.txt", tmp_path / "letter.txt" / "task.db"):
        store = connect(f"sqlite:{path}", actor="task")
        with pytest.raises(StartError, match=r"letter\.txt"):
            await store.open()
        await store.close()


@pytest.mark.parametrize(("slow_s", "read_again"), [(0.0, True), (1000.0, False)])
def test_a_read_that_was_slow_is_tried_on_the_loop_again_after_a_while(
    tmp_path: Path, slow_s: float, read_again: bool
) -> None:
    with closing(sqlite3.connect(tmp_path / "x.db")) as connection:
        connection.execute("create table t as with recursive n (n) as (select 1) select n from n")
    reader = sqlite_connection.QuickReader(tmp_path / "x.db", "", system_clock, slow_s=slow_s)
    count = "with recursive n (n) as (select 1 union all select n + 1 from n where n < $1) select count(*) as n from n"
    assert reader.fetch(count, [10**9]) is None, "it would take minutes"
    assert reader.fetch(count, [1]) == ([{"n": 1}] if read_again else None)
    assert reader.fetch("select n from t", []) == [{"n": 1}]
    reader.close()
