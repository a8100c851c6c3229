"""F30–F32: a cache that is away, slow, or forgets everything. Nothing depends on it."""

from __future__ import annotations

import redis.asyncio

from chaos.row import adds, errors, row
from chaos.scene import Scene

LIMITS = {"RATE_LIMITS": "read=100000/60,write=100000/60,search=100000/60,auth=10000/60,upload=100/60"}
"""Counted, and so exchanged through the cache, but never reached."""

FAILURES = 5
"""Wrong passwords for one account from one network in 5 min, before no other is looked at."""


@row("F30", "Redis is down for 60 s", errors(0.001), adds(0.06), "login limits hold", settings=LIMITS, short=True)
async def down(scene: Scene) -> None:
    await scene.calm(4)
    async with scene.fault("down"):
        await scene.lab.cache.kill()
        await scene.calm(scene.either(58, 8))
        await _login_limits_hold(scene)
        await scene.lab.cache.start()
    await scene.calm(4)


@row("F31", "Redis is slow by 1 s", errors(0.001), adds(0.06), "login limits hold", settings=LIMITS, proxied=["cache"])
async def slow(scene: Scene) -> None:
    await scene.calm(4)
    async with scene.fault("slow by 1 s"):
        scene.lab.cache.proxy.delay_s = 1.0
        await scene.calm(scene.either(30, 8))
        await _login_limits_hold(scene)
        scene.lab.cache.proxy.delay_s = 0.0
    await scene.calm(4)


@row("F32", "FLUSHALL", errors(0.001), adds(0.06), "login limits hold", settings=LIMITS)
async def flushed(scene: Scene) -> None:
    client = redis.asyncio.from_url(scene.lab.cache.url)
    await scene.calm(4)
    async with scene.fault("FLUSHALL, again and again"):
        for _ in range(int(scene.either(100, 20))):
            await client.flushall()
            await scene.calm(0.1)
        await _login_limits_hold(scene)
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
