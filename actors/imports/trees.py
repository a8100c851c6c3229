"""What lies below what, and in which circles: in time that grows with the number of links alone."""

from __future__ import annotations

from collections.abc import Sequence


class Trees:
    """Trees that grow together; each thing knows one above it, on a path to its top that is shortened when it is gone.

    (Disjoint sets with path halving; Tarjan and van Leeuwen 1984.)
    """

    def __init__(self) -> None:
        self._above: dict[str, str] = {}

    def __contains__(self, thing: str) -> bool:
        return thing in self._above

    def add(self, thing: str, parent: str | None = None) -> None:
        """A new one, below one that is there, or the top of its own."""
        self._above[thing] = thing if parent is None else parent

    def join(self, top: str, parent: str) -> bool:
        """Let a top lie below another thing. False: it would lie below itself."""
        if self._top(parent) == top:
            return False
        self._above[top] = parent
        return True

    def _top(self, thing: str) -> str:
        above = self._above
        while (parent := above[thing]) != thing:
            above[thing] = thing = above[parent]
        return thing


def closes_circle(edges: Sequence[tuple[str, str]]) -> list[bool]:
    """Of each edge from one thing to another, whether it leads back to where a walk along them came from: without
    those that do, there is no circle."""
    leaving: dict[str, list[int]] = {}
    for n, (one, _) in enumerate(edges):
        leaving.setdefault(one, []).append(n)
    closing = [False] * len(edges)
    done: set[str] = set()
    for start in leaving:
        if start in done:
            continue
        path, way = {start}, [(start, iter(leaving[start]))]
        while way:
            here, rest = way[-1]
            for n in rest:
                there = edges[n][1]
                if there in path:
                    closing[n] = True
                elif there not in done:
                    path.add(there)
                    way.append((there, iter(leaving.get(there, ()))))
                    break
            else:
                way.pop()
                path.discard(here)
                done.add(here)
    return closing
