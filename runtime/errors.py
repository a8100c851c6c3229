"""The error tree, and the kinds of failure that cross the wire.

::

    TroupeError
    ├── SettingError            a setting or an argument is wrong; the process exits 2
    ├── StartError              what is needed to start is missing; the process exits 1
    ├── ContractError           a programming error in an actor or a contract, found at boot
    ├── MessageError            bytes that are no message of ours
    ├── Refusal                 a verdict: permanent, with a stable code
    │   ├── Malformed · Invalid · Unauthenticated · Forbidden · NotFound · Gone · Conflict
    │   └── PreconditionFailed · Unsupported · TooLarge · Throttled
    ├── Later                   a verdict: not now, try again after some seconds
    └── Unavailable             something needed is away; nothing was done, or its outcome is unknown
        ├── BrokerAway · StoreAway (ConnectionLost · Locked) · CacheAway · BlobsAway · MailerAway · TargetAway
        ├── Overloaded          shed before it was looked at
        └── DeadlinePassed      no answer within the budget

A handler returns or raises a `Refusal` when the answer is no, for good. It raises `Later` when
the answer is not now. Everything else that it raises is a fault of ours: retried where that is
safe, answered with 500 where it is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import msgspec


class Kind(StrEnum):
    """What sort of failure a `Failed` reply carries; the edge maps each to one status."""

    MALFORMED = "malformed"
    INVALID = "invalid"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    GONE = "gone"
    CONFLICT = "conflict"
    PRECONDITION_FAILED = "precondition_failed"
    UNSUPPORTED = "unsupported"
    TOO_LARGE = "too_large"
    THROTTLED = "throttled"
    UNAVAILABLE = "unavailable"
    OVERLOADED = "overloaded"
    TIMEOUT = "timeout"
    INTERNAL = "internal"


STATUS: Final[Mapping[Kind, int]] = {
    Kind.MALFORMED: 400,
    Kind.INVALID: 422,
    Kind.UNAUTHENTICATED: 401,
    Kind.FORBIDDEN: 403,
    Kind.NOT_FOUND: 404,
    Kind.GONE: 410,
    Kind.CONFLICT: 409,
    Kind.PRECONDITION_FAILED: 412,
    Kind.UNSUPPORTED: 415,
    Kind.TOO_LARGE: 413,
    Kind.THROTTLED: 429,
    Kind.UNAVAILABLE: 503,
    Kind.OVERLOADED: 503,
    Kind.TIMEOUT: 504,
    Kind.INTERNAL: 500,
}
"""The status of HTTP (RFC 9110) that says each."""


class Fault(msgspec.Struct, frozen=True):
    """One thing wrong with an input: `pointer` is a JSON pointer (RFC 6901), `?name` or a header's name."""

    pointer: str
    detail: str


class TroupeError(Exception):
    """The root: whoever catches it catches everything that Troupe raises on purpose."""


class SettingError(TroupeError):
    """A setting or a command-line argument is wrong. The text says what would be right."""


class StartError(TroupeError):
    """The process cannot start: a port in use, a server that does not answer, a twin where it cannot serve."""


class ContractError(TroupeError):
    """An actor or a contract is written wrongly; raised at boot, never later."""


class MessageError(TroupeError):
    """Bytes that cannot be read as a message, or that carry a wrong signature."""


class Refusal(TroupeError):
    """A permanent no, saved as the reply of its request.

    :param code: stable, dotted, for programs: `task.not_found`.
    :param detail: one sentence for a person.
    :param faults: each thing wrong with the input, where there are several.
    :param keep: commit what the handler wrote so far (a counted failure, say); else it is undone.
    """

    kind: Kind = Kind.CONFLICT

    def __init__(self, code: str, detail: str = "", *, faults: tuple[Fault, ...] = (), keep: bool = False) -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail
        self.faults = faults
        self.keep = keep


class Malformed(Refusal):
    """What was sent cannot be read."""

    kind = Kind.MALFORMED


class Invalid(Refusal):
    """Well-formed, but against a rule."""

    kind = Kind.INVALID


class Unauthenticated(Refusal):
    """Who is asking is not known, or not proven."""

    kind = Kind.UNAUTHENTICATED


class Forbidden(Refusal):
    """The caller sees it but may not do this to it."""

    kind = Kind.FORBIDDEN


class NotFound(Refusal):
    """It does not exist, or not for this caller."""

    kind = Kind.NOT_FOUND


class Gone(Refusal):
    """It existed and is no longer kept."""

    kind = Kind.GONE


class Conflict(Refusal):
    """The present state does not allow it."""

    kind = Kind.CONFLICT


class PreconditionFailed(Refusal):
    """The caller's picture of the resource is stale (RFC 9110 section 13)."""

    kind = Kind.PRECONDITION_FAILED


class Unsupported(Refusal):
    """What was sent is of a kind that is not taken."""

    kind = Kind.UNSUPPORTED


class TooLarge(Refusal):
    """What was sent, or is to be sent, has more bytes than are taken."""

    kind = Kind.TOO_LARGE


class Throttled(Refusal):
    """Too many of these; try again after `retry_after` seconds. Never saved as a reply.

    :param retry_after: seconds until the next try can succeed.
    """

    kind = Kind.THROTTLED

    def __init__(self, code: str, detail: str = "", *, retry_after: float, keep: bool = False) -> None:
        super().__init__(code, detail, keep=keep)
        self.retry_after = retry_after


class Later(TroupeError):
    """Not now. A request is answered with 503 and nothing is saved; an event is parked.

    :param seconds: how long to wait before the next attempt.
    """

    def __init__(self, seconds: float, detail: str = "") -> None:
        super().__init__(seconds, detail)
        self.seconds = seconds
        self.detail = detail


class Unavailable(TroupeError):
    """Something that is needed is away.

    :param detail: what is away, in a word or two; the client may read it.
    :param retry_after: seconds after which a new try makes sense.
    """

    def __init__(self, detail: str = "", *, retry_after: float = 1.0) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after = retry_after


class BrokerAway(Unavailable):
    """The message broker does not answer, or has blocked publishing."""


class StoreAway(Unavailable):
    """The database does not answer, or takes no writes."""


class ConnectionLost(StoreAway):
    """The database had answered, and hung up: in its restart, or on a process that stood still in a transaction."""


class Locked(StoreAway):
    """Another transaction has held for too long what this one needs."""


class CacheAway(Unavailable):
    """The cache does not answer."""


class BlobsAway(Unavailable):
    """The object store does not answer."""


class MailerAway(Unavailable):
    """The mail server does not answer, or refuses for now (a 4xx of RFC 5321)."""


class TargetAway(Unavailable):
    """An address that a user gave does not answer, or not in time."""


class TexterAway(Unavailable):
    """The provider of text messages does not answer, or takes none for now."""


class Overloaded(Unavailable):
    """There is more work than can be done in time; this piece was shed."""


class DeadlinePassed(Unavailable):
    """No answer came within the budget. Whether it was done is unknown; the same id may be sent again."""
