"""An open-loop client that logs every operation, and the reckoning afterwards: lost, duplicated, unexpected."""

from __future__ import annotations

import asyncio
import itertools
import math
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import uuid4

import aiohttp
import msgspec

from tests.system.world import Answer, Api

DEADLINE_S = 5
"""What each request gives the edge (`Prefer: wait`); none may take a second longer."""

SAMPLE = 20
"""Acknowledged writes that are asked for again with their keys."""

TOLD_S = 30
"""An event may wait that long for a lease to lapse, for a broker that comes back, or for its turn."""


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
    answer: bytes = b""

    @property
    def failed(self) -> bool:
        return not 0 < self.status < 500

    @property
    def is_write(self) -> bool:
        return self.method != "GET"


class Reckoning(msgspec.Struct):
    """What became of a load, after the fault; every list should be empty.

    :ivar acknowledged: writes that were answered with 2xx.
    :ivar unknown: writes that were not answered, or with a 5xx.
    :ivar wrong: answers that should not have been given.
    """

    acknowledged: int
    unknown: int
    lost: list[str]
    duplicated: list[str]
    unexpected: list[str]
    wrong: list[str]

    def complaints(self) -> list[str]:
        """One line for each sort of fault."""
        found = (("lost", self.lost), ("duplicated", self.duplicated), ("unexpected", self.unexpected))
        lines = [f"{len(each)} {name}: {', '.join(each[:3])}" for name, each in found if each]
        return lines + [f"{times} times: {text}" for text, times in Counter(self.wrong).items()]


