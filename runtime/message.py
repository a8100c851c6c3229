"""What travels: messages, the envelope around each, the reply, and their bytes.

A message is a frozen `msgspec.Struct`. Its type names its reply, so `await client.ask(GetTask(id=…))` is a
`TaskView` for the type checker too. The actor that a message belongs to is the first word in the name of the
module that defines it (`actors/contracts/task.py`, `task_label.py` → `task`); its wire name is the type's name in
snake_case.

On the wire all is MessagePack. A frame is one AMQP message: a tag byte, for requests an HMAC-SHA256 of the
payload under the receiving actor's key, and the payload, an array of envelopes or of replies. Unknown fields
are ignored and new fields have defaults, so that old and new processes understand each other.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence
from functools import cache
from typing import Annotated, Any, ClassVar, Generic, TypeVar, get_args, get_origin

import msgspec

from runtime.errors import (
    Conflict,
    ContractError,
    DeadlinePassed,
    Fault,
    Forbidden,
    Gone,
    Invalid,
    Kind,
    Malformed,
    MessageError,
    NotFound,
    Overloaded,
    PreconditionFailed,
    Refusal,
    Throttled,
    TooLarge,
    TroupeError,
    Unauthenticated,
    Unavailable,
    Unsupported,
)

R = TypeVar("R")

Secret = Annotated[str, msgspec.Meta(extra={"secret": True})]
"""A text that must never be stored or logged in the clear: a reply with one is sealed in inbox, outbox and parked."""

Private = Annotated[str, msgspec.Meta(extra={"secret": True})]
"""A text about a person. It is sealed likewise: what is kept of it for a while after they were erased says nothing."""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """The root of all contracts."""


class Request(Message, Generic[R], frozen=True, kw_only=True):
    """A message that has a reply of type `R`. Only the edge and the command line ask."""


class Command(Request[R], Generic[R], frozen=True, kw_only=True):
    """A request that changes something: handled once per id, in one transaction, its reply saved."""


class Query(Request[R], Generic[R], frozen=True, kw_only=True):
    """A request that changes nothing: no transaction, no saved reply, as often as you like."""


class Event(Message, frozen=True, kw_only=True):
    """A fact. `consumers` are the actors that have a handler for it; outsiders may bind queues of their own."""

    consumers: ClassVar[tuple[str, ...]] = ()


class Tick(Message, frozen=True, kw_only=True):
    """A timer's message. Its id is the timer's name and slot, so one of all replicas handles it.

    :param slot: the start of the period, in ms since the epoch (UTC), by the clock of whoever was first.
    """

    slot: int


class Refuse(Command[None], frozen=True, kw_only=True):
    """A no that the asker has found already, for any actor: saved under its id, as the actor's own would be."""

    kind: Kind
    code: str
    detail: str = ""
    faults: tuple[Fault, ...] = ()

    def refusal(self) -> Refusal:
        """What the actor answers."""
        return _REFUSALS[self.kind](self.code, self.detail, faults=self.faults)


class Page(msgspec.Struct, Generic[R], frozen=True):
    """A part of a collection; `next_cursor` is null on the last one."""

    items: list[R]
    next_cursor: str | None = None


class Progress(msgspec.Struct, frozen=True):
    """How far a long work is, of which each message does a part: the answer of a request with a field `done`.

    Whoever asked asks again with `done` as it is here, until it is all.

    :param words: what to know when it is done.
    """

    done: int
    total: int
    words: str = ""


class Caller(msgspec.Struct, frozen=True, array_like=True):
    """Who stands behind a request, as the edge has proven it.

    :param id: the account; None for the anonymous.
    :param role: the account's role in the whole installation.
    :param session: the session that the token belongs to.
    :param network: the /24 or /64 that the request came from.
    :param agent: the User-Agent header, cut to 200 characters.
    :param address: the client's own.
    """

    id: str | None = None
    role: str | None = None
    session: str | None = None
    network: str | None = None
    agent: str | None = None
    address: str | None = None


class Grant(msgspec.Struct, frozen=True, array_like=True):
    """Another actor's signed word on a fact, good for seconds. No clocks are compared: each who holds it counts.

    The edge counts from when it asks the actor that the grant is for, sends what is left, and gives the message no
    longer TTL than that; the actor counts what is left from when the message came.

    :param issuer: the actor that owns the fact.
    :param fact: what it says, in a word: `person`.
    :param subject: of whom or what.
    :param value: the fact itself, encoded as the issuer's contract says.
    :param expires_in: ms from receipt.
    :param mac: HMAC-SHA256 under the issuer's key over all of the above, checked by the edge when it gets it.
    """

    issuer: str
    fact: str
    subject: str
    value: bytes
    expires_in: int
    mac: bytes = b""


