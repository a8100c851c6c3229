"""Limits over HTTP: every class of routes, edges that share a Redis, and that Redis away, slow and emptied."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import aiohttp
import pytest
from redis.asyncio import Redis

from edge.route import RateClass, Route
from edge.routes import ROUTES
from tests.conformance.proxy import Proxy
from tests.edge.key_keeper import KeyKeeper
from tests.edge.stand import edge_of
from tests.edge.whole_house import house_of
from tests.system.world import PASSWORD, Answer, Api

Open = Callable[..., Awaitable[Api]]

PATIENCE_S = 20.0

SIGNING_IN = (
    "/v1/users",
    "/v1/sessions",
    "/v1/email-verifications",
    "/v1/password-resets",
    "/v1/me/email-verification",
)


def promised(route: Route) -> RateClass:
    """The class that the contract names."""
    if route.method == "GET":
        return "search" if "q" in route.message.__struct_fields__ else "read"
    if route.method in ("POST", "PUT") and route.path in (*SIGNING_IN, "/v1/sessions/refresh"):
        return "auth"
    return "upload" if route.method == "POST" and route.path.startswith("/v1/media") else "write"


def test_every_route_counts_in_the_class_that_is_promised() -> None:
    counted = {(each.method, each.path): each.rate_class(searches=True) for each in ROUTES if promised(each) != "read"}
    counted |= {
        (each.method, each.path): each.rate_class(searches=False) for each in ROUTES if promised(each) == "read"
    }
    assert counted == {(each.method, each.path): promised(each) for each in ROUTES}


@pytest.fixture
async def open_edge(tmp_path: Path) -> AsyncIterator[Open]:
    """Opens edges with settings of the test's choice; a client of each, of the same person."""
    keeper, count = KeyKeeper(), 0
    async with asyncio.timeout(60), AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())

        async def make(**settings: Any) -> Api:
            nonlocal count
            count += 1
            folder = tmp_path / str(count)
            folder.mkdir()
            _, address = await stack.enter_async_context(edge_of(folder, keeper, **settings))
            return Api(session, address, keeper.token())

        yield make


CALLS: dict[RateClass, Callable[[Api], Awaitable[Answer]]] = {
    "auth": lambda api: api("POST", "/v1/email-verifications", {}),
    "read": lambda api: api("GET", "/v1/me"),
    "write": lambda api: api("POST", "/v1/tasks", {}),
    "search": lambda api: api("GET", "/v1/tasks?q=a&q=b"),
    "upload": lambda api: api("POST", "/v1/media", {}),
}
"""A call of each class; most are refused for what they say, but only after they were counted."""


@pytest.mark.parametrize("name", CALLS)
async def test_b89_every_class_has_a_limit_of_its_own(open_edge: Open, name: RateClass) -> None:
    api = await open_edge(rate_limits=",".join(f"{each}=2/60" for each in CALLS))
    for left in (1, 0):
        answer = await CALLS[name](api)
        assert answer.status != 429
        assert answer.headers["RateLimit"].startswith(f'"{name}";r={left};')
    refused = await CALLS[name](api)
    assert (refused.status, refused.problem()) == (429, "rate.limited")
    assert 1 <= int(refused.headers["Retry-After"]) <= 67
    assert refused.headers["RateLimit-Policy"] == f'"{name}";q=2;w=60'
    assert [(await call(api)).status == 429 for other, call in CALLS.items() if other != name] == [False] * 4


# ----------------------------------------------------------------------------------------- with a Redis


@pytest.fixture
async def proxy(redis_url: str) -> AsyncIterator[Proxy]:
    address = urlsplit(redis_url)
    async with Proxy(address.hostname or "127.0.0.1", address.port or 6379) as proxy:
        yield proxy


@pytest.fixture
def shared(redis_url: str, run_id: str, proxy: Proxy) -> dict[str, str]:
    """Settings of edges that share what lies behind the proxy, with keys of this test alone."""
    url = urlsplit(redis_url)._replace(netloc=f"127.0.0.1:{proxy.port}")
    return {"cache_url": url.geturl(), "broker_prefix": f"t{run_id}{uuid4().hex[:8]}"}


