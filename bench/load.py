"""HTTP load from outside: `wrk` where it is on the PATH, else our own; the same for all variants of a run."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import msgspec

from bench.contest import Failure
from bench.processes import ROOT, output_of, python

CONNECTIONS = 64


class Loaded(msgspec.Struct, frozen=True):
    """What came of it.

    :param answered: requests that were answered, `failed` of them with a status of 400 or more.
    :param unanswered: may have been handled all the same when the time was over.
    """

    answered: int
    failed: int
    seconds: float
    p50_ms: float
    p99_ms: float
    unanswered: int = 0


async def load(url: str, requests: Path, token: str, seconds: float, *, connections: int = CONNECTIONS) -> Loaded:
    """Send the requests of a file, lines of method, path and body, in turn over so many connections.

    :raises Failure: an answer was none, or an error.
    """
    if shutil.which("wrk") is not None:
        loaded = await _wrk(url, requests, token, seconds, connections)
    else:
        arguments = (url, str(requests), token, str(connections), str(seconds))
        printed = await output_of(python("bench.load_client", *arguments), requests.parent)
        loaded = msgspec.json.decode(printed, type=Loaded)
    if loaded.failed or not loaded.answered:
        raise Failure(f"{loaded.failed} of {loaded.answered} requests to {url} failed")
    return loaded


async def _wrk(url: str, requests: Path, token: str, seconds: float, connections: int) -> Loaded:
    wrk = await asyncio.create_subprocess_exec(
        "wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "10s",
        "-s", str(ROOT / "bench" / "load.lua"), url, "--", token, str(requests),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    printed, _ = await wrk.communicate()
    found = [line for line in printed.splitlines() if line.startswith(b"{")]
    if wrk.returncode or not found:
        raise Failure(f"wrk failed: {printed.decode()[-500:]}")
    loaded = msgspec.json.decode(found[0], type=Loaded)
    return msgspec.structs.replace(loaded, unanswered=connections)  # it leaves while they are under way
