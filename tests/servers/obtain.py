"""Where a real server comes from: the environment, else a container, else a program of this machine."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass

from tests.servers import Unobtainable, answers, containers, local

BOOT_S = 90.0
"""How long a server that we started may take until it answers, in seconds."""

NAMED_S = 3.0
"""Likewise for one that the environment names, which should be there already."""


@dataclass(frozen=True)
class Kind:
    """A sort of server.

    :param port: what it is tested behind, in `runtime/ports.py`; of two behind one, the second by its own name.
    :param variable: the environment variable that may name one.
    :param ask: its product and version, or `answers.NoAnswer`.
    """

    port: str
    name: str
    variable: str
    ask: Callable[[str], Awaitable[str]]
    image: containers.Image | None
    start: Callable[[ExitStack, Callable[[str], None]], local.Local]


BROKER = Kind(
    "Broker",
    "RabbitMQ",
    "TEST_AMQP_URL",
    answers.rabbitmq,
    containers.Image("rabbitmq:4-management", 5672, "amqp://guest:guest@{address}/"),
    local.rabbitmq,
)
STORE = Kind(
    "Store",
    "PostgreSQL",
    "TEST_POSTGRES_URL",
    answers.postgres,
    containers.Image(
        "postgres:17",
        5432,
        "postgresql://postgres@{address}/postgres",
        environment={"POSTGRES_HOST_AUTH_METHOD": "trust"},
        command="postgres -c fsync=off -c full_page_writes=off -c max_connections=200",
    ),
    local.postgres,
)
DOCUMENTS = Kind(
    "Mongo",
    "MongoDB",
    "TEST_MONGO_URL",
    answers.mongo,
    containers.Image(
        "mongo:7",
        27017,
        "mongodb://{address}/?directConnection=true",
        command="mongod --replSet rs0 --bind_ip_all --setParameter transactionLifetimeLimitSeconds=10",
    ),
    local.mongo,
)
CACHE = Kind(
    "Cache",
    "Redis",
    "TEST_REDIS_URL",
    answers.redis_server,
    containers.Image("redis:8", 6379, "redis://{address}/0"),
    local.redis,
)
BLOBS = Kind("Blobs", "S3", "TEST_S3_URL", answers.s3, None, local.s3)

KINDS = (BROKER, STORE, DOCUMENTS, CACHE, BLOBS)


@dataclass(frozen=True)
class Obtained:
    """A server that answered."""

    url: str
    version: str
    source: str


async def obtain(kind: Kind, stack: ExitStack, say: Callable[[str], None]) -> Obtained:
    """Get a server that answers; closing the stack stops it, if it is ours.

    One that the environment names is meant: when it does not answer, nothing else takes its place.

    :raises Unobtainable: no way led to one; the text has the reason of each.
    """
    named = os.environ.get(kind.variable)
    if named:
        try:
            return Obtained(named, await until_it_answers(kind, named, NAMED_S), f"named by {kind.variable}")
        except Unobtainable as error:
            raise Unobtainable(f"{kind.variable}: {error}") from error
    reasons = [f"{kind.variable} is not set"]
    for way in (_contained, _local):
        attempt = ExitStack()
        stack.push(attempt)
        try:
            return await way(kind, attempt, say)
        except Unobtainable as error:
            attempt.close()
            reasons.append(str(error))
    raise Unobtainable("; ".join(reasons))


async def _contained(kind: Kind, stack: ExitStack, _say: Callable[[str], None]) -> Obtained:
    if kind.image is None:
        raise Unobtainable("no image is used for it")
    url = containers.start(stack, kind.image)
    return Obtained(url, await until_it_answers(kind, url, BOOT_S), f"container of {kind.image.name}")


async def _local(kind: Kind, stack: ExitStack, say: Callable[[str], None]) -> Obtained:
    server = kind.start(stack, say)
    return Obtained(
        server.url,
        await until_it_answers(kind, server.url, BOOT_S, server.running.epitaph),
        f"process of {server.source}",
    )


async def until_it_answers(
    kind: Kind, url: str, seconds: float, epitaph: Callable[[], str | None] = lambda: None
) -> str:
    """Ask until it answers: its version. `epitaph` tells why it died, if it did."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while True:
        try:
            return await kind.ask(url)
        except answers.NoAnswer as error:
            died = epitaph()
            if died or loop.time() > deadline:
                raise Unobtainable(died or f"no answer within {seconds:.0f} s ({error})") from error
        await asyncio.sleep(0.1)
