"""All of `compose.yaml`, where a container engine answers: a project of its own, on an image of this checkout."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from config.settings import names
from tests.servers import Unobtainable
from tests.servers.processes import free_port

ROOT = Path(__file__).parents[2]

COMMAND_S = 300.0
"""How long one command may take, in seconds; building an image from nothing is the longest."""

HEALTHY_S = 180.0
"""How long all containers together may take until they are healthy, in seconds."""

SETTINGS = {"ARGON2": "1024,1,1", "RATE_LIMITS": "auth=1000/60", "LOG_LEVEL": "warning"}
"""Of the project: hashing that is quick, and more accounts in a minute than people would make."""


class Compose:
    """A project that is up, with all that its services need."""

    def __init__(self, project: str) -> None:
        self.ports = {name: free_port() for name in ("EDGE_PORT", "S3_PORT", "MAIL_PORT")}
        self.address, self.files, self.mail = (f"http://127.0.0.1:{port}" for port in self.ports.values())
        self._project = project
        # neither settings of this shell nor an .env file say what is tested
        outside = {name: value for name, value in os.environ.items() if name not in names()}
        ports = {name: str(port) for name, port in self.ports.items()}
        self._environment = {**outside, **SETTINGS, **ports, "TROUPE_IMAGE": project}

    async def __call__(self, *arguments: str) -> str:
        """`docker compose arguments…`; what it printed. Fails when it fails."""
        code, output, errors = await self.attempt(*arguments)
        assert code == 0, f"docker compose {' '.join(arguments)} exited with {code}: {errors[-3000:]}"
        return output

    async def attempt(self, *arguments: str) -> tuple[int, str, str]:
        """Likewise; exit code, standard output and error."""
        project = ("--project-name", self._project, "--env-file", os.devnull)
        return await _docker("compose", *project, *arguments, environment=self._environment)

    async def inspect(self, *services: str) -> list[Any]:
        """What the engine knows of these services' containers, or of all."""
        ids = (await self("ps", "--all", "--quiet", *services)).split()
        code, output, errors = await _docker("inspect", *ids)
        assert code == 0, errors
        found: list[Any] = json.loads(output)
        return found

    async def up(self, *arguments: str) -> None:
        """Until all are healthy, however often a busy machine lets one begin again; fails with what they said.

        `up --wait` would give up with the first that a server let wait too long.
        """
        await self("up", "--detach", *arguments)
        ill: list[str] = []
        with suppress(TimeoutError):
            async with asyncio.timeout(HEALTHY_S):
                while ill := await self._ill():
                    await asyncio.sleep(0.5)
        assert not ill, f"{', '.join(ill)}: {await self('logs', '--no-color', '--no-log-prefix', '--tail', '20', *ill)}"

    async def _ill(self) -> list[str]:
        """Services with a container that is not healthy."""
        containers = await self.inspect()
        ill = (each for each in containers if each["State"].get("Health", {}).get("Status") != "healthy")
        return sorted({each["Config"]["Labels"]["com.docker.compose.service"] for each in ill})

    async def images(self) -> None:
        """Those of the servers, and what ours is built on. :raises Unobtainable: one is nowhere to be had."""
        ours = re.findall(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text(), flags=re.M)
        for image in {*ours, *(await self("config", "--images")).split()} - {self._project}:
            if (await _docker("image", "inspect", image))[0] != 0:
                code, _, errors = await _docker("pull", "--quiet", image)
                if code != 0:
                    raise Unobtainable(f"{image} cannot be pulled: {errors.strip()[-300:]}")

    async def gone(self) -> None:
        """Containers, networks, volumes and the image removed."""
        await self("down", "--volumes", "--remove-orphans", "--timeout", "5")
        await _docker("image", "rm", self._project)


@asynccontextmanager
async def project(name: str) -> AsyncIterator[Compose]:
    """Built and up. :raises Unobtainable: an image of a server is nowhere to be had."""
    compose = Compose(name)
    await compose.images()
    try:
        await compose("build", "--quiet")
        await compose.up()
        yield compose
    finally:
        await compose.gone()


async def version() -> str:
    """What answers on this machine. :raises Unobtainable: no engine, or it has no Compose."""
    found = []
    for name, *question in (
        ("Docker", "version", "--format", "{{.Server.Version}}"),
        ("Compose", "compose", "version", "--short"),
    ):
        code, output, errors = await _docker(*question)
        if code != 0:
            raise Unobtainable(errors.strip()[-300:])
        found.append(f"{name} {output.strip()}")
    return ", ".join(found)


async def _docker(*arguments: str, environment: dict[str, str] | None = None) -> tuple[int, str, str]:
    """`docker arguments…` to its end: exit code, standard output and error. :raises Unobtainable: there is none."""
    try:
        process = await asyncio.create_subprocess_exec(
            "docker",
            *arguments,
            cwd=ROOT,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except FileNotFoundError:
        raise Unobtainable("there is no docker command") from None
    async with asyncio.timeout(COMMAND_S):
        output, errors = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode(), errors.decode()
