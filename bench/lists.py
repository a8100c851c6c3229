"""`python -m bench.lists URL…`: what first pages of tasks cost, and what a cache of them would be worth.

Each URL is a database of a task actor that `python -m runtime seed` has filled, and that has been vacuumed since. No
HTTP and no broker: the store's reader, and Redis (`BENCH_REDIS_URL`, or one that the tests would find), as the actor's
process would use them. A page comes

- from the *query*, and is encoded as an answer;
- from the cache, a *hit*: the version of what the caller sees, read with their memberships, and then Redis by it; its
  bytes would be the answer as they are;
- or it is a *miss*: both, and the page is put there.

The version is the number of the last change in each project, of which the feed has an index.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from statistics import median
from typing import Final

from actors.contracts.task import ListTasks
from actors.contracts.task_seed import SOMEBODY
from actors.pages import paged
from actors.records.task_list import order, page
from actors.records.task_row import Seen
from actors.task_actor import BROAD
from bench.servers import redis
from config.settings import Settings
from runtime import connect
from runtime.context import system_clock
from runtime.message import encode
from runtime.ports import Cache, Session

SECONDS: Final = 0.7
"""Of each measurement."""

WARM_UP: Final = 3
"""Pages before it."""

IN_FLIGHT: Final = 64
TTL_MS: Final = 60_000

Way = Callable[[], Awaitable[bytes]]


async def _query(session: Session, query: ListTasks, turns: asyncio.Semaphore) -> bytes:
    by = order(query.sort)
    if len(query.project_id) == 1:
        seen = await page(session, query, SOMEBODY, None)
    else:
        async with turns:
            seen = await page(session, query, SOMEBODY, None)
    return encode(paged(query, query.limit, seen, Seen.view, lambda each: (by.key(each.task), each.task.id)))


async def _version(session: Session, query: ListTasks) -> str:
    """Of all that the caller sees of what is asked for."""
    among = "and m.project_id = any($2)" if query.project_id else ""
    row = await session.row(
        "select md5(string_agg(m.project_id || m.role || coalesce((select max(c.seq) from change c"
        f" where c.project_id = m.project_id), 0), '')) as version from member m where m.user_id = $1 {among}",
        SOMEBODY,
        *([query.project_id] if query.project_id else []),
    )
    return str(row["version"]) if row else ""


async def _cached(
    session: Session, cache: Cache, query: ListTasks, salt: Callable[[], str], turns: asyncio.Semaphore
) -> bytes:
    key = hashlib.sha256(encode(query)).hexdigest() + await _version(session, query) + salt()
    (found,) = await cache.get([key])
    if found is None:
        found = await _query(session, query, turns)
        await cache.put({key: found}, ttl_ms=TTL_MS)
    return found


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
    session, salt, turns = store.reader, secrets.token_hex(4), asyncio.Semaphore(BROAD)
    row = await session.row(
        "select count(*) as tasks, (select count(*) from member where user_id = $1) as projects from task", SOMEBODY
    )
    assert row is not None  # a count
    for name, query in (await _shapes(session)).items():
        ways: list[Way] = [
            partial(_query, session, query, turns),
            partial(_cached, session, cache, query, lambda: salt, turns),
            partial(_cached, session, cache, query, lambda: secrets.token_hex(8), turns),
        ]
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
