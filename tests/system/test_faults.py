"""Faults of processes under load: F01, F02, F03, F07 and F08; an acknowledged write is never lost nor done twice."""

from __future__ import annotations

import asyncio
import random
import re
import signal
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import aiohttp
import pytest

from runtime.client import HEDGE_S, HEDGES_PER_ASK, MOST_HEDGES
from runtime.consumer import REQUEST_PREFETCH
from tests.system.oracle import Load
from tests.system.world import Answer, Api, Running, World

MakeClient = Callable[[str], Api]


class Cluster(NamedTuple):
    """User, edge and two task processes, and somebody with a project."""

    world: World
    edge: Running
    user: Running
    tasks: list[Running]
    ada: Api
    project: str


@pytest.fixture
async def cluster(real: World, client: MakeClient) -> Cluster:
    real.settings["RATE_LIMITS"] = "off"
    user = await real.start("--actors", "user")
    tasks = [await real.start("--actors", "task") for _ in range(2)]
    edge = await real.start("--actors", "edge")
    ada = await client(edge.address).person("Ada")
    return Cluster(real, edge, user, tasks, ada, await ada.project())


@pytest.mark.parametrize("kills", [3])  # the fault suite does 20
async def test_f01_killing_one_of_two_replicas_loses_nothing(cluster: Cluster, kills: int) -> None:
    load = Load([cluster.ada], cluster.project, per_second=60)
    killed_at: list[float] = []

    async def faults() -> None:
        for _ in range(kills):
            await asyncio.sleep(random.uniform(0.3, 0.8))  # real time is the point: a random moment of the load
            killed_at.append(time.monotonic())
            victim = random.choice(cluster.tasks)
            await victim.kill()
            cluster.tasks[cluster.tasks.index(victim)] = await cluster.world.start("--actors", "task")

    faulting = asyncio.ensure_future(faults())
    await load.run(faulting.done)
    await faulting
    await load.reckon()
    failures = load.failures()
    assert len(failures) <= max(1, 0.005 * len(load.all)), load.statuses()
    assert all(any(0 <= each.sent_at - moment <= 2 for moment in killed_at) for each in failures)


async def test_f02_the_only_instance_is_restarted_by_its_supervisor(
    real: World, client: MakeClient, free_port: Callable[[], int]
) -> None:
    real.settings |= {"RATE_LIMITS": "off", "CRASH_AT": "delete_task:before", "EDGE_PORT": str(free_port())}
    await real.launch("--processes")
    anyone = client(f"http://127.0.0.1:{real.settings['EDGE_PORT']}")
    await anyone.until_ready()
    ada = await anyone.person("Ada")
    project = await ada.project()
    victim = await ada.task(project)
    load = Load([ada], project, per_second=40)
    killed_at = time.monotonic()
    ends = killed_at + 6
    deleted, _ = await asyncio.gather(
        ada("DELETE", f"/v1/tasks/{victim['id']}"), load.run(lambda: time.monotonic() > ends)
    )
    assert (real.directory / "var" / "crashed").exists()
    assert deleted.status in (204, 503, 504)
    assert load.recovered_after(killed_at) <= 5
    assert set(load.statuses()) <= {200, 201, 503, 504}
    await load.reckon()


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


@pytest.mark.parametrize("seam", ["before", "after_commit", "after_reply"])
async def test_f03_killed_as_a_whole_the_retry_gets_the_one_effect(
    embedded: World, client: MakeClient, seam: str
) -> None:
    """Everything in one process: the edge dies too, and the client alone asks again."""
    running = await embedded.start(CRASH_AT=f"create_task:{seam}")
    ada = await client(running.address).person("Ada")
    body = {"project_id": await ada.project(), "title": "Once"}
    with pytest.raises(aiohttp.ClientError):
        await ada("POST", "/v1/tasks", body, idempotency_key="one")
    assert await running.process.wait() == -signal.SIGKILL
    ada = ada.at((await embedded.start()).address)
    first, again = [await ada("POST", "/v1/tasks", body, idempotency_key="one") for _ in range(2)]
    assert (first.status, again.status, again.body) == (201, 201, first.body)
    assert first.headers.get("Idempotency-Replayed") == (None if seam == "before" else "true")
    assert [each["title"] for each in (await ada("GET", "/v1/tasks")).json["items"]] == ["Once"]


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


