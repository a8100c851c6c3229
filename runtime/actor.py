"""An actor is a class, a queue and a store; its handlers are its methods, found by the type of their message."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, Generic, TypeVar, get_args, get_origin, get_type_hints, overload

import msgspec

from runtime.context import Context, Rec
from runtime.errors import ContractError, Refusal
from runtime.message import Command, Event, Message, Query, Refuse, Request, Tick, owner, reply_type, wire_name
from runtime.policy import QUICK, Policy

Method = TypeVar("Method", bound=Callable[..., Any])


class Handler(msgspec.Struct, frozen=True):
    """One row of an actor's handler table.

    :param method: name of the actor's method.
    :param many: it takes all messages of a tick and answers with as many replies.
    :param outside: it works between two transactions, not in one.
    :param every_ms: for timers, the period; 0 otherwise.
    """

    method: str
    message: type[Message]
    many: bool = False
    outside: bool = False
    retry: Policy = QUICK
    every_ms: int = 0

    @property
    def type(self) -> str:
        """Wire name; that of a timer names its method too, since all timers share the message `Tick`."""
        return f"tick:{self.method}" if self.every_ms else wire_name(self.message)

    @property
    def is_query(self) -> bool:
        return issubclass(self.message, Query)

    @property
    def is_request(self) -> bool:
        return issubclass(self.message, Request)


class _Marks(msgspec.Struct):
    many: bool = False
    outside: bool = False
    retry: Policy = QUICK
    every_ms: int = 0


@overload
def handles(method: Method) -> Method: ...
@overload
def handles(*, many: bool = False, outside: bool = False, retry: Policy = QUICK) -> Callable[[Method], Method]: ...
def handles(
    method: Method | None = None, *, many: bool = False, outside: bool = False, retry: Policy = QUICK
) -> Method | Callable[[Method], Method]:
    """Mark a method as the handler of the message type that its first parameter names.

    :param many: the parameter is a `Sequence` of messages, the result a list of as many replies and refusals.
        For the few hot ones: all of a tick share one transaction. If that fails as a whole, each is run alone.
    :param outside: for work that must not hold a transaction (mail, hashing, images). The handler gets an
        `OutsideContext`; a crash between claim and finish means that it runs again.
    :param retry: for events and tells: when the failed are tried again.
    """

    def mark(method: Method) -> Method:
        method.__handles__ = _Marks(many, outside, retry)  # type: ignore[attr-defined] # functions take attributes
        return method

    return mark if method is None else mark(method)


def every(
    *, seconds: float = 0, minutes: float = 0, hours: float = 0, retry: Policy = QUICK
) -> Callable[[Method], Method]:
    """Mark a method as a timer: it gets a `Tick` once a period, in one of all replicas.

    Slots are counted from the epoch, so replicas agree on them without talking. A slot that passed while nothing
    ran is not made up for: the method looks at what is due, not at how often it was called.
    """
    period = int((seconds + 60 * minutes + 3600 * hours) * 1000)
    if period < 100:
        raise ContractError("@every needs a period of at least 0.1 s")

    def mark(method: Method) -> Method:
        method.__handles__ = _Marks(retry=retry, every_ms=period)  # type: ignore[attr-defined] # functions take attributes
        return method

    return mark


class Actor(Generic[Rec]):
    """The base of all actors.

    `name` is its queue, its store's setting (`<NAME>_STORE_URL`) and its file (`actors/<name>_actor.py`); `records`
    is its typed data access, made of a `Scope` and of what stands in `given`; `stagehands.records_of` finds that for
    another kind of store. An actor that needs a port beyond its store takes
    it by name: `def __init__(self, *, mailer: Mailer)`; `settings` is there too.
    """

    name: ClassVar[str]
    records: type[Rec]
    given: Mapping[str, Any] = MappingProxyType({})

    async def start(self, ctx: Context[Rec]) -> None:
        """Make what must be there: runs at boot, after the migrations, in a transaction of one replica at a time."""

    async def resync(self, ctx: Context[Rec], after: str | None) -> str | None:
        """Emit the present state of the next few hundred things after the id `after`, for an actor that has lost or
        never had its copy; the id of the last one, or None when there are no more."""
        return None

    async def beat(self, records: Rec) -> Event | None:
        """What watchers should know, several times a second from each replica: they notice when it stays away; and
        after each commit that asks for it (`Context.beat`).

        :param records: on the database itself, never a replica.
        """
        return None

    async def check(self, records: Rec) -> Sequence[str]:
        """What is wrong with what the store holds, a line each, for `python -m runtime check`; on the reader."""
        return ()

    async def before_commit(self, records: Rec, events: Sequence[Event]) -> None:
        """Write down what else commits with a transaction whose handlers are done.

        :param events: those that they have emitted.
        """

    async def stop(self) -> None:
        """Runs when the last message was handled: let go of what the actor itself opened."""

    @handles
    async def _refuse(self, command: Refuse, ctx: Context[Rec]) -> None:
        """The edge has refused a request with a key by itself: the inbox remembers it."""
        raise command.refusal()

    @classmethod
    def table(cls) -> Mapping[str, Handler]:
        """Wire type → handler.

        :raises ContractError: a handler whose signature does not say what it handles, a message handled twice, or
            one of another actor's commands.
        """
        return table_of(cls, cls.name)


def table_of(cls: type[Any], actor: str) -> Mapping[str, Handler]:
    """Wire type → handler, of any class that has some.

    :param actor: whose messages they are, but for the runtime's own.
    :raises ContractError: as `Actor.table`.
    """
    table: dict[str, Handler] = {}
    for name, method in inspect.getmembers(cls, inspect.isfunction):
        marks = getattr(method, "__handles__", None)
        if marks is None:
            continue
        handler = _handler(cls, actor, name, method, marks)
        if handler.type in table:
            raise ContractError(f"{cls.__name__}: {handler.type} is handled by {table[handler.type].method} and {name}")
        table[handler.type] = handler
    return table


def _handler(cls: type[Any], actor: str, name: str, method: Callable[..., Any], marks: _Marks) -> Handler:
    where = f"{cls.__name__}.{name}"
    hints = get_type_hints(method)
    parameters = list(inspect.signature(method).parameters)
    if len(parameters) != 3 or not inspect.iscoroutinefunction(method):
        raise ContractError(f"{where} must be `async def {name}(self, message, ctx)`")
    message = hints.get(parameters[1])
    if marks.many:
        if get_origin(message) is not Sequence or not get_args(message):
            raise ContractError(f"{where} has many=True, so its parameter must be a Sequence of a message type")
        (message,) = get_args(message)
    if not (isinstance(message, type) and issubclass(message, Message)):
        raise ContractError(f"{where} must say which message it handles: its parameter has no message type")
    if marks.every_ms and message is not Tick:
        raise ContractError(f"{where} is a timer, so its parameter must be a Tick")
    for_anyone = message.__module__.startswith("runtime.")
    if issubclass(message, Request) and not for_anyone and owner(message) != actor:
        raise ContractError(f"{where} handles {message.__name__}, which belongs to the actor {owner(message)!r}")
    if issubclass(message, Event) and actor not in message.consumers:
        raise ContractError(f"{where} handles {message.__name__}, which does not name {actor!r} among its consumers")
    if marks.many and not issubclass(message, Command | Query):
        raise ContractError(f"{where}: many=True is for commands and queries")
    if issubclass(message, Query) and marks.outside:
        raise ContractError(f"{where}: a query holds no transaction, so outside=True says nothing")
    if issubclass(message, Request):
        _check_reply(where, message, hints.get("return"), many=marks.many)
    return Handler(name, message, marks.many, marks.outside, marks.retry, marks.every_ms)


def _check_reply(where: str, message: type[Request[Any]], returns: Any, *, many: bool) -> None:
    expected = reply_type(message)
    if many:
        if get_origin(returns) is not list:
            raise ContractError(f"{where} has many=True, so it must return a list")
        (returns,) = get_args(returns)
    if returns in (None, type(None)) and expected in (None, type(None)):
        return
    given = [each for each in get_args(returns) or (returns,) if each is not Refusal]
    wanted = list(get_args(expected)) if not get_origin(expected) or _is_union(expected) else []
    if given not in ([expected], wanted) and returns != expected:
        raise ContractError(f"{where} returns {returns}, but {message.__name__} is answered with {expected}")


def _is_union(tp: Any) -> bool:
    return get_origin(tp) is not None and type(None) in get_args(tp)
