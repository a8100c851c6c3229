"""The report: a table for the terminal and for docs/chaos.md, and one page with a chart for each row."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from chaos.chart import chart
from chaos.row import Result, Row

HEADS = ("id", "fault", "requests", "ack", "unknown", "lost", "dup", "unexp", "errors", "rec", "outcome")

STYLE = """
body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:64rem;padding:0 1rem;color:#1c2430;background:#fff}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;width:100%}
th,td{padding:.2rem .5rem;border-bottom:1px solid #d8dee6;text-align:right}
th:nth-child(-n+2),td:nth-child(-n+2){text-align:left}
h2{margin:2.2rem 0 .2rem;font-size:1.1rem} p{margin:.2rem 0} a{color:inherit}
.pass{color:#1a7f4b}.fail{color:#c0262d;font-weight:600}.not{color:#7a5b00}
svg{width:100%;height:auto;margin-top:.4rem} svg text{font-size:11px;fill:#5b6675} svg line{stroke:#e4e8ee}
.end{text-anchor:end}.mid{text-anchor:middle}.fault{fill:#f4b740;opacity:.28}
rect.done{fill:#7fa8d9}rect.refused{fill:#e0803a}rect.broken{fill:#c0262d}
polyline{fill:none;stroke-width:1.5}.p50{stroke:#2f6db5}.p99{stroke:#8a4fbf}
@media(prefers-color-scheme:dark){body{background:#14181f;color:#dde3ea}th,td{border-color:#303844}
svg text{fill:#9aa6b5}svg line{stroke:#262d37}.pass{color:#5ccf93}.fail{color:#ff7a80}.not{color:#e3be5c}}
"""
LEGEND = (
    "Above: requests a second, blue answered, orange refused (5xx), red broken off. "
    "Below: median (blue) and 99th percentile (violet) of the time until the answer. Shaded: the fault."
)


def listing(rows: Sequence[Row]) -> str:
    """Each row and what lets it pass."""
    return "\n".join(f"{each.id}{'*' if each.short else ' '} {each.fault}\n     {each.passes}" for each in rows) + (
        "\n* also in the short suite (--short)"
    )


def cells(result: Result) -> tuple[str, ...]:
    """One line of the table."""
    numbers = (result.requests, result.acknowledged, result.unknown, result.lost, result.duplicated, result.unexpected)
    if result.outcome == "not made":
        return result.id, result.fault, *("" for _ in numbers), "", "", result.outcome
    rates = f"{result.error_rate:.2%}", f"{result.recovery_s:.1f} s"
    if not result.requests:
        return result.id, result.fault, *("" for _ in numbers), "", "", result.outcome
    return result.id, result.fault, *map(str, numbers), *rates, result.outcome


def table(results: Sequence[Result]) -> str:
    """For the terminal; below it, what was wrong with each row that did not pass."""
    lines = [HEADS, *map(cells, results)]
    widths = [max(len(line[n]) for line in lines) for n in range(len(HEADS))]
    shown = [
        "  ".join(
            cell.ljust(width) if n < 2 else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    ]
    return "\n".join(
        [*shown, "", *(f"{each.id}: {text}" for each in results for text in each.complaints), summary(results)]
    )


def summary(results: Sequence[Result]) -> str:
    """One sentence."""
    passed, missing = (sum(each.outcome == word for each in results) for word in ("pass", "not made"))
    failed = [each.id for each in results if each.outcome == "fail"]
    minutes = sum(each.seconds for each in results) / 60
    text = f"{passed} of {len(results)} rows passed in {minutes:.0f} min"
    text += f"; failed: {', '.join(failed)}" if failed else ""
    return text + (f"; {missing} could not be made here" if missing else "")


def verdict(result: Result) -> str:
    """What is said when a row has ended."""
    lines = [
        f"    {result.outcome}, {result.seconds:.0f} s: {result.acknowledged} acknowledged, {result.unknown} unknown, "
        f"{result.lost} lost, {result.duplicated} duplicated, {result.error_rate:.2%} errors, "
        f"recovered in {result.recovery_s:.1f} s; "
        + ", ".join(f"{status}: {times}" for status, times in sorted(result.statuses.items()))
    ]
    return "\n".join(lines + [f"    {text}" for text in (*result.complaints, *result.notes)])


def markdown(results: Sequence[Result], versions: Sequence[str]) -> str:
    """The last full run, for docs/chaos.md."""
    heads = f"| {' | '.join(HEADS)} |\n|{'---|' * len(HEADS)}"
    lines = [f"| {' | '.join(cells(each))} |" for each in results]
    remarks = [f"- {each.id}: {text}" for each in results for text in (*each.complaints, *each.notes)]
    parts = [f"On {', '.join(versions)}: {summary(results)}.", "\n".join([heads, *lines]), "\n".join(remarks)]
    return "\n\n".join(part for part in parts if part) + "\n"


def page(results: Sequence[Result], versions: Sequence[str]) -> str:
    """Everything on one page that needs nothing else."""
    heads = "".join(f"<th>{head}</th>" for head in HEADS)
    body = "".join(f"<tr>{_row(each)}</tr>" for each in results)
    sections = "".join(map(_section, results))
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Troupe: faults survived</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style>'
        f"<h1>Faults survived</h1><p>{escape(', '.join(versions))}: {escape(summary(results))}.</p><p>{LEGEND}</p>"
        f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>{sections}</html>\n"
    )


def _row(result: Result) -> str:
    id, *middle, outcome = cells(result)
    link = f'<td><a href="#{escape(id)}">{escape(id)}</a></td>'
    colour = outcome.partition(" ")[0]
    return link + "".join(f"<td>{escape(each)}</td>" for each in middle) + f'<td class="{colour}">{outcome}</td>'


def _section(result: Result) -> str:
    colour = result.outcome.partition(" ")[0]
    remarks = "".join(f"<p>{escape(text)}</p>" for text in (*result.complaints, *result.notes))
    return (
        f'<section id="{escape(result.id)}"><h2>{escape(result.id)} {escape(result.fault)} '
        f'<span class="{colour}">{result.outcome}</span></h2><p>Passes: {escape(result.passes)}.</p>{remarks}'
        f"{chart(result)}</section>"
    )
