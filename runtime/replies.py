"""Replies: what a handler's result says to whoever asked, and what the inbox remembers of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from runtime.actor import Handler
from runtime.errors import Kind, Later, Refusal, StoreAway, Throttled, Unavailable
from runtime.keys import Sealer
from runtime.message import (
    IN_PROGRESS,
    Envelope,
    Failed,
    Ok,
    Reply,
    decode_reply,
    encode,
    failed,
    holds_secret,
    reply_type,
)
from runtime.ports import About, Busy, Claim, Saved, Settled
from runtime.telemetry import bound_to
from runtime.verdict import Received, Settle, Verdict


class Replies:
    """The replies of one actor, sealed in its inbox where they hold a secret.

    :param report: is told of what a handler raised that was no verdict.
    """

    def __init__(self, actor: str, *, sealer: Sealer, report: Callable[[BaseException], None]) -> None:
        self._actor = actor
        self._sealer = sealer
        self._report = report

    def to(self, envelope: Envelope, result: Any) -> Verdict:
        """The verdict that a result, or what was raised instead, stands for."""
        if isinstance(result, Later):
            away = Unavailable(result.detail or f"{self._actor} is not ready for this", retry_after=result.seconds)
            return failed(away)
        if isinstance(result, Refusal):
            return failed(result, by=envelope.nonce, request_id=envelope.request_id)
        if isinstance(result, Unavailable):
            return failed(result)
        if isinstance(result, Exception):
            with bound_to(envelope.request_id or envelope.id, envelope.trace):
                self._report(result)
            return Failed(Kind.INTERNAL, "internal")
        if envelope.reply_to is None:
            return Settle.DONE
        return Ok(encode(result), envelope.nonce)

    def settled(
        self, handler: Handler, envelope: Envelope, verdict: Verdict, result: Any, *, made: Sequence[str] = ()
    ) -> list[Settled]:
        """The inbox row of a handled message. A throttled one and a refused event have none: they may come again.

        :param made: see `runtime.ports.About`.
        """
        if isinstance(result, Throttled) or (isinstance(result, Refusal) and envelope.reply_to is None):
            return []
        reply = None
        if not isinstance(verdict, Settle):
            secret = holds_secret(reply_type(handler.message))
            reply = self._sealer.wrap(encode(verdict), secret=secret)
        caller = envelope.caller.id if envelope.caller else None
        about = About(envelope.type, envelope.request_id, envelope.cause, caller, "\n".join(made))
        return [Settled(claim_of(envelope), reply, about)]

    def known(self, envelope: Envelope, claimed: Saved | Busy) -> Verdict:
        """An id that is not ours to handle: settled before, or in another's hands."""
        if envelope.reply_to is None:
            # whoever holds it may yet die: only what is settled needs nobody any more
            return Settle.HOLD if isinstance(claimed, Busy) else Settle.DONE
        if isinstance(claimed, Busy):
            if claimed.same:
                return Settle.DONE  # whoever holds the other copy answers, or leaves it to the next re-sending
            return Failed(Kind.CONFLICT, IN_PROGRESS, "the first request with this key still runs")
        if claimed.hash != envelope.request_hash:
            return Failed(
                Kind.INVALID, "idempotency.key_reused", "this key was used for another request; take a new one for this"
            )
        if claimed.reply is None:
            return Settle.DONE
        reply: Reply = decode_reply(self._sealer.unwrap(claimed.reply))
        return reply

    def away(self, received: Received, error: StoreAway) -> Verdict:
        """The store is away, which is no failure of the message."""
        if received.envelope.reply_to is None:
            return Settle.HOLD
        return failed(StoreAway(f"the store of {self._actor!r} is away", retry_after=error.retry_after))


def claim_of(envelope: Envelope) -> Claim:
    """The wish to be the one who handles it."""
    return Claim(envelope.id, envelope.request_hash, envelope.nonce if envelope.reply_to else "")
