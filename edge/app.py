"""The edge as a whole: what it is made of, how it starts and stops, and the way of each request."""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import Mapping
from contextlib import suppress
from errno import EADDRINUSE
from typing import Any

import structlog
from aiohttp import web

from config.settings import Settings
from edge import limits, openapi
from edge.access import Access
from edge.answer import Answer
from edge.api_tokens import ApiTokens
from edge.auth import AccessTokens
from edge.calendar import CalendarFile
from edge.call import UNSERVED, Call
from edge.cors import Origins
from edge.direct import DirectUploads
from edge.docs_page import DocsPage
from edge.endpoint import ActorEndpoint
from edge.events import EventsEndpoint
from edge.everyone import EveryoneEndpoint, RosterEndpoint
from edge.export_answer import ExportEndpoint
from edge.files import Avatars, Files
from edge.gate import Gate
from edge.gathering import GatheringEndpoint
from edge.listener import Listener
from edge.live import Live
from edge.network import Proxies, network_of
from edge.operations import Document, Healthz, MetricsPage, Readiness, Readyz
from edge.problems import Problem, internal
from edge.route import Everyone, Roster, Route
from edge.router import Endpoint, Router
from edge.routes import ROUTES
from edge.shared_tokens import SharedTokens
from edge.unsubscribe import UnsubscribePage
from edge.uploads import UploadEndpoint
from runtime import stagehands
from runtime.client import Client
from runtime.context import Clock
from runtime.errors import StartError, Unavailable
from runtime.keys import Keys, Sealer
from runtime.ports import Blobs, Cache
from runtime.signed_urls import SignedUrls
from runtime.telemetry import Metrics, logger

SLOW_S = 1.0
"""Requests that take longer are logged at `info`."""

CLOSE_S = 5.0
"""What is under way in spite of `drain` may take so long when the port closes."""

FIRST_KEYS_MS = 300
"""How long the start waits for the keys of access tokens; without them, the first token asks again."""


