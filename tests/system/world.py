"""Real processes of `python -m runtime`, and a client that speaks to them as anybody would."""

from __future__ import annotations

import asyncio
import io
import os
import re
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import msgspec

ROOT = Path(__file__).parents[2]
READY_S = 40.0
SECRET_KEY = "a secret for tests, long enough to pass"
PASSWORD = "correct horse battery staple"
FAST_HASHING = "1024,1,1"


class Running:
    """One process; what it writes on standard error is kept in a file."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self.process = process
        self.log = log
        self.address = ""

    async def until_ready(self, seconds: float = READY_S) -> None:
        """Until it says that it is ready; fails with its log when it ends before."""
        assert self.process.stdout is not None
        async with asyncio.timeout(seconds):
            while line := (await self.process.stdout.readline()).decode():
                if found := re.search(r"http://[\w.:\[\]]+", line):
                    self.address = found[0]
                if "ready" in line:
                    return
        raise AssertionError(f"it ended before it was ready: {self.log.read_text()[-3000:]}")

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to stop; its exit code."""
        if self.process.returncode is None:
            self.process.send_signal(number)
        async with asyncio.timeout(40):
            return await self.process.wait()

    async def kill(self) -> None:
        """End it as a crash would."""
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()


class World:
    """A set of settings, and the processes that run with them; an asynchronous context manager that ends them."""

    def __init__(self, directory: Path, settings: Mapping[str, str]) -> None:
        self.directory = directory
        self.settings = {
            "VAR_DIR": str(directory / "var"),
            "SECRET_KEY": SECRET_KEY,
            "EDGE_PORT": "0",
            "ARGON2": FAST_HASHING,
            "PUBLIC_URL": "http://troupe.test",
            "LOG_FORMAT": "json",
            **settings,
        }
        self._stack = AsyncExitStack()
        self._count = 0

    async def __aenter__(self) -> World:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def launch(self, *arguments: str, **settings: str) -> Running:
        """`python -m runtime arguments…`, not waited for."""
        return await self._launch([sys.executable, "-m", "runtime", *arguments], self.directory, settings)

    async def shell(self, command: str, **settings: str) -> Running:
        """A command that starts Troupe, as one would type it in a checkout; not waited for."""
        # the shell makes way for it, so that signals reach it
        command = re.sub(r"^(\w+=\$\(.*?\) )?", r"\g<1>exec ", command)
        return await self._launch(["bash", "-c", command], ROOT, settings)

    async def _launch(self, command: Sequence[str], directory: Path, settings: Mapping[str, str]) -> Running:
        self._count += 1
        log = self.directory / f"log{self._count}"
        inherited = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
        with log.open("wb") as errors:
            process = await asyncio.create_subprocess_exec(
                *command,
                cwd=directory,
                env={**inherited, "PYTHONPATH": str(ROOT), **self.settings, **settings},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
            )
        running = Running(process, log)
        self._stack.push_async_callback(self._end, running)
        return running

    async def start(self, *arguments: str, **settings: str) -> Running:
        """Likewise, and ready."""
        running = await self.launch(*arguments, **settings)
        await running.until_ready()
        return running

    async def run(self, *arguments: str, **settings: str) -> tuple[int, str, str]:
        """To its end: exit code, standard output and error."""
        running = await self.launch(*arguments, **settings)
        async with asyncio.timeout(READY_S):
            output, _ = await running.process.communicate()
        assert running.process.returncode is not None
        return running.process.returncode, output.decode(), running.log.read_text()

    async def _end(self, running: Running) -> None:
        # SIGTERM lets a parent of processes end its children; whoever does not listen is killed
        try:
            await running.stop()
        except TimeoutError:
            await running.kill()


class Answer(msgspec.Struct):
    """An HTTP answer, read whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body) if self.body else None

    def problem(self) -> str:
        """The code of a problem document (RFC 9457); fails when it is none, or tells too much."""
        assert self.headers["Content-Type"] == "application/problem+json", self
        document = self.json
        assert {"type", "title", "status", "detail", "code", "request_id"} <= set(document), document
        assert document["status"] == self.status
        for word in ("Traceback", 'File "', "select ", "insert ", "/home", "/work", "asyncpg", "sqlite"):
            assert word not in self.body.decode(), document
        code: str = document["code"]
        return code


class Api:
    """A client with or without a token; paths are below the address of an edge."""

    def __init__(self, session: aiohttp.ClientSession, address: str, token: str = "", user: Any = None) -> None:
        self._session = session
        self.address = address
        self.token = token
        self.user = user

    async def __call__(
        self, method: str, path: str, json: Any = None, *, body: bytes | None = None, **headers: str
    ) -> Answer:
        """One request; `if_match="x"` sends `If-Match: x`."""
        sent = {name.replace("_", "-").title(): value for name, value in headers.items()}
        if self.token:
            sent.setdefault("Authorization", f"Bearer {self.token}")
        if json is not None:
            body = msgspec.json.encode(json)
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
        # a file, not bytes: aiohttp warns of large ones
        data = io.BytesIO(body) if isinstance(body, bytes) else body
        async with self._session.request(method, self.address + path, data=data, headers=sent) as response:
            return Answer(response.status, response.headers, await response.read())

    async def person(self, name: str) -> Api:
        """Register somebody with a fresh address and sign in: a client that speaks for them."""
        email = f"{name.lower()}-{uuid4().hex[:12]}@example.org"
        made = await self("POST", "/v1/users", {"email": email, "password": PASSWORD, "name": name})
        assert made.status == 201, made
        opened = await self("POST", "/v1/sessions", {"email": email, "password": PASSWORD})
        assert opened.status == 201, opened
        return Api(self._session, self.address, opened.json["access_token"], made.json)

    def anonymous(self) -> Api:
        """Nobody, at the same edge."""
        return Api(self._session, self.address)

    def at(self, address: str) -> Api:
        """The same person at another edge."""
        return Api(self._session, address, self.token, self.user)

    def with_token(self, token: str) -> Api:
        """A client with another token."""
        return Api(self._session, self.address, token, self.user)

    async def project(self, name: str = "Engine") -> str:
        """Make a project; its id."""
        made = await self("POST", "/v1/projects", {"name": name})
        assert made.status == 201, made
        return str(made.json["id"])

    async def task(self, project: str, title: str = "Order brass", **fields: Any) -> Any:
        """Make a task."""
        made = await self("POST", "/v1/tasks", {"project_id": project, "title": title, **fields})
        assert made.status == 201, made
        return made.json

    async def until_ready(self, seconds: float = READY_S) -> None:
        """Until /readyz answers 200."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                if (await self("GET", "/readyz")).status == 200:
                    return
            except aiohttp.ClientError:
                pass
            assert time.monotonic() < deadline, "it did not get ready"
            await asyncio.sleep(0.05)