class Envelope(msgspec.Struct, frozen=True, array_like=True):
    """A message on its way.

    :param id: the idempotency id: the inbox knows it.
    :param type: wire name of the message.
    :param to: the actor that it is for; empty for an event.
    :param body: the message, MessagePack.
    :param nonce: of one ask, the same for each time it is sent; a saved reply names the nonce that made it.
    :param reply_to: the queue that waits for the reply; None for events and tells.
    :param budget_ms: what is left of the deadline, counted from receipt.
    :param attempt: how often it was sent or tried before.
    :param cause: id of the message whose handling made this one.
    :param trace: W3C traceparent.
    :param crashes: how often its consumer went away while it held this.
    :param fresh: a query of somebody who has just written: what they wrote must be seen.
    """

    id: str
    type: str
    to: str
    body: bytes
    nonce: str = ""
    reply_to: str | None = None
    budget_ms: int | None = None
    request_hash: bytes | None = None
    caller: Caller | None = None
    grants: tuple[Grant, ...] = ()
    attempt: int = 0
    cause: str | None = None
    trace: str | None = None
    request_id: str | None = None
    crashes: int = 0
    fresh: bool = False


class Ok(msgspec.Struct, frozen=True, array_like=True, tag="ok"):
    """The handler's answer, encoded.

    :param by: the nonce of the ask that made this answer; another one's is a replay.
    """

    body: bytes
    by: str = ""


class Failed(msgspec.Struct, frozen=True, array_like=True, tag="failed"):
    """A no, or a fault, with what the client may know of it.

    :param retry_after: seconds.
    :param request_id: of the request that made this answer, for replays.
    """

    kind: str
    code: str
    detail: str = ""
    faults: tuple[Fault, ...] = ()
    retry_after: float | None = None
    by: str = ""
    request_id: str | None = None


Reply = Ok | Failed

IN_PROGRESS = "idempotency.in_progress"
"""The code of a `Failed` that says: another request with this id still runs."""


class Answer(msgspec.Struct, frozen=True, array_like=True):
    """A reply on its way back to the ask with that nonce."""

    nonce: str
    reply: Reply


encode = msgspec.msgpack.Encoder().encode
decode_any = msgspec.msgpack.Decoder().decode
_decode_envelopes = msgspec.msgpack.Decoder(list[Envelope]).decode
_decode_answers = msgspec.msgpack.Decoder(list[Answer]).decode
_decode_envelope = msgspec.msgpack.Decoder(Envelope).decode
decode_reply = msgspec.msgpack.Decoder(Reply).decode

_PLAIN, _SIGNED = b"\x00", b"\x01"
_MAC = 32


def frame(envelopes: Sequence[Envelope], key: bytes | None = None) -> bytes:
    """Envelopes as one AMQP body; signed with `key`, where there is one."""
    payload = encode(envelopes)
    if key is None:
        return _PLAIN + payload
    return _SIGNED + hmac.digest(key, payload, "sha256") + payload


def ttl_ms(envelopes: Sequence[Envelope]) -> int:
    """How long a frame may wait for its actor: while somebody waits for an answer and no grant in it has expired."""
    longest = max(each.budget_ms or 1 for each in envelopes)
    return min(longest, *(grant.expires_in for each in envelopes for grant in each.grants), longest)


def unframe(body: bytes, key: bytes) -> tuple[list[Envelope], bool]:
    """The envelopes of one AMQP body, and whether they were signed for the holder of `key`.

    :raises MessageError: not a frame of ours, or one whose signature is wrong.
    """
    signed = body[:1] == _SIGNED
    payload = body[1 + _MAC :] if signed else body[1:]
    if signed and not hmac.compare_digest(body[1 : 1 + _MAC], hmac.digest(key, payload, "sha256")):
        raise MessageError("the signature does not belong to this message or this actor")
    if not signed and body[:1] != _PLAIN:
        raise MessageError("not a frame: unknown tag byte")
    try:
        return _decode_envelopes(payload), signed
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise MessageError(f"not an envelope: {error}") from error


