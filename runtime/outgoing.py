"""What a handler wants sent, as rows of the outbox."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from runtime.context import Context
from runtime.errors import Refusal
from runtime.keys import Sealer
from runtime.message import Envelope, Event, Message, encode, frame, holds_secret, owner, wire_name
from runtime.ports import Outgoing


def emitted(context: Context[Any], result: Any) -> Sequence[Event]:
    """The events of a context; a refusal sends nothing, unless it keeps."""
    return () if _sends_nothing(result) else context.emitted


def outgoing(context: Context[Any], result: Any, *, sealer: Sealer, new_id: Callable[[], str]) -> list[Outgoing]:
    """The events and tells of a context, sealed where they hold a secret; a refusal sends nothing, unless it keeps."""
    if _sends_nothing(result):
        return []

    def row(message: Message, to: str) -> Outgoing:
        kind = type(message)
        envelope = Envelope(
            new_id(), wire_name(kind), to, encode(message), cause=context.cause, trace=context.trace,
            request_id=context.request_id,
        )  # fmt: skip
        body = sealer.wrap(frame([envelope]), secret=holds_secret(kind))
        return Outgoing(envelope.id, to or envelope.type, body, direct=bool(to), request_id=context.request_id)

    return [row(event, "") for event in context.emitted] + [row(each, owner(type(each))) for each in context.told]


def _sends_nothing(result: Any) -> bool:
    return isinstance(result, Refusal) and not result.keep


def traces(context: Context[Any], sent: Sequence[Outgoing]) -> list[str]:
    """What came of a message, for `runtime.ports.About`."""
    messages = (*context.emitted, *context.told) if sent else ()
    rows = zip(messages, sent, strict=True)
    return [*(f"{wire_name(type(message))} {row.id}" for message, row in rows), *context.noted]
