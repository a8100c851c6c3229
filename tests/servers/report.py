"""Which ports met a real server in a test run, and which did not: the section at the end of the output."""

from __future__ import annotations

from collections.abc import Mapping

from tests.servers import Unobtainable
from tests.servers.obtain import KINDS, Kind, Obtained


def lines(findings: Mapping[str, Obtained | Unobtainable]) -> list[str]:
    """One line for each port; `findings` by `Kind.port`."""
    return [f"{kind.port:<8}{_line(kind, findings.get(kind.port))}" for kind in KINDS]


def _line(kind: Kind, finding: Obtained | Unobtainable | None) -> str:
    match finding:
        case None:
            return "no test of this run asked for a real server"
        case Obtained():
            return f"{finding.version}, {finding.source}"
        case Unobtainable():
            return f"NOT TESTED with {kind.name}: {finding}"
