"""`./dev chaos`: play rows, print the table, write the report."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from chaos import report, rows
from chaos.lab import Lab
from chaos.row import Result, Row, play
from chaos.run import run

EPILOG = """\
Each row starts an installation of its own (real processes of python -m runtime) on servers that the suite starts
itself: RabbitMQ, PostgreSQL, Redis, from programs of this machine (on Debian, as root, a missing one is installed),
or in containers.
While the fault is done, an open-loop client asks 30 times a second, 70 % reads and 30 % writes; afterwards all is
read back, and what has an unknown outcome is asked for again with its key.

Every row fails when anything acknowledged is lost, done twice or was never asked for, when an answer is no correct
problem document or came later than deadline + 1 s, or when a process has grown by more than 64 MiB.

A row that fails although nothing was lost, done twice or unexpected, while the client itself was late by more than
0.25 s because the machine had other things to do, is played again, three times at most; with --short, also when the
client was not late.

Exit codes: 0 every row passed, 1 a row failed, 2 wrong arguments, 3 none failed and some could not be made here.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """See `EPILOG`."""
    parser = argparse.ArgumentParser(
        prog="./dev chaos",
        description=sys.modules["chaos"].__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("ids", nargs="*", metavar="ID", help="rows to play, F01 F09 …; default: all")
    parser.add_argument("--list", action="store_true", help="print the rows and what lets each pass")
    parser.add_argument("--short", action="store_true", help="a few rows, fewer and shorter faults: some minutes")
    parser.add_argument("--containers", action="store_true", help="servers in containers: the newest that are tested")
    parser.add_argument("--documents", action="store_true", help="accounts in MongoDB")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there, each request included")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write one page with a chart for each row")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table for docs/chaos.md")
    arguments = parser.parse_args(argv)
    known = {each.id: each for each in rows.every()}
    if unknown := [id for id in arguments.ids if id not in known]:
        parser.error(f"there is no row {', '.join(unknown)}; --list shows them all")
    chosen = [known[id] for id in arguments.ids] or [
        each for each in known.values() if each.short or not arguments.short
    ]
    if arguments.list:
        print(report.listing(chosen))
        return 0
    return run(_play(chosen, arguments))


async def _play(chosen: Sequence[Row], arguments: argparse.Namespace) -> int:
    """The exit code. What is known is written after each, for a run may be broken off."""
    results: list[Result] = []
    async with Lab(_say, contained=arguments.containers, documents=arguments.documents) as lab:
        for number, each in enumerate(chosen, 1):
            _say(f"[{number}/{len(chosen)}] {each.id}  {each.fault}")
            result = await play(each, lab, short=arguments.short, say=_say)
            _say(report.verdict(result))
            results.append(result)
            _write(arguments, results, lab.versions)
    print(report.table(results))
    outcomes = {result.outcome for result in results}
    return 1 if "fail" in outcomes else 3 if "not made" in outcomes else 0


def _write(arguments: argparse.Namespace, results: Sequence[Result], versions: Sequence[str]) -> None:
    if arguments.json:
        arguments.json.write_bytes(msgspec.json.encode({"servers": versions, "rows": results}))
    if arguments.html:
        arguments.html.write_text(report.page(results, versions), encoding="utf-8")
    if arguments.markdown:
        arguments.markdown.write_text(report.markdown(results, versions), encoding="utf-8")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
