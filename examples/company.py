"""What the walk stands on: somebody at the API, where mail arrives, and how far the walk is."""

from __future__ import annotations

import asyncio
import email
import email.policy
import json
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

import aiohttp

PASSWORD = "a walk of nine gentle steps"
PATIENCE_S = 30.0


class Failed(Exception):
    """A step did not hold; its message says what was wrong."""


def check(holds: object, what: str, seen: object = "") -> None:
    """:raises Failed: it does not hold."""
    if not holds:
        raise Failed(f"{what}; seen: {seen}" if seen != "" else what)


class Person:
    """Somebody at the API; nobody in particular as long as there is no token."""

    def __init__(self, session: aiohttp.ClientSession, base: str, token: str = "", user: Any = None) -> None:
        self._session = session
        self._base = base
        self._token = token
        self.user = user

    async def call(
        self, method: str, path: str, body: Any = None, *, expect: int = 200, headers: Mapping[str, str] | None = None
    ) -> Any:
        """One request; the JSON of its answer. A form is sent as it is, anything else as JSON."""
        sent = dict(headers or {})
        if self._token:
            sent["Authorization"] = f"Bearer {self._token}"
        kind = "data" if isinstance(body, aiohttp.FormData) else "json"
        content: Any = {} if body is None else {kind: body}
        async with self._session.request(method, self._base + path, headers=sent, **content) as response:
            text = await response.text()
        check(response.status == expect, f"{method} {path} must answer {expect}", f"{response.status} {text[:500]}")
        return json.loads(text) if text else None

    async def all(self, path: str) -> list[Any]:
        """All items of a collection, page by page."""
        items: list[Any] = []
        cursor = ""
        while True:
            page = await self.call("GET", f"{path}{'&' if '?' in path else '?'}limit=200{cursor}")
            items += page["items"]
            if page["next_cursor"] is None:
                return items
            cursor = f"&cursor={page['next_cursor']}"

    async def register(self, name: str) -> Person:
        """Somebody new, signed in."""
        address = f"{name.lower()}-{uuid4().hex[:12]}@example.org"
        account = {"email": address, "password": PASSWORD, "name": name}
        user = await self.call("POST", "/v1/users", account, expect=201)
        tokens = await self.call("POST", "/v1/sessions", {"email": address, "password": PASSWORD}, expect=201)
        return Person(self._session, self._base, tokens["access_token"], user)

    async def ready(self) -> bool:
        """Whether the API and all that it needs are there."""
        try:
            async with self._session.get(self._base + "/readyz") as response:
                return response.status == 200
        except aiohttp.ClientError:
            return False

    async def fetch(self, url: str) -> tuple[int, bytes]:
        """Whatever is at an address, without a token."""
        async with self._session.get(url) as response:
            return response.status, await response.read()


class Mails(Protocol):
    """Where mail arrives."""

    async def to(self, address: str) -> list[str]:
        """Subject and text of each mail to an address, oldest first."""
        ...


class Folder:
    """Mail of `MAIL_URL=file:…`: one .eml file each."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def to(self, address: str) -> list[str]:
        found = []
        for path in sorted(self._path.rglob("*.eml"), key=lambda each: each.stat().st_mtime_ns):
            message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
            part = message.get_body(("plain",))
            if address in str(message["To"]) and part is not None:
                found.append(f"{message['Subject']}\n{part.get_content()}")
        return found


class Mailpit:
    """Mail that Mailpit has caught, over its API (https://mailpit.axllent.org/docs/api-v1/)."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url.rstrip("/")

    async def to(self, address: str) -> list[str]:
        listed = await self._get("/api/v1/messages?limit=1000")
        mine = [each for each in listed["messages"] if any(to["Address"] == address for to in each["To"])]
        mails = [await self._get(f"/api/v1/message/{each['ID']}") for each in reversed(mine)]
        return [f"{mail['Subject']}\n{mail['Text']}" for mail in mails]

    async def _get(self, path: str) -> Any:
        async with self._session.get(self._url + path) as response:
            return await response.json()


async def until(look: Callable[[], Awaitable[Any]], what: str) -> Any:
    """What `look` finds, as soon as it finds something."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := await look()):
        check(time.monotonic() < deadline, f"within {PATIENCE_S:.0f} s: {what}")
        await asyncio.sleep(0.1)
    return found


class Steps:
    """Says how far the walk is; on a terminal with a bar that moves."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._at = 0
        self._began = 0.0
        self._moves = sys.stderr.isatty()

    def begin(self, title: str) -> None:
        self._at += 1
        self._began = time.monotonic()
        self._title = f"[{self._at}/{self._total}] {title}"
        self.bar(0, 1)

    def bar(self, done: int, total: int) -> None:
        if self._moves:
            full = 24 * done // max(total, 1)
            print(f"\r{self._title:<48}{'█' * full}{'·' * (24 - full)} {done}/{total} ", end="", file=sys.stderr)

    def end(self, found: str) -> None:
        if self._moves:
            print("\r\033[K", end="", file=sys.stderr)
        print(f"{self._title:<48}{time.monotonic() - self._began:6.2f} s  {found}", flush=True)
