"""What every actor answers about its dead letters, and about itself, without a line of its own."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec import inspect

from runtime import VERSION
from runtime.actor import Handler, handles
from runtime.context import Context
from runtime.errors import Fault, Forbidden, Invalid, MessageError, NotFound
from runtime.letters import (
    ActorState,
    DeadLetter,
    DeadLetterDiscarded,
    DeadLetterReplayed,
    Describe,
    DiscardDead,
    GetDead,
    ListDead,
    ReplayDead,
    ReplayDeadOf,
)
from runtime.message import Envelope, Message, decoder, encode
from runtime.parking import Parking
from runtime.ports import ParkedRow, Store, Transaction
from runtime.telemetry import trace_id

HIDDEN = "***"
"""In place of a secret."""


class DeadLetters:
    """Handlers over the tables that the store itself has: their records are the transaction.

    A replayed message is handled as an event is: a request that had taken its process down has nobody who waits for
    it any more, and its caller does not count, for what lies in `parked` may never have been signed.

    :param table: the actor's handlers, which say how a letter's body is read.
    """

    def __init__(self, actor: str, store: Store, parking: Parking, table: Mapping[str, Handler]) -> None:
        self._actor = actor
        self._store = store
        self._parking = parking
        self._table = table

    @handles
    async def list(self, query: ListDead, ctx: Context[Any]) -> list[DeadLetter]:
        """Newest first."""
        _check_admin(ctx)
        rows = await self._store.dead(type=query.type, after=query.before, limit=query.limit)
        return [self.shown(row) for row in rows]

    @handles
    async def get(self, query: GetDead, ctx: Context[Any]) -> DeadLetter:
        """One, with its body."""
        _check_admin(ctx)
        return self.shown(await _letter(query.id, self._store))

    @handles
    async def replay(self, command: ReplayDead, ctx: Context[Transaction]) -> None:
        """Due at once; of two who replay it, the second finds none."""
        _check_admin(ctx)
        row = await _letter(command.id, ctx.records)
        if not await ctx.records.revive_letter(command.id, self._edited(row, command.body)):
            raise _none()
        note = "" if command.body is None else "edited"
        ctx.emit(
            DeadLetterReplayed(**_who(ctx), actor=self._actor, type=row.type, count=1, letter=command.id, note=note)
        )

    @handles
    async def replay_all(self, command: ReplayDeadOf, ctx: Context[Transaction]) -> int:
        """All of a type are due at once."""
        _check_admin(ctx)
        count = await ctx.records.revive_type(command.type)
        if count:
            ctx.emit(DeadLetterReplayed(**_who(ctx), actor=self._actor, type=command.type, count=count))
        return count

    @handles
    async def discard(self, command: DiscardDead, ctx: Context[Transaction]) -> None:
        """It is gone for good."""
        _check_admin(ctx)
        row = await _letter(command.id, ctx.records)
        if not await ctx.records.discard_letter(command.id):
            raise _none()
        ctx.emit(
            DeadLetterDiscarded(
                **_who(ctx), actor=self._actor, type=row.type, count=1, letter=command.id, note=command.reason
            )
        )

    @handles
    async def describe(self, query: Describe, ctx: Context[Any]) -> ActorState:
        """How all processes of this actor are."""
        _check_admin(ctx)
        counts = await self._store.counts()
        return ActorState(
            instances=counts["instances"],
            in_flight=counts["in_flight"],
            parked=counts["parked"],
            dead=counts["dead"],
            version=VERSION,
        )

    def shown(self, row: ParkedRow) -> DeadLetter:
        """A row as an admin sees it."""
        envelope, body = Envelope("", "", "", b""), None
        try:
            envelope = self._parking.received(row).envelope
            handler = self._table.get(row.type)
            body = None if handler is None else masked(handler.message, envelope.body)
        except (MessageError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            pass  # the reason says what is wrong with it
        return DeadLetter(
            id=row.letter,
            type=row.type,
            message_id=row.id,
            body=body,
            caller_id=envelope.caller.id if envelope.caller else None,
            reason=row.reason,
            attempts=row.attempt,
            first_failed_at=row.first_failed_at,
            last_failed_at=row.last_failed_at,
            trace_id=trace_id(envelope.trace or ""),
        )

    def _edited(self, row: ParkedRow, body: dict[str, Any] | None) -> bytes | None:
        """The row's envelope as it is to be handled; None where it stays as it is. Refuses `request.invalid`."""
        try:
            envelope = self._parking.received(row).envelope
        except MessageError as error:
            raise _unfit("", str(error)) from None
        if body is None and envelope.reply_to is None:
            return None
        encoded = envelope.body
        if body is not None:
            handler = self._table.get(row.type)
            if handler is None:
                raise _unfit("/body", f"the actor has no handler for {row.type!r}")
            try:
                encoded = encode(msgspec.convert(restored(handler.message, body, envelope.body), handler.message))
            except (msgspec.ValidationError, RecursionError) as error:
                text, _, place = str(error).partition(" - at `$")
                raise _unfit("/body" + _pointer(place), text) from None
        envelope = msgspec.structs.replace(envelope, body=encoded, reply_to=None)
        return self._parking.form(envelope, 0, 0, row.reason).envelope


