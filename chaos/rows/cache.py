"""F30–F32: a cache that is away, slow, or forgets everything. Nothing depends on it."""

from __future__ import annotations

import redis.asyncio

from chaos.row import adds, errors, row
from chaos.scene import Scene
from tests.system.world import PASSWORD, Api

REVOKED_S = 1.0
"""In which a session that was ended is over on every edge."""

LIMITS = {"RATE_LIMITS": "read=100000/60,write=100000/60,search=100000/60,auth=10000/60,upload=100/60"}
"""Counted, and so exchanged through the cache, but never reached."""

HOLDS = "login limits hold; revoked sessions stay refused"

FAILURES = 5
"""Wrong passwords for one account from one network in 5 min, before no other is looked at."""


@row("F30", "Redis is down for 60 s", errors(0.001), adds(0.06), HOLDS, settings=LIMITS, short=True)
async def down(scene: Scene) -> None:
    before = await _revoked(scene)
    await scene.calm(4)
    async with scene.fault("down"):
        await scene.lab.cache.kill()
        await scene.calm(scene.either(58, 8))
        await _login_limits_hold(scene)
        await _revoked_are_refused(scene, before)
        await scene.lab.cache.start()
    await scene.calm(4)


@row("F31", "Redis is slow by 1 s", errors(0.001), adds(0.06), HOLDS, settings=LIMITS, proxied=["cache"])
async def slow(scene: Scene) -> None:
    before = await _revoked(scene)
    await scene.calm(4)
    async with scene.fault("slow by 1 s"):
        scene.lab.cache.proxy.delay_s = 1.0
        await scene.calm(scene.either(30, 8))
        await _login_limits_hold(scene)
        await _revoked_are_refused(scene, before)
        scene.lab.cache.proxy.delay_s = 0.0
    await scene.calm(4)


@row("F32", "FLUSHALL", errors(0.001), adds(0.06), HOLDS, settings=LIMITS)
async def flushed(scene: Scene) -> None:
    client = redis.asyncio.from_url(scene.lab.cache.url)
    before = await _revoked(scene)
    await scene.calm(4)
    async with scene.fault("FLUSHALL, again and again"):
        for _ in range(int(scene.either(100, 20))):
            await client.flushall()
            await scene.calm(0.1)
        await _login_limits_hold(scene)
        await _revoked_are_refused(scene, before)
        await client.flushall()
    await client.aclose()
    await scene.calm(2)


async def _login_limits_hold(scene: Scene) -> None:
    """The sixth wrong password is not looked at, wherever the count lies."""
    house = scene.house
    email = house.bob.user["email"]
    anyone = house.ada.anonymous()
    statuses = [
        (await anyone("POST", "/v1/sessions", {"email": email, "password": f"wrong guess {n}"})).status
        for n in range(FAILURES + 2)
    ]
    scene.expect(statuses == [401] * FAILURES + [429] * 2, f"wrong passwords were answered with {statuses}")


async def _revoked(scene: Scene) -> Api:
    """Bob in a session that he has ended."""
    house = scene.house
    opened = await house.bob.anonymous()(
        "POST", "/v1/sessions", {"email": house.bob.user["email"], "password": PASSWORD}
    )
    session = house.bob.with_token(opened.json["access_token"])
    ended = await session("DELETE", "/v1/sessions/current")
    scene.expect(ended.status == 204, f"a session was ended with {ended.status}")
    return session


async def _revoked_are_refused(scene: Scene, before: Api) -> None:
    """:param before: somebody whose session was ended before the fault; another's is ended now."""
    during = await scene.house.ada.anonymous().person("Cleo")
    ended = await during("DELETE", "/v1/sessions/current")
    await scene.calm(REVOKED_S)
    statuses = [ended.status, (await before("GET", "/v1/me")).status, (await during("GET", "/v1/me")).status]
    scene.expect(statuses == [204, 401, 401], f"sessions that were ended were answered with {statuses}")
