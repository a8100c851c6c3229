"""What the documents show is what there is."""

from __future__ import annotations

import asyncio
import re
import shutil
import sys
import tomllib
from pathlib import Path

from config.settings import names
from runtime import VERSION, stagehands
from runtime.verbs import skeleton

ROOT = Path(__file__).parents[2]


def test_env_example_explains_every_setting_and_no_other() -> None:
    shown = re.findall(r"^#([A-Z0-9_]+)=", (ROOT / ".env.example").read_text(), flags=re.M)
    stores = {f"{actor.upper()}_STORE_URL" for actor in stagehands.topology().actors}
    assert set(shown) == {*names(), *stores, "TASK_STORE_READ_URL", "TROUPE_PROFILE"}


def test_the_version_is_that_of_the_project() -> None:
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == VERSION


def shown_actor() -> dict[str, str]:
    """Path → code of the blocks in docs/writing-an-actor.md."""
    text = (ROOT / "docs" / "writing-an-actor.md").read_text()
    return dict(re.findall(r"^`([\w/.]+)`\n\n```\w+\n(.*?)```$", text, flags=re.M | re.S))


def test_the_actor_in_the_document_is_the_skeleton_and_short() -> None:
    shown = shown_actor()
    assert shown == skeleton("greeter")
    assert len(shown["actors/greeter_actor.py"].splitlines()) < 60


async def test_a_new_actor_is_green_at_once(tmp_path: Path) -> None:
    for folder in ("runtime", "actors", "edge", "config"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    code, output = await _python(tmp_path, "-m", "runtime", "new", "actor", "greeter")
    assert code == 0, output
    code, output = await _python(tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/actors")
    assert code == 0, output
    assert "3 passed" in output
    code, output = await _python(tmp_path, "-m", "runtime", "new", "actor", "greeter")
    assert (code, "there is an actor 'greeter' already" in output) == (2, True)
    code, output = await _python(tmp_path, "-m", "runtime", "new", "actor", "Not-A-Name")
    assert (code, "cannot name an actor" in output) == (2, True)


async def _python(directory: Path, *arguments: str) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, cwd=directory, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    return process.returncode, output.decode()
