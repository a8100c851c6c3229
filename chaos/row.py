"""A row of the suite: the fault, what must hold, and how it is made."""

from __future__ import annotations

import asyncio
import re
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Literal, NamedTuple

import aiohttp
import msgspec

from chaos import house as houses
from chaos.lab import Lab, Queues
from chaos.scene import Scene, quantile
from tests.servers import Unobtainable
from tests.servers.processes import free_port
from tests.system.oracle import Operation, Reckoning

MEMORY_MIB = 64
"""How much larger a process may be at the end than before the fault."""

UNDER_WAY_S = 1.0

LAG_S = 0.25
"""A client that is late by more than this cannot tell times well."""

TRIES = 3

ROW_S = 300.0
"""What one row may take at most, in seconds."""


class Criterion(NamedTuple):
    """What must hold, in words, and a check that yields complaints."""

    text: str
    check: Callable[[Scene], Iterator[str]]


def recovers(seconds: float) -> Criterion:
    """99 % of all requests succeed again so soon after a fault has ended."""

    def check(scene: Scene) -> Iterator[str]:
        if (took := scene.recovery_s()) > seconds:
            yield f"it took {took:.1f} s to recover"

    return Criterion(f"recovered in {seconds:g} s", check)


def errors(at_most: float) -> Criterion:
    """The share of requests that are not answered, or with a 5xx; a single one is always let pass."""

    def check(scene: Scene) -> Iterator[str]:
        failed = [each for each in scene.operations if each.failed]
        if len(failed) > max(1, at_most * len(scene.operations)):
            yield f"{len(failed)} of {len(scene.operations)} failed"

    return Criterion(f"at most {at_most:.2%} fail" if at_most else "none fails", check)


def only(*statuses: int) -> Criterion:
    """Whatever fails, fails with one of these; 0 is a broken connection."""

    def check(scene: Scene) -> Iterator[str]:
        others = {each.status for each in scene.operations if each.failed} - set(statuses)
        if others:
            yield f"failed with {', '.join(map(str, sorted(others)))} too"

    return Criterion(f"only {'/'.join(map(str, statuses))}", check)


def refuses_within(seconds: float, status: int = 503) -> Criterion:
    """While a fault lasts, 99 % of all refusals come so soon; what is sent in its first second may be under way, and is
    waited for until its deadline."""

    def check(scene: Scene) -> Iterator[str]:
        sent = [(fault, each) for fault in scene.faults for each in scene.sent(fault)]
        failed = [each for fault, each in sent if each.failed and each.sent_at > fault.began + UNDER_WAY_S]
        took = quantile([each.took_s for each in failed if each.status == status], 0.99)
        if took > seconds:
            yield f"99 % of the {status} took up to {took:.2f} s"
        others = sum(each.status != status for each in failed)
        if others > len(failed) / 100:
            yield f"{others} of {len(failed)} failures were no {status}"

    return Criterion(f"{status} in {seconds:g} s", check)


def answers(seconds: float) -> Criterion:
    """While a fault lasts, 99 % of all requests are answered in that time."""

    def check(scene: Scene) -> Iterator[str]:
        took = [each.took_s for fault in scene.faults for each in scene.sent(fault)]
        if (slow := quantile(took, 0.99)) > seconds:
            late = sum(each > seconds for each in took)
            yield f"{late} of {len(took)} took more than {seconds:g} s, 99 % up to {slow:.2f} s"

    return Criterion(f"99 % answered in {seconds:g} s", check)


def adds(seconds: float) -> Criterion:
    """The 99th percentile during the faults is not that much higher than before the first."""

    def check(scene: Scene) -> Iterator[str]:
        before = quantile([each.took_s for each in scene.operations if each.sent_at < scene.faults[0].began], 0.99)
        during = quantile([each.took_s for fault in scene.faults for each in scene.sent(fault)], 0.99)
        scene.note(f"99 % answered in {before * 1000:.0f} ms before and {during * 1000:.0f} ms during it")
        if during > before + seconds:
            yield f"99 % took up to {during - before:.3f} s longer than before"

    return Criterion(f"p99 grows by at most {seconds * 1000:.0f} ms", check)


class Row(NamedTuple):
    """One line of the report.

    :param on: `servers`; `embedded`; or `nothing`, for a row that makes its own processes.
    :param proxied: servers that are reached through their proxies.
    :param short: whether the short suite plays it too.
    """

    id: str
    fault: str
    criteria: Sequence[Criterion]
    play: Callable[[Scene], Awaitable[None]]
    on: Literal["servers", "embedded", "nothing"]
    tasks: int
    edges: int
    proxied: Sequence[str]
    settings: Mapping[str, str]
    per_second: float
    short: bool

    @property
    def passes(self) -> str:
        """The criteria in words."""
        return "; ".join(criterion.text for criterion in self.criteria)


def row(
    id: str,
    fault: str,
    *criteria: Criterion | str,
    on: Literal["servers", "embedded", "nothing"] = "servers",
    tasks: int = 2,
    edges: int = 1,
    proxied: Sequence[str] = (),
    settings: Mapping[str, str] | None = None,
    per_second: float = 30,
    short: bool = False,
) -> Callable[[Callable[[Scene], Awaitable[None]]], Row]:
    """Declare a row; the function does the fault while the load runs.

    :param criteria: a text stands for what the function itself expects.
    """
    checked = [Criterion(each, lambda _: iter(())) if isinstance(each, str) else each for each in criteria]

    def declared(play: Callable[[Scene], Awaitable[None]]) -> Row:
        return Row(id, fault, checked, play, on, tasks, edges, proxied, settings or {}, per_second, short)

    return declared


