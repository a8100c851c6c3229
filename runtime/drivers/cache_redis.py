"""The cache on Redis, through redis-py: bounded in time, never retried, behind a circuit breaker.

Standalone servers and Sentinel. Whoever needs the truth asks a database: nothing here survives a FLUSHALL.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, ClassVar, cast
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from redis.asyncio import Connection, ConnectionPool, Redis, SSLConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from runtime.context import Clock, system_clock
from runtime.errors import CacheAway, SettingError
from runtime.ports import Cache

_CONNECTIONS = 32
_FAILURES = 3
_OPEN_S = 1.0

_FORMS = (
    "redis://[user:password@]host:6379/0, rediss://… or redis+sentinel://[user:password@]host:26379,host:26379/master/0"
)


def connect(url: str, *, prefix: str, clock: Clock = system_clock) -> Cache:
    """`redis://`, `rediss://` (TLS) or `redis+sentinel://`, whose password is that of the servers behind the sentinels.

    `?timeout_ms=50` is how long to wait for a connection and for an answer; a whole call takes at most twice that.

    :param clock: not used: the server measures the time to live.
    :raises SettingError: an URL of another form.
    """
    try:
        redis, sentinel, timeout_s = _client(urlsplit(url))
    except ValueError as error:
        raise SettingError(f"the cache's URL must be {_FORMS}: {error}") from error
    return RedisCache(redis, prefix=prefix, limit_s=2 * timeout_s, sentinel=sentinel)


def _client(parts: SplitResult) -> tuple[Redis, Sentinel | None, float]:
    """:raises ValueError: what is wrong with the URL."""
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    timeout_s = int(options.pop("timeout_ms", "50")) / 1000
    if options or timeout_s <= 0:
        raise ValueError("the one option is timeout_ms, a positive integer")
    times: dict[str, Any] = {
        "socket_connect_timeout": timeout_s,
        "socket_timeout": timeout_s,
        "retry": Retry(NoBackoff(), 0),  # redis-py repeats by default, and a repeated INCRBY counts twice
        "protocol": 2,  # one round trip less to connect than 3
        "driver_info": None,  # two commands less
    }
    user: dict[str, Any] = {
        "username": unquote(parts.username) if parts.username else None,
        "password": unquote(parts.password) if parts.password else None,
    }
    if parts.scheme == "redis+sentinel":
        master, _, database = parts.path.strip("/").partition("/")
        if not master:
            raise ValueError("the path names the master")
        hosts = [urlsplit(f"//{address}") for address in parts.netloc.rpartition("@")[2].split(",")]
        sentinel = Sentinel(  # type: ignore[no-untyped-call] # redis-py has left it untyped
            [(host.hostname or "localhost", host.port or 26379) for host in hosts], sentinel_kwargs=times
        )
        return sentinel.master_for(master, db=int(database or 0), **user, **times), sentinel, timeout_s
    if parts.scheme not in {"redis", "rediss"}:
        raise ValueError("another scheme")
    pool = ConnectionPool(
        connection_class=SSLConnection if parts.scheme == "rediss" else Connection,
        host=parts.hostname or "localhost",
        port=parts.port or 6379,
        db=int(parts.path.strip("/") or 0),
        **user,
        **times,
    )
    return Redis.from_pool(pool), None, timeout_s


class RedisCache:
    """One round trip a call; at most 32 calls at once, the others wait within their time."""

    lacks: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, redis: Redis, *, prefix: str, limit_s: float, sentinel: Sentinel | None = None) -> None:
        self._redis = redis
        self._sentinel = sentinel
        self._prefix = prefix
        self._limit_s = limit_s
        self._free = asyncio.Semaphore(_CONNECTIONS)
        self._breaker = _Breaker()

    async def open(self) -> None:
        """Connections are made when they are needed."""

    async def close(self) -> None:
        """Never raises: redis-py gives a connection no longer to part than to answer, too little for a busy process."""
        clients: list[Redis | Sentinel] = [self._redis, *([self._sentinel] if self._sentinel else [])]
        for client in clients:
            with suppress(RedisError, OSError):  # all are closed, whether or not they parted in order
                await client.aclose()

    async def ping(self) -> None:
        async with self._call():
            await self._redis.ping()

    async def get(self, keys: Sequence[str]) -> Sequence[bytes | None]:
        if not keys:
            return []
        async with self._call():
            return cast(
                list[bytes | None], await self._redis.mget(self._names(keys))
            )  # no text: decode_responses is off

    async def put(self, values: Mapping[str, bytes], *, ttl_ms: int) -> None:
        async with self._call():
            pipeline = self._redis.pipeline(transaction=False)
            for name, value in zip(self._names(values), values.values(), strict=True):
                pipeline.set(name, value, px=ttl_ms)
            await pipeline.execute()

    async def delete(self, keys: Sequence[str]) -> None:
        if keys:
            async with self._call():
                await self._redis.delete(*self._names(keys))

    async def add(self, amounts: Mapping[str, int], *, ttl_ms: int) -> Mapping[str, int]:
        async with self._call():
            pipeline = self._redis.pipeline(transaction=True)
            for name, amount in zip(self._names(amounts), amounts.values(), strict=True):
                pipeline.set(name, 0, px=ttl_ms, nx=True)
                pipeline.incrby(name, amount)
            sums = (await pipeline.execute())[1::2]
        return dict(zip(amounts, sums, strict=True))

    def _names(self, keys: Sequence[str] | Mapping[str, Any]) -> list[str]:
        return [f"{self._prefix}:{key}" for key in keys]

    @asynccontextmanager
    async def _call(self) -> AsyncIterator[None]:
        self._breaker.enter()
        try:
            async with asyncio.timeout(self._limit_s), self._free:
                yield
        except (RedisError, OSError) as error:  # TimeoutError is an OSError
            self._breaker.failed()
            raise CacheAway(f"the cache does not answer ({type(error).__name__})") from error
        except BaseException:
            self._breaker.left()
            raise
        self._breaker.succeeded()


class _Breaker:
    """After three failures in a row refuses for a second, then lets one call through: its outcome decides."""

    def __init__(self) -> None:
        self._failures = 0
        self._retry_at = 0.0
        self._trying = False

    def enter(self) -> None:
        """:raises CacheAway: at once, while open."""
        if self._failures < _FAILURES:
            return
        wait = self._retry_at - asyncio.get_running_loop().time()
        if self._trying or wait > 0:
            raise CacheAway("the cache did not answer lately", retry_after=max(wait, 0.1))
        self._trying = True

    def succeeded(self) -> None:
        self._failures = 0
        self._trying = False

    def failed(self) -> None:
        self._failures += 1
        self._trying = False
        self._retry_at = asyncio.get_running_loop().time() + _OPEN_S

    def left(self) -> None:
        """The caller gave up: nothing is known."""
        self._trying = False
