"""Routes that several actors answer: asked side by side, put together here, whole even while some of them are away."""

from __future__ import annotations

import asyncio
from typing import Any

from edge.call import Call
from edge.endpoint import BUDGET_S, ActorEndpoint
from edge.gate import Gate
from edge.headers import budget_ms
from edge.problems import of_failed
from edge.route import Gathering, Route
from runtime.client import Client, Outcome
from runtime.errors import Refusal, Unavailable
from runtime.message import Caller, Ok, Query, Request, encode, failed, owner

PART_MS = 2_000
"""How long each actor has, at most: those that are away make the whole no slower than that. What was lost on its way
is sent again after one second, and so still answered."""


class GatheringEndpoint(ActorEndpoint):
    """Answers one route by asking several actors. One that is away, or fails, leaves its part empty; what one refuses
    is refused."""

    def __init__(
        self, route: Route, gathering: Gathering, *, client: Client, gate: Gate, key: bytes, deadline_max_s: float
    ) -> None:
        super().__init__(route, client=client, gate=gate, key=key, body_limit=0, deadline_max_s=deadline_max_s)
        self._gathering = gathering

    async def _ask(self, message: Request[Any], call: Call, caller: Caller, key: str | None, body: bytes) -> Outcome:
        queries = self._gathering.queries
        replies = await asyncio.gather(*(self._part(query, call, caller) for query in queries))
        away = [owner(type(query)) for query, reply in zip(queries, replies, strict=True) if reply is None]
        return Outcome(Ok(encode(self._gathering.join(*replies, away))), replayed=False)

    async def _part(self, query: Query[Any], call: Call, caller: Caller) -> Any:
        """The actor's reply; None while it is away. :raises Problem: it refuses."""
        budget = budget_ms(call.request.headers, default_s=BUDGET_S, longest_s=self._deadline_max_s)
        try:
            return await self._client.ask(
                query,
                caller=caller,
                budget_ms=min(PART_MS, budget),
                request_id=call.request_id,
                trace=call.trace,
            )
        except Refusal as refusal:
            raise of_failed(failed(refusal), owner(type(query)), replayed=False) from None
        except Unavailable:
            return None
