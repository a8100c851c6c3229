"""What `docker compose up` gives: everything works, each container holds what it needs, and nothing is lost."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import aiohttp
import pytest

from runtime import stagehands
from tests.edge.whole_house import Uploader
from tests.servers.compose import ROOT, Compose
from tests.system.world import Answer, Api

ACTORS = stagehands.actor_names()
PATIENCE_S = 60.0
WALK_S = 240.0


@pytest.fixture
async def anyone(containers: Compose, client: Callable[[str], Api]) -> Api:
    return client(containers.address)


@pytest.fixture
async def web() -> AsyncIterator[Callable[..., Any]]:
    """Call it with an address, as anybody could, for the answer."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session:

        async def fetch(url: str, **query: str) -> Answer:
            async with session.get(url, params=query) as response:
                return Answer(response.status, response.headers, await response.read())

        yield fetch


async def test_an_account_a_task_and_a_file_from_the_object_store(
    containers: Compose, anyone: Api, web: Callable[..., Any]
) -> None:
    ada = await anyone.person("Ada")
    task = await ada.task(await ada.project())
    assert task["number"] == 1
    media = await Uploader(ada).upload(b"brass, 3 kg", "order.txt", task_id=task["id"])
    url = await Uploader(ada).url(media)
    assert url.startswith(containers.files + "/")
    assert (await web(url)).body == b"brass, 3 kg"
    assert (await web(url.replace("order.txt", "other.txt"))).status == 403


async def test_mail_is_caught_and_its_link_leads_to_the_edge(
    containers: Compose, anyone: Api, web: Callable[..., Any]
) -> None:
    ada = await anyone.person("Ada")
    mails: list[Any] = []
    async with asyncio.timeout(PATIENCE_S):
        while not mails:
            found = await web(f"{containers.mail}/api/v1/search", query=f"to:{ada.user['email']}")
            mails = found.json["messages"]
    text = (await web(f"{containers.mail}/api/v1/message/{mails[0]['ID']}")).json["Text"]
    (token,) = re.findall(rf"{containers.address}/\S*\?token=([\w-]+)", text)
    assert (await anyone("POST", "/v1/email-verifications", {"token": token})).status == 204


async def test_replicas_go_on_without_the_one_that_is_killed_and_it_comes_back(
    containers: Compose, anyone: Api
) -> None:
    ada = await anyone.person("Ada")
    project = await ada.project()
    await containers.up("--no-recreate", "--scale", "task=3")
    try:
        assert len(await containers.inspect("task")) == 3
        making = [asyncio.create_task(made(ada, project)) for _ in range(10)]
        await containers.attempt("exec", "-T", "--index", "2", "task", "sh", "-c", "kill -KILL -1")
        making += [asyncio.create_task(made(ada, project)) for _ in range(10)]
        assert sorted(await asyncio.gather(*making)) == list(range(1, 21))
        await containers.up("--no-recreate", "--scale", "task=3")
        assert sum(each["RestartCount"] for each in await containers.inspect("task")) >= 1
    finally:
        await containers.up("--no-recreate", "--scale", "task=1")
    assert len(await containers.inspect("task")) == 1


async def made(person: Api, project: str) -> int:
    """Make a task as clients do that are told to come again; its number."""
    key = uuid4().hex
    async with asyncio.timeout(PATIENCE_S):
        while True:
            body = {"project_id": project, "title": "Order brass"}
            answer = await person("POST", "/v1/tasks", body, idempotency_key=key)
            if answer.status not in (503, 504):
                assert answer.status == 201, answer
                return int(answer.json["number"])
            await asyncio.sleep(1)


async def test_each_container_holds_the_secrets_that_it_needs(containers: Compose) -> None:
    keys = {"SECRET_KEY", "ACTOR_KEY", "BLOB_URL", "MAIL_URL"}
    held = {}
    for name in (*ACTORS, "edge"):
        (container,) = await containers.inspect(name)
        given = {each.partition("=")[0] for each in container["Config"]["Env"]}
        held[name] = {each for each in given if each in keys or each.endswith("_STORE_URL")}
        assert container["State"]["Health"]["Status"] == "healthy"
    assert held == {
        "edge": {"SECRET_KEY", "BLOB_URL"},
        "media": {"ACTOR_KEY", "BLOB_URL", "MEDIA_STORE_URL"},
        "notify": {"ACTOR_KEY", "MAIL_URL", "NOTIFY_STORE_URL"},
        "task": {"ACTOR_KEY", "BLOB_URL", "TASK_STORE_URL"},
        "user": {"ACTOR_KEY", "USER_STORE_URL"},
    }


