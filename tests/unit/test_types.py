"""`ask` returns what its message is answered with, for the type checker too."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
WRONG = """
from runtime.client import Client
from tests.unit.counter import Add, Added, Keep

async def wrong(client: Client) -> None:
    number: int = await client.ask(Add(name="a"))
    nothing = await client.ask(Keep(token="a"))
    await client.ask(Added(name="a", value=1))
    await client.ask(Add(nome="a"))
"""


def mypy(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mypy", "--no-error-summary", "--hide-error-context", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


def test_the_type_checker_knows_the_reply_of_every_ask_and_finds_a_wrong_one(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.py"
    wrong.write_text(WRONG)
    done = mypy("tests/unit/typed.py", str(wrong))
    complaints = [line for line in done.stdout.splitlines() if ": error:" in line]
    assert [int(line.split(":")[1]) for line in complaints] == [6, 7, 8, 9], done.stdout + done.stderr
    assert 'incompatible type "Add"; expected "Request[int]"' in complaints[0]
    assert "does not return a value" in complaints[1]
    assert "Request" in complaints[2]
    assert "nome" in complaints[3]
