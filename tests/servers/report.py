"""Which ports met a real server in a test run, and which did not: the section at the end of the output."""

from __future__ import annotations

from collections.abc import Mapping

from tests.servers import Unobtainable
from tests.servers.obtain import KINDS, Obtained

CONTAINERS = "Compose"
"""The finding on what `compose.yaml` brings up, which is no server of one port."""


def lines(findings: Mapping[str, Obtained | Unobtainable]) -> list[str]:
    """One line for each port, and one for `compose.yaml`; `findings` by `Kind.port`."""
    rows = [*((kind.port, kind.name) for kind in KINDS), (CONTAINERS, "containers")]
    return [f"{port:<8}{_line(name, findings.get(port))}" for port, name in rows]


def _line(name: str, finding: Obtained | Unobtainable | None) -> str:
    match finding:
        case None:
            return "no test of this run asked for a real server"
        case Obtained():
            return f"{finding.version}, {finding.source}"
        case Unobtainable():
            return f"NOT TESTED with {name}: {finding}"
