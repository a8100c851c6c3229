"""What a consumer hands to dispatch, and what it gets back."""

from __future__ import annotations

import enum
from collections.abc import Awaitable
from typing import Any

from runtime.errors import Later, Refusal
from runtime.message import Envelope, Failed, Ok, Reply


class Settle(enum.Enum):
    """Verdicts without a reply."""

    DONE = "done"  # handled, parked or ignored: ack
    HOLD = "hold"  # the store is away, or another has it in hand: nothing happened, keep the delivery and try again


Verdict = Reply | Settle


class Received:
    """An envelope in the hands of a consumer.

    :ivar arrived: loop time at which it came into this process; None outside of a consumer.
    :ivar deadline: loop time after which nobody waits for the answer; None for events.
    :ivar unpark: it comes from `parked`, where its row goes when it is handled.
    """

    __slots__ = ("arrived", "deadline", "envelope", "trusted", "unpark")

    def __init__(
        self,
        envelope: Envelope,
        *,
        trusted: bool = False,
        arrived: float | None = None,
        deadline: float | None = None,
        unpark: bool = False,
    ) -> None:
        self.envelope = envelope
        self.trusted = trusted
        self.arrived = arrived
        self.deadline = deadline
        self.unpark = unpark


def word(verdict: Verdict) -> str:
    """A verdict as a metric's label."""
    if isinstance(verdict, Failed):
        return verdict.kind
    return "ok" if isinstance(verdict, Ok) else verdict.value


async def kept(result: Awaitable[Any]) -> Any:
    """A handler's result; a refusal only when it keeps what was written, for it is raised otherwise, as `Later` is."""
    try:
        value = await result
    except Refusal as refusal:
        value = refusal
    if isinstance(value, Later) or (isinstance(value, Refusal) and not value.keep):
        raise value
    return value


async def outcome(result: Awaitable[Any]) -> Any:
    """A handler's result, or its exception as one."""
    try:
        return await result
    except Exception as error:
        return error
