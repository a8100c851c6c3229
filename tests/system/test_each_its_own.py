"""Each actor on another kind of store, as `docs/operating.md` shows: the walks, and F03 and F04 for accounts in MongoDB."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path

from tests.system import test_example, test_walk
from tests.system.world import Answer, Api, Running, World

MakeClient = Callable[[str], Api]


async def test_both_walks(mixed: World, client: MakeClient, free_port: Callable[[], int]) -> None:
    port = free_port()
    own = {"EDGE_PORT": str(port), "PUBLIC_URL": f"http://127.0.0.1:{port}"}
    parent = await mixed.launch("--processes", **own, RATE_LIMITS="off")
    await client(own["PUBLIC_URL"]).until_ready()
    await test_example.walk(mixed, own["PUBLIC_URL"], "--wait")
    assert await parent.stop() == 0
    running = await mixed.start(**own, **test_walk.LIMITED)
    await test_walk.walk(client(running.address))
    assert await running.stop() == 0


async def test_f03_f04_killed_at_each_seam_a_change_has_one_effect(
    mixed: World, client: MakeClient, tmp_path: Path
) -> None:
    """The command's own seams, then that between the broker's confirm of its event and the end of its outbox row."""
    seams = ["update_me:before", "update_me:after_commit", "update_me:after_reply", "user_updated:published"]
    rest = await mixed.start("--actors", "edge,task,notify,media")
    running = await mixed.start("--actors", "user")
    ada = await client(rest.address).person("Ada")
    project = await ada.project()
    for version, seam in enumerate(seams, 2):
        assert await running.stop() == 0
        # what a process remembers of having died lies in its folder: a new one for each seam
        doomed = await mixed.start("--actors", "user", CRASH_AT=seam, VAR_DIR=str(tmp_path / seam))
        changed, running = await asyncio.gather(rename(ada, seam), again(mixed, doomed))
        repeated = await rename(ada, seam)
        assert (changed.status, repeated.status, repeated.body) == (200, 200, changed.body), seam
        assert repeated.headers["Idempotency-Replayed"] == "true"
        assert (changed.json["name"], changed.json["version"]) == (seam, version)
    async with asyncio.timeout(60):  # the lease of the outbox row has to lapse first
        while (await ada("GET", f"/v1/projects/{project}/members")).json["items"][0]["name"] != seams[-1]:
            await asyncio.sleep(0.1)
    code, dead, _ = await mixed.run("dead", "list", "--actor", "task")
    assert (code, dead) == (0, "")


async def rename(ada: Api, name: str) -> Answer:
    """Asked again with its key until the outcome is known."""
    while True:
        answer = await ada("PATCH", "/v1/me", {"name": name}, idempotency_key=name, prefer="wait=15")
        if answer.status < 500:
            return answer


async def again(world: World, victim: Running) -> Running:
    """What a platform does: start it again when it has died."""
    async with asyncio.timeout(60):
        assert await victim.process.wait() == -signal.SIGKILL
    return await world.start("--actors", "user")