class Point(msgspec.Struct, array_like=True):
    """One request: seconds since the beginning, its status, seconds that it took."""

    at: float
    status: int
    took: float


class Mark(msgspec.Struct, array_like=True):
    """One fault, in seconds since the beginning."""

    what: str
    began: float
    ended: float


class Result(msgspec.Struct):
    """What became of a row.

    :ivar statuses: how often each came; 0 for broken connections.
    :ivar outcome: `pass`, `fail`, or `not made` with the reason in `complaints`.
    """

    id: str
    fault: str
    passes: str
    outcome: Literal["pass", "fail", "not made"]
    complaints: list[str]
    notes: list[str] = []
    requests: int = 0
    acknowledged: int = 0
    unknown: int = 0
    lost: int = 0
    duplicated: int = 0
    unexpected: int = 0
    statuses: dict[int, int] = {}
    error_rate: float = 0.0
    recovery_s: float = 0.0
    memory_mib: float = 0.0
    lag_s: float = 0.0
    seconds: float = 0.0
    points: list[Point] = []
    marks: list[Mark] = []


async def play(each: Row, lab: Lab, *, short: bool, say: Callable[[str], None] = lambda _: None) -> Result:
    """Play one row, whatever happens in it.

    One that fails although nothing was lost, done twice or unexpected is played again, `TRIES` in all, when the machine
    was too busy to tell times; a short one in any case, for machines that are not made for measuring play it.
    """
    for _ in range(TRIES - 1):
        result = await play_once(each, lab, short=short)
        kept = not (result.lost or result.duplicated or result.unexpected)
        if result.outcome != "fail" or not kept or not (short or result.lag_s > LAG_S):
            return result
        say(f"    nothing lost or done twice, but {'; '.join(result.complaints)}: once more")
    return await play_once(each, lab, short=short)


async def play_once(each: Row, lab: Lab, *, short: bool) -> Result:
    """Play it, once."""
    began = time.monotonic()
    result = Result(each.id, each.fault, each.passes, "pass", [])
    try:
        async with asyncio.timeout(ROW_S), AsyncExitStack() as stack:
            await _played(each, lab, result, stack, short)
    except Unobtainable as error:
        result.outcome, result.complaints = "not made", [str(error)]
    except Exception as error:
        result.complaints.append(f"{type(error).__name__}: {_one_line(str(error))}")
    if result.complaints and result.outcome == "pass":
        result.outcome = "fail"
    result.seconds = time.monotonic() - began
    return result


async def _played(each: Row, lab: Lab, result: Result, stack: AsyncExitStack, short: bool) -> None:
    directory = Path(
        stack.enter_context(tempfile.TemporaryDirectory(prefix="troupe-chaos-", ignore_cleanup_errors=True))
    )
    connector = aiohttp.TCPConnector(limit=0)
    session = await stack.enter_async_context(
        aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=20))
    )
    if each.on == "embedded":
        house = houses.embedded(directory, session, port=free_port(), settings=each.settings)
    else:
        await lab.up()
        house = await houses.real(lab, directory, session, proxied=each.proxied, settings=each.settings)
        stack.push_async_callback(_swept, lab, house.world.settings["BROKER_PREFIX"])
    await stack.enter_async_context(house.world)
    scene = Scene(lab, house, short=short, per_second=each.per_second)
    try:
        if each.on == "nothing":
            await each.play(scene)
        else:
            await houses.boot(house, tasks=each.tasks, edges=each.edges, embedded=each.on == "embedded")
            async with scene.loading():
                await each.play(scene)
        _tell(result, scene, await scene.reckoning())
        result.complaints += [complaint for criterion in each.criteria for complaint in criterion.check(scene)]
    finally:
        _draw(result, scene)


def _tell(result: Result, scene: Scene, reckoning: Reckoning) -> None:
    result.acknowledged, result.unknown = reckoning.acknowledged, reckoning.unknown
    result.lost, result.duplicated = len(reckoning.lost), len(reckoning.duplicated)
    result.unexpected = len(reckoning.unexpected)
    result.complaints += reckoning.complaints()
    result.memory_mib = scene.memory_grown_mib()
    if result.memory_mib > MEMORY_MIB:
        result.complaints.append(f"a process has grown by {result.memory_mib:.0f} MiB")


def _draw(result: Result, scene: Scene) -> None:
    """What is known also of a row that broke off."""
    result.complaints += scene.complaints
    result.notes += scene.notes
    result.lag_s = scene.load.late_s if scene.load else 0.0
    if result.lag_s > LAG_S:
        result.notes.append(
            f"the machine was busy with other things: the client itself was late by {result.lag_s:.1f} s"
        )
    result.requests = len(scene.operations)
    result.statuses = dict(Counter(each.status for each in scene.operations))
    result.error_rate, result.recovery_s = scene.error_rate(), scene.recovery_s()
    began = min((each.sent_at for each in scene.operations), default=scene.began)
    result.points = [_point(each, began) for each in scene.operations]
    ends = max((each.at for each in result.points), default=0.0)
    result.marks = [
        Mark(fault.what, round(fault.began - began, 2), round(min(fault.ended - began, ends), 2))
        for fault in scene.faults
    ]


def _point(operation: Operation, began: float) -> Point:
    return Point(round(operation.sent_at - began, 2), operation.status, round(operation.took_s, 3))


async def _swept(lab: Lab, prefix: str) -> None:
    """Its queues are gone, so that the next row's broker is as idle as this one's was."""
    if lab.broker.alive:
        await Queues(lab.broker.url, prefix).delete()


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text)[:400]
