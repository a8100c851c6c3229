"""The dashboard while actors go and come back, on real servers."""

from __future__ import annotations

from collections.abc import Callable

from tests.system.world import Api, World


async def test_the_dashboard_lacks_an_actor_only_while_it_is_away(real: World, client: Callable[[str], Api]) -> None:
    edge = await real.start("--actors", "edge,user,notify")
    tasks = await real.start("--actors", "task")
    ada = await client(edge.address).person("Ada")
    project = await ada.project()

    async def shown() -> tuple[list[str], list[str]]:
        answer = await ada("GET", "/v1/dashboard")
        assert (answer.status, answer.json["user"]) == (200, ada.user)
        return [each["id"] for each in answer.json["projects"]], answer.json["degraded"]

    assert await shown() == ([project], ["media"])  # which was never there yet
    await tasks.kill()
    assert await shown() == ([], ["task", "media"])
    await real.start("--actors", "task,media")
    assert await shown() == ([project], [])
