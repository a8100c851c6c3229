"""Worlds for the system tests: the three topologies, each on stores and queues of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import aiohttp
import pytest

from runtime import stagehands
from tests.servers.answers import drop_documents
from tests.system.world import Api, World

MakeWorld = Callable[..., World]


@pytest.fixture
async def client() -> AsyncIterator[Callable[[str], Api]]:
    """Address of an edge → a client without a token."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session:
        yield lambda address: Api(session, address)


@pytest.fixture
async def embedded(tmp_path: Path) -> AsyncIterator[World]:
    """Everything on the embedded twins."""
    async with World(tmp_path, {"SECRET_KEY": ""}) as world:
        yield world


@pytest.fixture
def servers(amqp_url: str, postgres_url: str, redis_url: str, run_id: str) -> dict[str, str]:
    """Settings for real servers, with queues, schemas and keys of this test alone."""
    name = f"t{run_id}{uuid4().hex[:8]}"
    separator = "&" if "?" in postgres_url else "?"
    return {
        "BROKER_URL": amqp_url,
        "BROKER_PREFIX": name,
        "CACHE_URL": redis_url,
        **{
            f"{actor.upper()}_STORE_URL": f"{postgres_url}{separator}schema={name}_{actor}"
            for actor in stagehands.topology().actors
        },
    }


@pytest.fixture(params=["embedded", "servers"])
def topology(request: pytest.FixtureRequest) -> dict[str, str]:
    """Settings of either."""
    found: dict[str, str] = {"SECRET_KEY": ""} if request.param == "embedded" else request.getfixturevalue("servers")
    return found


@pytest.fixture
async def anywhere(tmp_path: Path, topology: dict[str, str]) -> AsyncIterator[World]:
    """Everything in one process, on the embedded twins and then on real servers."""
    async with World(tmp_path, topology) as world:
        yield world
    if "BROKER_URL" in topology:
        await _delete_queues(topology)


@pytest.fixture
async def real(tmp_path: Path, servers: dict[str, str]) -> AsyncIterator[World]:
    """Everything on real servers; queues are deleted at the end."""
    async with World(tmp_path, servers) as world:
        yield world
    await _delete_queues(servers)


@pytest.fixture
async def mixed(tmp_path: Path, servers: dict[str, str], mongo_url: str, s3_url: str) -> AsyncIterator[World]:
    """Each actor on another kind of store: accounts in MongoDB, tasks in PostgreSQL, notifications in SQLite, files in
    S3 with what is known of them in PostgreSQL."""
    database = servers["BROKER_PREFIX"]
    own = {
        "USER_STORE_URL": urlsplit(mongo_url)._replace(path=f"/{database}").geturl(),
        "NOTIFY_STORE_URL": f"sqlite:{tmp_path}/notify.db",
        "BLOB_URL": s3_url,
    }
    async with World(tmp_path, servers | own) as world:
        yield world
    await _delete_queues(servers)
    await drop_documents(mongo_url, f"{database}_user")


async def _delete_queues(servers: dict[str, str]) -> None:
    import aio_pika

    connection = await aio_pika.connect(servers["BROKER_URL"])
    async with connection:
        channel = await connection.channel()
        for actor in stagehands.topology().actors:
            for queue in ("requests", "events", "dead"):
                await channel.queue_delete(f"{servers['BROKER_PREFIX']}.{actor}.{queue}")
        await channel.exchange_delete(f"{servers['BROKER_PREFIX']}.events")
