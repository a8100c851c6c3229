"""Results as a table for people and as JSON for programs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from statistics import median

import msgspec

from bench.contest import TROUPE, Result, Sample, Spread


def table(results: Sequence[Result]) -> str:
    """Each case with its variants, the fastest way to see what was reached."""
    return "\n".join(line for result in results for line in _lines(result))


def raw(results: Sequence[Result], load: tuple[float, float, float]) -> bytes:
    """Every sample as JSON, and how quiet the machine was.

    :param load: the load averages over 1, 5 and 15 minutes before the first sample.
    """
    document = {"load_before": load, "cpus": os.cpu_count(), "results": results}
    return msgspec.json.format(msgspec.json.encode(document)) + b"\n"


def _lines(result: Result) -> Iterator[str]:
    goal = "" if result.at_most is None else f"; at most {result.at_most:g} {result.unit}"
    yield f"\n{result.case} ({result.unit}{goal}) {'' if result.reached else '  NOT REACHED'}".rstrip()
    for name, spread in result.values.items():
        samples = result.samples[name]
        yield f"  {name:<12} {_values(spread)}{_latency(samples)}{_cpu(samples)}"
    for peer, ratio in result.ratios.items():
        wanted = f", at least {result.at_least[peer]:g}" if peer in result.at_least else ""
        yield f"  {TROUPE} / {peer}: {ratio.median:.2f}  [{ratio.least:.2f} to {ratio.most:.2f}]{wanted}"


def _values(spread: Spread) -> str:
    digits = 2 if spread.median < 10 else 0
    return f"{spread.median:>8.{digits}f}  [{spread.least:.{digits}f} to {spread.most:.{digits}f}]"


def _latency(samples: Sequence[Sample]) -> str:
    p50s = [sample.p50_ms for sample in samples if sample.p50_ms is not None]
    p99s = [sample.p99_ms for sample in samples if sample.p99_ms is not None]
    return f"  p50 {median(p50s):.2f} ms  p99 {median(p99s):.2f} ms" if p50s and p99s else ""


def _cpu(samples: Sequence[Sample]) -> str:
    return "".join(f"  {name} {us:.0f} µs" for name, us in cpu_us(samples).items())


def cpu_us(samples: Sequence[Sample]) -> Mapping[str, float]:
    """Median µs of CPU a request, by process."""
    return {name: median(sample.cpu_us[name] for sample in samples) for name in samples[0].cpu_us}
