"""A client that listens to `GET /v1/events`."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from tests.system.world import Api


class Ears:
    """What has come, as it came.

    :ivar events: (name, id, data), each with the time of its arrival beside it in `times`.
    """

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response
        self.events: list[tuple[str, int, Any]] = []
        self.times: list[float] = []
        self.comments = 0
        self.ended = asyncio.Event()

    async def listen(self) -> None:
        fields: dict[str, str] = {}
        try:
            async for raw in self.response.content:
                line = raw.decode().rstrip("\n")
                if line.startswith(":"):
                    self.comments += 1
                elif line:
                    name, _, value = line.partition(": ")
                    fields[name] = value
                elif fields:
                    self.times.append(time.monotonic())
                    self.events.append((fields["event"], int(fields["id"]), json.loads(fields["data"])))
                    fields = {}
        except aiohttp.ClientError:
            pass
        self.ended.set()

    def names(self) -> list[str]:
        return [name for name, _, _ in self.events]

    async def heard(self, *names: str, seconds: float = 5) -> list[Any]:
        """Until these have come, in this order among others, and nothing else of the same names; their data."""
        try:
            async with asyncio.timeout(seconds):
                while [name for name in self.names() if name in names] != list(names):
                    await asyncio.sleep(0.005)
        except TimeoutError:
            raise AssertionError(f"{names} did not come: {self.events}") from None
        return [data for name, _, data in self.events if name in names]


@asynccontextmanager
async def listening(api: Api, **headers: str) -> AsyncIterator[Ears]:
    sent = {
        "Authorization": f"Bearer {api.token}",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as session,
        session.get(f"{api.address}/v1/events", headers=sent) as response,
    ):
        assert response.status == 200, await response.text()
        ears = Ears(response)
        task = asyncio.create_task(ears.listen())
        try:
            yield ears
        finally:
            task.cancel()