def read_envelope(body: bytes) -> Envelope:
    """:raises MessageError: not an envelope."""
    try:
        return _decode_envelope(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise MessageError(f"not an envelope: {error}") from error


def frame_answers(answers: Sequence[Answer]) -> bytes:
    """Replies for one reply queue as one AMQP body."""
    return encode(answers)


def unframe_answers(body: bytes) -> list[Answer]:
    """:raises MessageError: not replies of ours."""
    try:
        return _decode_answers(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise MessageError(f"not a reply: {error}") from error


@cache
def wire_name(message: type[Message]) -> str:
    """`CreateTask` → `create_task`: type and routing key on the wire."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", message.__name__).lower()


@cache
def owner(message: type[Message]) -> str:
    """The actor that a message belongs to: the first word of its module's own name."""
    return message.__module__.rpartition(".")[2].partition("_")[0]


@cache
def reply_type(request: type[Request[Any]]) -> Any:
    """The type that `request` is answered with.

    :raises ContractError: the request names none.
    """
    for cls in request.__mro__:
        for base in getattr(cls, "__orig_bases__", ()):
            origin = get_origin(base)
            if isinstance(origin, type) and issubclass(origin, Request):
                (argument,) = get_args(base)
                if not isinstance(argument, TypeVar):
                    return argument
    raise ContractError(f"{request.__name__} must say what answers it: class {request.__name__}(Command[Reply])")


@cache
def decoder(message: Any) -> msgspec.msgpack.Decoder[Any]:
    """One decoder a type, made once."""
    return msgspec.msgpack.Decoder(message)


@cache
def holds_secret(tp: Any) -> bool:
    """Whether a value of this type can hold a `Secret`, at any depth."""
    return _secret_in(msgspec.inspect.type_info(tp), set())


def _secret_in(info: Any, seen: set[Any]) -> bool:
    if isinstance(info, msgspec.inspect.Metadata):
        return bool((info.extra or {}).get("secret")) or _secret_in(info.type, seen)
    if isinstance(info, msgspec.inspect.StructType):
        if info.cls in seen:
            return False
        seen.add(info.cls)
        return any(_secret_in(field.type, seen) for field in info.fields)
    if isinstance(info, msgspec.inspect.UnionType):
        return any(_secret_in(each, seen) for each in info.types)
    if isinstance(info, msgspec.inspect.DictType):
        return _secret_in(info.key_type, seen) or _secret_in(info.value_type, seen)
    if isinstance(info, msgspec.inspect.TupleType):
        return any(_secret_in(each, seen) for each in info.item_types)
    inner = getattr(info, "item_type", None)
    return inner is not None and _secret_in(inner, seen)


_REFUSALS: dict[str, type[Refusal]] = {
    cls.kind: cls
    for cls in (
        Malformed,
        Invalid,
        Unauthenticated,
        Forbidden,
        NotFound,
        Gone,
        Conflict,
        PreconditionFailed,
        Unsupported,
        TooLarge,
    )
}


def failed(error: TroupeError, *, by: str = "", request_id: str | None = None) -> Failed:
    """The wire form of a refusal, or of something being away."""
    if isinstance(error, Refusal):
        retry = error.retry_after if isinstance(error, Throttled) else None
        return Failed(error.kind, error.code, error.detail, error.faults, retry, by, request_id)
    if isinstance(error, Overloaded):
        return Failed(Kind.OVERLOADED, "edge.overloaded", error.detail, (), error.retry_after, by, request_id)
    if isinstance(error, DeadlinePassed):
        return Failed(Kind.TIMEOUT, "edge.timeout", error.detail, (), None, by, request_id)
    if isinstance(error, Unavailable):
        return Failed(Kind.UNAVAILABLE, "edge.unavailable", error.detail, (), error.retry_after, by, request_id)
    return Failed(Kind.INTERNAL, "internal", "", (), None, by, request_id)


def raised(reply: Failed) -> TroupeError:
    """The error that a failed reply stands for, to raise on the asking side."""
    if reply.kind == Kind.THROTTLED:
        return Throttled(reply.code, reply.detail, retry_after=reply.retry_after or 1.0)
    refusal = _REFUSALS.get(reply.kind)
    if refusal is not None:
        return refusal(reply.code, reply.detail, faults=reply.faults)
    if reply.kind == Kind.OVERLOADED:
        return Overloaded(reply.detail, retry_after=reply.retry_after or 1.0)
    if reply.kind == Kind.TIMEOUT:
        return DeadlinePassed(reply.detail)
    return Unavailable(reply.detail or "the actor failed; its log says why", retry_after=reply.retry_after or 1.0)
