"""Messages that every actor takes without a line of its own: about its dead letters, and how it is.

The runtime answers them (`runtime/dead_letters.py`), for admins only. What was done to dead letters is told as events;
who keeps an audit subclasses them in its contract, under the same name, with itself among the consumers.
"""

from __future__ import annotations

from typing import Any

import msgspec

from runtime.message import Command, Event, Private, Query


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A message that its actor has given up.

    :ivar id: of the letter, unlike any other actor's; `message_id` is the message's, which several may have given up.
    :ivar body: of the message, secrets as `***`; None where it cannot be read.
    :ivar caller_id: the account that asked, for a request.
    :ivar attempts: how often it was tried.
    :ivar first_failed_at: ms since the epoch, as `last_failed_at`.
    """

    id: str
    type: str
    message_id: str
    body: Any
    caller_id: str | None
    reason: str
    attempts: int
    first_failed_at: int
    last_failed_at: int
    trace_id: str | None


class ActorState(msgspec.Struct, frozen=True, kw_only=True):
    """How an actor is, all of its processes together.

    :ivar instances: processes that run it and were heard of in the last 15 s.
    :ivar in_flight: requests that they worked on then.
    :ivar parked: failed messages that wait for their next attempt.
    """

    instances: int
    in_flight: int
    parked: int
    dead: int
    version: str


class ListDead(Query[list[DeadLetter]], frozen=True, kw_only=True):
    """Dead letters, newest first. Refuses `auth.forbidden`.

    :ivar before: only those older than the letter with that id.
    """

    type: str | None = None
    before: str | None = None
    limit: int = 50


class GetDead(Query[DeadLetter], frozen=True, kw_only=True):
    """One of them. Refuses `auth.forbidden` and `dead_letter.not_found`."""

    id: str


class ReplayDead(Command[None], frozen=True, kw_only=True):
    """Let one be handled again. Refuses `auth.forbidden`, `dead_letter.not_found` and `request.invalid`; emits
    DeadLetterReplayed.

    :ivar body: the message's, instead of what it was; a secret that stays `***` is what it was.
    """

    id: str
    body: dict[str, Any] | None = None


class ReplayDeadOf(Command[int], frozen=True, kw_only=True):
    """Let all of a type be handled again; how many. Refuses `auth.forbidden`; emits DeadLetterReplayed."""

    type: str


class DiscardDead(Command[None], frozen=True, kw_only=True):
    """Delete one. Refuses `auth.forbidden` and `dead_letter.not_found`; emits DeadLetterDiscarded."""

    id: str
    reason: str = ""


class Describe(Query[ActorState], frozen=True, kw_only=True):
    """How the actor is. Refuses `auth.forbidden`."""


class _Done(Event, frozen=True, kw_only=True):
    """:ivar by: the admin. :ivar letter: its id; None for all of a type. :ivar address: the admin's, `agent` likewise.
    :ivar note: why, or what else there is to say."""

    actor: str
    type: str
    count: int
    by: str
    letter: str | None = None
    note: str = ""
    address: Private | None = None
    agent: Private | None = None


class DeadLetterReplayed(_Done, frozen=True, kw_only=True):
    """An admin has let dead letters be handled again."""


class DeadLetterDiscarded(_Done, frozen=True, kw_only=True):
    """An admin has deleted a dead letter."""
