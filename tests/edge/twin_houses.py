"""Two houses that are asked the same at the same time, one on SQLite and one on PostgreSQL: they answer the same."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from tests.actors.conftest import schemas
from tests.edge.whole_house import House, house_of
from tests.system.world import Answer, Api

MISSING = str(uuid.UUID(int=2**128 - 1))
"""The id of nothing."""

_OPAQUE = re.compile(r'[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?<=cursor":")[\w-]+')
_GIVEN = re.compile(r"0{8}-0{4}-0{4}-0{4}-[0-9a-f]{12}")
_COMPARED = ("ETag", "Location", "Idempotency-Replayed", "Content-Type", "Cache-Control")


class Told(msgspec.Struct, frozen=True):
    """An answer, the same for both houses: ids and cursors have other names, which count them."""

    status: int
    headers: dict[str, str]
    json: Any


class _Mirror:
    """One house, whose ids and cursors are called by the number in which they are first told."""

    def __init__(self, house: House) -> None:
        self.anyone = house.anyone
        self.people: dict[str, Api] = {}
        self._name = {MISSING: MISSING}
        self._real = dict[str, str]()

    async def arrives(self, name: str) -> Any:
        """Somebody new, as they are shown."""
        person = await self.anyone.person(name)
        shown = self._named(msgspec.json.encode({"id": person.user["id"], "name": person.user["name"]}).decode())
        user = msgspec.json.decode(shown)
        self.people[user["id"]] = person
        return user

    async def ask(self, who: str, method: str, path: str, body: Any, headers: dict[str, str]) -> Told:
        content = None if body is None else self._meant(msgspec.json.encode(body).decode()).encode()
        answer = await self.people[who](method, self._meant(path), body=content, **headers)
        return self._told(answer)

    def _told(self, answer: Answer) -> Told:
        headers = {name: self._named(answer.headers[name]) for name in _COMPARED if name in answer.headers}
        json = msgspec.json.decode(self._named(answer.body.decode())) if answer.body else None
        return Told(answer.status, headers, json)

    def _named(self, text: str) -> str:
        return _OPAQUE.sub(lambda match: self._name_of(match[0]), text)

    def _name_of(self, real: str) -> str:
        if real not in self._name:
            self._name[real] = name = str(uuid.UUID(int=len(self._name)))
            self._real[name] = real
        return self._name[real]

    def _meant(self, text: str) -> str:
        return _GIVEN.sub(lambda match: self._real[match[0]], text)


class Twins:
    """:ivar now: what both clocks say, ms since the epoch."""

    def __init__(self, now: int) -> None:
        self.now = now
        self._houses: list[House] = []
        self._mirrors: list[_Mirror] = []
        self._asked = 0

    def begin(self) -> None:
        """Forget all names."""
        self._mirrors = [_Mirror(house) for house in self._houses]

    async def arrives(self, name: str) -> Any:
        """Somebody new in both: `{id, name}`."""
        one, other = await asyncio.gather(*(each.arrives(name) for each in self._mirrors))
        assert one == other
        return one

    async def ask(self, who: str, method: str, path: str, body: Any = None, **headers: str) -> Told:
        """Both, and what they answer. Fails when that is not the same."""
        self._asked += 1
        headers["x_request_id"] = str(self._asked)
        one, other = await asyncio.gather(*(each.ask(who, method, path, body, headers) for each in self._mirrors))
        assert one == other, (method, path, body, one, other)
        return one


@asynccontextmanager
async def twin_houses(folder: Path, postgres_url: str, run_id: str, now: int) -> AsyncIterator[Twins]:
    """Both. :param now: where their clocks stand; `Twins.now` sets them."""
    twins = Twins(now)
    async with AsyncExitStack() as stack:
        store_url = await stack.enter_async_context(schemas(postgres_url, f"twin_{run_id}"))
        urls = {actor: store_url(actor) for actor in ("user", "task", "notify", "media")}
        of_each: dict[str, dict[str, str]] = {"sqlite": {}, "postgresql": urls}
        for name, store_urls in of_each.items():
            house = house_of(folder / name, lambda: twins.now, store_urls=store_urls)
            twins._houses.append(await stack.enter_async_context(house))
        yield twins
