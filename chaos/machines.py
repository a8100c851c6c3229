"""Servers that can be stopped, killed and started where they were: programs of this machine, or containers."""

from __future__ import annotations

import asyncio
import io
import os
import secrets
import signal
import subprocess
import tarfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Protocol

from tests.servers import Unobtainable, containers, local
from tests.servers.obtain import BROKER, STORE, Kind
from tests.servers.processes import end, free_port


class Machine(Protocol):
    """:ivar url: the server's address, the same after each start."""

    url: str

    @property
    def alive(self) -> bool: ...

    def epitaph(self) -> str | None:
        """None while it lives; then why it does not."""
        ...

    async def stop(self) -> None:
        """As its operator would."""
        ...

    async def kill(self) -> None:
        """As the kernel would when memory is short."""
        ...

    async def start(self) -> None:
        """Where it was; it need not answer yet."""
        ...

    async def tool(self, program: str, *arguments: str) -> str:
        """What one of its tools prints. :raises RuntimeError: it fails."""
        ...


class Program:
    """A server as a child process."""

    def __init__(self, kind: Kind, started: local.Local) -> None:
        self.url = started.url
        self._stop = signal.SIGINT if kind is STORE else signal.SIGTERM  # PostgreSQL's fast shutdown
        self._local = started
        self._running = started.running

    @property
    def alive(self) -> bool:
        return self._running.child.poll() is None

    def epitaph(self) -> str | None:
        return self._running.epitaph()

    async def stop(self) -> None:
        await asyncio.to_thread(end, self._running.child, self._stop)

    async def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._running.child.pid, signal.SIGKILL)
        await asyncio.to_thread(self._running.child.wait)

    async def start(self) -> None:
        self._running = self._local.again()

    async def tool(self, program: str, *arguments: str) -> str:
        path = Path(self._local.source).with_name(program)
        process = await asyncio.create_subprocess_exec(
            path, *arguments, env={**os.environ, **self._local.environment}, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )  # fmt: skip
        output, _ = await process.communicate()
        return _said(process.returncode or 0, output, program, arguments)


class Container:
    """A server in a container that keeps its name, its port and its files over a restart."""

    def __init__(self, container: Any, url: str) -> None:
        self.url = url
        self._container = container

    @property
    def alive(self) -> bool:
        self._container.reload()
        return self._container.status in ("running", "restarting")

    def epitaph(self) -> str | None:
        return None if self.alive else f"{self._container.name} has ended: {self._container.logs(tail=5).decode()}"

    async def stop(self) -> None:
        await asyncio.to_thread(self._container.stop)

    async def kill(self) -> None:
        await asyncio.to_thread(self._container.kill)

    async def start(self) -> None:
        await asyncio.to_thread(self._container.start)

    async def tool(self, program: str, *arguments: str) -> str:
        code, output = await asyncio.to_thread(self._container.exec_run, [program, *arguments])
        return _said(code, output, program, arguments)


def _said(code: int, output: bytes, program: str, arguments: Sequence[str]) -> str:
    if code != 0:
        raise RuntimeError(f"{program} {' '.join(arguments)}: {output.decode()[-500:]}")
    return output.decode()


class Programs:
    """Servers from programs of this machine; a missing one is installed where that can be.

    :param say: told of what takes a while.
    """

    def __init__(self, stack: ExitStack, say: Callable[[str], None]) -> None:
        self._stack = stack
        self._say = say

    async def one(self, kind: Kind) -> Machine:
        """:raises Unobtainable: it cannot be had here."""
        return Program(kind, await asyncio.to_thread(kind.start, self._stack, self._say))

    async def cluster(self, nodes: int) -> list[Machine]:
        """RabbitMQ nodes. :raises Unobtainable: they cannot be had here."""
        started = await asyncio.to_thread(local.rabbitmq_cluster, self._stack, self._say, nodes=nodes)
        return [Program(BROKER, each) for each in started]


class Containers:
    """Servers from the images that the tests use."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    async def one(self, kind: Kind) -> Machine:
        """:raises Unobtainable: there is no engine, or it has no such image."""
        return await asyncio.to_thread(self._run, kind, _fresh_name())

    async def cluster(self, nodes: int) -> list[Machine]:
        """RabbitMQ nodes that find one another by name, in a network of their own."""
        network = await asyncio.to_thread(self._network)
        cookie = {"RABBITMQ_ERLANG_COOKIE": secrets.token_hex(10)}
        names = [_fresh_name() for _ in range(nodes)]
        peers = "".join(local.peers([f"rabbit@{name}" for name in names]))
        return [
            await asyncio.to_thread(
                self._run, BROKER, name, network, cookie, {"/etc/rabbitmq/conf.d/peers.conf": peers}
            )
            for name in names
        ]

    def _run(
        self,
        kind: Kind,
        name: str,
        network: str | None = None,
        environment: Mapping[str, str] | None = None,
        files: Mapping[str, str] | None = None,
    ) -> Machine:
        """:param files: path → content, put there before it starts."""
        image = kind.image
        if image is None:
            raise Unobtainable(f"no image of {kind.name} is used")
        client, port = containers.engine(), free_port()
        container = client.containers.create(
            image.name,
            command=image.command,
            environment={**image.environment, **(environment or {})},
            hostname=name,  # a broker's data belongs to the name of its host
            name=name,
            network=network,
            ports={f"{image.port}/tcp": ("127.0.0.1", port)},
            # as a platform does: a node of RabbitMQ 4.0 may end at its start when its peers are just starting, too
            restart_policy={"Name": "on-failure", "MaximumRetryCount": 5},
        )
        self._stack.callback(container.remove, force=True, v=True)
        for path, text in (files or {}).items():
            container.put_archive(str(Path(path).parent), _archive(Path(path).name, text.encode()))
        container.start()
        return Container(container, image.url.format(address=f"127.0.0.1:{port}"))

    def _network(self) -> str:
        network = containers.engine().networks.create(_fresh_name())
        self._stack.callback(network.remove)
        return str(network.name)


def _fresh_name() -> str:
    return f"troupe-{secrets.token_hex(4)}"


def _archive(name: str, content: bytes) -> bytes:
    """A tar file of one file that all may read."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = len(content), 0o644
        tar.addfile(entry, io.BytesIO(content))
    return archive.getvalue()
