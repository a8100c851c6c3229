"""`python -m bench [CONTEST …]`: exit code 0 when every target is reached, 1 when one is not."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from importlib import import_module
from pathlib import Path

from bench.contest import Contest, Failure, Options, Result, hold
from bench.report import raw, table
from tests.servers import Unobtainable

CONTESTS = ("rpc", "http", "embedded", "boot", "access", "notify")


def main(argv: Sequence[str] | None = None) -> int:
    """Exit codes: 0 all targets reached, 1 some not, 2 it could not be measured, 130 ended from outside."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=sys.modules["bench"].__doc__)
    parser.add_argument("contests", nargs="*", metavar="CONTEST", help=f"of {', '.join(CONTESTS)}; default: all")
    parser.add_argument("--rounds", type=int, default=5, help="default: 5")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement; default: 3")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every sample there")
    parser.add_argument(
        "--node", type=Path, metavar="DIR", help="where `npm install moleculer@0.15 amqplib` was run: one more RPC peer"
    )
    arguments = parser.parse_args(argv)
    options = Options(arguments.seconds, arguments.node and arguments.node.resolve())
    if unknown := set(arguments.contests) - set(CONTESTS):
        parser.error(f"no such contest: {', '.join(unknown)}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # time limits end us so; our children go with us
    results: list[Result] = []
    load = os.getloadavg()
    try:
        for name in arguments.contests or CONTESTS:
            found = asyncio.run(_measure(name, arguments.rounds, options))
            print(table(found), flush=True)
            results += found
    except (Failure, Unobtainable) as error:
        print(f"\nbench: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    if arguments.json:
        arguments.json.write_bytes(raw(results, load))
    return 0 if all(result.reached for result in results) else 1


async def _measure(name: str, rounds: int, options: Options) -> list[Result]:
    with tempfile.TemporaryDirectory(prefix="troupe-bench-") as directory:
        prepared: AbstractAsyncContextManager[Contest] = import_module(f"bench.{name}").contest(
            Path(directory), options
        )
        async with prepared as contest:
            return await hold(contest, rounds=rounds, say=_progress)


def _progress(line: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
