"""Routes for admins that every actor may answer: each is asked about its own share, and checks the caller itself."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from edge.call import Call
from edge.endpoint import BUDGET_S, ActorEndpoint
from edge.gate import Gate
from edge.headers import budget_ms
from edge.problems import Problem, of_failed, of_unavailable
from edge.route import Everyone, Roster, Route
from runtime.client import Client, Outcome
from runtime.errors import BrokerAway, Kind, Unavailable
from runtime.message import Caller, Failed, Ok, Page, Refuse, Request, decode_any, encode

STATE_MS = 2_000
"""How long an actor has to say how it is; longer, and it is away."""

_AWAY = frozenset((Kind.UNAVAILABLE, Kind.OVERLOADED, Kind.TIMEOUT, Kind.INTERNAL))


class _OfAll(ActorEndpoint):
    """Asks actors one by one what is asked of all.

    With an `Idempotency-Key` each is asked under the id that it makes there: so the same key finds whoever had it, and
    the answer that was given.

    :param actors: all there are.
    """

    def __init__(
        self,
        route: Route,
        *,
        actors: Sequence[str],
        client: Client,
        gate: Gate,
        key: bytes,
        body_limit: int,
        deadline_max_s: float,
    ) -> None:
        super().__init__(route, client=client, gate=gate, key=key, body_limit=body_limit, deadline_max_s=deadline_max_s)
        self._actors = actors

    async def _ask_one(
        self, name: str, question: Request[Any], call: Call, caller: Caller, key: str | None, body: bytes
    ) -> Outcome | Unavailable:
        try:
            return await self._client.ask_raw(
                question,
                to=name,
                id=None if key is None else self._id(key, call, caller, body),
                caller=caller,
                request_hash=None if key is None else self._request_hash(call, body),
                budget_ms=budget_ms(call.request.headers, default_s=BUDGET_S, longest_s=self._deadline_max_s),
                request_id=call.request_id,
                trace=call.trace,
            )
        except Unavailable as error:
            return error


class EveryoneEndpoint(_OfAll):
    """Answers one route by asking all actors. What one refuses is refused, unless it only has nothing of it."""

    def __init__(self, route: Route, everyone: Everyone, **surroundings: Any) -> None:
        super().__init__(route, **surroundings)
        self._everyone = everyone

    async def _ask(self, message: Request[Any], call: Call, caller: Caller, key: str | None, body: bytes) -> Outcome:
        _check_admin(caller)
        if isinstance(message, Refuse):  # any actor can remember it, if it is always the same
            asked: dict[str, Request[Any]] = {self._actors[0]: message}
        else:
            questions = ((name, self._everyone.ask(message, name)) for name in self._actors)
            asked = {name: question for name, question in questions if question is not None}
        found = await asyncio.gather(
            *(self._ask_one(name, question, call, caller, key, body) for name, question in asked.items())
        )
        return self._joined(message, dict(zip(asked, found, strict=True)))

    def _joined(self, message: Request[Any], found: Mapping[str, Outcome | Unavailable]) -> Outcome:
        """:raises Problem: the actor that is away, when its share is needed."""
        replies: dict[str, Any] = {}
        missing: Outcome | None = None
        away: tuple[str, Failed | Unavailable] | None = None
        replayed = False
        for name, outcome in found.items():
            if isinstance(outcome, Unavailable):
                away = name, outcome
            elif isinstance(outcome.reply, Ok):
                replies[name] = decode_any(outcome.reply.body)
                replayed = replayed or outcome.replayed
            elif outcome.reply.kind in _AWAY:
                away = name, outcome.reply
            elif outcome.reply.kind == Kind.NOT_FOUND and not isinstance(message, Refuse):
                missing = outcome
            else:
                return outcome
        if away is not None and (self._everyone.whole or not replies):
            name, error = away
            raise (
                of_unavailable(error, name)
                if isinstance(error, Unavailable)
                else of_failed(error, name, replayed=False)
            )
        if missing is not None and not replies:
            return missing
        return Outcome(Ok(encode(self._everyone.join(message, replies))), replayed=replayed)


def _check_admin(caller: Caller) -> None:
    """:raises Problem: 403. Also where no actor is asked, since the actor that is named does not exist."""
    if caller.role != "admin":
        raise Problem(403, "auth.forbidden", "This is for admins.")


class RosterEndpoint(_OfAll):
    """Answers how all actors are. One that does not say so itself is in the answer all the same."""

    def __init__(self, route: Route, roster: Roster, **surroundings: Any) -> None:
        super().__init__(route, **surroundings)
        self._roster = roster

    async def _ask(self, message: Request[Any], call: Call, caller: Caller, key: str | None, body: bytes) -> Outcome:
        _check_admin(caller)
        states, depths = await asyncio.gather(
            asyncio.gather(*(self._state(name, call, caller) for name in self._actors)),
            asyncio.gather(*map(self._depth, self._actors)),
        )
        refused = [state for state in states if isinstance(state, Outcome)]
        if refused:
            return refused[0]
        parts = zip(self._actors, states, depths, strict=True)
        return Outcome(Ok(encode(Page([self._roster.view(*part) for part in parts]))), replayed=False)

    async def _state(self, name: str, call: Call, caller: Caller) -> Any:
        """What it says; None while it is away; the outcome of an ask that it refuses."""
        try:
            async with asyncio.timeout(STATE_MS / 1000):
                outcome = await self._ask_one(name, self._roster.query, call, caller, None, b"")
        except TimeoutError:
            return None
        if isinstance(outcome, Unavailable):
            return None
        if isinstance(outcome.reply, Ok):
            return decode_any(outcome.reply.body)
        return None if outcome.reply.kind in _AWAY else outcome

    async def _depth(self, name: str) -> int | None:
        try:
            return await self._client.depth(name)
        except BrokerAway:
            return None
