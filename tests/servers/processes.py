"""Programs as child processes, in a directory that goes away with them."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

GRACE_S = 10.0
"""How long a process may take to stop before it is killed, in seconds."""


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def workplace(stack: ExitStack) -> Path:
    """A fresh directory, removed when the stack closes. Others may pass through it: PostgreSQL is not root."""
    directory = Path(tempfile.mkdtemp(prefix="troupe-"))
    stack.callback(shutil.rmtree, directory, ignore_errors=True)
    directory.chmod(0o711)
    return directory


@dataclass(frozen=True)
class Running:
    """A child process and the file that takes what it says."""

    child: subprocess.Popen[bytes]
    log: Path

    def epitaph(self) -> str | None:
        """None while it lives; then its exit status and last words."""
        if self.child.poll() is None:
            return None
        last_words = self.log.read_text(errors="replace").strip()[-500:]
        return f"{self.child.args!r} exited with {self.child.returncode}: {last_words}"


def spawn(
    stack: ExitStack,
    command: Sequence[str | Path],
    directory: Path,
    *,
    environment: Mapping[str, str] | None = None,
    user: str | None = None,
    stop: signal.Signals = signal.SIGTERM,
) -> Running:
    """Start a program in `directory`; closing the stack stops it, with all its children.

    It leads a process group of its own, so that a Ctrl-C in the terminal reaches it only through us.

    :param environment: added to ours.
    :param user: whom to run it as; needs root.
    """
    log = directory / f"{Path(command[0]).name}.log"
    with log.open("wb") as output:
        child = subprocess.Popen(
            command,
            cwd=directory,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            user=user,
            group=user,
            extra_groups=None if user is None else [],
        )
    stack.callback(end, child, stop)
    return Running(child, log)


def end(child: subprocess.Popen[bytes], how: signal.Signals) -> None:
    """Stop a process that leads its group: as `how` says, and after `GRACE_S` by force."""
    with suppress(ProcessLookupError):  # nobody of the group is left
        os.killpg(child.pid, how)
        with suppress(subprocess.TimeoutExpired):
            child.wait(GRACE_S)
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
