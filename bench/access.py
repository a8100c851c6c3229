"""What it costs to let people in: sign-ins against bare argon2id on the same cores, and looking at a token."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import aiohttp
from argon2 import PasswordHasher

from bench.contest import TROUPE, Case, Contest, Failure, Options, Sample
from bench.processes import running
from bench.troupe_side import ALL, address_in, environment, runtime
from config.settings import Settings
from edge.auth import AccessTokens
from runtime.client import Client
from runtime.context import system_clock
from tests.edge.key_keeper import ORIGIN, KeyKeeper
from tests.edge.stand import client_of

BARE = "argon2 alone"
PASSWORD = "a long enough phrase"
AT_ONCE = 8
TOKENS = 200


@asynccontextmanager
async def contest(directory: Path, options: Options) -> AsyncIterator[Contest]:
    """Everything embedded in one process that hashes as in production; tokens are looked at in this one."""
    async with AsyncExitStack() as stack:
        child = await stack.enter_async_context(running(runtime(ALL), directory, environment(directory)))
        session = await stack.enter_async_context(aiohttp.ClientSession(address_in(child.said)))
        for number in range(AT_ONCE):
            await _post(session, "/v1/users", {**_account(number), "name": "Ada"})
        client = await stack.enter_async_context(client_of(directory, keeper := KeyKeeper()))
        yield Contest(
            [
                Case(
                    title=f"sign-ins, {AT_ONCE} at once",
                    unit="sign-ins/s",
                    variants={
                        TROUPE: partial(_sign_ins, session, options.seconds),
                        BARE: partial(_hashes, options.seconds),
                    },
                ),
                Case(
                    title="access token, first look", unit="µs", variants={TROUPE: partial(_looks, client, keeper, 0)}
                ),
                Case(title="access token, next look", unit="µs", variants={TROUPE: partial(_looks, client, keeper, 1)}),
            ],
            check=_nothing,
        )


async def _sign_ins(session: aiohttp.ClientSession, seconds: float) -> Sample:
    ends = time.perf_counter() + seconds

    async def one(number: int) -> int:
        done = 0
        while time.perf_counter() < ends:
            await _post(session, "/v1/sessions", _account(number))
            done += 1
        return done

    began = time.perf_counter()
    done = sum(await asyncio.gather(*map(one, range(AT_ONCE))))
    return Sample(done / (time.perf_counter() - began))


async def _hashes(seconds: float) -> Sample:
    memory, passes, lanes = map(int, Settings().argon2.split(","))
    hasher = PasswordHasher(time_cost=passes, memory_cost=memory, parallelism=lanes)
    digest, ends = hasher.hash(PASSWORD), time.perf_counter() + seconds

    def check() -> int:
        done = 0
        while time.perf_counter() < ends:
            hasher.verify(digest, PASSWORD)
            done += 1
        return done

    threads = os.cpu_count() or 1
    began = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        loop = asyncio.get_running_loop()
        done = sum(await asyncio.gather(*(loop.run_in_executor(pool, check) for _ in range(threads))))
    return Sample(done / (time.perf_counter() - began))


async def _looks(client: Client, keeper: KeyKeeper, look: int) -> Sample:
    """:param look: 0: at tokens that were never seen; 1: at the same ones again."""
    tokens = AccessTokens(client, issuer=ORIGIN, clock=system_clock)
    await tokens.fetch_keys()
    made = [keeper.token() for _ in range(TOKENS)]
    took = 0.0
    for _ in range(look + 1):
        began = time.perf_counter()
        for token in made:
            await tokens.verify(token)
        took = time.perf_counter() - began
    return Sample(took / TOKENS * 1e6)


async def _post(session: aiohttp.ClientSession, path: str, body: dict[str, str]) -> None:
    async with session.post(path, json=body) as answer:
        if answer.status != 201:
            raise Failure(f"POST {path} answered {answer.status}: {await answer.text()}")


def _account(number: int) -> dict[str, str]:
    return {"email": f"ada{number}@example.org", "password": PASSWORD}


async def _nothing() -> None:
    """Each answer was looked at when it came."""
