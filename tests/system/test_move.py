"""An installation moves from files to real servers, and back: everybody finds everything as it was."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from copy import copy
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from runtime.drivers import blobs_s3
from runtime.message import Envelope, frame
from runtime.ports import Blobs, Parked
from tests.edge.test_object_store import bucket
from tests.edge.whole_house import BOUNDARY, form
from tests.servers.answers import drop_documents
from tests.system.test_command_line import embedded_store
from tests.system.world import PASSWORD, Answer, Api, World

MakeClient = Callable[[str], Api]

CANNOT, USAGE = 1, 2
CONTENT = b"a line\n" * 100_000


class House:
    """What Ada has made, and how she gets in again."""

    def __init__(self, ada: Api, refresh_token: str, project: str) -> None:
        self.ada = ada
        self.refresh_token = refresh_token
        self.project = project
        self.tasks: list[Any] = []
        self.changes: list[Any] = []
        self.media = ""

    @classmethod
    async def built(cls, anyone: Api) -> House:
        ada = await anyone.person("Ada")
        opened = (await anyone("POST", "/v1/sessions", {"email": ada.user["email"], "password": PASSWORD})).json
        ada = ada.with_token(opened["access_token"])
        house = cls(ada, opened["refresh_token"], await ada.project())
        for n in range(3):
            await house.add(f"Order brass for mill {n}")
        assert (await house.add_once()).status == 201
        parts = [("task_id", None, house.tasks[0]["id"].encode()), ("file", "mill.txt", CONTENT)]
        sent = await ada(
            "POST", "/v1/media", body=form(parts), content_type=f"multipart/form-data; boundary={BOUNDARY}"
        )
        assert sent.status == 201, sent
        house.media = sent.json["id"]
        house.changes = await house.all_changes()
        return house

    async def add(self, title: str) -> None:
        task = await self.ada.task(self.project, title)
        said = await self.ada("POST", f"/v1/tasks/{task['id']}/comments", {"body": f"said of {title}"})
        assert said.status == 201, said
        self.tasks.append(task)

    async def add_once(self) -> Answer:
        body = {"project_id": self.project, "title": "Once and for all"}
        return await self.ada("POST", "/v1/tasks", body, idempotency_key="the-same")

    async def all_changes(self) -> list[Any]:
        found: list[Any] = (await self.ada("GET", "/v1/changes?limit=200")).json["items"]
        return found

    async def content(self) -> bytes:
        address = (await self.ada("GET", f"/v1/media/{self.media}/url")).json["url"]
        address = address.replace("http://troupe.test", self.ada.address)
        async with aiohttp.ClientSession() as session, session.get(address) as answer:
            return await answer.read()

    async def is_found(self, address: str) -> None:
        """With the tokens of before; and all goes on behind what there was."""
        self.ada = ada = self.ada.at(address)
        assert (await ada("GET", "/v1/me")).json["id"] == ada.user["id"]
        for task in self.tasks:
            found = (await ada("GET", f"/v1/tasks/{task['id']}")).json
            assert (found["number"], found["title"]) == (task["number"], task["title"])
            said = (await ada("GET", f"/v1/tasks/{task['id']}/comments")).json["items"]
            assert [each["body"] for each in said] == [f"said of {task['title']}"]
        searched = (await ada("GET", "/v1/tasks?q=mill")).json["items"]
        assert {each["id"] for each in searched} == {each["id"] for each in self.tasks if "mill" in each["title"]}
        assert await self.content() == CONTENT
        assert (await self.all_changes())[: len(self.changes)] == self.changes
        again = await self.add_once()
        assert (again.status, again.headers.get("Idempotency-Replayed")) == (201, "true")
        refreshed = await ada("POST", "/v1/sessions/refresh", {"refresh_token": self.refresh_token})
        assert refreshed.status in (200, 201), refreshed
        self.refresh_token = refreshed.json["refresh_token"]
        last = max(again.json["number"], *(task["number"] for task in self.tasks))
        await self.add("Order more")
        assert self.tasks[-1]["number"] == last + 1
        self.changes = await self.all_changes()
        assert self.tasks[-1]["id"] in {each["task_id"] for each in self.changes[-2:]}


def written(directory: Path, name: str, settings: dict[str, str]) -> str:
    """A file of settings; its path."""
    path = directory / name
    path.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    return str(path)


class Move:
    """From one world to another."""

    def __init__(self, source: World, target: World) -> None:
        self.source = source
        self.target = target
        self.settings = dict(source.settings)
        """Of the source, as they are said to be."""

    async def __call__(self, crash_at: str = "", **changed: str) -> tuple[int, str, str]:
        """Exit code, output and errors. :param changed: settings of the target."""
        source = written(self.target.directory, "source.env", self.settings)
        target = written(self.target.directory, "target.env", self.target.settings | changed)
        arguments = ("move", "--from", source, "--to", target)
        code, output, errors = await self.target.run(*arguments, CRASH_AT=crash_at)
        assert "Traceback" not in errors
        return code, output, errors

    async def refused(self, code: int, *said: str, **changed: str) -> None:
        found, output, errors = await self(**changed)
        assert found == code, (output, errors)
        assert all(each in errors for each in said), errors


@pytest.fixture(scope="module")
async def built(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[World, House]]:
    """What was made while everything was embedded; it is stopped again."""
    async with (
        World(tmp_path_factory.mktemp("source"), {"SECRET_KEY": ""}) as world,
        aiohttp.ClientSession() as session,
    ):
        running = await world.start()
        house = await House.built(Api(session, running.address))
        code, _, errors = await world.run("users", "promote", house.ada.user["email"])
        assert code == 0, errors
        assert await running.stop() == 0
        envelope = b"\x00" + frame([Envelope("parked", "task_due", "", b"\x80")])
        async with embedded_store(world, "notify") as store:
            await store.park([Parked("parked", "task_due", envelope, 8, None, "it broke", letter="l1")])
        yield world, house


@pytest.fixture
def house(built: tuple[World, House]) -> House:
    """As it was when it was stopped; what becomes of it is this test's."""
    house = copy(built[1])
    house.tasks = [*house.tasks]
    return house


