"""F01–F08: processes that are killed, stopped, restarted or frozen."""

from __future__ import annotations

import random
import signal

from chaos.row import errors, only, recovers, row
from chaos.scene import Scene


@row("F01", "kill -9 one of two replicas, 20 random times", recovers(2), errors(0.005), short=True)
async def replica_killed(scene: Scene) -> None:
    tasks = scene.house.tasks
    for _ in range(int(scene.either(20, 3))):
        await scene.calm(random.uniform(0.3, 0.8))
        victim = random.choice(tasks)
        async with scene.fault("kill -9"):
            await victim.kill()
        await scene.house.restart(tasks, victim, "--actors", "task")
    await scene.calm(2)


@row("F03", "kill -9 at each seam of a command and of an event", "one effect; the retry gets the identical answer")
async def killed_at_a_seam(scene: Scene) -> None:
    tasks = scene.house.tasks
    for number, at in enumerate(
        ("create_task:before", "create_task:after_commit", "create_task:after_reply", "user_created:before_ack")
    ):
        # what the process remembers of having died lies in its folder: a new one for each seam
        settings = {"CRASH_AT": at, "VAR_DIR": str(scene.house.world.directory / f"var{number}")}
        victim = await scene.house.world.start("--actors", "task", **settings)
        async with scene.fault(f"kill -9, {at}"):
            if at.startswith("user_created"):
                await scene.house.ada.person("Cyd")
            await victim.process.wait()
        scene.expect(victim.process.returncode == -signal.SIGKILL, f"{at} did not kill it")
    await scene.house.restart(tasks, tasks[0], "--actors", "task")
    await scene.calm(2)


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


@row("F07", "rolling restart of everything under load", errors(0), "exit 0 in 30 s")
async def rolled(scene: Scene) -> None:
    house = scene.house

    async def stopped(running) -> None:  # type: ignore[no-untyped-def]
        scene.expect(await running.stop() == 0, "a process did not exit with 0")

    async with scene.fault("SIGTERM, one after the other"):
        for old in list(house.tasks):
            await house.world.start("--actors", "task")
            await stopped(old)
        await house.edge()
    await scene.calm(2)
