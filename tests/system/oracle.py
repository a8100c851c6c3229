"""An open-loop client that logs every operation, and the reckoning afterwards: lost, duplicated, unexpected."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from uuid import uuid4

import aiohttp
import msgspec

from tests.system.world import Answer, Api

DEADLINE_S = 5
"""What each request gives the edge (`Prefer: wait`); none may take a second longer."""


class Operation(msgspec.Struct):
    """One request: `status` is 0 when the connection broke; 2xx is acknowledged, 5xx and 0 are unknown.

    :ivar path: with the method and the body, what is sent again when the outcome is unknown.
    """

    method: str
    path: str
    key: str
    body: dict[str, object] | None = None
    sent_at: float = 0.0
    took_s: float = 0.0
    status: int = 0
    wrong: str = ""

    @property
    def failed(self) -> bool:
        return not 0 < self.status < 500


class Load:
    """Seven reads, two new tasks and one change out of ten, at a fixed rate, whatever comes back.

    :param edges: somebody at each edge, one after the other; the list may change meanwhile.
    :param per_second: operations begun each second.
    """

    def __init__(self, edges: Sequence[Api], project: str, *, per_second: float) -> None:
        self._edges = edges
        self._project = project
        self._gap_s = 1 / per_second
        self._run = uuid4().hex[:8]
        self._turn = itertools.count()
        self._ids: list[str] = []
        self.all: list[Operation] = []

    async def run(self, until: Callable[[], bool]) -> None:
        """Begin operations until `until()`, and wait for them all."""
        first = await self._edges[0].task(self._project, f"{self._run} first")
        self._ids.append(first["id"])
        begun = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            for n in itertools.count():
                if until():
                    break
                tasks.create_task(self._do(self._operation(n)))
                await asyncio.sleep(max(0, begun + (n + 1) * self._gap_s - time.monotonic()))

    def _operation(self, n: int) -> Operation:
        key = f"{self._run}-{n}"
        match n % 10:
            case 2 | 7:
                body: dict[str, object] = {"project_id": self._project, "title": f"{self._run} {n}"}
                return Operation("POST", "/v1/tasks", key, body)
            case 5:
                return Operation("PATCH", f"/v1/tasks/{self._ids[0]}", key, {"estimate_minutes": n})
        return Operation("GET", f"/v1/tasks/{random.choice(self._ids)}", key)

    async def _do(self, operation: Operation) -> None:
        self.all.append(operation)
        operation.sent_at = time.monotonic()
        try:
            answer = await self._send(operation)
        except aiohttp.ClientError:
            return
        finally:
            operation.took_s = time.monotonic() - operation.sent_at
        operation.status = answer.status
        operation.wrong = _wrong(answer)
        if answer.status == 201:
            self._ids.append(answer.json["id"])

    async def _send(self, operation: Operation) -> Answer:
        """At the next edge; where nobody listens, nothing was sent, and any balancer goes on to the one after."""
        edges = list(self._edges)
        turn = next(self._turn)
        for n in range(len(edges)):
            try:
                return await edges[(turn + n) % len(edges)](
                    operation.method,
                    operation.path,
                    operation.body,
                    idempotency_key=operation.key,
                    prefer=f"wait={DEADLINE_S}",
                )
            except aiohttp.ClientConnectorError:
                continue
        raise aiohttp.ClientConnectionError("no edge listens")

    def statuses(self) -> Counter[int]:
        """How often each status came; 0 for broken connections."""
        return Counter(operation.status for operation in self.all)

    def failures(self) -> list[Operation]:
        """What was not answered, or with a 5xx, in the order in which it was sent."""
        return [operation for operation in self.all if operation.failed]

    def recovered_after(self, moment: float) -> float:
        """Seconds from `moment` until nothing that was sent failed any more."""
        return max((each.sent_at - moment for each in self.failures() if each.sent_at > moment), default=0.0)

    async def reckon(self) -> None:
        """Fail when anything acknowledged is lost, was done twice or never asked for, or was answered wrongly.

        What has an unknown outcome is asked for again with its key first: then all was done, and each thing once.
        """
        assert not {operation.wrong for operation in self.all if operation.wrong}
        assert max(operation.took_s for operation in self.all) <= DEADLINE_S + 1
        made = [operation for operation in self.all if operation.method == "POST"]
        changes = [operation for operation in self.all if operation.method == "PATCH"]
        asked = {f"{self._run} first", *(str(operation.body["title"]) for operation in made if operation.body)}
        present = await self._titles()
        lost = {str(each.body["title"]) for each in made if each.body and each.status == 201} - set(present)
        assert not lost
        assert not set(present) - asked, "unexpected"
        for operation in self.failures():
            assert (await self._send(operation)).status in (200, 201), operation
        present = await self._titles()
        assert present == Counter(asked), "done twice, or not at all"
        first = (await self._edges[0]("GET", f"/v1/tasks/{self._ids[0]}")).json
        assert first["version"] == 1 + len(changes)

    async def _titles(self) -> Counter[str]:
        found: Counter[str] = Counter()
        cursor = ""
        while True:
            query = f"/v1/tasks?project_id={self._project}&limit=200{cursor}"
            page = (await self._edges[0]("GET", query)).json
            found.update(each["title"] for each in page["items"] if each["title"].startswith(self._run))
            if page["next_cursor"] is None:
                return found
            cursor = f"&cursor={page['next_cursor']}"


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
    return "" if answer.status >= 500 else f"{answer.status} for what is right"
