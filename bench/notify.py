"""Telling people: notifications until they are in the inbox and with the mail server, live events, memory of streams.

Edge, notify actor, and user and task actor are three processes on RabbitMQ and PostgreSQL; the mail server (aiosmtpd)
and all clients are in this one. Each measurement of streams has an edge of its own, which began with it.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from email import message_from_bytes, policy
from functools import partial
from pathlib import Path
from statistics import quantiles
from typing import Any

import aiohttp
import asyncpg

from bench.contest import TROUPE, Case, Contest, Failure, Options, Sample
from bench.processes import cpu_s, resident_mib, running
from bench.servers import broker, database
from bench.streams import allow, streams
from bench.troupe_side import address_in, environment, runtime
from tests.conformance.smtp_server import Inbox, smtp_server
from tests.servers.processes import free_port

PASSWORD = "a long enough phrase"
TOLD = 1000
"""Notifications of one measurement: tasks that are assigned to somebody, a hundred in a request."""

BATCH = 100
BATCHES_AT_ONCE = 4
LISTENERS = 50
"""People who listen, with equally many streams each."""

STREAMS, MANY = 1000, 5000
WITHIN_MS = 200.0
MIB = 150.0
EVERY_S = 0.2
"""Between two events that the streams hear."""

PATIENCE_S = 120.0


@asynccontextmanager
async def contest(directory: Path, options: Options) -> AsyncIterator[Contest]:
    """One installation for all rounds."""
    allow(MANY)  # before the edge inherits what there is
    async with AsyncExitStack() as stack:
        url, prefix = await stack.enter_async_context(broker())
        dsn = await stack.enter_async_context(database())
        inbox, port = Inbox(), free_port()
        await stack.enter_async_context(smtp_server(inbox, port))
        settings = environment(
            directory,
            BROKER_URL=url,
            BROKER_PREFIX=prefix,
            MAIL_URL=f"smtp://127.0.0.1:{port}",
            ARGON2="8,1,1",  # signing in is not what is measured
            **{f"{actor}_STORE_URL": dsn for actor in ("USER", "TASK", "NOTIFY")},
        )
        pids = {}
        for actors in ("user,task", "notify"):
            pids[actors] = (await stack.enter_async_context(running(runtime(actors), directory, settings))).pid
        house = House(partial(running, runtime("edge"), directory, settings), dsn, inbox, pids)
        await stack.enter_async_context(house.furnished())
        yield Contest(
            [
                Case(
                    title=f"{TOLD} notifications until they are in the inbox",
                    unit="notifications/s",
                    variants={TROUPE: partial(house.tell, "reader", mailed=False)},
                ),
                Case(
                    title=f"{TOLD} notifications until the mail server has them too",
                    unit="notifications/s",
                    variants={TROUPE: partial(house.tell, "mailed", mailed=True)},
                ),
                Case(
                    title=f"live events, {STREAMS} streams, p99 from the request to the client",
                    unit="ms",
                    variants={TROUPE: partial(house.listen, options.seconds)},
                    at_most=WITHIN_MS,
                ),
                *(
                    Case(
                        title=f"resident memory of an edge with {count} streams",
                        unit="MiB",
                        variants={TROUPE: partial(house.hold, count)},
                        at_most=MIB,
                    )
                    for count in (0, MANY)
                ),
            ],
            check=house.check,
        )


class House:
    """An installation, whose edge can be started anew.

    :param edge: starts one.
    :param pids: the other processes → their ids.
    """

    def __init__(self, edge: Callable[[], Any], dsn: str, inbox: Inbox, pids: Mapping[str, int]) -> None:
        self._edge = edge
        self._dsn = dsn
        self._inbox = inbox
        self._pids = pids
        self._ids: dict[str, str] = {}
        self._tokens: dict[str, str] = {}
        self._project = ""
        self._told = {"reader": 0, "mailed": 0}

    @asynccontextmanager
    async def furnished(self) -> AsyncIterator[None]:
        """Somebody who writes, two who are told, those who listen, and the project that they share."""
        self._rows = await asyncpg.connect(self._dsn)
        try:
            async with self._client() as (_, _, session):
                listeners = [f"listener{number}" for number in range(LISTENERS)]
                for name in ("writer", *self._told, *listeners):
                    account = {"email": f"{name}@example.org", "password": PASSWORD}
                    made = await _ask(session, "POST", "users", {**account, "name": name}, 201)
                    self._ids[name] = made["id"]
                await self._verify(session, "mailed")
                made = await _ask(session, "POST", "projects", {"name": "Contest"}, 201, await self._token(session))
                self._project = made["id"]
                for name in (*self._told, *listeners):
                    path = f"projects/{self._project}/members/{self._ids[name]}"
                    await _ask(session, "PUT", path, {"role": "editor"}, 200, await self._token(session))
                await self._until(lambda: self._mails("mailed") > 1, "the mail of a membership")
            yield
        finally:
            await self._rows.close()

    async def tell(self, name: str, *, mailed: bool) -> Sample:
        """Notifications a second, from the first request to the last row, and the last mail."""
        async with self._client() as (_, pid, session):
            token = await self._token(session)
            pids = {**self._pids, "edge": pid}
            rows, mails = await self._count(name), self._mails(name)
            spent = {each: cpu_s(id) for each, id in pids.items()}
            gate, began = asyncio.Semaphore(BATCHES_AT_ONCE), time.perf_counter()

            async def assign(number: int) -> None:
                fields = {"op": "create", "project_id": self._project, "assignee_ids": [self._ids[name]]}
                operations = [{**fields, "title": f"Task {number}.{n}"} for n in range(BATCH)]
                async with gate:
                    answer = await _ask(session, "POST", "tasks/batch", {"operations": operations}, 200, token)
                if any(each["status"] != 201 for each in answer["results"]):
                    raise Failure(f"a task was not created: {answer['results'][0]}")

            await asyncio.gather(*(assign(number) for number in range(TOLD // BATCH)))
            await self._until(partial(self._has, name, rows + TOLD), "the last notification")
            if mailed:
                await self._until(lambda: self._mails(name) >= mails + TOLD, "the last mail")
            took = time.perf_counter() - began
            self._told[name] += TOLD
            cpu_us = {each: (cpu_s(id) - spent[each]) / TOLD * 1e6 for each, id in pids.items()}
            return Sample(TOLD / took, cpu_us=cpu_us)

    async def listen(self, seconds: float) -> Sample:
        """How long after the request of a task each of many clients hears of it."""
        async with self._client() as (address, pid, session):
            async with streams(address, await self._listeners(session), STREAMS) as opened:
                token = await self._token(session)
                began, spent = [], cpu_s(pid)
                for number in range(max(5, round(seconds / EVERY_S))):
                    began.append(time.perf_counter())
                    body = {"project_id": self._project, "title": f"Live {number}"}
                    await _ask(session, "POST", "tasks", body, 201, token)
                    await asyncio.sleep(max(0.0, began[-1] + EVERY_S - time.perf_counter()))
                await self._until(lambda: all(len(each.came) >= len(began) for each in opened), "the last event")
            heard = [each.came for each in opened]
            if any(len(came) != len(began) for came in heard):
                raise Failure("a stream has heard of a task twice")
            took = [(at - sent) * 1000 for came in heard for at, sent in zip(came, began, strict=True)]
            cuts = quantiles(took, n=100)
            return Sample(cuts[98], cuts[49], cuts[98], {"edge": (cpu_s(pid) - spent) / len(took) * 1e6})

    async def hold(self, count: int) -> Sample:
        """The memory of an edge while so many listen and each has heard something."""
        async with self._client() as (address, pid, session):
            token = await self._token(session)
            if count == 0:
                return Sample(resident_mib(pid))
            async with streams(address, await self._listeners(session), count) as opened:
                for number in range(5):
                    await _ask(
                        session, "POST", "tasks", {"project_id": self._project, "title": f"Held {number}"}, 201, token
                    )
                await self._until(lambda: all(len(each.came) >= 5 for each in opened), "the fifth event")
                return Sample(resident_mib(pid))

    async def check(self) -> None:
        """Everybody was told of each task once, and nothing was given up.

        :raises Failure: that is not so.
        """
        for name, told in self._told.items():
            # one row more: that they were added to the project
            if (rows := await self._count(name)) != told + 1:
                raise Failure(f"{name} has {rows} notifications, and was to be told {told + 1} times")
        mails = Counter(
            str(message_from_bytes(raw, policy=policy.default)["Message-ID"])
            for raw, to in self._arrived()
            if to == "mailed@example.org"
        )
        if len(mails) != self._told["mailed"] + 2:
            raise Failure(f"{len(mails)} mails, not {self._told['mailed']} and the first two")
        tried = await self._rows.fetch("select id from notify.mail where attempt > 1")
        doubles = {id for id, count in mails.items() if count > 1}
        # one whose answer came too late is handed over again: that is promised to be seldom, not never
        if unexplained := [
            id for id in doubles if id.strip("<>").partition("@")[0] not in {row["id"] for row in tried}
        ]:
            raise Failure(f"mails came twice, and were handed over once: {unexplained[:5]}")
        if doubles:
            print(f"{len(doubles)} of {len(mails)} mails came twice, since their first answer was late", flush=True)
        if dead := await self._rows.fetchval("select count(*) from notify.parked where due_at is null"):
            raise Failure(f"the notify actor has {dead} dead letters")

    # ------------------------------------------------------------------------------------ ways and means

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[tuple[str, int, aiohttp.ClientSession]]:
        """A fresh edge: its address, its process, and a session there."""
        async with self._edge() as child, aiohttp.ClientSession(address_in(child.said)) as session:
            self._tokens.clear()  # access tokens last for ten minutes
            yield address_in(child.said), child.pid, session

    async def _token(self, session: aiohttp.ClientSession, name: str = "writer") -> str:
        if name not in self._tokens:
            account = {"email": f"{name}@example.org", "password": PASSWORD}
            self._tokens[name] = (await _ask(session, "POST", "sessions", account, 201))["access_token"]
        return self._tokens[name]

    async def _listeners(self, session: aiohttp.ClientSession) -> Sequence[str]:
        return [await self._token(session, f"listener{number}") for number in range(LISTENERS)]

    async def _verify(self, session: aiohttp.ClientSession, name: str) -> None:
        await self._until(lambda: self._mails(name) > 0, "the mail that proves an address")
        (raw,) = [raw for raw, to in self._arrived() if to == f"{name}@example.org"]
        text = message_from_bytes(raw, policy=policy.default).get_body(("plain",))
        (token,) = re.findall(r"\?token=([\w-]+)", "" if text is None else text.get_content())
        await _ask(session, "POST", "email-verifications", {"token": token}, 204)

    def _arrived(self) -> list[tuple[bytes, str]]:
        return [(raw, to) for raw, (to,) in zip(list(self._inbox.received), list(self._inbox.receivers), strict=False)]

    def _mails(self, name: str) -> int:
        return sum(to == [f"{name}@example.org"] for to in list(self._inbox.receivers))

    async def _count(self, name: str) -> int:
        found: int = await self._rows.fetchval(
            "select count(*) from notify.notification where user_id = $1", self._ids[name]
        )
        return found

    async def _has(self, name: str, rows: int) -> bool:
        return await self._count(name) >= rows

    async def _until(self, holds: Callable[[], bool | Awaitable[bool]], what: str) -> None:
        """:raises Failure: it does not come to hold."""
        ends = time.perf_counter() + PATIENCE_S
        while True:
            found = holds()
            if found if isinstance(found, bool) else await found:
                return
            if time.perf_counter() > ends:
                raise Failure(f"waited for {what} in vain")
            await asyncio.sleep(0.02)


async def _ask(
    session: aiohttp.ClientSession, method: str, path: str, body: object, status: int, token: str = ""
) -> Any:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with session.request(method, f"/v1/{path}", json=body, headers=headers) as answer:
        text = await answer.text()
        if answer.status != status:
            raise Failure(f"{method} {path} answers {answer.status}: {text}")
        return await answer.json() if text else None