async def test_containers_can_do_little_and_are_reached_from_this_machine_alone(containers: Compose) -> None:
    reached = set()
    for name in (await containers("config", "--services")).split():
        (container,) = await containers.inspect(name)
        host = container["HostConfig"]
        assert host["CapDrop"] == ["ALL"], name
        assert host["SecurityOpt"] == ["no-new-privileges:true"], name
        assert host["RestartPolicy"]["Name"] == "unless-stopped", name
        if name in (*ACTORS, "edge"):
            assert host["ReadonlyRootfs"], name
            assert container["Config"]["User"] not in ("", "root", "0"), name
            assert container["Mounts"] == [], name
        for published in (host["PortBindings"] or {}).values():
            assert [each["HostIp"] for each in published] == ["127.0.0.1"], name
            reached.add(name)
    assert reached == {"edge", "s3", "mail"}


async def test_an_actor_reaches_its_own_database_alone(containers: Compose) -> None:
    roles = [f"troupe_{name}" for name in ACTORS]
    tries = [(role, "development", database) for role in roles for database in roles]
    tries += [("troupe_task", "another", "troupe_task"), ("postgres", "until databases.sh takes it away", "postgres")]
    # by the container's name: whoever comes from 127.0.0.1 is trusted
    script = "".join(
        f"PGPASSWORD='{password}' psql -h postgres -U {role} -c '' {database} && echo {role} {database};"
        for role, password, database in tries
    )
    _, output, _ = await containers.attempt("exec", "-T", "postgres", "sh", "-c", script)
    assert output.splitlines() == [f"{role} {role}" for role in roles]


@pytest.mark.parametrize("name", ["task", "edge"])
async def test_what_is_published_is_refused_in_production(containers: Compose, name: str) -> None:
    production = ("-e", "TROUPE_ENV=production", "-e", "PUBLIC_URL=https://tasks.example.org")
    own = ("-e", f"{name.upper()}_STORE_URL=", "-e", "BLOB_URL=", "-e", "BROKER_URL=amqp://rabbitmq/")
    for settings, said in (
        (production, "BROKER_URL=amqp://troupe:***@rabbitmq:5672/: this password is public"),
        ((*production, *own), "SECRET_KEY is the public one" if name == "edge" else "ACTOR_KEY is the public one"),
    ):
        code, _, errors = await containers.attempt("run", "--rm", "--no-deps", "-T", *settings, name)
        assert code == 2, errors
        assert said in errors
        assert "Traceback" not in errors


async def test_the_example_walks_through(containers: Compose) -> None:
    example = ROOT / "examples" / "walk.py"
    if not example.exists():
        pytest.skip("there is no examples/walk.py")
    walk = await asyncio.create_subprocess_exec(
        sys.executable,
        str(example),
        containers.address,
        "--mail",
        containers.mail,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(WALK_S):
        output, _ = await walk.communicate()
    assert walk.returncode == 0, output.decode()[-3000:]


async def test_all_stop_as_asked_and_everything_is_there_when_they_are_up_again(
    containers: Compose, anyone: Api, web: Callable[..., Any]
) -> None:
    ada = await anyone.person("Ada")
    task = await ada.task(await ada.project())
    media = await Uploader(ada).upload(b"kept")
    await containers("stop")
    for name in (*ACTORS, "edge"):
        (stopped,) = await containers.inspect(name)
        assert stopped["State"]["ExitCode"] == 0, name
    await containers("down")
    await containers.up()
    assert (await ada("GET", f"/v1/tasks/{task['id']}")).json == task
    url = await Uploader(ada).url(media)
    assert urlsplit(url).port == containers.ports["S3_PORT"]
    assert (await web(url)).body == b"kept"
