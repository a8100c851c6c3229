"""Calls about actors themselves, for admins: each actor answers for its own dead letters."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from actors.contracts.values import Cursor, Id, Limit, Time, rfc3339
from edge.problems import invalid
from edge.route import Everyone, Roster, Route, delete, get, post
from runtime import letters
from runtime.errors import Fault
from runtime.message import Command, Page, Query, encode

ActorName = Annotated[str, Meta(max_length=100, description="at most 100 characters")]
MessageType = Annotated[str, Meta(max_length=200, description="at most 200 characters")]
Reason = Annotated[
    str,
    Meta(
        max_length=500,
        pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$(?!\n)",
        description="at most 500 characters on one line, no control characters",
    ),
]


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A message that its actor has given up: refused, or failed at its last attempt.

    :ivar body: of the message, secrets as `***`; null where it cannot be read.
    :ivar caller_id: the account that asked, for a request.
    """

    id: Id
    actor: str
    type: str
    message_id: str
    body: Any
    caller_id: str | None
    reason: str
    attempts: int
    first_failed_at: Time
    last_failed_at: Time
    trace_id: str | None


class ActorStatus(msgspec.Struct, frozen=True, kw_only=True):
    """An actor, all of its processes together.

    `parked` messages failed and are tried again; `dead` ones are not. Of an actor that does not answer within 2 seconds
    only the depth of its queues is known, and `instances` is 0.

    :ivar queue_depth: messages that no process has taken yet.
    :ivar in_flight: requests that were worked on, at most some seconds ago.
    """

    name: str
    instances: int
    queue_depth: int | None
    in_flight: int
    parked: int | None
    dead: int | None
    version: str | None


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """How many will be handled again."""

    count: int


class ListDeadLetters(Query[Page[DeadLetter]], frozen=True, kw_only=True):
    """Dead letters of every actor, newest first, for admins. Refuses `auth.forbidden`.

    An unknown `actor` or `type` matches nothing.
    """

    actor: ActorName | None = None
    type: MessageType | None = None
    limit: Limit = 50
    cursor: Cursor | None = None


class GetDeadLetter(Query[DeadLetter], frozen=True, kw_only=True):
    """One dead letter, for admins. Refuses `auth.forbidden` and `dead_letter.not_found`."""

    id: Id


class ReplayDeadLetter(Command[None], frozen=True, kw_only=True):
    """Let a dead letter be handled again, once, for admins. Refuses `auth.forbidden` and `dead_letter.not_found`.

    :ivar body: the message's, instead of what it was; what stays `***` in it stays what it was.
    """

    id: Id
    body: dict[str, Any] | None = None


class ReplayDeadLetters(Command[Replayed], frozen=True, kw_only=True):
    """Let all dead letters of a type be handled again, for admins. Refuses `auth.forbidden`."""

    actor: ActorName
    type: MessageType


class DiscardDeadLetter(Command[None], frozen=True, kw_only=True):
    """Delete a dead letter, for admins. Refuses `auth.forbidden` and `dead_letter.not_found`."""

    id: Id
    reason: Reason = ""


class ListActors(Query[Page[ActorStatus]], frozen=True, kw_only=True):
    """How every actor is, for admins. Refuses `auth.forbidden`."""


def _shown(actor: str, fields: Mapping[str, Any]) -> DeadLetter:
    letter = msgspec.convert(fields, letters.DeadLetter)
    times = {name: rfc3339(getattr(letter, name)) for name in ("first_failed_at", "last_failed_at")}
    return DeadLetter(actor=actor, **{**msgspec.structs.asdict(letter), **times})


def _listed(query: ListDeadLetters, actor: str) -> letters.ListDead | None:
    before = _place(query)
    if query.actor not in (None, actor):
        return None
    return letters.ListDead(type=query.type, before=before, limit=query.limit + 1)


def _page(query: ListDeadLetters, replies: Mapping[str, Any]) -> Page[DeadLetter]:
    found = [_shown(actor, letter) for actor, reply in replies.items() for letter in reply]
    found.sort(key=lambda letter: letter.id, reverse=True)
    items = found[: query.limit]
    more = len(found) > query.limit
    return Page(items, _cursor(query, items[-1].id) if more else None)


def _fingerprint(query: ListDeadLetters) -> bytes:
    return hashlib.sha256(encode((query.actor, query.type))).digest()[:8]


def _cursor(query: ListDeadLetters, id: str) -> str:
    return base64.urlsafe_b64encode(_fingerprint(query) + id.encode()).rstrip(b"=").decode()


def _place(query: ListDeadLetters) -> str | None:
    """The letter that the page comes after. :raises Problem: 422, the cursor is not of this listing."""
    if query.cursor is None:
        return None
    fault = Fault("?cursor", "must be the next_cursor of this very listing")
    try:
        found = base64.b64decode(query.cursor + "=" * (-len(query.cursor) % 4), altchars=b"-_", validate=True)
        if found[:8] != _fingerprint(query):
            raise invalid([fault])
        return msgspec.convert(found[8:].decode(), Id)
    except (ValueError, msgspec.ValidationError):
        raise invalid([fault]) from None


def _one(replies: Mapping[str, Any]) -> DeadLetter:
    ((actor, fields),) = replies.items()
    return _shown(actor, fields)


def _status(name: str, state: Any, depth: int | None) -> ActorStatus:
    known = state or {"instances": 0, "in_flight": 0, "parked": None, "dead": None, "version": None}
    return ActorStatus(name=name, queue_depth=depth, **known)


_LIST = Everyone(ask=_listed, join=_page, whole=True)
_GET = Everyone(ask=lambda query, _: letters.GetDead(id=query.id), join=lambda _, replies: _one(replies))
_REPLAY = Everyone(
    ask=lambda command, _: letters.ReplayDead(id=command.id, body=command.body), join=lambda _, replies: None
)
_REPLAY_ALL = Everyone(
    ask=lambda command, actor: letters.ReplayDeadOf(type=command.type) if command.actor == actor else None,
    join=lambda _, replies: Replayed(count=sum(replies.values())),
    whole=True,
)
_DISCARD = Everyone(
    ask=lambda command, _: letters.DiscardDead(id=command.id, reason=command.reason), join=lambda _, replies: None
)

ROUTES: tuple[Route, ...] = (
    get("/v1/admin/dead-letters", ListDeadLetters, everyone=_LIST),
    post("/v1/admin/dead-letters/replay", ReplayDeadLetters, accepted=True, everyone=_REPLAY_ALL),
    get("/v1/admin/dead-letters/{id}", GetDeadLetter, everyone=_GET),
    delete("/v1/admin/dead-letters/{id}", DiscardDeadLetter, everyone=_DISCARD),
    post("/v1/admin/dead-letters/{id}/replay", ReplayDeadLetter, accepted=True, everyone=_REPLAY),
    get("/v1/admin/actors", ListActors, everyone=Roster(query=letters.Describe(), view=_status)),
)
