"""Limits: at most so many calls in any window, shared between edges, never off."""

from __future__ import annotations

import random
import secrets
from collections.abc import AsyncIterator, Callable

import pytest

from edge.limits import DEFAULTS, MOST_CALLERS, SLOTS, Limit, Limits, parse
from runtime.drivers import cache_memory, cache_redis
from runtime.errors import SettingError
from runtime.ports import Cache

NOON = 1_795_521_600_000


class Watch:
    """A clock that stands still."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> int:
        return self.now


def limits_of(text: str, watch: Watch, cache: Cache | None = None) -> Limits:
    return Limits(parse(text), cache=cache or cache_memory.connect("memory:", prefix="t"), clock=watch)


def passes(limits: Limits, caller: str = "ada") -> bool:
    return limits.count("read", caller)[1] is None


def test_defaults_are_those_of_the_contract() -> None:
    assert {name: (limit.count, limit.seconds) for name, limit in DEFAULTS.items()} == {
        "auth": (20, 60),
        "read": (1200, 60),
        "write": (600, 60),
        "search": (240, 60),
        "upload": (120, 60),
    }
    assert parse("") == DEFAULTS
    assert parse("read=5/10, auth=1/1") == {**DEFAULTS, "read": Limit(5, 10), "auth": Limit(1, 1)}


@pytest.mark.parametrize(
    "text", ["on", "read", "read=5", "read=0/60", "read=x/60", "mail=5/60", "read=5/0", "read=-1/60", "off,read=1/1"]
)
def test_wrong_setting_is_named(text: str) -> None:
    with pytest.raises(SettingError, match="RATE_LIMITS"):
        parse(text)


def test_off_counts_nothing_and_says_nothing() -> None:
    limits = limits_of("off", Watch())
    assert all(limits.count("auth", "ada") == ((), None) for _ in range(100))


def test_b89_over_the_limit() -> None:
    watch = Watch()
    limits = limits_of("read=3/60", watch)
    said = [dict(limits.count("read", "ada")[0]) for _ in range(3)]
    assert {each["RateLimit-Policy"] for each in said} == {'"read";q=3;w=60'}
    assert [each["RateLimit"].split(";")[1] for each in said] == ["r=2", "r=1", "r=0"]
    headers, refusal = limits.count("read", "ada")
    assert refusal is not None
    assert (refusal.status, refusal.code) == (429, "rate.limited")
    assert dict(headers)["RateLimit"].startswith('"read";r=0;t=')
    watch.now += int(dict(refusal.headers)["Retry-After"]) * 1000
    assert passes(limits)


def test_callers_and_classes_are_counted_apart() -> None:
    limits = limits_of("read=1/60,write=1/60", Watch())
    assert passes(limits, "ada")
    assert not passes(limits, "ada")
    assert passes(limits, "bob")
    assert limits.count("write", "ada")[1] is None


def test_what_was_refused_does_not_count() -> None:
    watch = Watch()
    limits = limits_of("read=2/60", watch)
    for _ in range(100):
        passes(limits)
    watch.now += 66_000
    assert passes(limits)


def test_no_window_ever_holds_more_than_the_limit() -> None:
    chance = random.Random(7)
    watch = Watch()
    limits = limits_of("read=20/60", watch)
    times = []
    for _ in range(5_000):
        watch.now += chance.choice((0, 1, 50, 400, 2_000, 30_000 if chance.random() < 0.05 else 3))
        if passes(limits):
            times.append(watch.now)
    assert len(times) > 100
    for index, begin in enumerate(times):
        assert sum(1 for each in times[index:] if each < begin + 60_000) <= 20


def test_promised_wait_is_enough_and_at_most_a_tenth_too_long() -> None:
    watch = Watch()
    limits = limits_of("read=2/60", watch)
    watch.now += 5_999
    assert passes(limits)
    assert passes(limits)
    _, refusal = limits.count("read", "ada")
    assert refusal is not None
    wait_s = int(dict(refusal.headers)["Retry-After"])
    assert 60 <= wait_s <= 60 + 60 // SLOTS + 1


def test_clock_that_goes_back_an_hour_locks_nobody_out() -> None:
    watch = Watch()
    limits = limits_of("read=2/60", watch)
    assert passes(limits)
    watch.now -= 3_600_000
    assert passes(limits)
    assert not passes(limits)
    watch.now += 67_000
    assert passes(limits)


def test_callers_without_number_are_forgotten() -> None:
    limits = limits_of("read=1/60", Watch())
    for number in range(MOST_CALLERS + 10):
        assert passes(limits, f"caller{number}")
    assert passes(limits, "caller0")
    assert not passes(limits, f"caller{MOST_CALLERS}")


@pytest.fixture
async def shared(redis_url: str, run_id: str) -> AsyncIterator[Callable[[], Cache]]:
    """Makes caches that hold the same, as several edges have them."""
    made: list[Cache] = []
    prefix = f"{run_id}:{secrets.token_hex(4)}"

    def make() -> Cache:
        made.append(cache_redis.connect(redis_url, prefix=prefix))
        return made[-1]

    yield make
    for each in made:
        await each.close()


async def test_edges_share_a_limit_within_a_moment(shared: Callable[[], Cache]) -> None:
    watch = Watch()
    caches = [shared(), shared()]
    for cache in caches:
        await cache.open()
    first, second = (limits_of("read=10/60", watch, cache) for cache in caches)
    for _ in range(6):
        assert passes(first)
    await first.close()
    assert passes(second)
    await second.close()
    assert [passes(second) for _ in range(5)] == [True, True, True, False, False]
    await second.close()
    assert passes(first)  # it learns of the others when it counts next
    await first.close()
    assert not passes(first)


async def test_edges_that_take_turns_share_a_limit_all_the_same(shared: Callable[[], Cache]) -> None:
    """What others counted while this edge had nothing of the caller to count."""
    watch = Watch()
    first, second = (limits_of("read=10/60", watch, shared()) for _ in range(2))
    for edge in (first, second, first):
        assert [passes(edge) for _ in range(3)] == [True] * 3
        await edge.close()
        watch.now += 12_000
    assert passes(second)  # the tenth; what the first one counted since is known once this is told
    await second.close()
    assert not passes(second)
    watch.now += 36_000  # of the ten, three are older than a window
    assert [passes(second) for _ in range(4)] == [True, True, True, False]
    await second.close()


async def test_absent_cache_makes_limits_local_never_off(free_port: Callable[[], int]) -> None:
    cache = cache_redis.connect(f"redis://127.0.0.1:{free_port()}/0", prefix="t")
    await cache.open()
    limits = limits_of("read=2/60", Watch(), cache)
    assert [passes(limits) for _ in range(4)] == [True, True, False, False]
    await limits.close()
    assert not passes(limits)
    await cache.close()


async def test_emptied_cache_forgets_nothing_here(shared: Callable[[], Cache]) -> None:
    watch = Watch()
    cache = shared()
    await cache.open()
    limits = limits_of("read=3/60", watch, cache)
    assert passes(limits)
    await limits.close()
    slot = watch.now // 6_000
    await cache.delete([f"rate:read:ada:{slot}"])
    assert passes(limits)
    await limits.close()
    assert [passes(limits) for _ in range(2)] == [True, False]
    await limits.close()
