"""Every command and request of the README does what the README says."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from tests.system.world import READY_S, ROOT, World

README = (ROOT / "README.md").read_text()
ADDRESS = "http://127.0.0.1:8080"
ANY = "…"
MADE_S = 240.0
"""Seconds that `./dev` may take where it has to make its virtual environment first."""


class Block(msgspec.Struct, frozen=True):
    """A fenced block: its language, and what is in it."""

    language: str
    text: str


def blocks(section: str) -> list[Block]:
    """Of the section with that title."""
    (text,) = re.findall(rf"^## {section}\n(.*?)(?=^## |\Z)", README, flags=re.M | re.S)
    return [Block(*found) for found in re.findall(r"^```(\w+)\n(.*?)^```$", text, flags=re.M | re.S)]


def commands(section: str) -> list[str]:
    """Line by line, without comments."""
    lines = [line for block in blocks(section) if block.language == "sh" for line in block.text.splitlines()]
    return [re.sub(r"\s+#.*", "", line) for line in lines]


def matches(shown: Any, real: Any) -> bool:
    """`"…"` stands for anything, and as a member for all others."""
    if shown == ANY:
        return True
    if isinstance(shown, dict) and isinstance(real, dict):
        named = shown.keys() - {ANY}
        complete = ANY in shown or named == real.keys()
        return complete and named <= real.keys() and all(matches(shown[name], real[name]) for name in named)
    if isinstance(shown, list) and isinstance(real, list):
        return len(shown) == len(real) and all(map(matches, shown, real))
    return bool(shown == real)


def check_http(shown: str, real: str) -> None:
    """The status line, each header that is shown, and the body."""
    shown_head, shown_body = shown.split("\n\n", 1)
    real_head, real_body = real.replace("\r\n", "\n").split("\n\n", 1)
    for line in shown_head.splitlines():
        assert re.search(f"^{re.escape(line).replace(ANY, '.+')}$", real_head, flags=re.M), (line, real_head)
    assert matches(json.loads(shown_body), json.loads(real_body)), real_body


async def test_the_first_requests_are_answered_as_shown(embedded: World) -> None:
    running = await embedded.start()
    shown = [block for block in blocks("The first requests") if block.language != "sh" or "curl" in block.text]
    asked, answers = shown[::2], shown[1::2]
    assert len(asked) == len(answers) >= 5
    mark = "\n=== next ===\n"
    script = f"printf '{mark}'\n".join(block.text for block in asked).replace(ADDRESS, running.address)
    bash = await asyncio.create_subprocess_exec(
        "bash", "-e", "-c", script, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(READY_S):
        output, errors = await bash.communicate()
    assert bash.returncode == 0, errors.decode()
    real = output.decode().split(mark)
    for answer, found in zip(answers, real, strict=True):
        if answer.language == "http":
            check_http(answer.text, found)
        else:
            assert matches(json.loads(answer.text), json.loads(found)), found


def test_the_walk_that_is_named_is_the_one_that_is_tested() -> None:
    assert [line for line in commands("The first requests") if "examples/" in line] == [
        ".venv/bin/python examples/walk.py"
    ]


async def until_ready_then_stopped(world: World, command: str, **settings: str) -> None:
    """Run it as the README has it, with the servers of this test; it must get ready, and stop when interrupted."""
    running = await world.shell(command, **settings)
    await running.until_ready(MADE_S)
    assert await running.stop(signal.SIGINT) == 0, running.log.read_text()


async def test_both_commands_are_there(embedded: World) -> None:
    run, test = commands("Two commands")
    await until_ready_then_stopped(embedded, run)
    process = await asyncio.create_subprocess_exec(
        "bash", "-c", f"{test} --collect-only -q tests/unit/test_documents.py", cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert (process.returncode, b"test_documents.py::" in output) == (0, True), output


ALONE, *OTHERS = [each for each in commands("Topologies") if "docker" not in each]


async def test_the_topology_without_servers_starts_as_shown(embedded: World) -> None:
    await until_ready_then_stopped(embedded, ALONE)


@pytest.mark.parametrize("command", OTHERS)
async def test_each_topology_starts_as_shown(command: str, real: World, free_port: Callable[[], int]) -> None:
    await until_ready_then_stopped(real, command, EDGE_PORT=str(free_port()))


def test_the_containers_are_started_as_in_their_own_test() -> None:
    assert [each for each in commands("Topologies") if "docker" in each] == ["docker compose up --wait --scale task=3"]
