"""The walk of `examples/`, in every topology: what a newcomer runs first is the system test."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

from tests.system.world import ROOT, Running, World

WALK_S = 120.0
UNLIMITED: dict[str, Any] = {"RATE_LIMITS": "off"}
"""It looks at every comment of an archive within seconds, which nobody else does."""


async def walk(world: World, address: str, *arguments: str) -> None:
    """Fails with what the script said."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(ROOT / "examples" / "walk.py"),
        address,
        f"--mail={world.directory / 'var' / 'mail'}",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(WALK_S):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0, output.decode()
    assert output.decode().endswith("All of it held.\n")


def frozen(running: Running) -> list[str]:
    """Arguments to see the dashboard while the media actor stands still."""
    pid = running.process.pid
    return ["--actor=media", f"--stop=kill -STOP {pid}", f"--start=kill -CONT {pid}"]


async def test_example_embedded(embedded: World) -> None:
    running = await embedded.start(**UNLIMITED)
    await walk(embedded, running.address)
    assert await running.stop() == 0


async def test_example_in_one_process_on_real_servers(real: World, s3_url: str) -> None:
    running = await real.start(**UNLIMITED, BLOB_URL=s3_url)
    await walk(real, running.address)
    assert await running.stop() == 0


async def test_example_with_one_process_per_actor_and_two_task_replicas(real: World) -> None:
    actors = ("user", "task", "task", "notify", "media", "edge")
    *others, media, edge = [await real.start("--actors", actor, **UNLIMITED) for actor in actors]
    await walk(real, edge.address, *frozen(media))
    for each in (*others, media, edge):
        assert await each.stop() == 0


async def test_example_under_a_parent_of_processes(real: World, free_port: Callable[[], int]) -> None:
    port = free_port()
    parent = await real.launch("--processes", "--replicas", "task=2", EDGE_PORT=str(port), **UNLIMITED)
    await walk(real, f"http://127.0.0.1:{port}", "--wait")
    assert await parent.stop() == 0