def masked(kind: type[Message], body: bytes) -> Any:
    """A message as JSON would have it, with `***` for its secrets. :raises msgspec.MsgspecError: it cannot be read."""
    value = msgspec.to_builtins(decoder(kind).decode(body))
    return _at_secrets(inspect.type_info(kind), value, None, lambda mine, _: mine if mine is None else HIDDEN)


def restored(kind: type[Message], edited: Any, body: bytes) -> Any:
    """An edited message with the secrets of the original where it says `***`."""
    try:
        original = msgspec.to_builtins(decoder(kind).decode(body))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        original = None

    def keep(mine: Any, theirs: Any) -> Any:
        return theirs if mine == HIDDEN and theirs is not None else mine

    return _at_secrets(inspect.type_info(kind), edited, original, keep)


def _at_secrets(info: inspect.Type, mine: Any, theirs: Any, change: Callable[[Any, Any], Any]) -> Any:
    """`mine` with its secrets changed. :param theirs: the same place of another value, as far as it has one."""
    match info:
        case inspect.Metadata():
            if (info.extra or {}).get("secret"):
                return change(mine, theirs)
            return _at_secrets(info.type, mine, theirs, change)
        case inspect.UnionType():
            for each in info.types:
                mine = _at_secrets(each, mine, theirs, change)
        case inspect.StructType(array_like=False) if isinstance(mine, dict):
            other = theirs if isinstance(theirs, dict) else {}
            kinds = {field.encode_name: field.type for field in info.fields}
            return {
                name: _at_secrets(kinds[name], value, other.get(name), change) if name in kinds else value
                for name, value in mine.items()
            }
        case inspect.StructType() if isinstance(mine, list):
            kinds_in_order = [field.type for field in info.fields][: len(mine)]
            return [
                *(
                    _at_secrets(kind, value, _item(theirs, n), change)
                    for n, (kind, value) in enumerate(zip(kinds_in_order, mine, strict=False))
                ),
                *mine[len(kinds_in_order) :],
            ]
        case inspect.DictType() if isinstance(mine, dict):
            other = theirs if isinstance(theirs, dict) else {}
            return {key: _at_secrets(info.value_type, value, other.get(key), change) for key, value in mine.items()}
        case inspect.ListType() | inspect.VarTupleType() | inspect.SetType() | inspect.FrozenSetType():
            if isinstance(mine, list | tuple):
                return [_at_secrets(info.item_type, value, _item(theirs, n), change) for n, value in enumerate(mine)]
        case inspect.TupleType() if isinstance(mine, list | tuple):
            return [
                _at_secrets(kind, value, _item(theirs, n), change)
                for n, (kind, value) in enumerate(zip(info.item_types, mine, strict=False))
            ]
    return mine


def _item(values: Any, index: int) -> Any:
    return values[index] if isinstance(values, list | tuple) and index < len(values) else None


def _pointer(place: str) -> str:
    """`.labels[0]` in an error of msgspec's as a JSON pointer."""
    return "".join(f"/{name or index}" for name, index in re.findall(r"\.(\w+)|\[(\d+)\]", place))


def _who(ctx: Context[Any]) -> dict[str, Any]:
    return {"by": ctx.caller.id or "", "address": ctx.caller.address, "agent": ctx.caller.agent}


def _check_admin(ctx: Context[Any]) -> None:
    """Refuses `auth.forbidden`. The edge has proven role and session; only what was signed for this actor has any."""
    if ctx.caller.role != "admin" or ctx.caller.session is None:
        raise Forbidden("auth.forbidden", "this is for admins")


async def _letter(id: str, place: Store | Transaction) -> ParkedRow:
    """A dead letter by its own id. Refuses `dead_letter.not_found`."""
    row = await place.letter(id)
    if row is None:
        raise _none()
    return row


def _none() -> NotFound:
    return NotFound("dead_letter.not_found", "there is no such dead letter")


def _unfit(pointer: str, detail: str) -> Invalid:
    return Invalid("request.invalid", "this cannot be handled again", faults=(Fault(pointer, detail),))
