"""A real SMTP server, aiosmtpd, whose answers can be changed while it runs."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP


class Inbox:
    """What a real SMTP server does with mail; each answer can be changed.

    :ivar received: raw bytes of each mail.
    :ivar sessions: connections that got as far as EHLO.
    """

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.receivers: list[list[str]] = []
        self.sessions = 0
        self.sender_answer = self.receiver_answer = self.data_answer = "250 OK"
        self.delay_s = 0.0
        self.drops_after_data = False

    async def handle_EHLO(self, server: Any, session: Any, envelope: Any, host: str, answers: list[str]) -> list[str]:  # noqa: N802 # aiosmtpd's name
        session.host_name = host
        self.sessions += 1
        return answers

    async def handle_MAIL(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:  # noqa: N802 # aiosmtpd's name
        if self.sender_answer.startswith("250"):
            envelope.mail_from = address
        return self.sender_answer

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:  # noqa: N802 # aiosmtpd's name
        if self.receiver_answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.receiver_answer

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 # aiosmtpd's name
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        if self.data_answer.startswith("250"):
            self.received.append(envelope.content)
            self.receivers.append(envelope.rcpt_tos)
        if self.drops_after_data:
            server.transport.abort()
        return self.data_answer


@asynccontextmanager
async def smtp_server(inbox: Inbox, port: int, **options: Any) -> AsyncIterator[None]:
    controller = Controller(inbox, "127.0.0.1", port, **options)
    await asyncio.to_thread(controller.start)
    yield
    await asyncio.to_thread(controller.stop)


@asynccontextmanager
async def tls_server(inbox: Inbox, port: int, context: ssl.SSLContext) -> AsyncIterator[None]:
    """In this loop: aiosmtpd's controller would greet its own server at start without trusting it."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(inbox, loop=loop), "127.0.0.1", port, ssl=context)
    yield
    server.close()
    await server.wait_closed()