@pytest.fixture
async def to_servers(
    built: tuple[World, House], servers: dict[str, str], s3_url: str, tmp_path: Path
) -> AsyncIterator[Move]:
    source, _ = built
    key = (source.directory / "var" / "secret.key").read_text()
    async with World(tmp_path, servers | {"BLOB_URL": bucket(s3_url), "SECRET_KEY": key}) as target:
        yield Move(source, target)


@asynccontextmanager
async def objects_of(world: World) -> AsyncIterator[Blobs]:
    blobs = blobs_s3.connect(world.settings["BLOB_URL"])
    await blobs.open()
    yield blobs
    await blobs.close()


async def once(content: bytes) -> AsyncIterator[bytes]:
    yield content


async def test_everything_is_found_on_real_servers_and_back_again(
    to_servers: Move, house: House, tmp_path: Path, mongo_url: str
) -> None:
    """Accounts in MongoDB, the others in PostgreSQL."""
    name = to_servers.target.settings["BROKER_PREFIX"]
    to_servers.target.settings["USER_STORE_URL"] = urlsplit(mongo_url)._replace(path=f"/{name}").geturl()
    code, output, errors = await to_servers()
    assert (code, "All is there" in output) == (0, True), (output, errors)
    assert "objects: 1, 700000 bytes" in output
    code, again, errors = await to_servers()
    assert (code, again.count("were there already")) == (0, 4), (again, errors)

    running = await to_servers.target.start()
    await house.is_found(running.address)
    letters = (await house.ada("GET", "/v1/admin/dead-letters")).json["items"]
    assert [(each["id"], each["reason"]) for each in letters] == [("l1", "it broke")]
    assert await running.stop() == 0
    await to_servers.refused(CANNOT, "holds other data already")

    place = tmp_path / "back"
    place.mkdir()
    async with World(place, {"SECRET_KEY": ""}) as back:
        move_back = Move(to_servers.target, back)
        code, output, errors = await move_back()
        for _ in range(10):
            if "still has messages" not in errors:
                break
            # what was published last may not have been handled when the process stopped: it says what to do
            await (await to_servers.target.start()).stop()
            code, output, errors = await move_back()
        assert code == 0, (output, errors)
        await house.is_found((await back.start()).address)
    await drop_documents(mongo_url, f"{name}_user")


