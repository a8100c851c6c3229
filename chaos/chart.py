"""A chart of one row, as inline SVG: requests and errors above, latency below, the faults shaded."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from html import escape

from chaos.row import Mark, Point, Result
from chaos.scene import quantile

WIDTH, LEFT, RIGHT = 900, 56, 12
TOP, BARS, GAP, LINES, FOOT = 14, 110, 26, 110, 24
HEIGHT = TOP + BARS + GAP + LINES + FOOT
SLOWEST_S, FASTEST_S = 10.0, 0.001
"""Bounds of the latency's axis, which is logarithmic."""

KINDS = ("done", "refused", "broken")
"""Answered with less than 500; with a 5xx; not at all."""


def chart(result: Result) -> str:
    """Empty where nothing was asked."""
    if not result.points:
        return ""
    ends = max(1.0, max(point.at for point in result.points), max((mark.ended for mark in result.marks), default=0.0))
    width_s = max(0.25, round(ends / 100 * 4) / 4)
    plot = _Plot(ends, width_s)
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(result.id)}: requests and latency">',
        *plot.marks(result.marks),
        *plot.bars(result.points),
        *plot.lines(result.points),
        *plot.axes(),
        "</svg>",
    ]
    return "".join(parts)


class _Plot:
    """:param ends: of the time's axis. :param width_s: of one bar; both in seconds."""

    def __init__(self, ends: float, width_s: float) -> None:
        self._ends = ends
        self._width_s = width_s
        self._most = 1.0

    def _x(self, seconds: float) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * min(seconds, self._ends) / self._ends, 1)

    def _y(self, seconds: float) -> float:
        clipped = min(max(seconds, FASTEST_S), SLOWEST_S)
        share = math.log(clipped / FASTEST_S) / math.log(SLOWEST_S / FASTEST_S)
        return round(TOP + BARS + GAP + LINES * (1 - share), 1)

    def marks(self, marks: Sequence[Mark]) -> Iterator[str]:
        """Each fault as a band over both panels, with its name."""
        for mark in marks:
            left = self._x(mark.began)
            width = max(2.0, round(self._x(mark.ended) - left, 1))
            yield (
                f'<rect class="fault" x="{left}" y="{TOP}" width="{width}" height="{BARS + GAP + LINES}">'
                f"<title>{escape(mark.what)}, {mark.began:.1f} to {mark.ended:.1f} s</title></rect>"
            )
        if marks:
            yield f'<text x="{self._x(marks[0].began)}" y="{TOP - 3}">{escape(marks[0].what)}</text>'

    def bars(self, points: Sequence[Point]) -> Iterator[str]:
        """Requests a second by when they were sent, stacked by how they ended."""
        counts: dict[int, dict[str, int]] = defaultdict(lambda: dict.fromkeys(KINDS, 0))
        for point in points:
            kind = "broken" if point.status == 0 else "refused" if point.status >= 500 else "done"
            counts[int(point.at / self._width_s)][kind] += 1
        self._most = max(sum(each.values()) for each in counts.values()) / self._width_s
        for bin, each in sorted(counts.items()):
            left, base = self._x(bin * self._width_s), float(TOP + BARS)
            width = max(1.0, round(self._x((bin + 1) * self._width_s) - left - 0.5, 1))
            for kind in KINDS:
                if each[kind]:
                    height = round(BARS * each[kind] / self._width_s / self._most, 1)
                    base = round(base - height, 1)
                    yield f'<rect class="{kind}" x="{left}" y="{base}" width="{width}" height="{height}"/>'

    def lines(self, points: Sequence[Point]) -> Iterator[str]:
        """Median and 99th percentile of the time until the answer."""
        took: dict[int, list[float]] = defaultdict(list)
        for point in points:
            took[int(point.at / self._width_s)].append(point.took)
        for name, share in (("p50", 0.5), ("p99", 0.99)):
            places = [
                f"{self._x((bin + 0.5) * self._width_s)},{self._y(quantile(each, share))}"
                for bin, each in sorted(took.items())
            ]
            yield f'<polyline class="{name}" points="{" ".join(places)}"/>'

    def axes(self) -> Iterator[str]:
        """Numbers and units."""
        yield f'<text class="end" x="{LEFT - 6}" y="{TOP + 10}">{self._most:.0f}/s</text>'
        yield f'<text class="end" x="{LEFT - 6}" y="{TOP + BARS}">0</text>'
        for seconds, name in ((0.001, "1 ms"), (0.01, "10 ms"), (0.1, "0.1 s"), (1.0, "1 s"), (10.0, "10 s")):
            y = self._y(seconds)
            yield f'<line x1="{LEFT}" y1="{y}" x2="{WIDTH - RIGHT}" y2="{y}"/>'
            yield f'<text class="end" x="{LEFT - 6}" y="{y + 4}">{name}</text>'
        step = next(each for each in (1, 2, 5, 10, 20, 30, 60, 120, 300, 600) if self._ends / each <= 12)
        for n in range(0, int(self._ends) + 1, step):
            yield f'<text class="mid" x="{self._x(n)}" y="{HEIGHT - 8}">{n} s</text>'
