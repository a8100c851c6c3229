"""The fault suite itself: what it reckons, what it reports, and that it can fail."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
from pathlib import Path
from typing import Any, cast

import pytest

from chaos import report, rows
from chaos.chart import chart
from chaos.house import House
from chaos.lab import Lab
from chaos.row import Mark, Point, Result, adds, answers, errors, only, recovers, refuses_within
from chaos.scene import Fault, Scene, quantile
from tests.conformance.proxy import Proxy
from tests.system.oracle import Load, Operation, Reckoning
from tests.system.world import ROOT, Api


def scene(*operations: Operation, fault: tuple[float, float] = (10, 20)) -> Scene:
    """One that is over: its load and one fault."""
    load = Load([cast(Api, None)], "project", per_second=1)
    load.all[:] = operations
    made = Scene(cast(Lab, None), cast(House, None), short=True, per_second=1)
    made.load = load
    made.faults.append(Fault("kill -9", *fault))
    return made


def operation(at: float, status: int, took_s: float = 0.01) -> Operation:
    return Operation("GET", "/", f"{at}", sent_at=at, took_s=took_s, status=status)


def complaints(criterion: Any, of: Scene) -> list[str]:
    return list(criterion.check(of))


def test_recovery_is_counted_until_99_percent_succeed() -> None:
    well = [operation(20 + n / 10, 200) for n in range(1, 300)]
    assert scene(*well).recovery_s() == 0
    assert scene(*well, operation(23, 503)).recovery_s() == 0, "one in a hundred may fail"
    bad = scene(*well, *(operation(23 + n / 100, 503) for n in range(10)))
    assert 3 < bad.recovery_s() < 3.1
    assert complaints(recovers(3), bad)
    assert not complaints(recovers(4), bad)


def test_each_criterion_can_fail() -> None:
    well = [operation(at, 200) for at in range(1, 40)]
    for criterion in (recovers(1), errors(0), only(503), refuses_within(1), answers(1), adds(0.1)):
        assert not complaints(criterion, scene(*well)), criterion.text
    two = [operation(15, 503), operation(15.1, 503)]
    assert complaints(errors(0), scene(*well, *two))
    assert complaints(only(503), scene(*well, operation(15, 504)))
    assert complaints(refuses_within(1), scene(*well, operation(15, 503, 1.1)))
    assert complaints(refuses_within(1), scene(*well, operation(15, 504)))
    assert complaints(answers(1), scene(*well, operation(15, 200, 1.1)))
    assert complaints(adds(0.1), scene(*well, operation(15, 200, 0.2)))


def test_a_reckoning_names_what_is_wrong() -> None:
    assert Reckoning(5, 1, [], [], [], []).complaints() == []
    found = Reckoning(5, 1, ["a"], ["b"], ["c"], ["504 for what is right"] * 2).complaints()
    assert found == ["1 lost: a", "1 duplicated: b", "1 unexpected: c", "2 times: 504 for what is right"]


def test_a_quantile_is_a_value_that_was_there() -> None:
    assert quantile([], 0.99) == 0
    assert quantile([3.0, 1.0, 2.0], 0.5) == 2
    assert quantile([float(n) for n in range(1, 101)], 0.99) == 99


def test_the_report_shows_every_row_and_what_was_wrong() -> None:
    points = [Point(n / 10, 200 if n % 7 else 503, 0.01) for n in range(100)]
    results = [
        Result(
            "F01", "kill -9 <one>", "none fails", "pass", [], requests=100, points=points, marks=[Mark("kill", 2, 3)]
        ),
        Result("F11", "nodes lost", "none fails", "not made", ["there is no rabbitmq-server"]),
        Result("F20", "full", "none fails", "fail", ["3 of 100 failed"], requests=100),
    ]
    table = report.table(results)
    assert "1 of 3 rows passed in 0 min; failed: F20; 1 could not be made here" in table
    assert "F20: 3 of 100 failed" in table
    page = report.page(results, ["RabbitMQ 4"])
    assert "<svg" in page
    assert "kill -9 &lt;one&gt;" in page
    assert "there is no rabbitmq-server" in report.markdown(results, ["RabbitMQ 4"])
    assert chart(results[1]) == ""


def test_every_row_has_an_id_of_its_own_and_says_when_it_passes() -> None:
    every = rows.every()
    assert len({each.id for each in every}) == len(every)
    assert all(each.passes for each in every)
    assert sum(each.short for each in every) >= 4
    assert every[0].id in report.listing(every)


async def test_a_black_hole_tells_nobody_and_lets_through_afterwards() -> None:
    async with _echo() as port, Proxy("127.0.0.1", port) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"one")
        assert await reader.readexactly(3) == b"one"
        proxy.passing.clear()
        writer.write(b"two")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.readexactly(3), 0.2)
        proxy.passing.set()
        assert await reader.readexactly(3) == b"two"
        writer.close()


async def test_a_half_open_connection_swallows_what_is_said() -> None:
    async with _echo() as port, Proxy("127.0.0.1", port) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"one")
        await reader.readexactly(3)
        await proxy.half_open()
        writer.write(b"two")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(3), 0.2)
        again, other = await asyncio.open_connection("127.0.0.1", proxy.port)
        other.write(b"new")
        assert await again.readexactly(3) == b"new"
        writer.close()
        other.close()


async def test_a_half_closed_connection_says_no_more() -> None:
    async with _echo() as port, Proxy("127.0.0.1", port) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"one")
        await reader.readexactly(3)
        await proxy.half_close()
        assert await reader.read() == b""
        writer.close()


class _echo:  # noqa: N801 - a context manager that reads as a call
    """A server that says what it hears; its port."""

    async def __aenter__(self) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(100):
            writer.write(piece)
        writer.close()


def test_the_command_line_says_everything(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    from chaos.__main__ import main

    assert main(["--list"]) == 0
    assert "F01* kill -9" in capsys.readouterr().out
    for wrong in (["F99"], ["--shrot"]):
        with pytest.raises(SystemExit) as ended:
            main(wrong)
        assert ended.value.code == 2
    assert "F99" in capsys.readouterr().err


async def _run(*command: str) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", *command, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    return process.returncode, output.decode()


@pytest.mark.parametrize("module", ["chaos", "chaos.prove"])
async def test_each_command_explains_itself(module: str) -> None:
    code, said = await _run(module, "--help")
    assert (code, f"usage: ./dev {module.rpartition('.')[2]} " in said) == (0, True), said
    code, said = await _run(module, "--no-such-thing")
    assert (code, "no-such-thing" in said) == (2, True), said


async def test_ended_by_sigterm_a_run_ends_what_it_has_started() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "chaos.prove", "--seconds", "60", cwd=ROOT, stderr=asyncio.subprocess.DEVNULL
    )
    async with asyncio.timeout(30):
        while not (children := _children(process.pid)):
            await asyncio.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert await process.wait() == 130
    assert not _alive(children)


def _alive(pids: list[int]) -> list[int]:
    return [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def _children(pid: int) -> list[int]:
    """Of a process's main thread (proc(5))."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def test_prove_says_in_one_line_what_became_of_what_was_acknowledged() -> None:
    code, said = await _run("chaos.prove", "--seconds", "2")
    assert code == 0, said
    assert re.search(r"^\d+ requests, [1-9]\d* kills: [1-9]\d* writes acknowledged, 0 lost, 0 duplicated$", said, re.M)
