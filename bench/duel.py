"""Two sides, reading one task and creating one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from bench.contest import TROUPE, Case, Contest
from bench.load import CONNECTIONS
from bench.processes import python, running
from bench.side import Side
from bench.troupe_side import address_in

MONOLITH = "monolith"


def duel(prefix: str, ours: Side, theirs: Side, seconds: float, *, at_least: float) -> Contest:
    """The two calls, each on both sides, and the look at rows and replies."""
    sides = {TROUPE: ours, MONOLITH: theirs}

    async def check() -> None:
        for side in sides.values():
            await side.check()

    return Contest(
        [
            Case(
                title=f"{prefix}{method} {path}, {CONNECTIONS} connections",
                unit="requests/s",
                variants={name: partial(side.measure, method, seconds) for name, side in sides.items()},
                at_least={MONOLITH: at_least},
            )
            for method, path in (("GET", "/v1/tasks/{id}"), ("POST", "/v1/tasks"))
        ],
        check,
    )


@asynccontextmanager
async def monolith(
    module: str, where: str, directory: Path, count: Callable[[], Awaitable[int]]
) -> AsyncIterator[Side]:
    """A monolith with tasks in it; it knows no accounts and no projects."""
    async with running(python(module, where), directory) as child:
        side = Side(
            MONOLITH,
            address_in(child.said),
            directory,
            project="00000000-0000-7000-8000-000000000000",
            pids={MONOLITH: child.pid},
            sign_in=_nobody,
            count=count,
        )
        await side.fill()
        yield side


async def _nobody() -> str:
    return "none"