async def used_up(api: Api, name: RateClass = "read", *, pause_s: float = 0) -> int:
    """Call until it is refused; how many were not. :param pause_s: between calls, in which others are heard of."""
    async with asyncio.timeout(PATIENCE_S):
        passed = 0
        while (await CALLS[name](api)).status != 429:
            passed += 1
            await asyncio.sleep(pause_s)
    return passed


@pytest.mark.parametrize("name", CALLS)
async def test_two_edges_share_every_limit(open_edge: Open, shared: dict[str, str], name: RateClass) -> None:
    one, other = [await open_edge(rate_limits=f"{name}=200/600", **shared) for _ in range(2)]
    assert await used_up(one, name) == 200
    assert await used_up(other, name, pause_s=0.02) < 200  # as soon as it has heard of the others
    assert (await CALLS[name](one)).status == 429


async def test_f30_without_redis_each_edge_limits_by_itself(
    open_edge: Open, shared: dict[str, str], proxy: Proxy
) -> None:
    await proxy.down()
    one, other = [await open_edge(rate_limits="read=20/600,auth=20/600", **shared) for _ in range(2)]
    assert [await used_up(each, name) for each in (one, other) for name in ("read", "auth")] == [20] * 4


async def test_f30_a_redis_that_comes_back_is_shared_again(
    open_edge: Open, shared: dict[str, str], proxy: Proxy
) -> None:
    one, other = [await open_edge(rate_limits="read=200/600", **shared) for _ in range(2)]
    await proxy.down()
    assert (await CALLS["read"](one)).status == 200
    await proxy.up()
    assert await used_up(one) == 199
    assert await used_up(other, pause_s=0.02) < 200


async def test_f31_a_slow_redis_slows_no_request(open_edge: Open, shared: dict[str, str], proxy: Proxy) -> None:
    edge = await open_edge(rate_limits="read=100/600", **shared)
    proxy.delay_s = 1.0
    async with asyncio.timeout(PATIENCE_S):  # a hundred of them would take 100 s if each waited
        assert await used_up(edge) == 100


async def test_f32_an_emptied_redis_makes_no_limit_start_afresh(
    open_edge: Open, shared: dict[str, str], redis_url: str
) -> None:
    edge = await open_edge(rate_limits="auth=20/600", **shared)
    async with Redis.from_url(redis_url) as redis:

        async def keys() -> list[bytes]:
            return [key async for key in redis.scan_iter(f"{shared['broker_prefix']}:*")]

        for _ in range(10):
            await CALLS["auth"](edge)
        async with asyncio.timeout(PATIENCE_S):
            while not (told := await keys()):
                await asyncio.sleep(0.02)
        await redis.delete(*told)
    assert await used_up(edge, "auth") == 10


async def test_f30_f32_sign_in_stays_throttled_whatever_becomes_of_redis(
    tmp_path: Path, shared: dict[str, str], proxy: Proxy, redis_url: str
) -> None:
    """Failures are counted in the user actor's database, not in the cache."""
    async with house_of(tmp_path, **shared) as house, Redis.from_url(redis_url) as redis:
        ada = {"email": "ada@example.org", "password": PASSWORD}
        assert (await house.anyone("POST", "/v1/users", {**ada, "name": "Ada"})).status == 201

        async def sign_in(password: str) -> Answer:
            return await house.anyone("POST", "/v1/sessions", {**ada, "password": password})

        assert [(await sign_in("not this one")).status for _ in range(3)] == [401] * 3
        async for key in redis.scan_iter(f"{shared['broker_prefix']}:*"):
            await redis.delete(key)
        assert (await sign_in("not this one")).status == 401
        await proxy.down()
        assert (await sign_in("not this one")).status == 401
        assert (await sign_in(PASSWORD)).problem() == "auth.throttled"


async def test_f30_an_edge_without_redis_is_ready_all_the_same_and_says_what_is_wrong(
    tmp_path: Path, shared: dict[str, str], proxy: Proxy
) -> None:
    """Else a balancer would take every edge out of service for what none of them needs."""
    async with house_of(tmp_path, **shared) as house:
        assert (await house.anyone("GET", "/readyz")).json["dependencies"]["cache"] == "ok"
        await proxy.down()
        ready = await house.anyone("GET", "/readyz")
        assert (ready.status, ready.json["status"]) == (200, "ok")
        assert "the cache" in ready.json["dependencies"]["cache"]
