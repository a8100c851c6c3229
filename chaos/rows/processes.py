"""F01–F08: processes that are killed, stopped, restarted or frozen."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from contextlib import suppress
from pathlib import Path

import aiohttp

from chaos.row import answers, errors, only, recovers, row
from chaos.scene import Scene
from runtime.supervisor import RESTARTS
from tests.servers.processes import free_port
from tests.system.world import Running


@row("F01", "kill -9 one of two replicas, 20 random times", recovers(2), errors(0.005), short=True)
async def replica_killed(scene: Scene) -> None:
    tasks = scene.house.tasks
    for _ in range(int(scene.either(20, 3))):
        await scene.calm(random.uniform(0.3, 0.8))
        victim = random.choice(tasks)
        async with scene.fault("kill -9"):
            await victim.kill()
        await scene.house.replace(victim)
    await scene.calm(2)


@row("F03", "kill -9 at each seam of a command and of an event", "one effect; the retry gets the identical answer")
async def killed_at_a_seam(scene: Scene) -> None:
    house = scene.house
    seams = ("create_task:before", "create_task:after_commit", "create_task:after_reply", "user_created:before_ack")
    for number, at in enumerate(seams):
        # what a process remembers of having died lies in its folder: a new one for each seam
        victim = await house.task(CRASH_AT=at, VAR_DIR=str(house.world.directory / f"var{number}"))
        async with scene.fault(f"kill -9, {at}"), asyncio.timeout(20):
            while victim.process.returncode is None:
                if at.startswith("user_created"):
                    await house.ada.person("Cyd")
                await scene.calm(0.2)
        scene.expect(victim.process.returncode == -signal.SIGKILL, f"{at} did not kill it")
    await scene.calm(2)


@row("F02", "kill -9 the only instance; its supervisor starts it again", recovers(5), only(503, 504), on="nothing")
async def only_instance_killed(scene: Scene) -> None:
    house = scene.house
    port = free_port()
    parent = await house.world.launch("--processes", EDGE_PORT=str(port))
    await house.populate(f"http://127.0.0.1:{port}")
    async with scene.loading():
        for _ in range(int(scene.either(3, 1))):
            async with scene.fault("kill -9"):
                os.kill(child_of(parent, "task"), signal.SIGKILL)
            await scene.calm(7)
    await scene.settled()
    code = await parent.stop()
    scene.expect(code == 0, f"the parent ended with {code}: {parent.log.read_text()[-1000:]}")


def child_of(parent: Running, actor: str) -> int:
    """The process that a parent runs an actor in (proc(5))."""
    for child in Path(f"/proc/{parent.process.pid}/task/{parent.process.pid}/children").read_text().split():
        if f"--actors\0{actor}\0" in Path(f"/proc/{child}/cmdline").read_text():
            return int(child)
    raise LookupError(f"no process runs {actor}")


@row(
    "F04",
    "kill -9 the outbox relay in mid-batch, 50 times",
    "every event delivered, each with one effect",
    errors(0.02),
)
async def relay_killed(scene: Scene) -> None:
    house = scene.house
    for number in range(int(scene.either(50, 5))):
        victim = await house.doomed(
            CRASH_AT="task_assigned:published", VAR_DIR=str(house.world.directory / f"var{number}")
        )
        async with scene.fault("kill -9 between confirm and delete"), asyncio.timeout(20):
            await victim.process.wait()
        scene.expect(victim.process.returncode == -signal.SIGKILL, "it was not killed")
    await scene.calm(2)


@row(
    "F06", "an actor that crashes at every start", "back-off; siblings unaffected; then the exit is not 0", on="nothing"
)
async def crashes_at_every_start(scene: Scene) -> None:
    house = scene.house
    port = free_port()
    parent = await house.world.launch(
        "--processes", EDGE_PORT=str(port), TASK_STORE_URL="postgresql://postgres@127.0.0.1:1/postgres"
    )
    ada = await house.person(f"http://127.0.0.1:{port}")
    answered = 0
    async with scene.fault("it cannot start"):
        while parent.process.returncode is None:
            with suppress(aiohttp.ClientError):  # of the last request, when all of them stop
                answer = await ada("GET", "/v1/me")
                scene.expect(answer.status in (200, 503), f"a sibling answered {answer.status}")
                answered += answer.status == 200
            await scene.calm(0.05)
    deaths = parent.log.read_text().count('"process.died"')
    scene.note(f"{deaths} deaths; a sibling answered {answered} requests meanwhile")
    scene.expect(deaths > RESTARTS, f"given up after {deaths} deaths")
    scene.expect(answered > 20, "siblings were affected")
    scene.expect(parent.process.returncode > 0, f"exit code {parent.process.returncode}")


@row("F05", "kill -9 an edge; the client asks again with the same key", "one effect", only(0, 503, 504), edges=2)
async def edge_killed(scene: Scene) -> None:
    house = scene.house
    for _ in range(int(scene.either(5, 2))):
        await scene.calm(1)
        victim = house.edges[-1]
        async with scene.fault("kill -9"):
            await victim.kill()
        house.apis.pop()
        house.edges.pop()
        await house.edge()
    await scene.calm(2)


@row("F07", "rolling restart of everything under load", errors(0), "exit 0 in 30 s", edges=2)
async def rolled(scene: Scene) -> None:
    """The new one before the old one, behind a balancer that goes on where nobody listens."""
    house = scene.house
    async with scene.fault("SIGTERM, one after the other"):
        for old in list(house.tasks):
            house.tasks.append(await house.task())
            await _stopped(scene, old)
        house.others.append(await house.other())
        await _stopped(scene, house.others[0])
        for old in list(house.edges):
            await house.edge()
            await _stopped(scene, old)
            house.apis.pop(0)
    await scene.calm(2)


async def _stopped(scene: Scene, running: Running) -> None:
    began = time.monotonic()
    code = await running.stop()
    scene.expect(code == 0, f"a process exited with {code}")
    scene.expect(time.monotonic() - began <= 30, "a process took more than 30 s to stop")


@row("F08", "SIGSTOP a replica for 30 s, then SIGCONT", errors(0), answers(1))
async def frozen(scene: Scene) -> None:
    victim = scene.house.tasks[0]
    async with scene.fault("SIGSTOP"):
        victim.process.send_signal(signal.SIGSTOP)
        await scene.calm(scene.either(30, 8))
        victim.process.send_signal(signal.SIGCONT)
    await scene.calm(3)
