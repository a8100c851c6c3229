"""Somebody's tasks for their calendar program: `GET /calendar/{token}.ics`. The address is the permission."""

from __future__ import annotations

import asyncio
import hashlib

from actors.contracts.task_calendar import ListCalendar
from edge.answer import Answer
from edge.call import Call
from edge.gate import Gate
from edge.headers import none_match
from edge.network import network_of
from edge.problems import Problem, of_failed, of_unavailable
from edge.to_dos import calendar_of
from runtime.client import Client
from runtime.errors import Refusal, Unavailable
from runtime.message import encode, failed

ASK_MS = 10_000
SUFFIX = ".ics"
MEDIA_TYPE = "text/calendar; charset=utf-8"


class CalendarFile:
    """The open tasks of whom the address belongs to, as iCalendar."""

    path = "/calendar/{token}.ics"

    def __init__(self, *, client: Client, gate: Gate) -> None:
        self._client = client
        self._gate = gate

    async def answer(self, call: Call) -> Answer:
        """:raises Problem: 404 the address is void, or never was one; 429, 503."""
        self._gate.count(call, "read", network_of(call.address))
        (name,) = call.values
        if not name.endswith(SUFFIX):
            raise Problem(404, "route.not_found", "There is nothing at this path.")
        try:
            tasks = await self._client.ask(ListCalendar(token=name.removesuffix(SUFFIX)), budget_ms=ASK_MS)
        except Refusal as refusal:
            raise of_failed(failed(refusal), "task", replayed=False) from None
        except Unavailable as error:
            raise of_unavailable(error, "task") from None
        etag = hashlib.sha256(encode(tasks)).hexdigest()  # of what would be written: most ask for what they have
        headers = (("ETag", f'W/"{etag}"'), ("Cache-Control", "private, no-cache"))
        if none_match(call.request.headers, etag):
            return Answer(304, headers=headers)
        disposition = ("Content-Disposition", 'attachment; filename="tasks.ics"')
        text = await asyncio.to_thread(calendar_of, tasks.items, "Troupe")
        return Answer(200, text, media_type=MEDIA_TYPE, headers=(*headers, disposition))
