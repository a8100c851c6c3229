"""One side of an HTTP contest: a server with tasks in it, asked for them and for more."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import aiohttp
import msgspec

from bench.contest import Failure, Sample
from bench.load import load
from bench.processes import cpu_s

TASKS = 1000
"""That are there before the first round, and that GET asks for."""
AT_ONCE = 32
WARM_UP_S = 1.0
DESCRIPTION = "x" * 100


class Side:
    """Whatever has `GET /v1/tasks/{id}` and `POST /v1/tasks`.

    :param name: of its files.
    :param pids: process → its id, to see what each spends.
    :param sign_in: a fresh access token.
    :param count: the rows in its database.
    """

    def __init__(
        self,
        name: str,
        address: str,
        directory: Path,
        *,
        project: str,
        pids: Mapping[str, int],
        sign_in: Callable[[], Awaitable[str]],
        count: Callable[[], Awaitable[int]],
    ) -> None:
        self._address = address
        self._files = {method: directory / f"{name}.{method}" for method in ("GET", "POST")}
        self._project = project
        self._pids = pids
        self._sign_in = sign_in
        self._count = count
        self._titles: dict[str, str] = {}
        self._least = 0
        self._most = 0

    async def fill(self) -> None:
        """Create the first tasks, and write down what will be asked. :raises Failure: a task was not created."""
        async with aiohttp.ClientSession(headers=await self._headers()) as session:
            for start in range(0, TASKS, AT_ONCE):
                numbers = range(start, min(TASKS, start + AT_ONCE))
                await asyncio.gather(*(self._create(session, f"task {number}") for number in numbers))
        self._least = self._most = TASKS
        self._files["GET"].write_text("".join(f"GET\t/v1/tasks/{id}\t\n" for id in self._titles))
        self._files["POST"].write_text(
            "".join(f"POST\t/v1/tasks\t{self._body(f'new task {number}')}\n" for number in range(TASKS))
        )

    async def measure(self, method: str, seconds: float) -> Sample:
        """Requests a second. :raises Failure: one of them was refused."""
        token, requests = await self._sign_in(), self._files[method]
        warm = await load(self._address, requests, token, WARM_UP_S)
        spent = {name: cpu_s(pid) for name, pid in self._pids.items()}
        loaded = await load(self._address, requests, token, seconds)
        cpu_us = {name: (cpu_s(pid) - spent[name]) / loaded.answered * 1e6 for name, pid in self._pids.items()}
        if method == "POST":
            self._least += warm.answered + loaded.answered
            self._most += warm.answered + loaded.answered + warm.unanswered + loaded.unanswered
        return Sample(loaded.answered / loaded.seconds, loaded.p50_ms, loaded.p99_ms, cpu_us)

    async def check(self) -> None:
        """Every acknowledged task is a row, no other is, and a task still has its title.

        :raises Failure: that is not so.
        """
        rows = await self._count()
        if not self._least <= rows <= self._most:
            raise Failure(f"{self._address} has {rows} tasks; acknowledged: {self._least}, asked for: {self._most}")
        async with aiohttp.ClientSession(headers=await self._headers()) as session:
            for id, title in list(self._titles.items())[:: TASKS // 10]:
                async with session.get(f"{self._address}/v1/tasks/{id}") as answer:
                    found = await answer.json()
                    if found.get("title") != title:
                        raise Failure(f"{answer.url} answers {found}, not the task {title!r}")

    async def _create(self, session: aiohttp.ClientSession, title: str) -> None:
        async with session.post(f"{self._address}/v1/tasks", data=self._body(title)) as answer:
            made = await answer.json()
            if answer.status != 201:
                raise Failure(f"{answer.url} answers {answer.status}: {made}")
            self._titles[made["id"]] = title

    def _body(self, title: str) -> str:
        fields = {"project_id": self._project, "title": title, "description": DESCRIPTION}
        return msgspec.json.encode(fields).decode()

    async def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {await self._sign_in()}", "Content-Type": "application/json"}