class Load:
    """Seven reads, two new tasks and one change out of ten, at a fixed rate, whatever comes back.

    :param edges: somebody at each edge, one after the other; the list may change meanwhile.
    :param per_second: operations begun each second.
    :param assignee: a member of the project, who gets each new task and so a notification of it.
    """

    def __init__(self, edges: Sequence[Api], project: str, *, per_second: float, assignee: Api | None = None) -> None:
        self._edges = edges
        self._assignee = assignee
        self._project = project
        self._gap_s = 1 / per_second
        self._run = uuid4().hex[:8]
        self._turn = itertools.count()
        self._ids: list[str] = []
        self.all: list[Operation] = []
        self.late_s = 0.0
        """By how much this client itself was late at worst, because its machine had other things to do."""

    async def run(self, until: Callable[[], bool]) -> None:
        """Begin operations until `until()`, and wait for them all."""
        await self._begin()
        begun = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            for n in itertools.count():
                if until():
                    break
                self.late_s = max(self.late_s, time.monotonic() - begun - n * self._gap_s)
                tasks.create_task(self._do(self._operation(n)))
                await asyncio.sleep(max(0, begun + (n + 1) * self._gap_s - time.monotonic()))

    async def saturate(self, clients: int, until: Callable[[], bool]) -> None:
        """Likewise as fast as so many clients can, each of which waits for its answer."""
        await self._begin()
        numbers = itertools.count()

        async def client() -> None:
            while not until():
                await self._do(self._operation(next(numbers)))

        await asyncio.gather(*(client() for _ in range(clients)))

    async def _begin(self) -> None:
        first = await self._edges[0].task(self._project, f"{self._run} first")
        self._ids.append(first["id"])

    def _operation(self, n: int) -> Operation:
        key = f"{self._run}-{n}"
        match n % 10:
            case 2 | 7:
                body: dict[str, object] = {"project_id": self._project, "title": f"{self._run} {n}"}
                if self._assignee is not None:
                    body["assignee_ids"] = [self._assignee.user["id"]]
                return Operation("POST", "/v1/tasks", key, body)
            case 5:
                return Operation("PATCH", f"/v1/tasks/{self._ids[0]}", key, {"estimate_minutes": n})
        return Operation("GET", f"/v1/tasks/{random.choice(self._ids)}", key)

    async def _do(self, operation: Operation) -> None:
        self.all.append(operation)
        operation.sent_at = time.monotonic()
        try:
            answer = await self._send(operation)
        except (aiohttp.ClientError, TimeoutError):
            return
        finally:
            operation.took_s = time.monotonic() - operation.sent_at
        operation.status = answer.status
        operation.wrong = _wrong(answer)
        if operation.is_write:
            operation.answer = answer.body
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

    def recovered_after(self, moment: float, until: float = math.inf) -> float:
        """Seconds from `moment` until 99 % of what had ended by `until` succeeded again; a single failure is let pass."""
        sent = sorted(
            (each for each in self.all if each.sent_at > moment and each.sent_at + each.took_s <= until),
            key=lambda each: each.sent_at,
            reverse=True,
        )
        failed = 0
        for count, each in enumerate(sent, 1):
            failed += each.failed
            if each.failed and failed > max(1, count / 100):
                return each.sent_at - moment
        return 0.0

    async def reckon(self) -> None:
        """Fail when anything acknowledged is lost, was done twice or never asked for, or was answered wrongly."""
        complaints = (await self.reckoning()).complaints()
        assert not complaints, complaints

    async def reckoning(self) -> Reckoning:
        """Read everything back.

        What has an unknown outcome is asked for again with its key, after what is lost was counted: then all was done,
        and each thing once. A sample of what was acknowledged is asked for again too: it gets the same answer.
        """
        writes = [operation for operation in self.all if operation.is_write]
        made = {str(each.body["title"]): each for each in writes if each.method == "POST" and each.body}
        first = f"{self._run} first"
        wrong = [operation.wrong for operation in self.all if operation.wrong]
        slow = [each for each in self.all if each.took_s > DEADLINE_S + 1 + self.late_s]
        wrong += ["a request hung past its deadline"] * len(slow)
        present = await self._titles()
        lost = [title for title, each in made.items() if each.status == 201 and title not in present]
        unexpected = [title for title in present if title not in made and title != first]
        acknowledged = [each for each in writes if 200 <= each.status < 300]
        for operation in [each for each in writes if not 200 <= each.status < 300]:
            if (answer := await self._send(operation)).status not in (200, 201):
                wrong.append(f"{answer.status} when asked again: {answer.body.decode()}")
        for operation in random.sample(acknowledged, min(SAMPLE, len(acknowledged))):
            answer = await self._send(operation)
            if answer.body != operation.answer or answer.headers.get("Idempotency-Replayed") != "true":
                wrong.append("asked again with its key, another answer came")
        present = await self._titles()
        duplicated = [title for title, times in present.items() if times > 1]
        lost += [title for title in (first, *made) if title not in present and title not in lost]
        version = (await self._edges[0]("GET", f"/v1/tasks/{self._ids[0]}")).json["version"]
        changes = 1 + sum(each.method == "PATCH" for each in writes)
        lost += [f"change {n}" for n in range(version, changes)]
        duplicated += [f"change {n}" for n in range(changes, version)]
        if self._assignee is not None:
            told = await self._told(made)
            lost += [f"event of {title}" for title in made if title not in told]
            duplicated += [f"event of {title}" for title, times in told.items() if times > 1]
        unknown = sum(each.failed for each in writes)
        return Reckoning(len(acknowledged), unknown, lost, duplicated, unexpected, wrong)

    async def _titles(self) -> Counter[str]:
        tasks = await everything(self._edges[0], f"/v1/tasks?project_id={self._project}")
        return Counter(each["title"] for each in tasks if each["title"].startswith(self._run))

    async def _told(self, made: Mapping[str, Operation]) -> Counter[str]:
        """How often the assignee was told of each task, once all is told or nothing more comes."""
        assert self._assignee is not None
        assignee = self._assignee.at(self._edges[0].address)
        titles = {
            each["id"]: each["title"]
            for each in await everything(self._edges[0], f"/v1/tasks?project_id={self._project}")
        }
        deadline = time.monotonic() + TOLD_S
        while True:
            told = Counter(
                titles.get(each["subject"]["id"], "")
                for each in await everything(assignee, "/v1/notifications?unread=true")
                if each["kind"] == "task_assigned"
            )
            if made.keys() <= told.keys() or time.monotonic() > deadline:
                return Counter({title: times for title, times in told.items() if title in made})
            await asyncio.sleep(0.5)


async def everything(api: Api, path: str) -> list[Any]:
    """A collection, page by page."""
    found: list[Any] = []
    cursor = ""
    while True:
        answer = await api("GET", f"{path}&limit=200{cursor}")
        assert answer.status == 200, answer
        found += answer.json["items"]
        if answer.json["next_cursor"] is None:
            return found
        cursor = f"&cursor={answer.json['next_cursor']}"


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
