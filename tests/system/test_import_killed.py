"""A process that is killed in the middle of an import: it goes on, and ends with exactly what is in the file.

Every moment of every format is in `tests/actors/test_import_killed.py`; these are processes.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterable
from typing import Any

import aiohttp

from tests.actors.importing import archive, comment, issue
from tests.edge.whole_house import BOUNDARY, form
from tests.system.world import Answer, Api, World

MakeClient = Callable[[str], Api]

ISSUES = 170
ENDS_S = 60


async def send(person: Api, numbers: Iterable[int]) -> Any:
    """An archive with two comments an issue; the import."""
    content = archive(*(issue(n, f"Task {n}", comments=[comment(f"a{n}"), comment(f"b{n}")]) for n in numbers))
    body = form([("format", None, b"github-archive"), ("file", "issues.json", content)])
    answer = await person("POST", "/v1/imports", body=body, content_type=f"multipart/form-data; boundary={BOUNDARY}")
    assert answer.status == 202, answer
    return answer.json


async def until(person: Api, begun: Any, reached: Callable[[Any], bool]) -> Any:
    """The import, when it is so far; who does not answer meanwhile is asked again."""
    deadline = time.monotonic() + ENDS_S
    while True:
        try:
            answer: Answer | None = await person("GET", f"/v1/imports/{begun['id']}")
        except aiohttp.ClientError:
            answer = None
        if answer is not None and answer.status == 200 and reached(answer.json):
            return answer.json
        assert time.monotonic() < deadline, answer
        await asyncio.sleep(0.01)


def has_ended(found: Any) -> bool:
    return found["status"] in ("done", "failed")


async def check(person: Api, result: Any, numbers: Iterable[int]) -> None:
    """Each issue is a task once, with its comments, and the counts say so."""
    wanted = list(numbers)
    for field, count in {"done": ISSUES, "total": ISSUES, "created": ISSUES, "skipped": 0}.items():
        assert result[field] == count, result
    assert (result["status"], result["errors"]) == ("done", [])
    found: list[Any] = []
    cursor = ""
    while True:
        query = f"/v1/tasks?project_id={result['project_id']}&limit=200&sort=position{cursor}"
        page = (await person("GET", query)).json
        found += page["items"]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert [each["number"] for each in found] == wanted
    assert [each["title"] for each in found] == [f"Task {n}" for n in wanted]
    assert {each["comment_count"] for each in found} == {2}
    for each in found[::25]:
        said = (await person("GET", f"/v1/tasks/{each['id']}/comments")).json["items"]
        assert [one["body"] for one in said] == [f"a{each['number']}", f"b{each['number']}"]


async def test_killed_between_two_steps_the_import_goes_on(embedded: World, client: MakeClient) -> None:
    running = await embedded.start(CRASH_AT="import_tasks:after_commit")
    ada = await client(running.address).person("Ada")
    numbers = range(1, ISSUES + 1)
    begun = await send(ada, numbers)
    await running.process.wait()
    assert (embedded.directory / "var" / "crashed").exists()
    ada = ada.at((await embedded.start()).address)
    await check(ada, await until(ada, begun, has_ended), numbers)
    deadline = time.monotonic() + ENDS_S
    while any(names for _, _, names in os.walk(embedded.directory / "var" / "media" / "imports")):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


async def test_killed_in_the_middle_the_import_goes_on_where_it_was(real: World, client: MakeClient) -> None:
    await real.start("--actors", "user")
    task = await real.start("--actors", "task")
    ada = await client((await real.start("--actors", "edge")).address).person("Ada")
    numbers = range(1, ISSUES + 1)
    begun = await send(ada, numbers)
    await until(ada, begun, lambda found: found["done"] > 0)
    await task.kill()
    await real.start("--actors", "task")
    await check(ada, await until(ada, begun, has_ended), numbers)
