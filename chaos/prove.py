"""`./dev prove`: load while processes are killed at random, and one line: acknowledged, lost, duplicated."""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Sequence

from chaos.lab import Lab
from chaos.row import Row, only, play, row
from chaos.run import run
from chaos.scene import Scene

EPILOG = """\
By default everything runs in one process on the embedded twins (SQLite, no server needed), which is killed with
SIGKILL every other second and started again. With --real there are two edges, two task processes and one for all
other actors, on RabbitMQ, PostgreSQL and Redis that are started for it.

An open-loop client asks 30 times a second, 70 % reads and 30 % writes. At the end all is read back; what has an
unknown outcome is asked for again with its Idempotency-Key, and must then be there once.

Exit codes: 0 nothing lost, nothing done twice, nothing wrong; 1 something was; 2 wrong arguments or no servers.
"""

PAUSE_S = 0.5, 3.0
"""Between two kills."""


def main(argv: Sequence[str] | None = None) -> int:
    """See `EPILOG`."""
    parser = argparse.ArgumentParser(
        prog="./dev prove",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--real", action="store_true", help="on real servers, one process for each part")
    parser.add_argument("--seconds", type=float, default=60.0, help="of load; default: 60")
    arguments = parser.parse_args(argv)
    if arguments.seconds <= 0:
        parser.error("--seconds must be more than 0")
    return run(_prove(_killing(arguments.seconds, real=arguments.real)))


async def _prove(each: Row) -> int:
    async with Lab(_say) as lab:
        _say(f"{each.fault}; this takes a little longer than the load")
        result = await play(each, lab, short=False)
    for complaint in result.complaints:
        _say(complaint)
    print(
        f"{result.requests} requests, {len(result.marks)} kills: {result.acknowledged} writes acknowledged, "
        f"{result.lost} lost, {result.duplicated} duplicated"
    )
    return {"pass": 0, "fail": 1, "not made": 2}[result.outcome]


def _killing(seconds: float, *, real: bool) -> Row:
    async def killed_at_random(scene: Scene) -> None:
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            await scene.calm(random.uniform(*PAUSE_S))
            async with scene.fault("kill -9"):
                await (_kill_a_part(scene) if real else _kill_everything(scene))
        await scene.calm(2)

    where = "two edges, two task processes, one of the others, on servers" if real else "everything in one process"
    declare = row(
        "prove", f"{seconds:.0f} s of load, kill -9 at random: {where}", only(0, 503, 504),
        on="servers" if real else "embedded", edges=2 if real else 1,
    )  # fmt: skip
    return declare(killed_at_random)


async def _kill_everything(scene: Scene) -> None:
    house = scene.house
    await house.edges[0].kill()
    house.edges[:] = [await house.world.start()]


async def _kill_a_part(scene: Scene) -> None:
    house = scene.house
    victim = random.choice(house.processes)
    await victim.kill()
    if victim in house.tasks:
        await house.replace(victim)
    elif victim in house.others:
        house.others[:] = [await house.other()]
    else:
        house.apis[:] = [each for each in house.apis if each.address != victim.address]
        house.edges.remove(victim)
        await house.edge()


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
