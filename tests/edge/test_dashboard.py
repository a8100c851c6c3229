"""One call that four actors answer: whole while they are there, and useful while some of them are not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from actors.contracts.user import GetMe, User
from edge.routes.dashboard import joined
from runtime.actor import handles
from runtime.context import Context
from runtime.errors import NotFound
from tests.edge.key_keeper import USER, KeyKeeper, NoRecords
from tests.edge.stand import edge_of
from tests.edge.whole_house import house_of
from tests.system.world import Api

EMPTY: dict[str, Any] = {
    "tasks": {"overdue": 0, "due_today": 0, "assigned": 0},
    "projects": [],
    "notifications": {"unread": 0},
    "recent_media": [],
}


class Ill(KeyKeeper):
    """It knows its keys, and fails at accounts."""

    @handles
    async def me(self, query: GetMe, ctx: Context[NoRecords]) -> User:
        raise RuntimeError("a fault of this test")


class Strict(KeyKeeper):
    """It knows its keys, and nobody."""

    @handles
    async def me(self, query: GetMe, ctx: Context[NoRecords]) -> User:
        raise NotFound("user.not_found", "there is no such account")


@asynccontextmanager
async def at_edge_with(folder: Path, keeper: KeyKeeper, token: str) -> AsyncIterator[Api]:
    """A client with that token, and no other actor than the one that knows its keys."""
    async with edge_of(folder, keeper, rate_limits="") as (_, address), aiohttp.ClientSession() as session:
        yield Api(session, address, token)


async def test_it_shows_what_every_actor_has_for_the_caller(tmp_path: Path) -> None:
    async with house_of(tmp_path) as house:
        ada, eve = await house.person(), await house.person("Eve")
        project = await ada.api.project("Engine")
        await ada.api.task(project, assignee_ids=[ada.id], due_at="2020-01-01T00:00:00Z")
        await ada.api.task(project, assignee_ids=[ada.id])
        await ada.api.task(project)
        media = await ada.upload(name="plan.txt")
        shown = await ada("GET", "/v1/dashboard")
        assert (shown.status, shown.json["degraded"]) == (200, [])
        assert shown.json["user"] == (await ada("GET", "/v1/me")).json
        assert [each["id"] for each in shown.json["projects"]] == [project]
        assert [each["id"] for each in shown.json["recent_media"]] == [media["id"]]
        assert shown.json["tasks"] == {"overdue": 1, "due_today": 0, "assigned": 2}
        assert shown.headers["Cache-Control"] == "no-store"
        others = (await eve("GET", "/v1/dashboard")).json
        assert others == {"user": (await eve("GET", "/v1/me")).json, **EMPTY, "degraded": []}


async def test_at_most_ten_projects_and_files_are_shown_the_newest(tmp_path: Path) -> None:
    async with house_of(tmp_path) as house:
        ada = await house.person()
        projects = [await ada.api.project(f"P{n}") for n in range(11)]
        files = [(await ada.upload(name=f"f{n}.txt"))["id"] for n in range(11)]
        shown = (await ada("GET", "/v1/dashboard")).json
        assert [each["id"] for each in shown["projects"]] == projects[:0:-1]
        assert [each["id"] for each in shown["recent_media"]] == files[:0:-1]


async def test_actors_that_are_away_are_named_and_the_rest_is_answered(tmp_path: Path) -> None:
    keeper = KeyKeeper()
    async with at_edge_with(tmp_path, keeper, keeper.token()) as ada:
        shown = await ada("GET", "/v1/dashboard", prefer="wait=0.2")
        assert (shown.status, shown.json["user"]["id"]) == (200, USER)
        assert {name: shown.json[name] for name in EMPTY} == EMPTY
        assert shown.json["degraded"] == ["task", "notify", "media"]


async def test_an_actor_that_is_away_takes_its_share_of_time_not_all(tmp_path: Path) -> None:
    keeper = KeyKeeper()
    async with at_edge_with(tmp_path, keeper, keeper.token()) as ada:
        async with asyncio.timeout(20):  # any other call would wait for the 30 s that the client has
            shown = await ada("GET", "/v1/dashboard", prefer="wait=30")
        assert (shown.status, shown.json["degraded"]) == (200, ["task", "notify", "media"])


async def test_an_actor_that_fails_is_as_one_that_is_away(tmp_path: Path) -> None:
    keeper = Ill()
    async with at_edge_with(tmp_path, keeper, keeper.token()) as ada:
        shown = await ada("GET", "/v1/dashboard", prefer="wait=0.2")
        assert (shown.status, shown.json) == (
            200,
            {"user": None, **EMPTY, "degraded": ["user", "task", "notify", "media"]},
        )


async def test_what_an_actor_refuses_is_refused(tmp_path: Path) -> None:
    keeper = Strict()
    async with at_edge_with(tmp_path, keeper, keeper.token()) as ada:
        shown = await ada("GET", "/v1/dashboard", prefer="wait=0.2")
        assert (shown.status, shown.problem()) == (404, "user.not_found")


@pytest.mark.parametrize(
    ("scope", "status", "code"),
    [
        ("tasks:read", 200, None),
        ("tasks:write profile:read media:read notifications:read", 403, "auth.scope_missing"),
    ],
)
async def test_an_api_token_needs_the_scope_of_tasks(tmp_path: Path, scope: str, status: int, code: str | None) -> None:
    keeper = KeyKeeper()
    async with at_edge_with(tmp_path, keeper, keeper.token(scope=scope)) as ada:
        shown = await ada("GET", "/v1/dashboard", prefer="wait=0.1")
        assert (shown.status, shown.problem() if code else None) == (status, code)


async def test_it_wants_a_token_takes_no_parameters_and_counts_as_reading(tmp_path: Path) -> None:
    keeper = KeyKeeper()
    async with at_edge_with(tmp_path, keeper, "") as anyone:
        refused = await anyone("GET", "/v1/dashboard")
        assert (refused.status, refused.problem()) == (401, "auth.required")
    (tmp_path / "again").mkdir()
    async with at_edge_with(tmp_path / "again", keeper, keeper.token()) as ada:
        unknown = await ada("GET", "/v1/dashboard?projects=5")
        assert (unknown.status, unknown.json["errors"][0]["pointer"]) == (422, "?projects")
        assert unknown.headers["RateLimit"].startswith('"read";r=1199;')


def test_a_dashboard_without_any_actor_is_empty() -> None:
    shown = joined(None, None, None, None, ["user", "task", "notify", "media"])
    assert (shown.user, shown.projects, shown.recent_media, shown.notifications.unread) == (None, [], [], 0)
    assert (shown.tasks.overdue, shown.tasks.due_today, shown.tasks.assigned) == (0, 0, 0)
