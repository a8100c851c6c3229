"""Child processes: started, waited for until they are ready, looked at, ended; each by its own id."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from bench.contest import Failure

ROOT = Path(__file__).parent.parent
READY_S = 30.0
STOP_S = 35.0
"""More than the runtime takes at most for a soft stop."""


class Child:
    """A process that has said that it is ready; `said` is the line in which it did."""

    def __init__(self, process: asyncio.subprocess.Process, said: str) -> None:
        self.pid = process.pid
        self.said = said


def python(module: str, *arguments: str) -> tuple[str, ...]:
    """The command that runs a module with the interpreter of this process."""
    return sys.executable, "-m", module, *arguments


@asynccontextmanager
async def running(
    command: Sequence[str], directory: Path, environment: Mapping[str, str] | None = None
) -> AsyncIterator[Child]:
    """A program in `directory`, from its first line with `ready` in it to the end of the block.

    :raises Failure: it did not get ready; with what it wrote on standard error.
    """
    process, log = await _start(command, directory, environment)
    try:
        async with asyncio.timeout(READY_S):
            said = await _line(process)
            while "ready" not in said:
                if not said:
                    raise Failure(f"{' '.join(command)} ended: {log.read_text()[-2000:]}")
                said = await _line(process)
        yield Child(process, said)
    finally:
        await _stop(process)


async def output_of(command: Sequence[str], directory: Path, environment: Mapping[str, str] | None = None) -> bytes:
    """What a program prints until it ends. :raises Failure: it ends with an error."""
    process, log = await _start(command, directory, environment)
    try:
        printed, _ = await process.communicate()
    finally:
        await _stop(process)
    if process.returncode != 0:
        raise Failure(f"{' '.join(command)} failed: {log.read_text()[-2000:]}")
    return printed


def cpu_s(pid: int) -> float:
    """User and system time of a process so far, in seconds (proc(5), fields 14 and 15 of `stat`); 0 without /proc."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mib(pid: int) -> float:
    """Resident memory of a process (proc(5), `VmRSS`). :raises Failure: there is no /proc here."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        raise Failure("memory is read from /proc, which this system does not have") from None
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


async def _start(
    command: Sequence[str], directory: Path, environment: Mapping[str, str] | None
) -> tuple[asyncio.subprocess.Process, Path]:
    with tempfile.NamedTemporaryFile(dir=directory, suffix=".log", delete=False) as errors:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=directory,  # where no .env of the installation lies
            env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            start_new_session=True,  # Ctrl-C reaches it through us
        )  # fmt: skip
    return process, Path(errors.name)


async def _line(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None  # it was asked for
    return (await process.stdout.readline()).decode()


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(STOP_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
