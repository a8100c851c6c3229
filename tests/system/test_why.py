"""`python -m runtime why`: what became of one request, told from the stores alone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from tests.system.world import PASSWORD, Api, World


async def told(world: World, request_id: str, *, until: str) -> str:
    """What it prints, once that is in it."""
    deadline = time.monotonic() + 20
    while True:
        code, output, errors = await world.run("why", request_id)
        if until in output:
            assert code == 0, errors
            return output
        assert time.monotonic() < deadline, output + errors
        await asyncio.sleep(0.2)


async def test_why_tells_what_came_of_a_request_and_who_handled_it(
    embedded: World, client: Callable[[str], Api]
) -> None:
    running = await embedded.start()
    anyone = client(running.address)
    ada, bob = await anyone.person("Ada"), await anyone.person("Bob")
    project = await ada.project()
    assert (await ada("PUT", f"/v1/projects/{project}/members/{bob.user['id']}", {"role": "editor"})).status == 200
    body = {"project_id": project, "title": "Order brass", "assignee_ids": [bob.user["id"]]}
    assert (await ada("POST", "/v1/tasks", body, x_request_id="mine")).status == 201
    story = await told(embedded, "mine", until="notify handled send_mail")
    first, command, *rest = story.splitlines()
    assert first == f"request mine, asked by {ada.user['id']}"
    assert command.startswith("task handled create_task ")
    assert command.endswith(": done")
    assert any(line.startswith("    made task_assigned ") for line in rest)
    assert any(line.startswith("        notify handled task_assigned ") for line in rest)
    assert "no mail: there is no proven address" in story
    assert "no actor of ours listens" in story or "on its way" not in story


async def test_why_tells_of_mail_and_of_refusals(embedded: World, client: Callable[[str], Api]) -> None:
    anyone = client((await embedded.start()).address)
    person = {"email": "ada@example.org", "password": PASSWORD, "name": "Ada"}
    assert (await anyone("POST", "/v1/users", person, x_request_id="first")).status == 201
    story = await told(embedded, "first", until="handed over")
    assert "asked by nobody who had signed in" in story
    assert "made user_created" in story
    assert PASSWORD not in story
    assert "ada@example.org" not in story
    assert (await anyone("POST", "/v1/users", person, x_request_id="second")).status == 409
    assert "refused, user.email_taken" in await told(embedded, "second", until="user handled register")


async def test_why_says_when_nothing_is_known(embedded: World) -> None:
    code, output, _ = await embedded.run("why", "unheard-of")
    assert code == 1
    assert "No store keeps anything of request unheard-of" in output
