"""One actor on one store, without a broker: what the tests of dispatch and of its neighbours stand on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from runtime.context import Ids
from runtime.dispatch import Dispatch
from runtime.keys import derive
from runtime.lease import LEASE_MS
from runtime.message import (
    Caller,
    Envelope,
    Event,
    Failed,
    Grant,
    Message,
    Ok,
    decoder,
    encode,
    owner,
    unframe,
    wire_name,
)
from runtime.ports import Outgoing, ParkedRow, Store
from runtime.telemetry import Metrics
from runtime.verdict import Received, Verdict
from tests.shelves import rows_of
from tests.unit.counter import CounterActor, Total

KEY = derive(b"a secret of the tests", "actor:counter")
NEW_ID = Ids()


def envelope(
    message: Message,
    *,
    id: str | None = None,
    reply: bool | None = None,
    hash: bytes | None = None,
    caller: Caller | None = None,
    grants: tuple[Grant, ...] = (),
    attempt: int = 0,
    nonce: str = "n",
    trace: str | None = None,
    request_id: str | None = None,
    fresh: bool = False,
) -> Envelope:
    """A message as it arrives; requests want a reply unless `reply` says otherwise."""
    kind = type(message)
    wanted = not isinstance(message, Event) if reply is None else reply
    return Envelope(
        id or NEW_ID(), wire_name(kind), owner(kind), encode(message), nonce, "asker" if wanted else None,
        None, hash, caller, grants, attempt, None, trace, request_id, 0, fresh,
    )  # fmt: skip


class House:
    """A dispatch over a store; `replica` makes another one over the same."""

    def __init__(self, store: Store, actor: CounterActor | None = None, *, lease_ms: int = LEASE_MS) -> None:
        self.store = store
        self.actor = actor or CounterActor()
        self.metrics = Metrics()
        self.offered: list[Outgoing] = []
        self.failures: list[BaseException] = []
        self.beats = 0
        self.dispatch = Dispatch(
            self.actor,
            store,
            key=KEY,
            metrics=self.metrics,
            offer=self.offered.extend,
            beat=self._beat,
            report=self.failures.append,
            lease_ms=lease_ms,
        )

    def _beat(self) -> None:
        self.beats += 1

    def replica(self) -> House:
        return House(self.store)

    async def handle(self, *envelopes: Envelope, trusted: bool = True) -> list[Verdict]:
        """The verdicts of one list."""
        return await self.dispatch([Received(each, trusted=trusted) for each in envelopes])

    async def one(self, message: Message | Envelope, **traits: Any) -> Verdict:
        """The verdict of a message that comes alone."""
        (verdict,) = await self.handle(message if isinstance(message, Envelope) else envelope(message, **traits))
        return verdict

    async def total(self, name: str) -> int:
        total: Total = await self.dispatch.records(self.store.reader).get(name)
        return total.value

    async def inbox(self) -> int:
        return len([row for row in await rows_of(self.store, "inbox") if row["settled_at"] is not None])

    async def row(self, id: str) -> ParkedRow:
        row = await self.store.parked(id)
        assert row is not None, f"{id} is not parked"
        return row

    def sent(self) -> list[Envelope]:
        """What went out so far, opened."""
        return [each for row in self.offered for each in unframe(self.dispatch.sealer.unwrap(row.envelope), KEY)[0]]


def answer(verdict: Verdict, tp: Any) -> Any:
    """What an Ok holds."""
    assert isinstance(verdict, Ok), verdict
    return decoder(tp).decode(verdict.body)


def code(verdict: Verdict) -> str:
    """The code of a no."""
    assert isinstance(verdict, Failed), verdict
    return verdict.code


def codes(verdicts: Sequence[Verdict]) -> list[str]:
    """`ok`, or the code of the no, of each."""
    return ["ok" if isinstance(each, Ok) else code(each) for each in verdicts]
