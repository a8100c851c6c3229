"""Faults of processes under load: F01, F02, F03, F07 and F08; an acknowledged write is never lost nor done twice."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.system.oracle import Load
from tests.system.world import Answer, Api, Running, World

MakeClient = Callable[[str], Api]
KILLS = 3
"""Of F01 here; the fault suite does 20."""


@pytest.fixture
async def cluster(real: World, client: MakeClient) -> tuple[World, Api, str, list[Running]]:
    """User, edge and two task processes, a person and a project."""
    real.settings["RATE_LIMITS"] = "off"
    await real.start("--actors", "user")
    replicas = [await real.start("--actors", "task") for _ in range(2)]
    edge = await real.start("--actors", "edge")
    ada = await client(edge.address).person("Ada")
    return real, ada, await ada.project(), replicas


async def test_f01_killing_one_of_two_replicas_loses_nothing(
    cluster: tuple[World, Api, str, list[Running]],
) -> None:
    world, ada, project, replicas = cluster
    load = Load(ada, project, per_second=60)
    done = False

    async def faults() -> None:
        nonlocal done
        for _ in range(KILLS):
            await asyncio.sleep(random.uniform(0.3, 0.8))  # real time is the point: a random moment of the load
            victim = random.choice(replicas)
            await victim.kill()
            replicas[replicas.index(victim)] = await world.start("--actors", "task")
        done = True

    await asyncio.gather(load.run(lambda: done), faults())
    await load.reckon(ada)
    statuses = load.statuses()
    bad = sum(count for status, count in statuses.items() if status >= 500 or status == 0)
    assert bad <= max(1, 0.005 * len(load.all)), statuses


async def test_f02_the_only_instance_is_restarted_by_its_supervisor(
    real: World, client: MakeClient, free_port: Callable[[], int]
) -> None:
    real.settings |= {"RATE_LIMITS": "off", "CRASH_AT": "delete_task:before", "EDGE_PORT": str(free_port())}
    await real.launch("--processes")
    anyone = client(f"http://127.0.0.1:{real.settings['EDGE_PORT']}")
    await anyone.until_ready()
    ada = await anyone.person("Ada")
    project = await ada.project()
    load = Load(ada, project, per_second=40)
    victim = await ada.task(project, "0 known")
    ends = time.monotonic() + 6
    killed_at = time.monotonic()
    deleted, _ = await asyncio.gather(
        ada("DELETE", f"/v1/tasks/{victim['id']}"), load.run(lambda: time.monotonic() > ends)
    )
    assert (real.directory / "var" / "crashed").exists()
    assert deleted.status in (204, 503, 504)
    assert load.recovered_after(killed_at) <= 5
    assert set(load.statuses()) <= {200, 201, 503, 504}
    await load.reckon(ada)


@pytest.mark.parametrize("seam", ["before", "after_commit", "after_reply"])
async def test_f03_killed_at_a_seam_the_retry_gets_the_one_effect(real: World, client: MakeClient, seam: str) -> None:
    await real.start("--actors", "user")
    task = await real.start("--actors", "task", CRASH_AT=f"create_task:{seam}")
    edge = await real.start("--actors", "edge")
    ada = await client(edge.address).person("Ada")
    body = {"project_id": await ada.project(), "title": "Once"}

    async def ask() -> Answer:
        return await ada("POST", "/v1/tasks", body, idempotency_key="one", prefer="wait=15")

    first, _ = await asyncio.gather(ask(), _restart(real, task))
    again = await ask()
    assert (first.status, again.status) == (201, 201)
    assert again.body == first.body
    assert again.headers["Idempotency-Replayed"] == "true"
    titles = [each["title"] for each in (await ada("GET", "/v1/tasks")).json["items"]]
    assert titles == ["Once"]


async def test_f03_killed_before_the_ack_an_event_has_one_effect(real: World, client: MakeClient) -> None:
    await real.start("--actors", "user")
    task = await real.start("--actors", "task", CRASH_AT="user_created:before_ack")
    edge = await real.start("--actors", "edge")
    ada, _ = await asyncio.gather(client(edge.address).person("Ada"), _restart(real, task))
    bob = await ada.person("Bob")
    path = f"/v1/projects/{await ada.project()}/members/{bob.user['id']}"
    assert (await ada("PUT", path, {"role": "viewer"})).json["name"] == "Bob"
    code, dead, _ = await real.run("dead", "list", "--actor", "task")
    assert (code, dead) == (0, "")


async def _restart(world: World, running: Running) -> None:
    """What a platform does: start it again when it has died."""
    async with asyncio.timeout(20):
        assert await running.process.wait() == -signal.SIGKILL
    await world.start("--actors", "task")


async def test_f07_a_rolling_restart_under_load_fails_no_request(
    cluster: tuple[World, Api, str, list[Running]], client: MakeClient
) -> None:
    world, ada, project, replicas = cluster
    load = Load(ada, project, per_second=50)
    done = False

    async def roll() -> None:
        nonlocal done
        for index, old in enumerate(list(replicas)):
            replicas[index] = await world.start("--actors", "task")
            began = time.monotonic()
            assert await old.stop() == 0
            assert time.monotonic() - began <= 30
        user = await world.start("--actors", "user")
        assert await user.stop() == 0
        done = True

    await asyncio.gather(load.run(lambda: done), roll())
    assert set(load.statuses()) == {200, 201}
    await load.reckon(ada)


async def test_f08_a_frozen_replica_is_answered_for_by_the_other(
    cluster: tuple[World, Api, str, list[Running]],
) -> None:
    _, ada, project, (frozen, _) = cluster
    frozen.process.send_signal(signal.SIGSTOP)
    load = Load(ada, project, per_second=30)
    ends = time.monotonic() + 4
    await load.run(lambda: time.monotonic() > ends)
    frozen.process.send_signal(signal.SIGCONT)
    await load.reckon(ada)
    assert set(load.statuses()) <= {200, 201, 503, 504}


async def test_ten_replicas_boot_together_on_a_fresh_schema(real: World, client: MakeClient) -> None:
    await real.start("--actors", "user")
    replicas = await asyncio.gather(*(real.start("--actors", "task") for _ in range(10)))
    edge = await real.start("--actors", "edge")
    ada = await client(edge.address).person("Ada")
    project = await ada.project()
    numbers = await asyncio.gather(*(ada.task(project) for _ in range(20)))
    assert sorted(task["number"] for task in numbers) == list(range(1, 21))
    assert await asyncio.gather(*(each.stop() for each in replicas)) == [0] * 10


async def test_five_processes_boot_together_on_one_sqlite_file(
    tmp_path: Path, servers: dict[str, str], client: MakeClient
) -> None:
    settings = {name: value for name, value in servers.items() if not name.endswith("_STORE_URL")}
    async with World(tmp_path, settings) as world:
        replicas = await asyncio.gather(*(world.start("--actors", "task,user") for _ in range(5)))
        edge = await world.start("--actors", "edge")
        ada = await client(edge.address).person("Ada")
        project = await ada.project()
        numbers = await asyncio.gather(*(ada.task(project) for _ in range(20)))
        assert sorted(task["number"] for task in numbers) == list(range(1, 21))
        assert await asyncio.gather(*(each.stop() for each in replicas)) == [0] * 5
