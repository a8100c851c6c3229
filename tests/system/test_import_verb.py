"""`python -m runtime import FILE`: with and without a running installation, and what it says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.actors.importing import archive, comment, issue
from tests.system.world import Api, World

MakeClient = Callable[[str], Api]

SOME, USAGE = 1, 2

TABLE = "title,due_at,status\nOrder brass,2026-12-24T09:00:00Z,todo\nOil the mill,next year,todo\nPunch cards,,done\n"


class Importer:
    """Ada and her files, at an installation that runs or not."""

    def __init__(self, world: World, ada: Api) -> None:
        self.world = world
        self.ada = ada

    async def __call__(self, content: bytes, *arguments: str, **settings: str) -> tuple[int, str, str]:
        path = self.world.directory / "tasks"
        path.write_bytes(content)
        return await self.world.run("import", str(path), "--as", self.ada.user["email"], *arguments, **settings)

    async def tasks(self, project: str) -> list[Any]:
        found: list[Any] = (await self.ada("GET", f"/v1/tasks?project_id={project}&sort=position")).json["items"]
        return found


@pytest.fixture
async def importer(anywhere: World, client: MakeClient) -> Importer:
    running = await anywhere.start()
    return Importer(anywhere, await client(running.address).person("Ada"))


async def test_beside_a_running_installation_tasks_are_made_once(importer: Importer) -> None:
    content = archive(*(issue(n, f"Task {n}", comments=[comment(f"a{n}")]) for n in range(1, 121)))
    id = ""
    for made, there in ((120, 0), (0, 120)):
        project = ["--project", id] if id else []
        code, output, errors = await importer(content, "--format", "github-archive", *project)
        assert (code, f"done: 120 tasks, {made} made, {there} there already, 0 not taken" in output) == (0, True), (
            errors
        )
        id = output.split()[-1]
    tasks = (await importer.ada("GET", f"/v1/tasks?project_id={id}&limit=200")).json["items"]
    assert {each["title"] for each in tasks} == {f"Task {n}" for n in range(1, 121)}
    assert {each["comment_count"] for each in tasks} == {1}


async def test_without_one_what_cannot_be_read_is_told_with_its_place(embedded: World, client: MakeClient) -> None:
    running = await embedded.start()
    importer = Importer(embedded, await client(running.address).person("Ada"))
    project = await importer.ada.project()
    assert await running.stop() == 0
    table = TABLE.encode()
    code, output, errors = await importer(table, "--format", "csv", "--project", project, "--dry-run")
    assert (code, "2 would be made" in output) == (SOME, True), (output, errors)
    code, output, errors = await importer(table, "--format", "csv", "--project", project)
    assert (code, "3 tasks, 2 made, 0 there already, 1 not taken" in output) == (SOME, True), (output, errors)
    assert f"{embedded.directory}/tasks:3: " in errors
    importer.ada = importer.ada.at((await embedded.start()).address)
    assert [each["title"] for each in await importer.tasks(project)] == ["Order brass", "Punch cards"]


async def test_what_cannot_be_imported_is_said_in_one_line(embedded: World, client: MakeClient) -> None:
    running = await embedded.start()
    importer = Importer(embedded, await client(running.address).person("Ada"))
    nowhere = "00000000-0000-7000-8000-000000000001"
    cases: list[tuple[int, str, list[str], dict[str, str]]] = [
        (SOME, "project", ["--format", "csv", "--project", nowhere], {}),
        (USAGE, "project_id must be a UUID", ["--format", "csv", "--project", "mine"], {}),
        (USAGE, "--mapping must be a JSON object", ["--format", "csv", "--mapping", "todo=done"], {}),
        (USAGE, "invalid choice", ["--format", "stone"], {}),
        (SOME, "nobody@example.org", ["--format", "csv", "--as", "nobody@example.org"], {}),
        (USAGE, "IMPORT_LIMIT is 10", ["--format", "csv"], {"IMPORT_LIMIT": "10"}),
    ]
    table = TABLE.encode()
    said = await asyncio.gather(
        *(importer(table, *arguments, **changed) for _, _, arguments, changed in cases),
        embedded.run("import", "nothing", "--as", importer.ada.user["email"], "--format", "csv"),
    )
    wanted = [*((code, words) for code, words, _, _ in cases), (USAGE, "No such file")]
    for (code, words), (found, output, errors) in zip(wanted, said, strict=True):
        assert (found, output, "Traceback" in errors, words in errors) == (code, "", False, True), (output, errors)
    assert not any((embedded.directory / "var" / "media").rglob("file"))
