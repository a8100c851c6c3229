"""What commits together with what handlers wrote: the saved replies, what goes out, parked rows that are done with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from runtime.actor import Handler
from runtime.context import Context
from runtime.keys import Sealer
from runtime.outgoing import outgoing, traces
from runtime.parking import unparked
from runtime.ports import Outgoing, Settled, Transaction
from runtime.replies import Replies
from runtime.verdict import Received, Verdict

OUTBOX_LEASE_MS = 5_000
"""How long the process that wrote an outbox row has for publishing it before another takes it up."""


class Closing:
    """The end of one transaction.

    :ivar outgoing: rows of the outbox, leased to this process. :ivar unpark: ids of parked rows that go.
    :ivar beats: whether watchers are to know at once.
    """

    def __init__(self, replies: Replies, *, sealer: Sealer, new_id: Callable[[], str]) -> None:
        self.outgoing: list[Outgoing] = []
        self.unpark: list[str] = []
        self.beats = False
        self._settled: list[Settled] = []
        self._replies = replies
        self._sealer = sealer
        self._new_id = new_id

    def add(self, handler: Handler, received: Received, context: Context[Any], result: Any) -> Verdict:
        """A message that was handled: what its result stands for."""
        envelope = received.envelope
        verdict = self._replies.to(envelope, result)
        sent = outgoing(context, result, sealer=self._sealer, new_id=self._new_id)
        self._settled += self._replies.settled(handler, envelope, verdict, result, made=traces(context, sent))
        self.outgoing += sent
        self.unpark += unparked(received, verdict)
        self.beats = self.beats or context.beats
        return verdict

    async def finish(self, transaction: Transaction) -> None:
        """Write all of it."""
        if self._settled or self.outgoing or self.unpark:
            await transaction.finish(self._settled, self.outgoing, unpark=self.unpark, lease_ms=OUTBOX_LEASE_MS)