async def test_what_runs_is_not_moved(to_servers: Move) -> None:
    for world, which in ((to_servers.source, "source"), (to_servers.target, "target")):
        running = await world.start()
        await to_servers.refused(CANNOT, f"the {which} runs")
        assert await running.stop() == 0


async def test_another_secret_or_none_is_refused(to_servers: Move) -> None:
    for other in ("", "x" * 32):
        await to_servers.refused(USAGE, "SECRET_KEY of the target must be the source's", SECRET_KEY=other)


async def test_a_source_that_never_was_or_is_of_the_same_kind_is_refused(to_servers: Move) -> None:
    elsewhere = str(to_servers.target.directory / "elsewhere")
    await to_servers.refused(USAGE, "pg_dump", MEDIA_STORE_URL=f"sqlite:{elsewhere}/media.db")
    to_servers.settings["VAR_DIR"] = elsewhere
    await to_servers.refused(USAGE, "the source has no", "has it ever run")
    assert not os.path.exists(elsewhere)  # noqa: ASYNC240 # a look
    code, _, errors = await to_servers.source.run("move", "--from", "nowhere", "--to", "servers")
    assert (code, "neither a file of settings" in errors) == (USAGE, True)


async def test_a_target_with_other_data_is_left_as_it_is(to_servers: Move, house: House, client: MakeClient) -> None:
    running = await to_servers.target.start()
    eve = await client(running.address).person("Eve")
    assert await running.stop() == 0
    await to_servers.refused(CANNOT, "store of", "holds other data already")
    eve = eve.at((await to_servers.target.start()).address)
    assert (await eve("GET", "/v1/me")).json["name"] == "Eve"
    assert (await house.ada.at(eve.address)("GET", "/v1/me")).status == 401


async def test_an_object_store_that_is_away_or_holds_other_objects_is_refused(to_servers: Move, house: House) -> None:
    await to_servers.refused(CANNOT, "object store", BLOB_URL="s3://b?endpoint=http://key:secret@127.0.0.1:1")
    async with objects_of(to_servers.target) as blobs:
        await blobs.put("media/another", once(b"x"), content_type="text/plain")
        await to_servers.refused(CANNOT, "object store holds other data already")
        await blobs.delete(["media/another"])
        key = f"media/{house.media}/original"
        await blobs.put(key, once(b"x"), content_type="text/plain")
        await to_servers.refused(CANNOT, f"object {key} is not the source's")


async def test_killed_on_its_way_it_goes_on_when_it_is_run_again(to_servers: Move) -> None:
    """Objects come first, then each store as a whole; the last one is kept first."""
    for seam in ("objects", "user"):
        code, output, _ = await to_servers(crash_at=f"move:{seam}")
        assert (code, "All is there" in output) == (-signal.SIGKILL, False)
    code, output, errors = await to_servers()
    assert (code, "All is there" in output) == (0, True), errors
    moved = {line.partition(":")[0]: "were there already" in line for line in output.splitlines() if "rows" in line}
    assert moved == {"media": False, "notify": False, "task": False, "user": True}


async def test_its_help_says_everything(embedded: World) -> None:
    code, output, _ = await embedded.run("move", "--help")
    assert code == 0
    for word in ("--from", "--to", "SETTINGS is", "SECRET_KEY", "Exit codes", "Stop it first"):
        assert word in output
