"""A contest: variants that do the same work, measured in turn, round after round, so that all meet the same weather."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from statistics import median

import msgspec

TROUPE = "troupe"
"""The variant that the others are compared with."""


class Failure(Exception):
    """A variant did not do its work, or did it wrong: then its speed says nothing."""


class Sample(msgspec.Struct, frozen=True):
    """What one variant did in one round.

    :param value: in the unit of its case.
    :param cpu_us: user and system time a request, in µs, by process; empty where the system does not tell.
    """

    value: float
    p50_ms: float | None = None
    p99_ms: float | None = None
    cpu_us: Mapping[str, float] = {}


class Options(msgspec.Struct, frozen=True):
    """What is asked for on the command line.

    :param seconds: of each measurement.
    :param node: a directory in which `npm install moleculer@0.15 amqplib` was run; None: no contest with Moleculer.
    """

    seconds: float
    node: Path | None = None


Measure = Callable[[], Awaitable[Sample]]


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of work.

    :param variants: each by its name; `TROUPE` is among them.
    :param at_least: peer → the ratio, ours to its, that we want.
    :param at_most: the value that we want to stay below.
    """

    title: str
    unit: str
    variants: Mapping[str, Measure]
    at_least: Mapping[str, float] = {}
    at_most: float | None = None


class Contest(msgspec.Struct, frozen=True):
    """Cases that share their servers.

    :param check: called after each round. :raises Failure: rows or replies are not what they should be.
    """

    cases: Sequence[Case]
    check: Callable[[], Awaitable[None]]


class Spread(msgspec.Struct, frozen=True):
    """Median, smallest and largest."""

    median: float
    least: float
    most: float


class Result(msgspec.Struct, frozen=True):
    """A case after all rounds; `ratios`: ours to each peer's, round by round."""

    case: str
    unit: str
    samples: Mapping[str, Sequence[Sample]]
    values: Mapping[str, Spread]
    ratios: Mapping[str, Spread]
    at_least: Mapping[str, float]
    at_most: float | None

    @property
    def reached(self) -> bool:
        """Whether every target of the case is met by the median."""
        if self.at_most is not None and self.values[TROUPE].median > self.at_most:
            return False
        return all(self.ratios[peer].median >= ratio for peer, ratio in self.at_least.items())


async def hold(contest: Contest, *, rounds: int, say: Callable[[str], None]) -> list[Result]:
    """Measure everything once a round.

    :param say: takes a line about what is done now.
    :raises Failure: something was done wrong.
    """
    taken: list[dict[str, list[Sample]]] = [{name: [] for name in case.variants} for case in contest.cases]
    for number in range(rounds):
        for case, samples in zip(contest.cases, taken, strict=True):
            names = list(case.variants)
            turn = number % len(names)  # nobody is always the first
            for name in names[turn:] + names[:turn]:
                say(f"round {number + 1} of {rounds}: {case.title}, {name}")
                samples[name].append(await case.variants[name]())
        say(f"round {number + 1} of {rounds}: looking at rows and replies")
        await contest.check()
    return [_result(case, samples) for case, samples in zip(contest.cases, taken, strict=True)]


def _result(case: Case, samples: Mapping[str, Sequence[Sample]]) -> Result:
    ours = samples[TROUPE]
    ratios = {
        name: _spread([our.value / their.value for our, their in zip(ours, theirs, strict=True)])
        for name, theirs in samples.items()
        if name != TROUPE
    }
    values = {name: _spread([sample.value for sample in each]) for name, each in samples.items()}
    return Result(case.title, case.unit, samples, values, ratios, case.at_least, case.at_most)


def _spread(values: Sequence[float]) -> Spread:
    return Spread(median(values), min(values), max(values))
