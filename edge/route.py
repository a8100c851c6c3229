"""A route: one line that ties a path to a message. All else follows from the message's type."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import NoneType
from typing import Any, Literal

from msgspec import UNSET

from actors.contracts.values import Ticket
from runtime.message import Command, Grant, Query, Request, owner, reply_type

RateClass = Literal["auth", "read", "write", "search", "upload"]

_PARAMETER = re.compile(r"\{(\w+)\}")
# the kind of thing that a path segment lists, where it is not its singular
_KINDS = {
    "members": "user",
    "assignees": "user",
    "deliveries": "delivery",
    "relations": "route",
    "{kind}": "task",
}


class Vouch:
    """What is asked of another actor first; its signed answer travels with the request.

    ``Vouch(VouchForPerson, user_id="user_id")``: the query's field on the left, the message's on the right. A field
    that is null or was not sent, as that of a file without a task, needs no word.

    :param through: what of, the message does not say: this is asked of its own actor before, with the message's
        `id`, and the fields on the right are those of its reply.
    :param required: without the word nothing can be decided: while its actor is away, the call is answered with 503.
    """

    __slots__ = ("_fields", "_query", "_through", "required")

    def __init__(
        self,
        query: type[Query[Grant]],
        *,
        through: type[Query[Any]] | None = None,
        required: bool = False,
        **fields: str,
    ) -> None:
        self._query = query
        self._fields = fields
        self._through = through
        self.required = required

    @property
    def actor(self) -> str:
        """Whose word it is."""
        return owner(self._query)

    def ask_before(self, message: Any) -> Query[Any] | None:
        """The query whose reply says what the word is about; None where the message itself does."""
        return None if self._through is None else self._through(id=message.id)

    def ask_for(self, subject: Any) -> Query[Grant] | None:
        """The query whose answer is needed; None where there is nothing to ask.

        :param subject: the message, or the reply of what was asked before.
        """
        fields = {own: getattr(subject, theirs) for own, theirs in self._fields.items()}
        if any(value is None or value is UNSET for value in fields.values()):
            return None
        return self._query(**fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileForm:
    """The body is a form (RFC 7578): the message's fields, and a file that goes into the object store first.

    The message has a field `upload`, which says of the edge's own knowledge what has arrived.

    :ivar ticket: is asked when the file begins to arrive, and says where to.
    :ivar cancel: is asked, with the ticket's `id`, when nothing came of it.
    """

    ticket: type[Command[Ticket]]
    cancel: type[Command[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathering:
    """The reply is put together from those of several actors; the message itself is sent to none.

    :ivar queries: one an actor, asked side by side.
    :ivar join: makes the reply of theirs, in this order, and of the names of actors that are away, whose replies are
        None.
    """

    queries: tuple[Query[Any], ...]
    join: Callable[..., Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Everyone:
    """Every actor is asked about its own share: the message itself is sent to none.

    :ivar ask: what to ask an actor, by its name; None where the message is not about it.
    :ivar join: makes the reply of theirs, by actor: of those that found something, or, where `whole` is set, of all.
    :ivar whole: nobody's share may be missing: while one is away, the call is answered with 503. Else only when
        nobody else found it.
    """

    ask: Callable[[Any, str], Request[Any] | None]
    join: Callable[[Any, Mapping[str, Any]], Any]
    whole: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Roster:
    """Every actor is asked the same; one that is away is in the reply as well.

    :ivar view: makes an item of the page of an actor's name, of its reply (None while it is away), and of how many
        messages wait for it (None while the broker does not say).
    """

    query: Query[Any]
    view: Callable[[str, Any, int | None], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One call of the API.

    :ivar scope: what an API token must hold; None: a session is needed.
    :ivar public: anyone may call it, known or not.
    :ivar rate: class of limits; by default `read` for GET (`search` with `q`), `write` otherwise.
    :ivar created: the call makes something; where it is then, with fields of the reply in braces.
    :ivar accepted: what is asked for happens later.
    :ivar body: a DELETE whose fields come from a body: secrets have no place in a query.
    :ivar form: the body is a form with a file, not JSON.
    :ivar gathering: several actors answer.
    :ivar everyone: each actor may answer.
    :ivar exports: a file is put together of many replies, and streamed.
    """

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    message: type[Request[Any]]
    scope: str | None = None
    public: bool = False
    rate: RateClass | None = None
    created: str | None = None
    accepted: bool = False
    body: bool = False
    form: FileForm | None = None
    gathering: Gathering | None = None
    everyone: Everyone | Roster | None = None
    exports: bool = False
    grants: tuple[Vouch, ...] = ()

    @property
    def actor(self) -> str:
        """Whom the message is for."""
        return owner(self.message)

    @property
    def parameters(self) -> Mapping[str, str]:
        """Path parameter → the kind of thing that it names: `/v1/tasks/{id}` has `id`, a `task`."""
        segments = self.path.split("/")
        return {
            name: _kind(segments[index - 1])
            for index, segment in enumerate(segments)
            for name in _PARAMETER.findall(segment)
        }

    @property
    def status(self) -> int:
        """What success answers with."""
        if self.accepted:
            return 202
        if self.created:
            return 201
        return 200 if self.replies else 204

    @property
    def replies(self) -> bool:
        """Whether success has a body."""
        return reply_type(self.message) not in (None, NoneType)

    @property
    def versioned(self) -> bool:
        """Whether success answers with a resource that has a version, and so an ETag."""
        return "version" in getattr(reply_type(self.message), "__struct_fields__", ())

    @property
    def changes_access(self) -> bool:
        """Whether some tokens may be good for nothing once it is done."""
        return bool(getattr(self.message, "changes_access", False))

    @property
    def has_body(self) -> bool:
        """Whether fields come from a JSON body; from the query otherwise."""
        return self.body or self.method in ("POST", "PUT", "PATCH")

    def rate_class(self, *, searches: bool) -> RateClass:
        """The class of limits that a call counts in. :param searches: its query has `q`."""
        if self.rate is not None:
            return self.rate
        if self.method != "GET":
            return "write"
        return "search" if searches else "read"


