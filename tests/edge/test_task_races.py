"""What a hundred clients want at the same moment and one of them can have, over HTTP on each kind of store."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.actors.conftest import schemas
from tests.edge.whole_house import House, house_of
from tests.system.world import Answer, Api

QUOTA = 2
QUOTAS = {"quota_projects_per_user": QUOTA, "quota_tasks_per_project": QUOTA, "quota_comments_per_task": QUOTA}


@pytest.fixture(scope="module")
async def house(database: str | None, run_id: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    store_urls = {}
    async with AsyncExitStack() as stack:
        if database:
            store_url = await stack.enter_async_context(schemas(database, f"races_{run_id}"))
            store_urls = {actor: store_url(actor) for actor in ("user", "task", "notify", "media")}
        yield await stack.enter_async_context(
            house_of(tmp_path_factory.mktemp("races"), store_urls=store_urls, **QUOTAS)
        )


@pytest.fixture
async def ada(house: House) -> Api:
    """Somebody who has no projects yet."""
    return await house.anyone.person("Ada")


async def outcomes(ada: Api, requests: list[tuple[str, str, Any]], **headers: Any) -> Counter[tuple[int, str]]:
    """How often which status and code was answered, all being asked at once; who is told to try again does."""

    async def ask(method: str, path: str, body: Any) -> Answer:
        while (answer := await ada(method, path, body, **headers)).status == 503:
            pass
        return answer

    answers = await asyncio.gather(*(ask(*each) for each in requests))
    return Counter((each.status, "" if each.status < 400 else each.problem()) for each in answers)


async def test_b83_of_a_hundred_changes_at_once_with_one_tag_one_is_made(ada: Api) -> None:
    project = await ada.project()
    task = await ada.task(project)
    label = (await ada("POST", f"/v1/projects/{project}/labels", {"name": "bug"})).json
    comment = (await ada("POST", f"/v1/tasks/{task['id']}/comments", {"body": "x"})).json
    for path, field, match in (
        (f"/v1/projects/{project}", "name", '"1"'),
        (f"/v1/labels/{label['id']}", "name", '"1"'),
        (f"/v1/comments/{comment['id']}", "body", '"1"'),
        (f"/v1/tasks/{task['id']}", "title", '"2"'),  # the comment counts
    ):
        requests = [("PATCH", path, {field: f"text {n}"}) for n in range(100)]
        expected = {(200, ""): 1, (412, "request.precondition_failed"): 99}
        assert await outcomes(ada, requests, if_match=match) == expected, path


async def test_b84_of_a_hundred_at_once_exactly_one_gets_the_last_place(ada: Api) -> None:
    project = await ada.project()
    task = await ada.task(project)
    assert (await ada("POST", f"/v1/tasks/{task['id']}/comments", {"body": "x"})).status == 201
    for path, bodies in (
        (f"/v1/tasks/{task['id']}/comments", [{"body": str(n)} for n in range(100)]),
        ("/v1/tasks", [{"project_id": project, "title": str(n)} for n in range(100)]),
        ("/v1/projects", [{"name": "x", "key": f"K{n}"} for n in range(100)]),
    ):
        requests = [("POST", path, body) for body in bodies]
        assert await outcomes(ada, requests) == {(201, ""): 1, (409, "quota.exceeded"): 99}, path
    listed = (await ada("GET", f"/v1/tasks?project_id={project}&sort=created_at")).json["items"]
    assert [(each["number"], each["comment_count"]) for each in listed] == [(1, QUOTA), (2, 0)]
    assert len((await ada("GET", "/v1/projects")).json["items"]) == QUOTA
