"""F23–F29: a database that restarts, falls silent, has no connection left, or takes no writes; and SQLite."""

from __future__ import annotations

import asyncio
import random
import sqlite3

import asyncpg

from chaos.lab import statement
from chaos.row import errors, only, recovers, refuses_within, row
from chaos.scene import Fault, Scene, quantile


@row("F23", "PostgreSQL is restarted", recovers(2), only(503, 504), short=True)
async def restarted(scene: Scene) -> None:
    async with scene.fault("restart"):
        await scene.lab.store.stop()
        await scene.calm(1)
        await scene.lab.store.start()
    await scene.calm(5)


@row(
    "F25",
    "a black hole of 30 s before PostgreSQL",
    recovers(5),
    only(503, 504),
    "503 within the deadline",
    proxied=["store"],
)
async def black_hole(scene: Scene) -> None:
    async with scene.fault("black hole") as hole:
        scene.lab.store.proxy.passing.clear()
        await scene.calm(scene.either(30, 10))
        scene.lab.store.proxy.passing.set()
    await scene.calm(8)
    refused = sum(each.status == 503 for each in scene.sent(hole))
    failed = sum(each.failed for each in scene.sent(hole))
    scene.note(f"{refused} of {failed} failures were 503")
    scene.expect(refused > failed / 2, f"only {refused} of {failed} failures were 503")


@row(
    "F26",
    "the pool is exhausted: a lock holds the writers",
    refuses_within(1),
    "reads go on",
    recovers(5),
    settings={"STORE_POOL": "4"},
)
async def pool_exhausted(scene: Scene) -> None:
    """Two connections of each process write, and more writes wait for the lock, or for a turn, than there may be."""
    schema = f"{scene.house.world.settings['BROKER_PREFIX']}_task"
    connection = await asyncpg.connect(scene.lab.store.url)
    seconds = scene.either(20, 6)
    try:
        async with scene.fault("tasks are locked") as lock, connection.transaction():
            await connection.execute(f'lock table "{schema}".task in share mode')
            await scene.calm(seconds)
    finally:
        await connection.close()
    await scene.calm(6)
    _reads_go_on(scene, lock)
    took = [each.took_s for each in scene.sent(lock) if each.failed] or [0.0]
    scene.note(
        f"{len(took)} writes were refused, half within {quantile(took, 0.5):.2f} s, all within {max(took):.2f} s"
    )


@row("F27", "PostgreSQL becomes read-only", refuses_within(1), "reads go on", recovers(2))
async def read_only(scene: Scene) -> None:
    url = scene.lab.store.url
    async with scene.fault("read-only") as fault:
        await statement(url, "alter system set default_transaction_read_only = on")
        await statement(url, "select pg_reload_conf()")
        await scene.calm(scene.either(20, 6))
        await statement(url, "alter system reset default_transaction_read_only")
        await statement(url, "select pg_reload_conf()")
    await scene.calm(4)
    _reads_go_on(scene, fault)


def _reads_go_on(scene: Scene, fault: Fault) -> None:
    reads = [each for each in scene.sent(fault) if not each.is_write]
    failed = sum(each.failed for each in reads)
    scene.note(
        f"{failed} of {len(reads)} reads failed; 99 % took up to {quantile([e.took_s for e in reads], 0.99):.2f} s"
    )
    scene.expect(failed <= len(reads) / 100, f"{failed} of {len(reads)} reads failed")


@row("F28", "SQLite with 20 writers and a long reader", errors(0), 'no "locked" in log or answer', on="embedded")
async def many_writers(scene: Scene) -> None:
    house = scene.house
    ended = asyncio.Event()
    reader = sqlite3.connect(house.world.directory / "var" / "task.db", isolation_level=None)
    reader.execute("begin")
    reader.execute("select count(*) from task").fetchall()

    async def write(number: int) -> int:
        done = 0
        while not ended.is_set():
            await house.ada.task(house.project, f"writer {number}, {done}")
            done += 1
        return done

    writers = [asyncio.ensure_future(write(number)) for number in range(20)]
    async with scene.fault("20 writers, a long reader"):
        await scene.calm(scene.either(20, 5))
    ended.set()
    done = await asyncio.gather(*writers)
    reader.close()
    scene.note(f"{sum(done)} tasks by 20 writers")
    scene.expect("locked" not in house.edges[0].log.read_text(), "a log says: locked")


@row("F29", "kill -9 a process on SQLite, 100 times", "integrity_check says ok", only(0, 503, 504), on="embedded")
async def killed_on_sqlite(scene: Scene) -> None:
    house = scene.house
    for _ in range(int(scene.either(100, 4))):
        await scene.calm(random.uniform(0.05, 0.6))
        async with scene.fault("kill -9"):
            await house.edges[0].kill()
            house.edges[:] = [await house.world.start()]
        house.tasks = house.others = house.edges
    await scene.calm(2)
    for path in sorted((house.world.directory / "var").glob("*.db")):
        (verdict,) = sqlite3.connect(path).execute("pragma integrity_check").fetchone()
        scene.expect(verdict == "ok", f"{path.name}: {verdict}")
