"""An open-loop client that logs every operation, and the reckoning afterwards: lost, duplicated, unexpected."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Callable
from uuid import uuid4

import aiohttp
import msgspec

from tests.system.world import Answer, Api

READS = 0.7
"""Share of reads in the load."""


class Operation(msgspec.Struct):
    """One request: `status` is 0 when the connection broke; 2xx is acknowledged, what is not a 4xx is unknown."""

    title: str
    sent_at: float
    status: int = 0
    took_s: float = 0.0
    wrong: str = ""


class Load:
    """Reads and writes at a fixed rate, whatever comes back.

    :param per_second: operations begun each second.
    """

    def __init__(self, api: Api, project: str, *, per_second: float) -> None:
        self._api = api
        self._project = project
        self._gap_s = 1 / per_second
        self._run = uuid4().hex[:8]
        self._tasks: set[asyncio.Task[None]] = set()
        self.writes: list[Operation] = []
        self.reads: list[Operation] = []

    async def run(self, until: Callable[[], bool]) -> None:
        """Begin operations until `until()`, and wait for them all."""
        known = await self._api.task(self._project, f"{self._run} known")
        begun = time.monotonic()
        for n in itertools.count():
            if until():
                break
            work = self._read(known["id"]) if (n * READS) % 1 < READS and n % 10 < READS * 10 else self._write(n)
            task = asyncio.create_task(work)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            await asyncio.sleep(max(0, begun + (n + 1) * self._gap_s - time.monotonic()))
        await asyncio.gather(*self._tasks)

    async def _read(self, id: str) -> None:
        operation = Operation("", time.monotonic())
        self.reads.append(operation)
        await self._note(operation, "GET", f"/v1/tasks/{id}")

    async def _write(self, n: int) -> None:
        operation = Operation(f"{self._run} {n}", time.monotonic())
        self.writes.append(operation)
        await self._note(operation, "POST", "/v1/tasks", {"project_id": self._project, "title": operation.title})

    async def _note(self, operation: Operation, method: str, path: str, json: object = None) -> None:
        key = operation.title.replace(" ", "-") or uuid4().hex
        try:
            answer = await self._api(method, path, json, idempotency_key=key)
        except aiohttp.ClientError:
            return
        finally:
            operation.took_s = time.monotonic() - operation.sent_at
        operation.status = answer.status
        operation.wrong = _wrong(answer)

    @property
    def all(self) -> list[Operation]:
        return [*self.reads, *self.writes]

    def statuses(self) -> Counter[int]:
        """How often each status came; 0 for broken connections."""
        return Counter(operation.status for operation in self.all)

    async def reckon(self, api: Api) -> None:
        """Read everything back, and fail when something is lost, twice there or unexpected, or was answered wrongly."""
        present: Counter[str] = Counter()
        cursor = ""
        while True:
            page = (await api("GET", f"/v1/tasks?project_id={self._project}&limit=200{cursor}")).json
            present.update(task["title"] for task in page["items"])
            if page["next_cursor"] is None:
                break
            cursor = f"&cursor={page['next_cursor']}"
        attempted = {operation.title for operation in self.writes}
        acknowledged = {operation.title for operation in self.writes if 200 <= operation.status < 300}
        assert not acknowledged - set(present), "lost"
        assert not [title for title, count in present.items() if count > 1], "duplicated"
        assert not {title for title in present if not title.endswith("known")} - attempted, "unexpected"
        assert not {operation.wrong for operation in self.all if operation.wrong}

    def recovered_after(self, moment: float) -> float:
        """Seconds from `moment` to the end of the last failure that began after it."""
        failed = [
            each.sent_at + each.took_s for each in self.all if each.sent_at > moment and not 0 < each.status < 500
        ]
        return max(failed, default=moment) - moment


def _wrong(answer: Answer) -> str:
    """What is not right about an answer that is no success."""
    if answer.status < 400:
        return ""
    try:
        answer.problem()
    except AssertionError as error:
        return str(error)
    if answer.status == 503 and "Retry-After" not in answer.headers:
        return "503 without Retry-After"
    return ""