def get(
    path: str,
    message: type[Request[Any]],
    *,
    scope: str | None = None,
    public: bool = False,
    rate: RateClass | None = None,
    gathering: Gathering | None = None,
    everyone: Everyone | Roster | None = None,
    exports: bool = False,
    grants: tuple[Vouch, ...] = (),
) -> Route:
    """Read. Fields that the path does not name come from the query."""
    return Route(
        method="GET",
        path=path,
        message=message,
        scope=scope,
        public=public,
        rate=rate,
        gathering=gathering,
        everyone=everyone,
        exports=exports,
        grants=grants,
    )


def post(
    path: str,
    message: type[Request[Any]],
    *,
    scope: str | None = None,
    public: bool = False,
    rate: RateClass | None = None,
    created: str | None = None,
    accepted: bool = False,
    everyone: Everyone | None = None,
    grants: tuple[Vouch, ...] = (),
) -> Route:
    """Make something (`created`) or do something. Fields come from the body; null means a field's default."""
    return Route(
        method="POST",
        path=path,
        message=message,
        scope=scope,
        public=public,
        rate=rate,
        created=created,
        accepted=accepted,
        everyone=everyone,
        grants=grants,
    )


def upload(
    path: str,
    message: type[Request[Any]],
    *,
    scope: str,
    form: FileForm,
    created: str,
    rate: RateClass | None = None,
    accepted: bool = False,
    grants: tuple[Vouch, ...] = (),
) -> Route:
    """Make something of a file. Fields come from the form that brings it."""
    return Route(
        method="POST",
        path=path,
        message=message,
        scope=scope,
        rate=rate,
        created=created,
        accepted=accepted,
        form=form,
        grants=grants,
    )


def put(
    path: str,
    message: type[Request[Any]],
    *,
    scope: str | None = None,
    public: bool = False,
    rate: RateClass | None = None,
    grants: tuple[Vouch, ...] = (),
) -> Route:
    """Set something as a whole. Fields come from the body."""
    return Route(method="PUT", path=path, message=message, scope=scope, public=public, rate=rate, grants=grants)


def patch(path: str, message: type[Request[Any]], *, scope: str | None = None, grants: tuple[Vouch, ...] = ()) -> Route:
    """Change some fields. The message tells "not sent" (`UnsetType`) from null."""
    return Route(method="PATCH", path=path, message=message, scope=scope, grants=grants)


def delete(
    path: str,
    message: type[Request[Any]],
    *,
    scope: str | None = None,
    body: bool = False,
    everyone: Everyone | None = None,
    grants: tuple[Vouch, ...] = (),
) -> Route:
    """Remove something. Fields that the path does not name come from the query, or else from the body."""
    return Route(method="DELETE", path=path, message=message, scope=scope, body=body, everyone=everyone, grants=grants)


def _kind(segment: str) -> str:
    return _KINDS.get(segment, segment.removesuffix("s").replace("-", "_"))
