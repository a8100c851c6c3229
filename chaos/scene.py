"""One row while it is played: its house under load, what was done to it, and what was found."""

from __future__ import annotations

import asyncio
import math
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from typing import Any

import msgspec

from chaos.house import House, resident_mib
from chaos.lab import Lab, statement
from tests.system.oracle import Load, Operation, Reckoning, everything

WARM_S = 2.0
"""Load before the first fault, in seconds."""


class Fault(msgspec.Struct):
    """Something done on purpose, from `began` to `ended` (monotonic seconds)."""

    what: str
    began: float
    ended: float = math.inf


class Scene:
    """What a row sees.

    :ivar short: fewer and shorter faults, as often as the machine's patience asks for it.
    """

    def __init__(self, lab: Lab, house: House, *, short: bool, per_second: float) -> None:
        self.lab = lab
        self.house = house
        self.short = short
        self.began = time.monotonic()
        self.load: Load | None = None
        self.faults: list[Fault] = []
        self.complaints: list[str] = []
        self.notes: list[str] = []
        self._reckoning: Reckoning | None = None
        self._per_second = per_second
        self._memory: dict[int, float] = {}

    def either(self, full: float, short: float) -> float:
        """A number of seconds, or of times, for the full suite or the short one."""
        return short if self.short else full

    async def calm(self, seconds: float) -> None:
        """The load goes on; nothing is done."""
        await asyncio.sleep(seconds)

    @asynccontextmanager
    async def fault(self, what: str) -> AsyncIterator[Fault]:
        """What is done within; recovery is counted from its end."""
        fault = Fault(what, time.monotonic())
        self.faults.append(fault)
        try:
            yield fault
        finally:
            fault.ended = time.monotonic()

    def expect(self, holds: bool, complaint: str) -> None:
        """Fail the row, and go on."""
        if not holds:
            self.complaints.append(complaint)

    def note(self, text: str) -> None:
        """Something measured, for the report."""
        self.notes.append(text)

    async def settled(self) -> None:
        """Reckon now, while what stands between the processes still does."""
        self._reckoning = await self.reckoning()

    async def statement(self, actor: str, sql: str) -> None:
        """One statement in the store of an actor, behind its back."""
        settings, directory = self.house.world.settings, self.house.world.directory
        if "BROKER_PREFIX" in settings:
            await statement(self.lab.store.url, sql, f"{settings['BROKER_PREFIX']}_{actor}")
        else:
            with closing(sqlite3.connect(directory / "var" / f"{actor}.db", isolation_level=None)) as connection:
                connection.execute(sql)

    async def dead_letters(self, actor: str) -> list[str]:
        """One line for each, beginning with id and type."""
        code, output, errors = await self.house.world.run("dead", "list", "--actor", actor)
        self.expect(code == 0, errors)
        return output.splitlines()

    async def tasks(self) -> list[Any]:
        """All of the project."""
        return await everything(self.house.ada, f"/v1/tasks?project_id={self.house.project}")

    async def notifications(self) -> list[Any]:
        """All of Bob's."""
        return await everything(self.house.bob, "/v1/notifications?unread=true")

    # -------------------------------------------------------------------------------------------- load

    @asynccontextmanager
    async def loading(self, per_second: float = 0) -> AsyncIterator[Load]:
        """Run the load for the block, and wait for what it has begun."""
        house = self.house
        load = self.load = Load(
            house.apis, house.project, per_second=per_second or self._per_second, assignee=house.bob
        )
        ended = asyncio.Event()
        running = asyncio.ensure_future(load.run(ended.is_set))
        try:
            await asyncio.sleep(WARM_S)
            self._memory = {each.process.pid: resident_mib(each) for each in house.processes}
            yield load
        finally:
            ended.set()
            await running

    def sent(self, during: Fault) -> list[Operation]:
        """What was sent while it lasted."""
        return [each for each in self.operations if during.began <= each.sent_at <= during.ended]

    @property
    def operations(self) -> list[Operation]:
        return self.load.all if self.load else []

    def memory_grown_mib(self) -> float:
        """By how much the process that grew most has grown, of those that lived all the time."""
        grown = [
            resident_mib(each) - self._memory[each.process.pid]
            for each in self.house.processes
            if each.process.pid in self._memory and each.process.returncode is None
        ]
        return max(grown, default=0.0)

    def error_rate(self) -> float:
        """Of all that was sent."""
        return sum(each.failed for each in self.operations) / max(1, len(self.operations))

    def recovery_s(self) -> float:
        """The longest time from a fault's end until 99 % succeeded again, before the next fault."""
        if self.load is None or not self.faults:
            return 0.0
        ends = [*(fault.began for fault in self.faults[1:]), math.inf]
        return max(
            (self.load.recovered_after(fault.ended, until) for fault, until in zip(self.faults, ends, strict=True)),
            default=0.0,
        )

    async def reckoning(self) -> Reckoning:
        """What became of the load."""
        if self._reckoning is not None:
            return self._reckoning
        return await self.load.reckoning() if self.load else Reckoning(0, 0, [], [], [], [])


def quantile(values: list[float], share: float) -> float:
    """The value that `share` of all do not exceed; 0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0
