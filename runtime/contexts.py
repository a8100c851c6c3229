"""Making contexts: what of an envelope a handler gets to see."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from runtime.context import ANONYMOUS, Clock, Context, OutsideContext, Surroundings
from runtime.keys import sign_grant
from runtime.message import Grant
from runtime.ports import Scope, Store
from runtime.telemetry import child_of
from runtime.verdict import Received

GRANT_MS = 5_000
"""How long an actor's word is good."""


class Contexts:
    """The contexts of one actor; its caller and grants count only in an envelope that was signed for it."""

    def __init__(
        self,
        actor: str,
        store: Store,
        records: Callable[[Scope], Any],
        *,
        key: bytes,
        clock: Clock,
        new_id: Callable[[], str],
    ) -> None:
        self._actor = actor
        self._store = store
        self._records = records
        self._key = key
        self._clock = clock
        self._new_id = new_id

    def inside(self, records: Any, received: Received) -> Context[Any]:
        """For a handler inside a transaction, or for a query."""
        return Context(records, **self._surroundings(received))

    def outside(self, received: Received, enter_last: Callable[[], Awaitable[Any]]) -> OutsideContext[Any]:
        """For a handler between transactions. :param enter_last: begins the last one; its records."""

        @asynccontextmanager
        async def step() -> AsyncIterator[Any]:
            async with self._store.transaction() as transaction:
                yield self._records(transaction)

        @asynccontextmanager
        async def finish() -> AsyncIterator[Any]:
            yield await enter_last()

        records = self._records(self._store.reader)
        return OutsideContext(records, step=step, finish=finish, **self._surroundings(received))

    def vouch(self, fact: str, subject: str, value: bytes) -> Grant:
        """The actor's signed word."""
        return sign_grant(self._key, Grant(self._actor, fact, subject, value, GRANT_MS))

    def _surroundings(self, received: Received) -> Surroundings:
        envelope = received.envelope
        trusted = received.trusted
        return {
            "now": self._clock(),
            "new_id": self._new_id,
            "vouch": self.vouch,
            "caller": (envelope.caller or ANONYMOUS) if trusted else ANONYMOUS,
            "grants": _good(received) if trusted else (),
            "cause": envelope.id,
            "trace": child_of(envelope.trace) if envelope.trace else None,
            "request_id": envelope.request_id,
        }


def _good(received: Received) -> tuple[Grant, ...]:
    """The grants that have not expired while the message waited here."""
    grants = received.envelope.grants
    if not grants or received.arrived is None:
        return grants
    waited_ms = (asyncio.get_running_loop().time() - received.arrived) * 1000
    return tuple(grant for grant in grants if grant.expires_in > waited_ms)