class Edge:
    """HTTP outside, messages inside.

    :param readiness: name of each dependency → `ok`, or what is wrong.
    :param keys: for the key under which idempotency keys are kept, the same on every edge.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        client: Client,
        clock: Clock,
        cache: Cache,
        blobs: Blobs,
        readiness: Readiness,
        metrics: Metrics,
        keys: Keys,
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._proxies = Proxies(settings.trusted_proxies)
        self._origins = Origins(settings.cors_origins)
        self._tokens = AccessTokens(client, issuer=settings.origin, clock=clock)
        self._limits = limits.Limits(limits.parse(settings.rate_limits), cache=cache, clock=clock)
        self.access = Access(client)
        """Its `run` keeps watch while the edge is up."""
        shared = SharedTokens(cache, Sealer(keys.of("edge")), clock=clock)
        self._gate = Gate(self._tokens, ApiTokens(client, shared, clock=clock), self.access, self._limits)
        self.live = Live(client, self._gate.is_good)
        """Likewise."""
        self._ready = Readyz(readiness, self.access)
        self._router = Router()
        self._add_routes(client, blobs, keys.of("edge"))
        urls = SignedUrls(keys.signing("media", settings.signed_url_keys))
        files = Files(client=client, blobs=blobs, urls=urls, clock=clock)
        self._router.add("GET", files.path, files)
        avatars = Avatars(client=client, blobs=blobs, urls=urls, clock=clock)
        self._router.add("GET", avatars.path, avatars)
        direct = DirectUploads(client=client, blobs=blobs, urls=urls, clock=clock)
        self._router.add("PUT", direct.path, direct)
        events = EventsEndpoint(live=self.live, gate=self._gate)
        self._router.add("GET", events.path, events)
        page = UnsubscribePage(client=client, gate=self._gate)
        self._router.add("GET", page.path, page)
        self._router.add("POST", page.path, page)
        calendar = CalendarFile(client=client, gate=self._gate)
        self._router.add("GET", calendar.path, calendar)
        self._observers: dict[tuple[str, str, int], Any] = {}
        self._log = logger().bind()
        self._under_way = 0
        self._idle = asyncio.Event()
        self._runner: web.ServerRunner | None = None

    async def start(self) -> str:
        """Listen. :return: the address, `http://127.0.0.1:8080`. :raises StartError: the port is not to be had."""
        _allow_connections()
        await self.access.watch()
        await self.live.watch()
        with suppress(Unavailable):
            await self._tokens.fetch_keys(budget_ms=FIRST_KEYS_MS)
            await self.access.refresh(budget_ms=FIRST_KEYS_MS)
        host, port = self._settings.edge_host, self._settings.edge_port
        self._runner = web.ServerRunner(Listener(self._handle), shutdown_timeout=CLOSE_S)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port, backlog=1024)
        try:
            await site.start()
        except OSError as error:
            await self._runner.cleanup()
            in_use = f"the port is in use; EDGE_PORT chooses another ({host}:{port})"
            raise StartError(f"the edge cannot listen: {in_use if error.errno == EADDRINUSE else error}") from None
        return f"http://{f'[{host}]' if ':' in host else host}:{site.port}"

    async def drain(self) -> None:
        """Say that this edge is about to stop, to balancers by /readyz and to clients by `Connection: close`, and
        wait until no request is under way."""
        self._ready.draining = True
        self.live.close()
        while self._under_way:
            self._idle.clear()
            await self._idle.wait()

    async def stop(self) -> None:
        """Close the port and all connections."""
        if self._runner is not None:
            await self._runner.cleanup()
        await self._limits.close()

    def _add_routes(self, client: Client, blobs: Blobs, key: bytes) -> None:
        settings, gate = self._settings, self._gate
        longest = settings.deadline_max_s
        for route in ROUTES:
            endpoint: Endpoint
            if route.form is not None:
                endpoint = UploadEndpoint(
                    route, route.form, client=client, gate=gate, blobs=blobs, key=key, deadline_max_s=longest
                )
            elif route.gathering is not None:
                endpoint = GatheringEndpoint(
                    route, route.gathering, client=client, gate=gate, key=key, deadline_max_s=longest
                )
            elif route.everyone is not None:
                endpoint = self._everyone(route, route.everyone, client, key)
            elif route.exports:
                endpoint = ExportEndpoint(
                    route,
                    blobs=blobs,
                    client=client,
                    gate=gate,
                    key=key,
                    body_limit=settings.body_limit,
                    deadline_max_s=longest,
                )
            else:
                endpoint = ActorEndpoint(
                    route, client=client, gate=gate, key=key, body_limit=settings.body_limit, deadline_max_s=longest
                )
            self._router.add(route.method, route.path, endpoint)
        document = Document(lambda: openapi.document(ROUTES, server=settings.origin))
        metrics = MetricsPage(self._metrics.render, settings.metrics_token)
        for each in (Healthz(), self._ready, metrics, document, DocsPage(document)):
            self._router.add("GET", each.path, each)

    def _everyone(self, route: Route, everyone: Everyone | Roster, client: Client, key: bytes) -> Endpoint:
        surroundings: dict[str, Any] = {
            "actors": stagehands.actor_names(),
            "client": client,
            "gate": self._gate,
            "key": key,
            "body_limit": self._settings.body_limit,
            "deadline_max_s": self._settings.deadline_max_s,
        }
        if isinstance(everyone, Roster):
            return RosterEndpoint(route, everyone, **surroundings)
        return EveryoneEndpoint(route, everyone, **surroundings)

    async def _handle(self, request: web.BaseRequest) -> Answer:
        started = time.perf_counter()
        call = Call(request)
        call.address = self._proxies.client(request.remote, request.headers.getall("X-Forwarded-For", []))
        structlog.contextvars.bind_contextvars(request_id=call.request_id, trace_id=call.trace[3:35])
        self._under_way += 1
        try:
            answer = await self._answer(call)
        except Problem as problem:
            answer = problem.answer(call.request_id)
        except Exception:
            self._log.exception("http.failed", route=call.route)
            answer = internal().answer(call.request_id)
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()
        answer.fields += (("X-Request-Id", call.request_id), *call.limits, *self._origins.headers(request.headers))
        answer.closes = answer.closes or self._ready.draining
        self._observe(call, answer.status, time.perf_counter() - started)
        return answer

    async def _answer(self, call: Call) -> Answer:
        endpoints, call.values = self._router.find(call.path)
        method = call.request.method
        endpoint = endpoints.get("GET" if method == "HEAD" else method)
        if endpoint is None:
            return self._unserved(call, endpoints)
        call.route = endpoint.path
        return await endpoint.answer(call)

    def _unserved(self, call: Call, endpoints: Mapping[str, Endpoint]) -> Answer:
        method = call.request.method
        if call.path.startswith("/v1/"):
            reads = method in ("GET", "HEAD", "OPTIONS")
            self._gate.count(call, "read" if reads else "write", network_of(call.address))
        if not endpoints:
            raise Problem(404, "route.not_found", "There is nothing at this path.")
        allowed = sorted({*endpoints, "OPTIONS", *(("HEAD",) if "GET" in endpoints else ())})
        allow = ("Allow", ", ".join(allowed))
        if method == "OPTIONS":
            return Answer(204, headers=(allow, *self._origins.preflight(call.request.headers, allowed)))
        raise Problem(405, "route.method_not_allowed", f"This path knows {allow[1]}.", headers=(allow,))

    def _observe(self, call: Call, status: int, seconds: float) -> None:
        """One line and one measurement a request; never the path as it came, which may hold a secret."""
        method = call.request.method if call.route != UNSERVED else "other"
        observer = self._observers.get((call.route, method, status))
        if observer is None:
            observer = self._metrics.requests.labels(call.route, method, str(status))
            self._observers[call.route, method, status] = observer
        observer.observe(seconds)
        tell = self._log.info if status >= 500 or seconds > SLOW_S else self._log.debug
        tell("http.request", method=method, route=call.route, status=status, ms=round(seconds * 1000, 1))


def _allow_connections() -> None:
    """Each is a file descriptor, and a shell or container lets a process have 1024 unless it asks for more: the soft
    limit goes up to the hard one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # macOS says that there is no limit, and has one
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
