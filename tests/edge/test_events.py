"""`GET /v1/events`: what happens, as it happens, to whom it may be shown."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
import sqlite3
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from actors.contracts.notify_live import LogEntry
from config.settings import Settings
from runtime.app import App
from tests.edge.listening import listening
from tests.edge.whole_house import SECRET_KEY, House, house_of
from tests.servers.processes import free_port
from tests.system.world import PASSWORD, Api


@pytest.fixture(scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    async with house_of(tmp_path_factory.mktemp("house")) as house:
        yield house


async def join(owner: Api, project: str, other: Api) -> None:
    path = f"/v1/projects/{project}/members/{other.user['id']}"
    assert (await owner("PUT", path, {"role": "editor"})).status == 200


def edge_of(house: House) -> Any:
    return house.app._edge


async def settled(ears: object) -> None:
    """Whatever was on its way would be here by now."""
    await asyncio.sleep(0.3)


async def test_ones_own_changes_come_with_all_that_is_promised(house: House) -> None:
    ada = await house.anyone.person("Ada")
    project = await ada.project()
    async with listening(ada) as ears:
        assert ears.response.headers["Content-Type"] == "text/event-stream"
        assert ears.response.headers["Cache-Control"] == "no-store"
        assert "X-Request-Id" in ears.response.headers
        task = await ada.task(project)
        changed = (await ada("PATCH", f"/v1/tasks/{task['id']}", {"title": "New"})).json
        created, updated = await ears.heard("task_created", "task_updated")
        who = {"project_id": project, "task_id": task["id"], "actor_id": ada.user["id"]}
        assert created == {"type": "task_created", **who, "version": 1, "at": task["created_at"]}
        assert updated == {
            "type": "task_updated", **who, "version": 2, "at": changed["updated_at"], "changed": ["title"]
        }  # fmt: skip
        numbers = [id for _, id, _ in ears.events]
        assert numbers == sorted(set(numbers))


async def test_every_event_of_a_project_comes(house: House) -> None:
    ada, bob = await house.anyone.person("Ada"), await house.anyone.person("Bob")
    async with listening(ada) as ears:
        project = await ada.project()
        await join(ada, project, bob)
        task = (await ada.task(project, assignee_ids=[bob.user["id"]]))["id"]
        body = f"@[Bob](user:{bob.user['id']})"
        assert (await ada("POST", f"/v1/tasks/{task}/comments", {"body": body})).status == 201
        assert (await ada("PATCH", f"/v1/tasks/{task}", {"status": "done"})).status == 200
        assert (await ada("DELETE", f"/v1/tasks/{task}")).status == 204
        assert (await ada("PATCH", f"/v1/projects/{project}", {"name": "New"})).status == 200
        assert (await ada("DELETE", f"/v1/projects/{project}/members/{bob.user['id']}")).status == 204
        path = "/v1/me/password"
        assert (await ada("POST", path, {"current_password": PASSWORD, "new_password": PASSWORD + "!"})).status == 204
        await ears.heard("password_changed")
        await ears.heard("member_removed")
        assert {
            "member_added", "task_created", "task_assigned", "comment_added", "mentioned", "task_updated",
            "task_completed", "task_deleted", "project_updated", "member_removed", "password_changed",
        } == set(ears.names())  # fmt: skip


async def test_b77_nobody_hears_of_projects_that_they_take_no_part_in(house: House) -> None:
    ada, eve = await house.anyone.person("Ada"), await house.anyone.person("Eve")
    project = await ada.project()
    async with listening(ada) as ears, listening(eve) as others:
        await ada.task(project)
        await ears.heard("task_created")
        await settled(others)
        assert others.events == []


async def test_who_joins_hears_from_then_on_and_who_leaves_hears_no_more(house: House) -> None:
    ada, bob = await house.anyone.person("Ada"), await house.anyone.person("Bob")
    project = await ada.project()
    async with listening(bob) as ears, listening(ada) as owners:
        await ada.task(project, "before")
        await owners.heard("task_created")
        await join(ada, project, bob)
        seen = (await ada.task(project, "while"))["id"]
        _, created = await ears.heard("member_added", "task_created")
        assert created["task_id"] == seen
        assert (await ada("DELETE", f"/v1/projects/{project}/members/{bob.user['id']}")).status == 204
        await ears.heard("member_removed", seconds=1)
        await ada.task(project, "after")
        await owners.heard("task_created", "task_created", "task_created")
        await settled(ears)
        assert ears.names() == ["member_added", "task_created", "member_removed"]


@pytest.mark.parametrize("how", ["sign-out", "token"])
async def test_b62_the_stream_ends_with_its_session_or_token(house: House, how: str) -> None:
    ada = await house.anyone.person("Ada")
    made = await ada("POST", "/v1/me/tokens", {"name": "ears", "scopes": ["notifications:read"]})
    listener, path = ada, "/v1/sessions/current"
    if how == "token":
        listener, path = ada.with_token(made.json["token"]), f"/v1/me/tokens/{made.json['id']}"
    async with listening(listener) as ears:
        assert (await ada("DELETE", path)).status == 204
        async with asyncio.timeout(1):
            await ears.ended.wait()


async def test_last_event_id_resumes_without_a_gap_or_a_double(house: House) -> None:
    ada, eve = await house.anyone.person("Ada"), await house.anyone.person("Eve")
    project, hers = await ada.project(), await eve.project()
    async with listening(ada) as ears:
        tasks = [(await ada.task(project))["id"] for _ in range(3)]
        await ears.heard(*["task_created"] * 3)
        # what happened before, such as her registration, may be handled only now
        first = next(id for name, id, _ in ears.events if name == "task_created")
    tasks += [(await ada.task(project))["id"] for _ in range(3)]
    await eve.task(hers)
    async with listening(ada, Last_Event_ID=str(first)) as ears:
        tasks.append((await ada.task(project))["id"])
        resumed = await ears.heard(*["task_created"] * 6)
        assert [data["task_id"] for data in resumed] == tasks[1:]


async def test_an_id_that_is_not_kept_any_more_is_told_as_a_reset(house: House) -> None:
    ada = await house.anyone.person("Ada")
    project = await ada.project()
    async with listening(ada) as ears:
        await ada.task(project)
        await ears.heard("task_created")
        last = ears.events[-1][1]
    await ada.task(project)
    async with listening(ada, Last_Event_ID=str(last)) as ears:
        await ears.heard("task_created")  # it is in the log
    with contextlib.closing(sqlite3.connect(Path(house.app.settings.var_dir) / "notify.db")) as store, store:
        store.execute("delete from log")  # what the actor does with what is older than an hour
    async with listening(ada, Last_Event_ID=str(last)) as ears:
        await ears.heard("reset")
        name, id, _ = ears.events[0]
        assert (name, id > last) == ("reset", True)
        await ada.task(project)
        await ears.heard("task_created")
        newest = ears.events[-1][1]
    async with listening(ada, Last_Event_ID=str(newest)) as ears:
        await settled(ears)
        assert ears.events == []


@pytest.mark.parametrize("id", ["x", "-1", "1.5", "01", "999999999999", "9" * 40])
async def test_an_id_that_is_not_ours_is_refused(house: House, id: str) -> None:
    ada = await house.anyone.person("Ada")
    refused = await ada("GET", "/v1/events", last_event_id=id)
    assert (refused.status, refused.problem()) == (422, "request.invalid")
    assert [fault["pointer"] for fault in refused.json["errors"]] == ["Last-Event-ID"]


async def test_who_may_listen(house: House) -> None:
    ada = await house.anyone.person("Ada")
    assert (await house.anyone("GET", "/v1/events")).problem() == "auth.required"
    assert (await house.anyone.with_token("x")("GET", "/v1/events")).problem() == "auth.token_invalid"
    made = await ada("POST", "/v1/me/tokens", {"name": "other", "scopes": ["tasks:read", "notifications:write"]})
    assert (await ada.with_token(made.json["token"])("GET", "/v1/events")).problem() == "auth.scope_missing"
    refused = await ada("GET", "/v1/events?project_id=x")
    assert [fault["pointer"] for fault in refused.json["errors"]] == ["?project_id"]
    head = await ada("HEAD", "/v1/events")
    assert (head.status, head.headers["Content-Type"], head.body) == (200, "text/event-stream", b"")
    assert (await ada("POST", "/v1/events")).problem() == "route.method_not_allowed"


async def test_a_quiet_stream_gets_comments(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.live.COMMENT_S", 0.2)
    ada = await house.anyone.person("Ada")
    async with listening(ada) as ears, asyncio.timeout(3):
        while ears.comments < 3:
            await asyncio.sleep(0.05)
        assert ears.events == []


async def test_b22_a_reader_that_is_too_slow_is_cut_off(house: House) -> None:
    ada = await house.anyone.person("Ada")
    edge = edge_of(house)
    address = urlsplit(house.address)
    reader = socket.socket()
    with contextlib.closing(reader):
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader.connect((address.hostname, address.port))
        reader.sendall(f"GET /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ada.token}\r\n\r\n".encode())
        before = len(edge.live)
        async with asyncio.timeout(5):
            while len(edge.live) == before:
                await asyncio.sleep(0.01)
        async with listening(ada) as ears, asyncio.timeout(20):
            for seq in range(10**9, 10**9 + 400):
                of_ada = {"project_id": None, "user_id": ada.user["id"], "data": '"' + "x" * 60_000 + '"'}
                edge.live.show(LogEntry(seq=seq, type="task_updated", **of_ada))
                if len(edge.live) == before + 1:
                    break
                while not ears.events or ears.events[-1][1] != seq:  # this one keeps pace
                    await asyncio.sleep(0.001)
            assert len(edge.live) == before + 1
            assert not ears.ended.is_set()


async def test_an_old_client_gets_no_chunks(house: House) -> None:
    ada = await house.anyone.person("Ada")
    project = await ada.project()
    address = urlsplit(house.address)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(f"GET /v1/events HTTP/1.0\r\nAuthorization: Bearer {ada.token}\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    assert b"Transfer-Encoding" not in head
    assert b"Content-Length" not in head
    await ada.task(project)
    async with asyncio.timeout(5):
        while not (await reader.readuntil(b"\n\n")).startswith(b"event: task_created\nid: "):
            pass
    writer.close()
    await writer.wait_closed()


async def test_an_edge_that_stops_ends_its_streams(tmp_path: Path) -> None:
    async with house_of(tmp_path) as house:
        ada = await house.anyone.person("Ada")
        async with listening(ada) as ears:
            begun = time.monotonic()
            await edge_of(house).drain()
            async with asyncio.timeout(1):
                await ears.ended.wait()
            assert time.monotonic() - begun < 1


async def test_an_edge_has_as_many_connections_as_the_system_lets_it(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft // 2, hard))  # what a shell gives is less than what can be had
    try:
        async with house_of(tmp_path):
            assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


# --------------------------------------------------------------------------------------------- two edges


async def test_from_any_edge_within_200_ms_and_resumed_at_the_other(tmp_path: Path, amqp_url: str, run_id: str) -> None:
    shared = {"broker_url": amqp_url, "broker_prefix": f"events-{run_id}"}
    async with house_of(tmp_path, **shared) as house:
        port = free_port()
        settings = Settings(
            var_dir=str(tmp_path), secret_key=SECRET_KEY, edge_port=port, public_url=house.address, rate_limits="off",
            **shared,  # type: ignore[arg-type] # all texts
        )  # fmt: skip
        second = App(settings, ["edge"])
        await second.start()
        try:
            ada = await house.anyone.person("Ada")
            there = ada.at(f"http://127.0.0.1:{port}")
            await there.until_ready()
            project = await ada.project()
            took = []
            async with listening(there) as far, listening(ada) as near:
                for count in range(1, 21):
                    await ada.task(project)
                    answered = time.monotonic()
                    await far.heard(*["task_created"] * count)
                    took.append(far.times[-1] - answered)
                await near.heard(*["task_created"] * 20)
                ids = [id for name, id, _ in near.events if name == "task_created"]
                assert ids == [id for name, id, _ in far.events if name == "task_created"]
            assert sorted(took)[len(took) // 2] < 0.2
            async with listening(there, Last_Event_ID=str(ids[4])) as resumed:
                await resumed.heard(*["task_created"] * 15)
                assert [id for name, id, _ in resumed.events if name == "task_created"] == ids[5:]
            async with listening(there) as far:
                assert (await ada("DELETE", "/v1/sessions/current")).status == 204
                async with asyncio.timeout(1):
                    await far.ended.wait()
        finally:
            await second.stop()
