"""The page behind the link in a mail, and the one click of RFC 8058 that takes its reader off the list."""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING

from actors.contracts.notify_preferences import GetSubscription, Subscription, Unsubscribe
from edge.answer import Answer
from edge.call import Call
from edge.gate import Gate
from edge.network import network_of
from edge.problems import of_unavailable
from edge.templates import template
from runtime.client import Client
from runtime.errors import Refusal, Unavailable
from runtime.message import Request

if TYPE_CHECKING:
    from jinja2 import Template

ASK_MS = 5_000

_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,2000}")


class UnsubscribePage:
    """Unsubscribe from a kind of mail: GET shows a page and changes nothing, POST does it.

    Mail programs and scanners fetch links; so only a POST counts, whatever its body (RFC 8058 section 3.2).
    """

    path = "/unsubscribe/{token}"
    policy = "default-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

    def __init__(self, *, client: Client, gate: Gate) -> None:
        self._client = client
        self._gate = gate

    async def answer(self, call: Call) -> Answer:
        """:raises Problem: 429; 503 the notify actor is away."""
        token = call.values[0]
        asks = call.request.method == "POST"
        self._gate.count(call, "write" if asks else "read", network_of(call.address))
        message: Request[Subscription] = Unsubscribe(token=token) if asks else GetSubscription(token=token)
        found = None
        if _TOKEN.fullmatch(token):
            try:
                found = await self._client.ask(message, budget_ms=ASK_MS, request_id=call.request_id, trace=call.trace)
            except Refusal:
                pass
            except Unavailable as error:
                raise of_unavailable(error, "notify") from None
        page = self._template.render(subscription=found, done=asks)
        headers = (("Cache-Control", "no-store"), ("Referrer-Policy", "no-referrer"))
        # whatever the body was, nobody reads it: nothing can be taken for a request after it
        status = 404 if found is None else 200
        kind = "text/html; charset=utf-8"
        answer = Answer(status, page.encode(), media_type=kind, headers=headers, close=asks)
        answer.policy = self.policy
        return answer

    @cached_property
    def _template(self) -> Template:
        return template("unsubscribe.html")
