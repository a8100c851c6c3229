"""`python -m bench.lists URL…`: what first pages of tasks cost, and what a cache of them would be worth.

Each URL is a database of a task actor that `python -m runtime seed` has filled, and that has been vacuumed since. No
HTTP and no broker: the store's reader, and Redis (`BENCH_REDIS_URL`, or one that the tests would find), as the actor's
process would use them. A page comes

- from the *query*, and is encoded as an answer;
- from the cache, a *hit*: the version of what the caller sees, and then Redis by it;
- or it is a *miss*: both, and the page is put there.

The actor does so with all of these but the pages of one project.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import nullcontext
from statistics import median
from typing import Final, cast

from actors.contracts.task import ListTasks, Task
from actors.contracts.task_seed import SOMEBODY
from actors.pages import paged
from actors.records.feed import FeedRecords
from actors.records.task_list import order, page
from actors.records.task_row import Seen
from actors.task_actor import BROAD
from actors.task_pages import KeptPages
from bench.servers import redis
from config.settings import Settings
from runtime import connect
from runtime.context import system_clock
from runtime.keys import Sealer
from runtime.message import Page, encode
from runtime.ports import Cache, Session

SECONDS: Final = 0.7
"""Of each measurement."""

WARM_UP: Final = 3
"""Pages before it."""

IN_FLIGHT: Final = 64

Way = Callable[[], Awaitable[bytes]]


class _Reader:
    """How a page comes, in three ways; all answer with its encoded bytes."""

    def __init__(self, session: Session, cache: Cache, query: ListTasks) -> None:
        self._session, self._cache, self._query = session, cache, query
        self._turns = nullcontext() if len(query.project_id) == 1 else asyncio.Semaphore(BROAD)
        self._key = secrets.token_bytes(32)

    async def query(self) -> bytes:
        return encode(await self._look_up())

    async def hit(self) -> bytes:
        return await self._kept(self._key)

    async def miss(self) -> bytes:
        return await self._kept(secrets.token_bytes(32))  # nobody has put anything there that this key opens

    async def _kept(self, key: bytes) -> bytes:
        pages = KeptPages(self._cache, Sealer(key))
        return encode(await pages.page(self._query, SOMEBODY, FeedRecords(self._session), self._look_up))

    async def _look_up(self) -> Page[Task]:
        query, by = self._query, order(self._query.sort)
        async with self._turns:
            seen = await page(self._session, query, SOMEBODY, None)
        return paged(query, query.limit, seen, Seen.view, lambda each: (by.key(each.task), each.task.id))


async def _p50_ms(way: Way) -> float:
    """One at a time."""
    took: list[float] = []
    for _ in range(WARM_UP):
        await way()
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end or not took:
        began = time.perf_counter()
        await way()
        took.append((time.perf_counter() - began) * 1000)
    return median(took)


async def _rate(way: Way) -> float:
    """A second, with so many in flight."""
    done, began = 0, time.perf_counter()

    async def one_after_another() -> None:
        nonlocal done
        while time.perf_counter() < began + SECONDS:
            await way()
            done += 1

    await asyncio.gather(*(one_after_another() for _ in range(IN_FLIGHT)))
    return done / (time.perf_counter() - began)


async def _shapes(session: Session) -> Mapping[str, ListTasks]:
    rows = await session.fetch("select project_id from board order by last_number desc, project_id limit 10")
    ten = [row["project_id"] for row in rows]
    return {
        "a project": ListTasks(project_id=ten[:1]),
        "a project, open, last changed": ListTasks(project_id=ten[:1], status=["todo"], sort="-updated_at"),
        "ten projects": ListTasks(project_id=ten),
        "all": ListTasks(),
        "all of mine, by date": ListTasks(assignee_id=["me"], sort="due_at"),
        "a common word in all": ListTasks(q="babace"),
        "a rare word in all": ListTasks(q="vavana"),
    }


async def _measure(url: str, cache: Cache) -> None:
    store = connect.store_at(url, "task", system_clock)
    await store.open()
    session = cast(Session, store.reader)  # a database of SQL, by its address
    row = await session.row(
        "select count(*) as tasks, (select count(*) from member where user_id = $1) as projects from task", SOMEBODY
    )
    assert row is not None  # a count
    for name, query in (await _shapes(session)).items():
        reader = _Reader(session, cache, query)
        ways: list[Way] = [reader.query, reader.hit, reader.miss]
        cells = [f"{await _p50_ms(way):.1f}" for way in ways] + [f"{await _rate(way):.0f}" for way in ways]
        print(f"| {row['tasks']} in {row['projects']} | {name} | {' | '.join(cells)} |", flush=True)
    await store.close()


async def _measure_all(urls: list[str]) -> None:
    async with redis() as address:
        settings = Settings(cache_url=address, broker_prefix=f"bench-{secrets.token_hex(4)}")
        cache = connect.cache(settings, system_clock)
        await cache.open()
        for url in urls:
            await _measure(url, cache)
        await cache.close()


if __name__ == "__main__":
    print("| tasks | first page of | query, ms | hit | miss | query, a second | hit | miss |", flush=True)
    print("|---|---|---|---|---|---|---|---|", flush=True)
    asyncio.run(_measure_all(sys.argv[1:]))
