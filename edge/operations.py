"""Calls for those who run an installation: alive, ready, metrics, and the document of all calls."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Mapping
from functools import cached_property
from http import HTTPStatus

import msgspec

from edge.access import Access
from edge.answer import Answer
from edge.call import Call
from edge.headers import bearer_token
from edge.problems import unauthenticated
from runtime.ops import readiness_status

Readiness = Callable[[], Awaitable[Mapping[str, str]]]
"""Name of each dependency → `ok`, or what is wrong."""


class Health(msgspec.Struct, frozen=True):
    """The process answers."""

    status: str = "ok"


class Ready(msgspec.Struct, frozen=True):
    """Whether requests should be sent here; each dependency says `ok` or what is wrong."""

    status: str
    dependencies: Mapping[str, str]


class Healthz:
    """Alive: the process answers."""

    path = "/healthz"

    async def answer(self, call: Call) -> Answer:
        return Answer(200, msgspec.json.encode(Health()), headers=_FRESH)


class Readyz:
    """Ready: each dependency by name; 503 when one is away that is needed, or the process is about to stop."""

    path = "/readyz"

    def __init__(self, readiness: Readiness, access: Access) -> None:
        self._readiness = readiness
        self._access = access
        self.draining = False

    async def answer(self, call: Call) -> Answer:
        dependencies = {**await self._readiness(), "sessions": self._access.word}
        ready = readiness_status(dependencies) == HTTPStatus.OK
        status = "draining" if self.draining else "ok" if ready else "unavailable"
        return Answer(200 if status == "ok" else 503, msgspec.json.encode(Ready(status, dependencies)), headers=_FRESH)


class MetricsPage:
    """Metrics in Prometheus' text format 0.0.4.

    :param token: when set, the call must bring it as a Bearer token.
    """

    path = "/metrics"

    def __init__(self, render: Callable[[], bytes], token: str) -> None:
        self._render = render
        self._token = token.encode()

    async def answer(self, call: Call) -> Answer:
        if self._token:
            given = bearer_token(call.request.headers) or ""
            if not hmac.compare_digest(given.encode("utf-8", "surrogateescape"), self._token):
                raise unauthenticated("auth.required", "Metrics need the token of the setting METRICS_TOKEN.")
        return Answer(200, self._render(), media_type="text/plain; version=0.0.4; charset=utf-8", headers=_FRESH)


class Document:
    """The OpenAPI document of all calls.

    :param build: makes it, once, when it is asked for first.
    """

    path = "/openapi.json"

    def __init__(self, build: Callable[[], bytes]) -> None:
        self._build = build

    async def answer(self, call: Call) -> Answer:
        return Answer(200, self.content, headers=(("Cache-Control", "no-cache"),))

    @cached_property
    def content(self) -> bytes:
        """As JSON."""
        return self._build()


_FRESH = (("Cache-Control", "no-store"),)
