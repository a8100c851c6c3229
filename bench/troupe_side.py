"""Our side of an HTTP contest: processes of `python -m runtime`, an account and a project."""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from bench.contest import TROUPE, Failure
from bench.processes import Child, python, running
from bench.side import Side

ACCOUNT = {"email": "ada@example.org", "password": "a long enough phrase"}
ALL = "all"
"""Every actor that there is, and the edge."""
ENOUGH = "999999999/60"
LIMITS = f"auth={ENOUGH},read={ENOUGH},write={ENOUGH}"
"""They are on and count every request, but refuse none."""


def environment(directory: Path, **more: str) -> dict[str, str]:
    """The settings of all processes of one installation."""
    return {
        "VAR_DIR": str(directory / "var"),
        "SECRET_KEY": secrets.token_hex(32),
        "PUBLIC_URL": "http://troupe.example",  # the issuer of tokens, the same for edge and user actor
        "EDGE_PORT": "0",
        "RATE_LIMITS": LIMITS,
        "LOG_LEVEL": "warning",
        **more,
    }


@asynccontextmanager
async def troupe(
    directory: Path, settings: Mapping[str, str], processes: Sequence[str], count: Callable[[], Awaitable[int]]
) -> AsyncIterator[Side]:
    """An installation with tasks in it.

    :param processes: the actors of each, the edge's last; `ALL`: everything in one.
    """
    async with AsyncExitStack() as stack:
        pids: dict[str, int] = {}
        child: Child | None = None
        for actors in processes:
            started = running(runtime(actors), directory, settings)
            child = await stack.enter_async_context(started)
            pids[actors] = child.pid
        assert child is not None  # there is at least one process
        address = address_in(child.said)
        await _post(address, "users", {**ACCOUNT, "name": "Ada"})

        async def sign_in() -> str:
            token: str = (await _post(address, "sessions", ACCOUNT))["access_token"]
            return token

        project = await _post(address, "projects", {"name": "Contest"}, await sign_in())
        side = Side(TROUPE, address, directory, project=project["id"], pids=pids, sign_in=sign_in, count=count)
        await side.fill()
        yield side


def runtime(actors: str) -> tuple[str, ...]:
    """The command of a process with these actors."""
    return python("runtime") if actors == ALL else python("runtime", "--actors", actors)


def address_in(said: str) -> str:
    """The address in the line with which a server says that it is ready. :raises Failure: there is none."""
    found = re.search(r"http://[\d.]+:\d+", said)
    if found is None:
        raise Failure(f"no address in {said!r}")
    return found[0]


async def _post(address: str, what: str, body: object, token: str = "") -> Any:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(f"{address}/v1/{what}", json=body) as answer,
    ):
        made = await answer.json()
        if answer.status != 201:
            raise Failure(f"{answer.url} answers {answer.status}: {made}")
        return made
