"""Putting failed messages aside, in the actor's own store: until they are due again, or for good."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from runtime.actor import Handler
from runtime.errors import Later, Refusal, StoreAway, Unavailable
from runtime.keys import Sealer
from runtime.message import Envelope, Failed, encode, holds_secret, read_envelope
from runtime.ports import Busy, Parked, ParkedRow, Saved, Store
from runtime.telemetry import Metrics, logger
from runtime.verdict import Received, Settle, Verdict

REASON = 1000
"""Characters kept of a failure's reason."""


class Parking:
    """The parked messages of one actor; `due_at` null makes a dead letter.

    :param report: is told of what a handler raised that was no verdict.
    """

    def __init__(
        self,
        actor: str,
        store: Store,
        table: Mapping[str, Handler],
        *,
        sealer: Sealer,
        metrics: Metrics,
        new_id: Callable[[], str],
        report: Callable[[BaseException], None],
    ) -> None:
        self._actor = actor
        self._store = store
        self._table = table
        self._sealer = sealer
        self._metrics = metrics
        self._new_id = new_id
        self._report = report

    async def park(self, handler: Handler, received: Received, error: Exception) -> Verdict:
        """Until the handler's policy or a `Later` says; a refusal, or a failure of the last try, is for good."""
        envelope = received.envelope
        tries = envelope.attempt + 1
        delay_s = None if isinstance(error, Refusal) else handler.retry.delay_s(tries)
        if delay_s is not None and isinstance(error, Later):
            delay_s = error.seconds
        reason = f"{error.code} {error.detail}" if isinstance(error, Refusal) else f"{type(error).__name__}: {error}"
        if not isinstance(error, Refusal | Later | Unavailable):
            self._report(error)
        if delay_s is None:
            return await self.bury(envelope, reason, attempt=tries)
        logger().info("message.parked", actor=self._actor, type=envelope.type, id=envelope.id, reason=reason)
        self._metrics.parked.labels(self._actor, envelope.type).inc()
        return await self._put(self.form(envelope, tries, round(delay_s * 1000), reason))

    async def bury(self, envelope: Envelope, reason: str, *, attempt: int = 1) -> Verdict:
        """For good: a dead letter."""
        logger().error("message.dead", actor=self._actor, type=envelope.type, id=envelope.id, reason=reason)
        self._metrics.dead.labels(self._actor, envelope.type).inc()
        return await self._put(self.form(envelope, attempt, None, reason))

    async def give_up(self, row: ParkedRow, reason: str) -> None:
        """Make a dead letter of a parked row."""
        self._metrics.dead.labels(self._actor, row.type).inc()
        await self._put(Parked(row.id, row.type, row.envelope, row.attempt, None, reason))

    def form(self, envelope: Envelope, attempt: int, due_in_ms: int | None, reason: str) -> Parked:
        """An envelope as it lies in the store: sealed when it holds a secret."""
        handler = self._table.get(envelope.type)
        secret = handler is not None and holds_secret(handler.message)
        wrapped = self._sealer.wrap(encode(envelope), secret=secret)
        return Parked(
            envelope.id, envelope.type, wrapped, attempt, due_in_ms, reason[:REASON], envelope.request_id,
            self._new_id(),
        )  # fmt: skip

    def received(self, row: ParkedRow) -> Received:
        """A parked row, ready for dispatch.

        :raises MessageError: the row holds no envelope, or one sealed with another key.
        """
        envelope = read_envelope(self._sealer.unwrap(row.envelope))
        # the lease has counted this attempt already; an envelope counts those before it
        return Received(msgspec.structs.replace(envelope, attempt=max(0, row.attempt - 1)), unpark=True)

    async def _put(self, parked: Parked) -> Verdict:
        try:
            await self._store.park([parked])
        except StoreAway:
            return Settle.HOLD
        return Settle.DONE


def unparked(received: Received, found: Verdict | Saved | Busy) -> list[str]:
    """The parked row that goes with the commit. It stays while another has the message in hand, and when an event was
    refused: it is about to become a dead letter."""
    dead = isinstance(found, Failed) and received.envelope.reply_to is None
    return [] if not received.unpark or dead or isinstance(found, Busy) else [received.envelope.id]
