"""Servers in containers, where an engine answers."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from tests.servers import Unobtainable

DEFAULT_ENGINE = "unix:///var/run/docker.sock"

PATIENCE_S = 3.0
"""How long an engine may take to let us in, in seconds."""


@dataclass(frozen=True)
class Image:
    """An image and how to reach the server in it.

    :param port: that the server listens on, inside.
    :param url: outside, with `{address}` for `host:port`.
    """

    name: str
    port: int
    url: str
    environment: Mapping[str, str] = field(default_factory=dict)
    command: str | None = None


def start(stack: ExitStack, image: Image) -> str:
    """Run the image, its port published on 127.0.0.1 alone; the server's address. Closing the stack removes it.

    :raises Unobtainable: there is no engine on this machine, or it cannot start the image.
    """
    engine()
    from docker.errors import DockerException
    from testcontainers.core.container import DockerContainer

    container = DockerContainer(image.name, command=image.command, env=dict(image.environment))
    stack.callback(container.stop)
    container.ports[f"{image.port}/tcp"] = ("127.0.0.1", None)  # type: ignore[assignment] # what docker itself takes
    try:
        container.start()
        port = container.get_exposed_port(image.port)
    except (DockerException, TimeoutError) as error:
        raise Unobtainable(f"{image.name} does not start ({error})") from error
    return image.url.format(address=f"127.0.0.1:{port}")


def engine() -> Any:
    """A client of this machine's engine (`docker.DockerClient`). :raises Unobtainable: there is none."""
    os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")  # its reaper is one more container per run
    # Imported here because it takes half a second, which the other ways of getting a server need not pay.
    from testcontainers.core.docker_client import DockerClient, get_docker_host

    _knock(get_docker_host() or DEFAULT_ENGINE)
    return DockerClient().client


def _knock(engine: str) -> None:
    """See whether an engine listens. The client's own attempt would leave an open socket behind.

    :raises Unobtainable: nobody listens, or it is on another machine, whose loopback address is not ours.
    """
    address = urlsplit(engine)
    if address.scheme != "unix":
        raise Unobtainable(f"the container engine {engine} is not on this machine")
    with socket.socket(socket.AF_UNIX) as door:
        door.settimeout(PATIENCE_S)
        try:
            door.connect(address.path)
        except OSError as error:
            raise Unobtainable(f"no container engine listens on {address.path}") from error
