"""What both monoliths share: two routes on plain aiohttp, in front of a store in the same process."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol
from uuid import uuid4

import msgspec
from aiohttp import web

encode = msgspec.json.Encoder().encode


class NewTask(msgspec.Struct):
    """The body of POST."""

    project_id: str
    title: str
    description: str = ""


class Task(msgspec.Struct):
    """The answer to both."""

    id: str
    project_id: str
    title: str
    description: str
    status: str
    created_at: int


COLUMNS = ", ".join(Task.__struct_fields__)
decode_new = msgspec.json.Decoder(NewTask).decode


class Store(Protocol):
    """:meth:`create` also writes an outbox row, in the same transaction."""

    async def get(self, id: str) -> Task | None: ...

    async def create(self, task: Task) -> None: ...


async def serve(store: Store) -> None:
    """Until it is ended."""

    async def get(request: web.Request) -> web.Response:
        task = await store.get(request.match_info["id"])
        if task is None:
            raise web.HTTPNotFound
        return web.Response(body=encode(task), content_type="application/json")

    async def post(request: web.Request) -> web.Response:
        new = decode_new(await request.read())
        task = Task(str(uuid4()), new.project_id, new.title, new.description, "todo", time.time_ns() // 1_000_000)
        await store.create(task)
        return web.Response(status=201, body=encode(task), content_type="application/json")

    app = web.Application()
    app.router.add_get("/v1/tasks/{id}", get)
    app.router.add_post("/v1/tasks", post)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, backlog=1024)
    await site.start()
    print(f"ready at http://127.0.0.1:{site.port}", flush=True)
    await asyncio.Event().wait()
