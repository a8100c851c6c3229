"""A route at work: gate, message, grants, ask, answer."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from typing import Any

import msgspec

from edge.answer import Answer
from edge.binding import Binder
from edge.body import check_media_type, read_body
from edge.call import Call
from edge.gate import Gate
from edge.headers import budget_ms, idempotency_key, none_match
from edge.problems import Problem, of_failed, of_unavailable, remembered
from edge.route import Route, Vouch
from runtime.client import Client, Outcome
from runtime.errors import Refusal, Unavailable
from runtime.message import Caller, Failed, Grant, Refuse, Request, decode_any

BUDGET_S = 10.0
"""How long an actor has to answer, unless the client says otherwise."""

GRANT_MS = 2_000
"""How long another actor has to vouch, at most: without its word, the actor that is asked decides."""


class ActorEndpoint:
    """Answers one route by asking its actor.

    :param key: under which idempotency keys and request hashes are kept. Bodies hold passwords: what is stored of
        them must say nothing to whoever has the database but not the key.
    :param body_limit: bytes. :param deadline_max_s: what a client may ask for.
    """

    def __init__(
        self, route: Route, *, client: Client, gate: Gate, key: bytes, body_limit: int, deadline_max_s: float
    ) -> None:
        self.route = route
        self.path = route.path
        self._binder = Binder(route)
        self._client = client
        self._gate = gate
        self._key = key
        self._body_limit = body_limit
        self._deadline_max_s = deadline_max_s
        self._saves = route.method != "GET"
        self._status = route.status
        self._replies = route.replies
        self._versioned = route.versioned
        self._searches = "q" in self._binder.fields

    async def answer(self, call: Call) -> Answer:
        """:raises Problem: any answer that is no success."""
        headers = call.request.headers
        caller = await self._admit(call)
        body = await self._body(call) if self.route.has_body else b""
        key = idempotency_key(headers) if self._saves else None
        message = self._bound(lambda: self._binder.bind(call.values, call.parameters, headers, body), key)
        outcome = await self._ask(message, call, caller, key, body)
        if self.route.changes_access:
            await self._gate.catch_up()
        return self._answer(call, outcome)

    async def _admit(self, call: Call) -> Caller:
        """Who calls, counted."""
        searches = self._searches and any(name == "q" for name, _ in call.parameters)
        rate = self.route.rate_class(searches=searches)
        try:
            return await self._gate.admit(call, rate, public=self.route.public, scope=self.route.scope)
        except Unavailable as error:
            raise of_unavailable(error, "user") from None

    def _bound(self, bind: Callable[[], Request[Any]], key: str | None) -> Request[Any]:
        """The message. With a key, one that is refused here is the actor's to remember: the key stands for it.

        :raises Problem: without a key, what `bind` raises.
        """
        try:
            return bind()
        except Problem as problem:
            if key is None:
                raise
            return remembered(problem)

    async def _ask(self, message: Request[Any], call: Call, caller: Caller, key: str | None, body: bytes) -> Outcome:
        """The actor's reply. :param body: what the key stands for, besides path, query and headers."""
        route = self.route
        budget = budget_ms(call.request.headers, default_s=BUDGET_S, longest_s=self._deadline_max_s)
        grants: tuple[Grant, ...] = ()
        if route.grants and not isinstance(message, Refuse):
            grants = await self._vouched(message, caller, budget)
        try:
            return await self._client.ask_raw(
                message,
                to=route.actor,
                id=None if key is None else self._id(key, call, caller, body),
                caller=caller,
                request_hash=None if key is None else self._request_hash(call, body),
                budget_ms=budget,
                grants=grants,
                request_id=call.request_id,
                trace=call.trace,
            )
        except Unavailable as error:
            raise of_unavailable(error, route.actor) from None

    async def _body(self, call: Call) -> bytes:
        body = await read_body(call.request, self._body_limit)
        if body or (self._binder.fields and not self._binder.bodiless):
            check_media_type(call.request)
        return body

    async def _vouched(self, message: Request[Any], caller: Caller, budget: int) -> tuple[Grant, ...]:
        """The grants that could be had. :raises Problem: 503, one that is required could not be asked for."""

        async def ask(vouch: Vouch) -> Grant | None:
            budget_ms, asked = min(GRANT_MS, max(1, budget // 2)), self.route.actor
            try:
                subject: Any = message
                if (before := vouch.ask_before(message)) is not None:
                    subject = await self._client.ask(before, caller=caller, budget_ms=budget_ms)
                query, asked = vouch.ask_for(subject), vouch.actor
                if query is None:
                    return None
                return await self._client.ask(query, caller=caller, budget_ms=budget_ms)
            except Refusal:
                return None
            except Unavailable as error:
                if vouch.required:
                    raise of_unavailable(error, asked) from None
                return None

        grants = await asyncio.gather(*map(ask, self.route.grants))
        return tuple(grant for grant in grants if grant is not None)

    def _answer(self, call: Call, outcome: Outcome) -> Answer:
        reply = outcome.reply
        again = (("Idempotency-Replayed", "true"),) if outcome.replayed else ()
        if isinstance(reply, Failed):
            problem = of_failed(reply, self.route.actor, replayed=outcome.replayed)
            problem.headers = (*problem.headers, *again)
            raise problem
        value = decode_any(reply.body)
        if not self._replies:
            return Answer(self._status, headers=again)
        answer = Answer(self._status, msgspec.json.encode(value), headers=again)
        # what parameters add to a resource, its version does not know
        version: int | None = value.get("version") if self._versioned and not call.query else None
        if version is not None:
            answer.fields += (("ETag", f'"{version}"'), ("Cache-Control", "private, no-cache"))
            if not self._saves and none_match(call.request.headers, version):
                return Answer(304, headers=answer.fields)
        else:
            answer.fields.append(("Cache-Control", "no-store"))
        if self.route.created is not None:
            answer.fields.append(("Location", self.route.created.format_map(value)))
        return answer

    def _id(self, key: str, call: Call, caller: Caller, body: bytes) -> str:
        """What a key is in the actor's inbox: the user, or for the anonymous address and body, and the key."""
        who = ("user", caller.id) if caller.id is not None else ("address", call.address)
        return "k:" + self._digest(self.route.actor, key, *who, b"" if caller.id is not None else body).hex()

    def _request_hash(self, call: Call, body: bytes) -> bytes:
        """Another request with the same key has another one."""
        if_match = ",".join(call.request.headers.getall("If-Match", []))
        return self._digest(call.request.method, call.path, call.query, if_match, body)

    def _digest(self, *parts: str | bytes) -> bytes:
        digest = hashlib.blake2b(key=self._key, digest_size=32)
        for part in parts:
            octets = part.encode("utf-8", "surrogateescape") if isinstance(part, str) else part
            digest.update(len(octets).to_bytes(8) + octets)
        return digest.digest()
