"""Handing mail to the mailer, so that a server that is away holds nobody up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from runtime.errors import MailerAway
from runtime.ports import Mail, Mailer


class Postman:
    """One mail at a time. Whoever waited while the server turned out to be away need not find out by themselves: a
    queue before a silent server is gone after one time-out, and no lease runs out in it."""

    def __init__(self, mailer: Mailer) -> None:
        self._mailer = mailer
        self._turn = asyncio.Lock()
        self._failures = 0

    async def forget(self, address: str) -> None:
        """:raises MailerAway: try later."""
        await self._mailer.forget(address)

    async def send(self, mail: Mail, record: Callable[[], Awaitable[None]]) -> None:
        """:param record: writes down that the server has it, before the next one's turn: so a crash finds one mail at
            most of which that is not known.
        :raises MailerAway: try later. :raises Invalid: never.
        """
        failures = self._failures
        async with self._turn:
            if failures != self._failures:
                raise MailerAway("the mail server went away while this one waited")
            try:
                await self._mailer.send(mail)
            except MailerAway:
                self._failures += 1
                raise
            await record()
