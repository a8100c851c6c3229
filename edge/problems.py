"""Everything that is no success leaves the edge as a problem document (RFC 9457)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from http import HTTPStatus

import msgspec
from msgspec import UNSET, UnsetType

from edge.answer import Answer
from runtime.errors import STATUS, Fault, Kind, Unavailable
from runtime.faults import MAX_FAULTS
from runtime.message import Failed, Refuse, failed

MEDIA_TYPE = "application/problem+json"

_KINDS = {status: kind for kind, status in STATUS.items()}


class ProblemDetails(msgspec.Struct, frozen=True, kw_only=True, rename={"kind": "type"}):
    """What went wrong (RFC 9457). `code` is stable and for programs, `detail` is for people.

    `errors` names each fault of the input: a JSON pointer into the body, `?name` of a query parameter or a header.
    """

    kind: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    errors: Sequence[Fault] | UnsetType = UNSET


class Problem(Exception):
    """Raised anywhere in the edge to answer with a problem document.

    :param headers: further ones of the answer, `Retry-After` say.
    :param close: nothing more is read from this connection.
    :param request_id: of the request that made this answer first, where it is a replay.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str = "",
        *,
        faults: Sequence[Fault] = (),
        headers: Sequence[tuple[str, str]] = (),
        close: bool = False,
        request_id: str | None = None,
    ) -> None:
        super().__init__(status, code, detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.faults = faults[:MAX_FAULTS]
        self.headers = headers
        self.close = close
        self.request_id = request_id

    def answer(self, request_id: str) -> Answer:
        """The document. :param request_id: of the present request."""
        title = HTTPStatus(self.status).phrase
        body = msgspec.json.encode(
            ProblemDetails(
                title=title,
                status=self.status,
                detail=self.detail or f"{title}.",
                code=self.code,
                request_id=self.request_id or request_id,
                errors=self.faults or UNSET,
            )
        )
        headers = (("Cache-Control", "no-store"), *self.headers)
        return Answer(self.status, body, media_type=MEDIA_TYPE, headers=headers, close=self.close)


def malformed(detail: str) -> Problem:
    """The request cannot be read."""
    return Problem(400, "request.malformed", detail)


def invalid(faults: Sequence[Fault]) -> Problem:
    """The request can be read but breaks rules, all of which are named."""
    more = "" if len(faults) < 2 else " Each fault is in errors."
    return Problem(422, "request.invalid", f"The request breaks a rule.{more}", faults=faults)


def unauthenticated(code: str, detail: str, *, error: str | None = None) -> Problem:
    """Who is asking is not proven. :param error: the code of RFC 6750 section 3.1."""
    challenge = f'Bearer realm="troupe", error="{error}"' if error else 'Bearer realm="troupe"'
    return Problem(401, code, detail, headers=(("WWW-Authenticate", challenge),))


def not_found(kind: str) -> Problem:
    """There is none, or not for this caller."""
    return Problem(404, f"{kind}.not_found", f"There is no such {kind.replace('_', ' ')}.")


def retry_after(seconds: float) -> tuple[str, str]:
    """The header, in whole seconds, at least one."""
    return "Retry-After", str(max(1, math.ceil(seconds)))


def internal() -> Problem:
    """A fault of ours; the cause is in the log only."""
    return Problem(500, "internal", "Something failed on our side; the log knows it by this request_id.")


def of_failed(reply: Failed, actor: str, *, replayed: bool) -> Problem:
    """What an actor's no says to a client."""
    status = STATUS[Kind(reply.kind)]
    if status == 500:
        return internal()
    headers: list[tuple[str, str]] = []
    if status == 401:
        headers.append(("WWW-Authenticate", 'Bearer realm="troupe"'))
    if status in (429, 503):
        headers.append(retry_after(reply.retry_after or 1))
    return Problem(
        status,
        reply.code,
        _detail(reply, actor),
        faults=reply.faults,
        headers=headers,
        request_id=reply.request_id if replayed else None,
    )


def remembered(problem: Problem) -> Refuse:
    """A problem of the request itself, for its actor to remember."""
    return Refuse(kind=_KINDS[problem.status], code=problem.code, detail=problem.detail, faults=tuple(problem.faults))


def of_unavailable(error: Unavailable, actor: str) -> Problem:
    """No answer came from the actor."""
    return of_failed(failed(error), actor, replayed=False)


def _detail(reply: Failed, actor: str) -> str:
    if reply.kind == Kind.TIMEOUT:
        return (
            f"The {actor} actor did not answer in time; whether it acted is unknown. "
            "Try again with the same Idempotency-Key."
        )
    if reply.kind == Kind.OVERLOADED:
        return f"The {actor} actor has more to do than it can in time; nothing was done. Try again."
    if reply.kind == Kind.UNAVAILABLE:
        return f"The {actor} actor cannot answer now{f': {reply.detail}' if reply.detail else ''}. Try again."
    return reply.detail
