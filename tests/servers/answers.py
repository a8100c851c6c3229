"""What each server says of itself: the proof that a real one is there."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pamqp.commands
import pamqp.frame
import redis.asyncio
import redis.exceptions
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import BotoCoreError, ClientError
from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError

PATIENCE_S = 3.0
"""How long one question may take, in seconds."""


class NoAnswer(Exception):
    """The server is not there, not ready yet, or does not let us in."""


async def rabbitmq(url: str) -> str:
    """The product and version with which the broker opens its side of the handshake (AMQP 0-9-1, 2.2.4 and 4.2.3).

    :raises NoAnswer: it did not greet us.
    """
    address = urlsplit(url)
    encrypted = address.scheme == "amqps"
    port = address.port or (5671 if encrypted else 5672)
    try:
        async with asyncio.timeout(PATIENCE_S):
            reader, writer = await asyncio.open_connection(address.hostname, port, ssl=encrypted or None)
            try:
                writer.write(b"AMQP\x00\x00\x09\x01")
                head = await reader.readexactly(7)  # type, channel, size
                rest = await reader.readexactly(int.from_bytes(head[3:]) + 1)
            finally:
                writer.close()
                await writer.wait_closed()
    except (OSError, EOFError) as error:
        raise NoAnswer(f"{type(error).__name__}: {error}") from error
    _, _, start = pamqp.frame.unmarshal(head + rest)
    if not isinstance(start, pamqp.commands.Connection.Start):
        raise NoAnswer(f"it greets with {start!r}")
    return " ".join(str(start.server_properties[name]) for name in ("product", "version"))


async def postgres(url: str) -> str:
    """PostgreSQL and its version. :raises NoAnswer: it did not let us in."""
    try:
        connection = await asyncpg.connect(url, timeout=PATIENCE_S)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise NoAnswer(f"{type(error).__name__}: {error}") from error
    try:
        return f"PostgreSQL {await connection.fetchval('show server_version')}"
    finally:
        await connection.close()


async def create_database(url: str, name: str) -> str:
    """Make a database beside the one of `url`; its address."""
    await _administer(url, f'create database "{name}"')
    return urlsplit(url)._replace(path=f"/{name}").geturl()


async def drop_database(url: str, name: str) -> None:
    """Remove it, with whoever is still connected."""
    await _administer(url, f'drop database if exists "{name}" with (force)')


async def _administer(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url, timeout=PATIENCE_S)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def mongo(url: str) -> str:
    """MongoDB and its version; a replica set of one member is initiated where a `mongod` waits for that.

    :raises NoAnswer: it is not ready, or a single server, which has no transactions.
    """
    patience = int(PATIENCE_S * 1000)
    async with AsyncMongoClient[dict[str, Any]](
        url, serverSelectionTimeoutMS=patience, connectTimeoutMS=patience, timeoutMS=patience
    ) as client:
        try:
            answer = await client.admin.command("hello")
            if "setName" not in answer and answer.get("msg") != "isdbgrid":
                options = (await client.admin.command("getCmdLineOpts"))["parsed"]
                host = f"127.0.0.1:{options.get('net', {}).get('port', 27017)}"
                await client.admin.command("replSetInitiate", {"_id": "rs0", "members": [{"_id": 0, "host": host}]})
            if not answer["isWritablePrimary"] or "setName" not in answer:
                raise NoAnswer("it is no primary of a replica set yet")
            built = await client.admin.command("buildInfo")
        except PyMongoError as error:
            raise NoAnswer(f"{type(error).__name__}: {error}") from error
    return f"MongoDB {built['version']}"


async def drop_documents(url: str, name: str) -> None:
    """Remove a database of MongoDB."""
    async with AsyncMongoClient[dict[str, Any]](url) as client:
        await client.drop_database(name)


async def redis_server(url: str) -> str:
    """Redis and its version. :raises NoAnswer: it did not let us in."""
    client = redis.asyncio.from_url(url, socket_timeout=PATIENCE_S, socket_connect_timeout=PATIENCE_S)
    try:
        return f"Redis {(await client.info('server'))['redis_version']}"
    except (OSError, redis.exceptions.RedisError) as error:
        raise NoAnswer(f"{type(error).__name__}: {error}") from error
    finally:
        await client.aclose()


async def s3(url: str) -> str:
    """Makes the bucket of `s3://bucket?endpoint=http://key:secret@host:port` where it is missing, and tells what the
    server calls itself. :raises NoAnswer: it does not take our key."""
    bucket = urlsplit(url).netloc
    endpoint = urlsplit(parse_qs(urlsplit(url).query)["endpoint"][0])
    address = endpoint.netloc.rpartition("@")[2]
    patience = AioConfig(connect_timeout=PATIENCE_S, read_timeout=PATIENCE_S, retries={"total_max_attempts": 1})
    client = get_session().create_client(
        "s3",
        region_name="us-east-1",
        endpoint_url=f"{endpoint.scheme}://{address}",
        aws_access_key_id=endpoint.username,
        aws_secret_access_key=endpoint.password,
        config=patience,
    )
    try:
        async with client as s3_client:
            if bucket not in [each["Name"] for each in (await s3_client.list_buckets())["Buckets"]]:
                await s3_client.create_bucket(Bucket=bucket)
            answer = await s3_client.head_bucket(Bucket=bucket)
    except (OSError, BotoCoreError, ClientError) as error:
        raise NoAnswer(f"{type(error).__name__}: {error}") from error
    return f"S3 served by {answer['ResponseMetadata']['HTTPHeaders'].get('server', 'an unnamed server')}"
