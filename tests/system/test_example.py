"""The walk of `examples/`, in every topology: what a newcomer runs first is the system test."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable

import pytest

from tests.system.world import ROOT, Running, World

WALK_S = 120.0


@pytest.fixture
def at(free_port: Callable[[], int]) -> dict[str, str]:
    """An address that leads to the edge, in signed addresses of files too; and no limits: the script looks at every
    comment of an archive within seconds, which nobody else does."""
    port = free_port()
    return {"EDGE_PORT": str(port), "PUBLIC_URL": f"http://127.0.0.1:{port}", "RATE_LIMITS": "off"}


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


async def test_example_embedded(embedded: World, at: dict[str, str]) -> None:
    running = await embedded.start(**at)
    await walk(embedded, running.address)
    assert await running.stop() == 0


async def test_example_with_an_archive_of_its_own(embedded: World, at: dict[str, str]) -> None:
    running = await embedded.start(**at)
    await walk(embedded, running.address, "--archive=none")
    assert await running.stop() == 0


async def test_example_in_one_process_on_real_servers(real: World, at: dict[str, str], s3_url: str) -> None:
    running = await real.start(**at, BLOB_URL=s3_url)
    await walk(real, running.address)
    assert await running.stop() == 0


async def test_example_with_one_process_per_actor_and_two_task_replicas(real: World, at: dict[str, str]) -> None:
    actors = ("user", "task", "task", "notify", "media", "edge")
    *others, media, edge = [await real.start("--actors", actor, **at) for actor in actors]
    await walk(real, edge.address, *frozen(media))
    for each in (*others, media, edge):
        assert await each.stop() == 0


async def test_example_under_a_parent_of_processes(real: World, at: dict[str, str]) -> None:
    parent = await real.launch("--processes", "--replicas", "task=2", **at)
    await walk(real, at["PUBLIC_URL"], "--wait")
    assert await parent.stop() == 0
