"""A parent and its children, as real processes: restarted alone, stopped together."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from runtime.supervisor import RESTARTS

ROOT = Path(__file__).parents[2]

SAYS = "import os, pathlib, signal, sys, time; mine = pathlib.Path({name!r}).open('a'); print(os.getpid(), file=mine, flush=True); "
"""What each child does first: its process id goes into a file of its name, a line for each start."""

SERVES = "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(0)); " + SAYS + "time.sleep(60)"
DEAF = SAYS + "signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', file=mine, flush=True); time.sleep(60)"
ENDS = SAYS + "sys.exit({code})"
FAILS = SERVES.replace("sys.exit(0)", "sys.exit(3)")


LOG = "log of the parent"


class Family:
    """One parent; its children write into `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._parent: asyncio.subprocess.Process | None = None

    async def begin(self, **programs: str) -> None:
        """:param programs: name → what the child of that name runs."""
        commands = {name: ["-c", text.format(name=name, code=7)] for name, text in programs.items()}
        with (self._folder / LOG).open("wb") as log:
            self._parent = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.unit.parent_process", json.dumps(commands)),
                cwd=self._folder,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdout=log,
                stderr=log,
            )

    def lines(self, name: str) -> list[str]:
        path = self._folder / name
        return path.read_text().split() if path.exists() else []

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not condition():  # other processes, which send no event
                await asyncio.sleep(0.01)

    async def end(self, number: signal.Signals | None = None) -> int:
        """Its exit code, once it has ended, after that signal if one is given."""
        assert self._parent is not None
        if number is not None:
            self._parent.send_signal(number)
        async with asyncio.timeout(30):
            return await self._parent.wait()

    def alive(self, name: str) -> bool:
        try:
            os.kill(int(self.lines(name)[0]), 0)
        except ProcessLookupError:
            return False
        return True

    async def clean_up(self) -> None:
        if self._parent is not None and self._parent.returncode is None:
            self._parent.terminate()
            await self._parent.wait()


@pytest.fixture
async def family(tmp_path: Path) -> AsyncIterator[Family]:
    family = Family(tmp_path)
    yield family
    await family.clean_up()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_parent_that_is_asked_to_stop_stops_its_children(family: Family, number: signal.Signals) -> None:
    await family.begin(a=SERVES, b=SERVES)
    await family.until(lambda: bool(family.lines("a") and family.lines("b")))
    assert await family.end(number) == 0
    assert [family.alive(name) for name in "ab"] == [False, False]


async def test_a_child_that_fails_to_stop_is_named_and_its_code_is_the_parents(family: Family, tmp_path: Path) -> None:
    await family.begin(a=SERVES, fails=FAILS)
    await family.until(lambda: bool(family.lines("a") and family.lines("fails")))
    assert await family.end(signal.SIGTERM) == 3
    (line,) = [line for line in (tmp_path / LOG).read_text().splitlines() if "process.stopped_badly" in line]
    assert "fails" in line


async def test_a_child_that_does_not_listen_is_killed_and_named(family: Family, tmp_path: Path) -> None:
    await family.begin(deaf=DEAF)
    await family.until(lambda: "deaf" in family.lines("deaf"))
    assert await family.end(signal.SIGTERM) == 1
    assert not family.alive("deaf")
    assert "process.stopped_badly" in (tmp_path / LOG).read_text()


async def test_a_child_that_dies_is_started_again_alone(family: Family) -> None:
    await family.begin(a=SERVES, b=SERVES)
    await family.until(lambda: bool(family.lines("a") and family.lines("b")))
    os.kill(int(family.lines("a")[0]), signal.SIGKILL)
    await family.until(lambda: len(family.lines("a")) == 2)
    assert len(family.lines("b")) == 1
    assert family.alive("b")
    assert await family.end(signal.SIGTERM) == 0


async def test_f06_a_child_that_keeps_dying_ends_all_with_its_code(family: Family) -> None:
    await family.begin(ends=ENDS, other=SERVES)
    assert await family.end() == 7
    assert len(family.lines("ends")) == 1 + RESTARTS
    assert len(family.lines("other")) == 1
    assert not family.alive("other")


async def test_a_child_whose_settings_are_wrong_is_not_tried_again(family: Family) -> None:
    await family.begin(wrong=ENDS.replace("{code}", "2"), other=SERVES)
    assert await family.end() == 2
    assert len(family.lines("wrong")) == 1
