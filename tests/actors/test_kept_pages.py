"""Pages of many projects and of searches that lie in a cache: never older than what their reader could have read."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from redis.asyncio import Redis

from actors.contracts.task import ListTasks, UpdateTask, WatchTask
from actors.contracts.task_project import RemoveMember
from config.settings import Settings
from runtime import connect
from runtime.context import system_clock
from runtime.keys import Sealer
from runtime.testing import Stage
from tests.actors.company import Company
from tests.actors.conftest import schemas, task_actor
from tests.actors.test_task_patience import locked

AWAY = "redis://127.0.0.1:9/0?timeout_ms=20"
LISTS = (ListTasks(), ListTasks(sort="-updated_at", assignee_id=["none"]), ListTasks(q="land"))

Open = Callable[[str], Awaitable[Company]]


@pytest.fixture(scope="module")
async def opened(database: str | None, run_id: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Open]:
    """A company whose pages are kept in the cache at an address."""
    async with contextlib.AsyncExitStack() as stack:
        store_url = await stack.enter_async_context(schemas(database, f"kept_{run_id}")) if database else None

        async def open(cache_url: str) -> Company:
            cache = connect.cache(Settings(cache_url=cache_url, broker_prefix=f"kept-{run_id}"), system_clock)
            stack.push_async_callback(cache.close)
            await cache.open()
            actor = task_actor(tmp_path_factory.mktemp("imports"), cache=cache, sealer=Sealer(b"a key of the tests"))
            return Company(await stack.enter_async_context(Stage(actor, store_url=store_url)))

        yield open


@contextlib.asynccontextmanager
async def entries(redis_url: str, run_id: str) -> AsyncIterator[tuple[Redis, Callable[[], Awaitable[list[bytes]]]]]:
    async with Redis.from_url(redis_url) as redis:

        async def keys() -> list[bytes]:
            return [key async for key in redis.scan_iter(f"*kept-{run_id}*page*")]

        yield redis, keys


@pytest.mark.parametrize("server", ["there", "emptied all the time", "away"])
async def test_who_has_written_reads_it_and_nothing_goes_back(
    opened: Open, redis_url: str, run_id: str, server: str
) -> None:
    company = await opened(AWAY if server == "away" else redis_url)
    project = await company.project()
    await company.join(project, company.bob)
    done = asyncio.Event()

    async def write() -> None:
        for n in range(5):
            task = await company.task(project, "Land")
            for query in LISTS:
                assert task in (await company.stage.ask(query, caller=company.ada)).items
            changed = await company.stage.ask(UpdateTask(id=task.id, title=f"Land {n}"), caller=company.ada)
            for query in LISTS:
                assert changed in (await company.stage.ask(query, caller=company.ada)).items

    async def read() -> None:
        seen: dict[str, int] = {}
        while not done.is_set():
            for query in LISTS:
                found = {each.id: each.version for each in (await company.stage.ask(query, caller=company.bob)).items}
                assert all(found[id] >= version for id, version in seen.items())
                seen = found
                await asyncio.sleep(0)

    async def empty() -> None:
        async with entries(redis_url, run_id) as (redis, keys):
            while not done.is_set():
                for key in await keys():
                    await redis.delete(key)

    others = [read(), read(), *([empty()] if server == "emptied all the time" else [])]
    async with asyncio.TaskGroup() as group:
        for each in others:
            group.create_task(each)
        try:
            await asyncio.gather(*(write() for _ in range(3)))
        finally:
            done.set()


async def test_what_is_unchanged_is_not_looked_up_again(
    opened: Open, redis_url: str, run_id: str, database: str | None
) -> None:
    company = await opened(redis_url)
    task = await company.task(await company.project())
    for query in LISTS:
        assert (await company.stage.ask(query, caller=company.ada)).items == [task]
    async with locked(database, f'"kept_{run_id}_task".task'):
        for query in LISTS:
            assert (await company.stage.ask(query, caller=company.ada)).items == [task]


async def test_whom_a_project_has_lost_sees_nothing_of_it(opened: Open, redis_url: str) -> None:
    company = await opened(redis_url)
    project = await company.project()
    await company.join(project, company.bob)
    task = await company.task(project)
    assert (await company.stage.ask(ListTasks(), caller=company.bob)).items == [task]
    await company.stage.ask(RemoveMember(id=project.id, user_id=company.bob), caller=company.ada)
    assert (await company.stage.ask(ListTasks(), caller=company.bob)).items == []


async def test_each_watches_for_themselves(opened: Open, redis_url: str) -> None:
    company = await opened(redis_url)
    project = await company.project()
    await company.join(project, company.bob)
    task = await company.task(project)
    for watching in (False, True):
        pages = [await company.stage.ask(ListTasks(), caller=each) for each in (company.ada, company.bob)]
        assert [page.items[0].watching for page in pages] == [False, watching]
        await company.stage.ask(WatchTask(id=task.id), caller=company.bob)


async def test_an_entry_that_was_put_elsewhere_is_not_believed(opened: Open, redis_url: str, run_id: str) -> None:
    company = await opened(redis_url)
    task = await company.task(await company.project())
    async with entries(redis_url, run_id) as (redis, keys):
        before = set(await keys())
        await company.stage.ask(ListTasks(), caller=company.eve)
        (hers,) = set(await keys()) - before
        await company.stage.ask(ListTasks(), caller=company.ada)
        (other,) = set(await keys()) - before - {hers}
        await redis.set(hers, await redis.get(other) or b"")
        assert (await company.stage.ask(ListTasks(), caller=company.eve)).items == []
        await redis.set(other, b"nonsense")
        assert (await company.stage.ask(ListTasks(), caller=company.ada)).items == [task]
