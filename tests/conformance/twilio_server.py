"""A local HTTP server that takes text messages as Twilio documents it, and whose answers can be changed.

https://www.twilio.com/docs/messaging/api/message-resource#create-a-message-resource: POST to
`/2010-04-01/Accounts/{AccountSid}/Messages.json` with basic authentication and a form of To, Body, and From or
MessagingServiceSid; 201 with the message, or an error of `code`, `message`, `more_info`, `status`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiohttp import web

SID, TOKEN = "AC" + "5" * 32, "a token: of/tests"


class Provider:
    """:ivar received: forms of the messages that were taken. :ivar answer: instead of 201: status, code, message."""

    def __init__(self) -> None:
        self.received: list[dict[str, str]] = []
        self.answer: tuple[int, int, str] | None = None
        self.body: bytes | None = None
        self.delay_s = 0.0
        self.wrong: list[str] = []
        self.address = ""

    async def account(self, request: web.Request) -> web.Response:
        return self._refused(request) or web.json_response({"sid": SID, "status": "active"})

    async def messages(self, request: web.Request) -> web.Response:
        await asyncio.sleep(self.delay_s)
        if (refused := self._refused(request)) is not None:
            return refused
        if request.content_type != "application/x-www-form-urlencoded":
            self.wrong.append(f"content type {request.content_type}")
        form = {name: str(value) for name, value in (await request.post()).items()}
        sender = {"From", "MessagingServiceSid"} & form.keys()
        if form.keys() != {"To", "Body"} | sender or len(sender) != 1:
            self.wrong.append(f"fields {sorted(form)}")
        if not re.fullmatch(r"\+[1-9][0-9]{1,14}", form.get("To", "")) or not 0 < len(form.get("Body", "")) <= 1600:
            self.wrong.append("To or Body")
        self.received.append(form)
        self.taken()
        message = {"sid": "SM" + "0" * 32, "status": "queued", "to": form.get("To"), "body": form.get("Body")}
        return web.json_response(message, status=201)

    def taken(self) -> None:
        """A message has arrived, and is not answered yet."""

    def _refused(self, request: web.Request) -> web.Response | None:
        if self.body is not None:
            return web.Response(status=self.answer[0] if self.answer else 500, body=self.body)
        if request.headers.get("Authorization") != aiohttp.encode_basic_auth(SID, TOKEN, "utf-8"):
            return _error(401, 20003, "Authentication Error - invalid username")
        if request.match_info["sid"] != SID:
            return _error(404, 20404, "The requested resource was not found")
        return _error(*self.answer) if self.answer else None


def _error(status: int, code: int, message: str) -> web.Response:
    more = f"https://www.twilio.com/docs/errors/{code}"
    fields: dict[str, Any] = {"code": code, "message": message, "more_info": more, "status": status}
    return web.json_response(fields, status=status)


@asynccontextmanager
async def twilio_server(provider: Provider | None = None) -> AsyncIterator[Provider]:
    """One that listens; it fails the test when a request was not as documented."""
    provider = provider or Provider()
    app = web.Application()
    app.router.add_get("/2010-04-01/Accounts/{sid}.json", provider.account)
    app.router.add_post("/2010-04-01/Accounts/{sid}/Messages.json", provider.messages)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    provider.address = f"http://{host}:{port}"
    try:
        yield provider
        assert provider.wrong == []
    finally:
        await runner.cleanup()