async def test_f07_a_rolling_restart_under_load_fails_no_request(cluster: Cluster) -> None:
    """Of everything, the new one before the old one, behind a balancer that goes on where nobody listens."""
    world, ada = cluster.world, cluster.ada
    edges = [ada]
    load = Load(edges, cluster.project, per_second=50)

    async def roll() -> None:
        for old in (*cluster.tasks, cluster.user):
            await world.start("--actors", "user" if old is cluster.user else "task")
            await stopped_in_time(old)
        new = await world.start("--actors", "edge")
        edges.append(ada.at(new.address))
        await stopped_in_time(cluster.edge)
        edges.remove(ada)

    rolling = asyncio.ensure_future(roll())
    await load.run(rolling.done)
    await rolling
    assert set(load.statuses()) == {200, 201}
    await load.reckon()


async def stopped_in_time(running: Running) -> None:
    began = time.monotonic()
    assert await running.stop() == 0
    assert time.monotonic() - began <= 30


async def test_f08_a_frozen_replica_is_answered_for_by_the_other(cluster: Cluster) -> None:
    """What it has taken is asked for again, of two consumers, so that all but a few are answered within a second."""
    frozen = cluster.tasks[0]
    load = Load([cluster.ada], cluster.project, per_second=60)
    unfrozen = 0

    async def freeze() -> None:
        nonlocal unfrozen
        await asyncio.sleep(1)  # real time is the point
        unfrozen = len(load.all)
        frozen.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(4)
        frozen.process.send_signal(signal.SIGCONT)
        await asyncio.sleep(0.5)

    freezing = asyncio.ensure_future(freeze())
    await load.run(freezing.done)
    await freezing
    assert await frozen.stop() == 0  # by now it has handled what it had taken, or given it back
    metrics = (await cluster.ada("GET", "/metrics")).body.decode()
    resent = sum(float(count) for count in re.findall(r"^troupe_resent_total\{.*\} (\S+)$", metrics, re.MULTILINE))
    await load.reckon()
    before, after = load.all[:unfrozen], load.all[unfrozen:]
    if statistics.median(each.took_s for each in before) > HEDGE_S / 2:
        pytest.skip("the machine is so busy that all requests are slow, and none is hedged")
    assert set(load.statuses()) == {200, 201}  # each within its deadline
    assert resent <= MOST_HEDGES + HEDGES_PER_ASK * len(load.all) + 2 * REQUEST_PREFETCH
    slow = [each.took_s for each in after if each.took_s > 1]
    assert len(slow) <= 0.1 * len(after), slow  # it may stumble; without hedges it would be up to 64


async def test_ten_replicas_boot_together_on_a_fresh_schema(real: World, client: MakeClient) -> None:
    await real.start("--actors", "user")
    replicas = await asyncio.gather(*(real.start("--actors", "task") for _ in range(10)))
    edge = await real.start("--actors", "edge")
    ada = await client(edge.address).person("Ada")
    project = await ada.project()
    numbers = await asyncio.gather(*(ada.task(project) for _ in range(20)))
    assert sorted(task["number"] for task in numbers) == list(range(1, 21))
    assert await asyncio.gather(*(each.stop() for each in replicas)) == [0] * 10


async def test_ten_replicas_boot_together_on_one_sqlite_file(
    tmp_path: Path, servers: dict[str, str], client: MakeClient
) -> None:
    settings = {name: value for name, value in servers.items() if not name.endswith("_STORE_URL")}
    async with World(tmp_path, settings) as world:
        replicas = await asyncio.gather(*(world.start("--actors", "task,user") for _ in range(10)))
        edge = await world.start("--actors", "edge")
        ada = await client(edge.address).person("Ada")
        project = await ada.project()
        numbers = await asyncio.gather(*(ada.task(project) for _ in range(20)))
        assert sorted(task["number"] for task in numbers) == list(range(1, 21))
        assert await asyncio.gather(*(each.stop() for each in replicas)) == [0] * 10
