"""Everything on embedded twins in this process, spoken to over HTTP."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from config.settings import Settings
from runtime.app import App
from runtime.context import Clock, Ids, system_clock
from runtime.message import Envelope, Message, encode, wire_name
from runtime.ports import Blobs, Parked
from tests.servers.processes import free_port
from tests.system.world import Answer, Api

SECRET_KEY = "a secret of tests, nowhere else used"
BOUNDARY = "boundary"
NEW_ID = Ids()

Parts = Sequence[tuple[str, str | None, bytes]]
"""(name, file name, content)"""


class House:
    """A running app, and clients of it."""

    def __init__(self, app: App, session: aiohttp.ClientSession, address: str) -> None:
        self.app = app
        self.anyone = Api(session, address)
        self.address = address

    async def person(self, name: str = "Ada") -> Uploader:
        api = await self.anyone.person(name)
        return Uploader(api)


class Uploader:
    """Somebody with files."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.id: str = api.user["id"]

    async def __call__(self, method: str, path: str, **headers: str) -> Answer:
        return await self.api(method, path, None, body=None, **headers)

    async def post(self, parts: Parts, *, boundary: str = BOUNDARY, **headers: str) -> Answer:
        """A form to /v1/media."""
        return await self.send(form(parts, boundary=boundary), boundary=boundary, **headers)

    async def send(self, body: bytes, *, boundary: str = BOUNDARY, path: str = "/v1/media", **headers: str) -> Answer:
        """A body to /v1/media, or elsewhere."""
        headers.setdefault("content_type", f"multipart/form-data; boundary={boundary}")
        return await self.api("POST", path, body=body, **headers)

    async def upload(self, content: bytes = b"text", name: str = "a.txt", **fields: str) -> Any:
        """A file; its Media."""
        answer = await self.post(
            [*((key, None, value.encode()) for key, value in fields.items()), ("file", name, content)]
        )
        assert answer.status == 201, answer
        return answer.json

    async def send_import(self, parts: Parts, **headers: str) -> Answer:
        """A form to /v1/imports."""
        return await self.send(form(parts), path="/v1/imports", **headers)

    async def ended(self, begun: Answer) -> Any:
        """The import, when it has."""
        deadline = time.monotonic() + 30
        while True:
            got = await self("GET", begun.headers["Location"])
            assert got.status == 200, got
            if got.json["status"] in ("done", "failed"):
                return got.json
            assert time.monotonic() < deadline, got.json
            await asyncio.sleep(0.02)

    async def url(self, media: Mapping[str, Any], query: str = "") -> str:
        answer = await self.api("GET", f"/v1/media/{media['id']}/url{query}")
        assert answer.status == 200, answer
        return str(answer.json["url"])

    async def task(self) -> Any:
        """One in a new project of theirs."""
        return await self.api.task(await self.api.project())

    async def join(self, project_id: str, other: Uploader, role: str) -> None:
        """Let someone in."""
        path = f"/v1/projects/{project_id}/members/{other.id}"
        assert (await self.api("PUT", path, {"role": role})).status == 200


def form(parts: Parts, *, boundary: str = BOUNDARY) -> bytes:
    """multipart/form-data (RFC 7578)."""
    body = b""
    for name, filename, content in parts:
        file = "" if filename is None else f'; filename="{filename}"'
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'
        body += head.encode("utf-8", "surrogateescape") + content + b"\r\n"
    return body + f"--{boundary}--\r\n".encode()


@asynccontextmanager
async def house_of(folder: Path, clock: Clock = system_clock, /, **settings: Any) -> AsyncIterator[House]:
    """A house. :param settings: those that are not the default."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    chosen = Settings(
        var_dir=str(folder),
        **{
            "secret_key": SECRET_KEY,
            "edge_port": port,
            "public_url": address,
            "rate_limits": "off",
            "argon2": "8,1,1",
            **settings,
        },
    )
    async with AsyncExitStack() as stack:
        app = App(chosen, [], clock=clock)
        await app.start()
        stack.push_async_callback(app.stop)
        timeout = aiohttp.ClientTimeout(total=20)
        session = await stack.enter_async_context(aiohttp.ClientSession(timeout=timeout))
        yield House(app, session, address)


async def dead_letter(app: App, actor: str, message: Message | None = None) -> str:
    """One of that actor's; its id. :param message: what it holds; by default, what that actor cannot read."""
    letter, kind = NEW_ID(), "unheard_of" if message is None else wire_name(type(message))
    envelope = Envelope(NEW_ID(), kind, "", b"" if message is None else encode(message))
    wrapped = b"\x00" + encode(envelope)
    await app._stores[actor].park([Parked(envelope.id, kind, wrapped, 8, None, "it broke", letter=letter)])
    return letter


async def objects(blobs: Blobs) -> set[str]:
    """The keys of all that is in an object store."""
    return {blob.key async for blob in blobs.list("")}
