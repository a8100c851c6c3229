"""The servers of the suite: its own, to be stopped, killed, slowed down and cut off, each behind a proxy."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import aio_pika
import asyncpg

from chaos.machines import Containers, Machine, Programs
from runtime import stagehands
from tests.conformance.proxy import Proxy
from tests.servers import local
from tests.servers.obtain import BROKER, CACHE, DOCUMENTS, STORE, Kind, until_it_answers

BACK_S = 60.0
"""How long a server may take to come back, in seconds."""


class Server:
    """One server, started when it is first needed, behind a proxy.

    :ivar url: its own address. :ivar behind: the address of the proxy before it.
    """

    def __init__(self, kind: Kind, machine: Machine) -> None:
        self._kind = kind
        self._machine = machine
        self.url = machine.url
        address = urlsplit(machine.url)
        self.proxy = Proxy(address.hostname or "", address.port or 0)
        self.version = ""
        self.stop, self.kill, self.tool = machine.stop, machine.kill, machine.tool

    @property
    def behind(self) -> str:
        address = urlsplit(self.url)
        login, at, _ = address.netloc.rpartition("@")
        return address._replace(netloc=f"{login}{at}127.0.0.1:{self.proxy.port}").geturl()

    @property
    def alive(self) -> bool:
        return self._machine.alive

    async def ready(self) -> None:
        """:raises Unobtainable: it does not answer."""
        self.version = await until_it_answers(self._kind, self.url, BACK_S, self._machine.epitaph)

    async def start(self) -> None:
        """Where it was; returns when it answers."""
        await self._machine.start()
        await self.ready()


class Lab:
    """All servers of a run; an asynchronous context manager that stops them.

    :param say: told of what takes a while.
    :param contained: servers in containers, not from programs of this machine.
    :param documents: accounts are kept in MongoDB, and not in PostgreSQL.
    """

    def __init__(self, say: Callable[[str], None], *, contained: bool = False, documents: bool = False) -> None:
        self._say = say
        self._stack = ExitStack()
        self._machines = Containers(self._stack) if contained else Programs(self._stack, say)
        self._kinds = {"broker": BROKER, "store": STORE, "cache": CACHE} | (
            {"documents": DOCUMENTS} if documents else {}
        )
        self._servers: dict[str, Server] = {}
        self._cluster: list[Server] = []

    async def __aenter__(self) -> Lab:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for server in (*self._servers.values(), *self._cluster):
            await server.proxy.down()
        await asyncio.to_thread(self._stack.close)

    @property
    def broker(self) -> Server:
        return self._servers["broker"]

    @property
    def store(self) -> Server:
        return self._servers["store"]

    @property
    def cache(self) -> Server:
        return self._servers["cache"]

    @property
    def documents(self) -> Server | None:
        return self._servers.get("documents")

    @property
    def versions(self) -> list[str]:
        """What was met."""
        return sorted({server.version for server in (*self._servers.values(), *self._cluster)})

    async def up(self) -> None:
        """Have all servers answer, their proxies pass, whatever the row before has done to them.

        :raises Unobtainable: one cannot be had here.
        """
        for name, kind in self._kinds.items():
            if name not in self._servers:
                self._say(f"starting {kind.name}")
                self._servers[name] = Server(kind, await self._machines.one(kind))
        for server in self._servers.values():
            if not server.alive:
                await server.start()
            await server.ready()
            await server.proxy.down()
            server.proxy.delay_s, server.proxy.silent = 0.0, False
            server.proxy.passing.set()
            await server.proxy.up()
        await statement(self.store.url, "alter system reset all")
        await statement(self.store.url, "select pg_reload_conf()")

    async def cluster(self) -> list[Server]:
        """Three RabbitMQ nodes, all of them up. :raises Unobtainable: they cannot be had here."""
        if not self._cluster:
            self._say("starting three RabbitMQ nodes")
            self._cluster = [Server(BROKER, node) for node in await self._machines.cluster(3)]
        for node in self._cluster:
            if not node.alive:
                await node.start()
            await node.ready()
        return self._cluster

    async def faketime(self) -> Path:
        """The library that lets a process have a clock of its own. :raises Unobtainable: it cannot be had here."""
        return await asyncio.to_thread(local.faketime, self._say)


class Queues:
    """The queues of one installation, as its broker sees them."""

    def __init__(self, url: str, prefix: str) -> None:
        self._url = url
        self._prefix = prefix

    async def counts(self) -> Mapping[str, tuple[int, int]]:
        """`task.requests` → messages ready, consumers; without queues that do not exist."""
        found: dict[str, tuple[int, int]] = {}
        async with await aio_pika.connect(self._url) as connection:
            for name in self._names():
                channel = await connection.channel()
                try:
                    queue = await channel.declare_queue(f"{self._prefix}.{name}", passive=True)
                except aio_pika.exceptions.ChannelNotFoundEntity:
                    continue
                counted = queue.declaration_result
                found[name] = counted.message_count or 0, counted.consumer_count or 0
                await channel.close()
        return found

    async def consumers(self) -> Mapping[str, int]:
        """`task.requests` → how many take from it."""
        return {name: consumers for name, (_, consumers) in (await self.counts()).items()}

    async def delete(self, *names: str) -> None:
        """These, or all of the installation; its exchange stays."""
        async with await aio_pika.connect(self._url) as connection:
            channel = await connection.channel()
            for name in names or self._names():
                await channel.queue_delete(f"{self._prefix}.{name}")

    async def put(self, name: str, body: bytes) -> None:
        """A message of whatever kind into one queue."""
        async with await aio_pika.connect(self._url) as connection:
            channel = await connection.channel()
            await channel.default_exchange.publish(aio_pika.Message(body), f"{self._prefix}.{name}")

    def _names(self) -> list[str]:
        kinds = ("requests", "events", "dead")
        return [f"{actor}.{kind}" for actor in stagehands.topology().actors for kind in kinds]


async def statement(url: str, sql: str, schema: str = "public") -> None:
    """One statement as the superuser, also when the database is read-only for others."""
    connection = await asyncpg.connect(
        url, server_settings={"default_transaction_read_only": "off", "search_path": schema}
    )
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


async def row_of(url: str, sql: str, schema: str) -> Mapping[str, Any]:
    """The first row of a query in a schema."""
    connection = await asyncpg.connect(url, server_settings={"search_path": schema})
    try:
        found: Mapping[str, Any] = await connection.fetchrow(sql)
        return found
    finally:
        await connection.close()


def fresh_name() -> str:
    """A prefix for queues and schemas that nothing else has."""
    return f"c{secrets.token_hex(5)}"
