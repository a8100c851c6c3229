"""What `Cache` promises, asked of both drivers; and that twins which break a promise are found out."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from runtime.drivers import cache_memory, cache_redis
from runtime.drivers.cache_memory import MemoryCache
from runtime.errors import CacheAway, SettingError
from runtime.ports import Cache
from tests.conformance.proxy import Proxy

Make = Callable[[], AbstractAsyncContextManager[Cache]]
Promise = Callable[[Make], Awaitable[None]]

LONG = 60_000


async def until(happened: Callable[[], Awaitable[bool]], *, within_s: float = 1.0) -> None:
    async with asyncio.timeout(within_s):
        while True:
            if await happened():
                return
            await asyncio.sleep(0.005)


async def gone(cache: Cache, key: str) -> None:
    async def missing() -> bool:
        return (await cache.get([key]))[0] is None

    await until(missing)


# ---------------------------------------------------------------------------------------------- promises


async def promise_values_come_back_in_the_order_of_keys(make: Make) -> None:
    async with make() as cache:
        await cache.put({"a": b"1", "b": b"\x00\xff", "c": b""}, ttl_ms=LONG)
        assert list(await cache.get(["c", "missing", "b", "a", "b"])) == [b"", None, b"\x00\xff", b"1", b"\x00\xff"]


async def promise_nothing_asked_is_nothing_done(make: Make) -> None:
    async with make() as cache:
        await cache.put({}, ttl_ms=LONG)
        await cache.delete([])
        assert list(await cache.get([])) == []
        assert dict(await cache.add({}, ttl_ms=LONG)) == {}


async def promise_a_later_value_replaces_an_earlier_one_and_its_time(make: Make) -> None:
    async with make() as cache:
        await cache.put({"a": b"old"}, ttl_ms=40)
        await cache.put({"a": b"new", "b": b"b"}, ttl_ms=LONG)
        await cache.put({"marker": b"x"}, ttl_ms=60)
        await gone(cache, "marker")
        assert list(await cache.get(["a", "b"])) == [b"new", b"b"]


async def promise_a_value_is_gone_after_its_time(make: Make) -> None:
    async with make() as cache:
        await cache.put({"short": b"1"}, ttl_ms=50)
        await cache.put({"long": b"2"}, ttl_ms=LONG)
        assert list(await cache.get(["short", "long"])) == [b"1", b"2"]
        await gone(cache, "short")
        assert list(await cache.get(["short", "long"])) == [None, b"2"]


async def promise_what_is_deleted_is_gone(make: Make) -> None:
    async with make() as cache:
        await cache.put({"a": b"1", "b": b"2"}, ttl_ms=LONG)
        await cache.delete(["a", "missing"])
        assert list(await cache.get(["a", "b"])) == [None, b"2"]


async def promise_counters_add_up(make: Make) -> None:
    async with make() as cache:
        assert dict(await cache.add({"a": 1, "b": 5}, ttl_ms=LONG)) == {"a": 1, "b": 5}
        assert dict(await cache.add({"b": -7, "a": 0}, ttl_ms=LONG)) == {"b": -2, "a": 1}
        assert list(await cache.get(["a", "b"])) == [b"1", b"-2"]


async def promise_no_addition_is_lost_or_doubled_among_many_at_once(make: Make) -> None:
    async with make() as cache:
        sums = await asyncio.gather(*(cache.add({"a": 1}, ttl_ms=LONG) for _ in range(50)))
        assert sorted(each["a"] for each in sums) == list(range(1, 51))


async def promise_a_counter_is_gone_its_time_after_the_first_addition(make: Make) -> None:
    async with make() as cache:

        async def began_anew() -> bool:
            return (await cache.add({"a": 1}, ttl_ms=60))["a"] == 1  # so additions do not keep it alive

        assert await began_anew()
        await until(began_anew)


async def promise_open_and_ping_answer(make: Make) -> None:
    async with make() as cache:
        await cache.open()
        await cache.ping()


async def promise_all_with_one_prefix_share(make: Make) -> None:
    async with make() as one, make() as other:
        if "shared" in one.lacks:
            pytest.skip("declared in `lacks`")
        await one.put({"a": b"1"}, ttl_ms=LONG)
        await one.add({"n": 2}, ttl_ms=LONG)
        assert list(await other.get(["a"])) == [b"1"]
        assert dict(await other.add({"n": 3}, ttl_ms=LONG)) == {"n": 5}


PROMISES = [each for name, each in globals().items() if name.startswith("promise_")]


@pytest.fixture(params=["memory", "redis"])
def make(request: pytest.FixtureRequest, run_id: str) -> Make:
    url = request.getfixturevalue("redis_url") if request.param == "redis" else "memory:"
    prefix = f"{run_id}-{uuid4().hex}"

    @asynccontextmanager
    async def opened() -> AsyncIterator[Cache]:
        if request.param == "redis":
            cache = cache_redis.connect(url + "?timeout_ms=1000", prefix=prefix)  # a busy machine is no broken promise
        else:
            cache = cache_memory.connect(url, prefix=prefix)
        await cache.open()
        yield cache
        await cache.close()

    return opened


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.__name__)
async def test_keeps(promise: Promise, make: Make) -> None:
    await promise(make)


# ------------------------------------------------------------------------------------------ broken twins


class KeepsForever(MemoryCache):
    async def put(self, values: Mapping[str, bytes], *, ttl_ms: int) -> None:
        await super().put(values, ttl_ms=LONG)


class CountsTwice(MemoryCache):
    async def add(self, amounts: Mapping[str, int], *, ttl_ms: int) -> Mapping[str, int]:
        await super().add(amounts, ttl_ms=ttl_ms)
        return await super().add(amounts, ttl_ms=ttl_ms)


class ProlongsCounters(MemoryCache):
    async def add(self, amounts: Mapping[str, int], *, ttl_ms: int) -> Mapping[str, int]:
        sums = await super().add(amounts, ttl_ms=ttl_ms)
        await self.put({key: b"%d" % value for key, value in sums.items()}, ttl_ms=ttl_ms)
        return sums


class LosesAdditions(MemoryCache):
    async def add(self, amounts: Mapping[str, int], *, ttl_ms: int) -> Mapping[str, int]:
        before = await self.get(list(amounts))
        await asyncio.sleep(0)
        sums = {key: int(value or 0) + amounts[key] for key, value in zip(amounts, before, strict=True)}
        await self.put({key: b"%d" % value for key, value in sums.items()}, ttl_ms=ttl_ms)
        return sums


class SortsAnswers(MemoryCache):
    async def get(self, keys: Sequence[str]) -> Sequence[bytes | None]:
        return await super().get(sorted(keys))


class NeverDeletes(MemoryCache):
    async def delete(self, keys: Sequence[str]) -> None:
        pass


@pytest.mark.parametrize(
    ("twin", "promise"),
    [
        (KeepsForever, promise_a_value_is_gone_after_its_time),
        (CountsTwice, promise_counters_add_up),
        (ProlongsCounters, promise_a_counter_is_gone_its_time_after_the_first_addition),
        (LosesAdditions, promise_no_addition_is_lost_or_doubled_among_many_at_once),
        (SortsAnswers, promise_values_come_back_in_the_order_of_keys),
        (NeverDeletes, promise_what_is_deleted_is_gone),
    ],
)
async def test_a_broken_twin_is_found_out(twin: type[MemoryCache], promise: Promise) -> None:
    @asynccontextmanager
    async def opened() -> AsyncIterator[Cache]:
        yield twin()

    with pytest.raises((AssertionError, TimeoutError)):
        await promise(opened)


# ------------------------------------------------------------------------------------ of the memory twin


async def test_memory_is_bounded_and_the_longest_unused_goes_first() -> None:
    cache = MemoryCache(max_bytes=10_000)
    for number in range(100):
        await cache.put({f"k{number}": bytes(300)}, ttl_ms=LONG)
        await cache.get(["k0"])
    kept = [number for number in range(100) if (await cache.get([f"k{number}"]))[0] is not None]
    assert kept == [0, *range(100 - len(kept) + 1, 100)]
    assert 10 < len(kept) < 30


async def test_memory_gives_back_the_room_of_what_is_replaced_deleted_or_expired() -> None:
    now = 0
    cache = MemoryCache(max_bytes=2_000, clock=lambda: now)
    await cache.put({"kept": b"1"}, ttl_ms=LONG)
    for number in range(50):
        await cache.put({"replaced": bytes(1_000)}, ttl_ms=10)
        await cache.put({"deleted": bytes(100)}, ttl_ms=10)
        await cache.delete(["deleted"])
        now = number * 20
        await cache.get(["replaced"])
    assert list(await cache.get(["kept"])) == [b"1"]


@pytest.mark.parametrize(
    "url", ["memory:/path", "memory://host", "memory:?max_mib=0", "memory:?max_mib=x", "memory:?a=1"]
)
def test_memory_says_which_url_would_be_right(url: str) -> None:
    with pytest.raises(SettingError, match="max_mib=64"):
        cache_memory.connect(url, prefix="p")


# ---------------------------------------------------------------------------------------------- of Redis


@pytest.fixture
async def proxy(redis_url: str) -> AsyncIterator[Proxy]:
    address = urlsplit(redis_url)
    async with Proxy(address.hostname or "127.0.0.1", address.port or 6379) as proxy:
        yield proxy


Through = Callable[[int], Cache]


@pytest.fixture
async def through(proxy: Proxy, redis_url: str, run_id: str) -> AsyncIterator[Through]:
    """Call it with a time-out in ms for a cache behind the proxy: 50 is that of production."""
    opened: list[Cache] = []

    def connect(timeout_ms: int) -> Cache:
        url = urlsplit(redis_url)._replace(netloc=f"127.0.0.1:{proxy.port}", query=f"timeout_ms={timeout_ms}")
        opened.append(cache_redis.connect(url.geturl(), prefix=f"{run_id}-{uuid4().hex}"))
        return opened[-1]

    yield connect
    for cache in opened:
        await cache.close()


async def seconds_until_away(cache: Cache) -> float:
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(CacheAway):
        await cache.get(["a"])
    return loop.time() - began


async def test_a_redis_that_is_down_is_away_at_once_and_opening_does_not_fail(proxy: Proxy, through: Through) -> None:
    cache = through(50)
    await proxy.down()
    await cache.open()
    with pytest.raises(CacheAway):
        await cache.ping()
    assert await seconds_until_away(cache) < 0.15


async def test_a_redis_that_is_slow_is_away_in_100_ms_and_then_at_once(proxy: Proxy, through: Through) -> None:
    cache = through(50)
    await cache.ping()
    proxy.delay_s = 1.0
    for _ in range(3):
        assert await seconds_until_away(cache) < 0.15
    connections = proxy.connections
    assert max([await seconds_until_away(cache) for _ in range(100)]) < 0.02
    assert proxy.connections == connections  # the breaker asked nobody


async def test_after_a_second_one_call_is_let_through_and_decides(proxy: Proxy, through: Through) -> None:
    cache = through(50)
    await proxy.down()
    for _ in range(3):
        await seconds_until_away(cache)
    await proxy.up()
    with pytest.raises(CacheAway):
        await cache.ping()
    async with asyncio.timeout(3):
        while True:
            first, *others = await asyncio.gather(*(cache.ping() for _ in range(5)), return_exceptions=True)
            if first is None:
                break
            await asyncio.sleep(0.02)
    assert all(isinstance(other, CacheAway) for other in others)
    await asyncio.gather(*(cache.ping() for _ in range(5)))


async def test_closing_raises_nothing_though_the_process_is_too_busy_to_part_in_time(through: Through) -> None:
    cache = through(20)
    await asyncio.gather(*(cache.ping() for _ in range(3)))
    closing = asyncio.ensure_future(cache.close())
    while not closing.done():
        await asyncio.sleep(0)
        time.sleep(0.03)  # noqa: ASYNC251 # every turn of the loop is to take longer than the time-out
    await closing


async def test_an_addition_whose_answer_is_lost_counts_at_most_once(proxy: Proxy, through: Through) -> None:
    cache = through(200)
    await cache.add({"a": 1}, ttl_ms=LONG)
    proxy.silent = True
    with pytest.raises(CacheAway):
        await cache.add({"a": 1}, ttl_ms=LONG)
    proxy.silent = False
    assert (await cache.add({"a": 0}, ttl_ms=LONG))["a"] == 2  # done once, not twice


async def test_no_answer_is_given_to_another_call_after_one_was_given_up(proxy: Proxy, through: Through) -> None:
    cache = through(1000)
    await cache.put({"a": b"a", "b": b"b"}, ttl_ms=LONG)
    proxy.delay_s = 0.03
    for _ in range(5):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await cache.get(["a"])
        assert list(await cache.get(["b"])) == [b"b"]


async def test_idle_connections_that_the_server_closed_are_replaced_unnoticed(proxy: Proxy, through: Through) -> None:
    cache = through(1000)
    await asyncio.gather(*(cache.ping() for _ in range(8)))
    await proxy.cut()
    await asyncio.gather(*(cache.ping() for _ in range(8)))


async def test_a_thousand_calls_at_once_are_answered_over_few_connections(proxy: Proxy, through: Through) -> None:
    cache = through(5000)
    sums = await asyncio.gather(*(cache.add({"a": 1}, ttl_ms=LONG) for _ in range(1000)))
    assert sorted(each["a"] for each in sums) == list(range(1, 1001))
    assert proxy.connections <= 32


async def test_behind_sentinels_the_master_is_found(
    tmp_path: Path, redis_url: str, run_id: str, free_port: Callable[[], int]
) -> None:
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("no redis-server program to run as a sentinel")
    master, port = urlsplit(redis_url), free_port()
    settings = tmp_path / "sentinel.conf"
    settings.write_text(
        f"port {port}\nbind 127.0.0.1\nsentinel monitor main {master.hostname} {master.port or 6379} 1\n"
    )
    sentinel = await asyncio.create_subprocess_exec(
        program, str(settings), "--sentinel", stdout=asyncio.subprocess.DEVNULL
    )
    try:
        closed = free_port()
        cache = cache_redis.connect(
            f"redis+sentinel://127.0.0.1:{closed},127.0.0.1:{port}/main/0?timeout_ms=1000",
            prefix=f"{run_id}-{uuid4().hex}",
        )
        async with asyncio.timeout(10):
            while True:
                try:
                    await cache.put({"a": b"1"}, ttl_ms=LONG)
                    break
                except CacheAway:
                    await asyncio.sleep(0.05)
        assert list(await cache.get(["a"])) == [b"1"]
        await cache.close()
    finally:
        sentinel.terminate()
        await sentinel.wait()


@pytest.mark.parametrize(
    "url",
    ["redis://h/x", "redis://h:port", "redis://h?db=1", "redis://h?timeout_ms=0", "http://h", "redis+sentinel://h:1"],
)
def test_redis_says_which_url_would_be_right(url: str) -> None:
    with pytest.raises(SettingError, match="redis://"):
        cache_redis.connect(url, prefix="p")
