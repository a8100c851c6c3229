"""What a handler may touch, and nothing else."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Generic, TypedDict, TypeVar, Unpack

from runtime.errors import StoreAway
from runtime.message import Caller, Command, Event, Grant
from runtime.ports import Raced

Rec = TypeVar("Rec")

RECORD_AGAIN_S = 0.25
"""Between two tries of `OutsideContext.record`."""

Clock = Callable[[], int]
"""Milliseconds since the epoch, UTC."""

ANONYMOUS = Caller()


def system_clock() -> int:
    """The host's clock, ms since the epoch."""
    return time.time_ns() // 1_000_000


class Ids:
    """UUIDv7 (RFC 9562 section 5.7) from one clock; each is greater than the last, even when the clock goes back."""

    def __init__(self, clock: Clock = system_clock) -> None:
        self._clock = clock
        self._last = 0
        self._lock = threading.Lock()

    def __call__(self) -> str:
        with self._lock:
            # 48 bits of ms and 12 bits that count within a ms; both together never decrease
            self._last = max(self._last + 1, self._clock() << 12)
            stamp = self._last
        tail = int.from_bytes(os.urandom(8)) & ((1 << 62) - 1)
        value = (stamp >> 12) << 80 | 0x7 << 76 | (stamp & 0xFFF) << 64 | 0x2 << 62 | tail
        text = f"{value:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


class Surroundings(TypedDict):
    """What every context has besides its records."""

    now: int
    new_id: Callable[[], str]
    vouch: Callable[[str, str, bytes], Grant]
    caller: Caller
    grants: Sequence[Grant]
    cause: str
    trace: str | None
    request_id: str | None


class Context(Generic[Rec]):
    """A handler's view of the world: its records inside the transaction, who asks, the time, and what goes out.

    :ivar records: typed data access, inside this message's transaction (for queries, on the reader).
    :ivar caller: who asks; anonymous for events and ticks.
    :ivar now: ms since the epoch, the same for the whole message.
    :ivar new_id: makes UUIDv7 ids that keep their order.
    :ivar cause: id of the message that is handled; `trace` and `request_id` go along with what is sent.
    """

    __slots__ = (
        "_grants",
        "_vouch",
        "beats",
        "caller",
        "cause",
        "emitted",
        "new_id",
        "noted",
        "now",
        "records",
        "request_id",
        "told",
        "trace",
    )

    def __init__(
        self,
        records: Rec,
        *,
        now: int,
        new_id: Callable[[], str],
        vouch: Callable[[str, str, bytes], Grant],
        caller: Caller = ANONYMOUS,
        cause: str = "",
        grants: Sequence[Grant] = (),
        trace: str | None = None,
        request_id: str | None = None,
    ) -> None:
        self.records = records
        self.caller = caller
        self.now = now
        self.new_id = new_id
        self.cause = cause
        self.emitted: list[Event] = []
        self.told: list[Command[None]] = []
        self.noted: list[str] = []
        self.beats = False
        self._grants = grants
        self._vouch = vouch
        self.trace = trace
        self.request_id = request_id

    def emit(self, event: Event) -> None:
        """Tell everyone a fact, once this transaction has committed."""
        self.emitted.append(event)

    def tell(self, command: Command[None]) -> None:
        """Ask another actor to do something, once this transaction has committed; nothing comes back."""
        self.told.append(command)

    def beat(self) -> None:
        """Let watchers know how things stand (`Actor.beat`) as soon as this transaction has committed."""
        self.beats = True

    def note(self, text: str) -> None:
        """Keep a line, no secret, for whoever asks what became of the request (`python -m runtime why`)."""
        self.noted.append(text.replace("\n", " "))

    def granted(self, issuer: str, fact: str, subject: str) -> bytes | None:
        """Another actor's word on a fact, brought along by the edge; None when it brought none."""
        for grant in self._grants:
            if (grant.issuer, grant.fact, grant.subject) == (issuer, fact, subject):
                return grant.value
        return None

    def vouch(self, fact: str, subject: str, value: bytes) -> Grant:
        """This actor's signed word on a fact that it owns, good for 5 s: the reply of a query that vouches."""
        return self._vouch(fact, subject, value)


class ManyContext(Generic[Rec]):
    """The context of `@handles(many=True)`: what all messages of the list share, and a context for each.

    :ivar each: in the order of the messages: each has its own caller, and what is emitted through it goes out
        only when its own answer is no refusal.
    """

    __slots__ = ("each", "new_id", "now", "records")

    def __init__(self, records: Rec, each: Sequence[Context[Rec]], *, now: int, new_id: Callable[[], str]) -> None:
        self.records = records
        self.each = each
        self.now = now
        self.new_id = new_id


class OutsideContext(Context[Rec]):
    """The context of `@handles(outside=True)`: `records` read outside any transaction; `finish` opens the last one.

    ::

        async with ctx.step() as records:                # committed at its end, whatever comes
            await records.count_attempt(…)
        digest = await self.hash(command.password)       # slow work, no transaction held
        async with ctx.finish() as records:              # commits together with the reply
            await records.add_user(…, digest)
    """

    __slots__ = ("_finish", "_step")

    def __init__(
        self,
        records: Rec,
        *,
        step: Callable[[], AbstractAsyncContextManager[Rec]],
        finish: Callable[[], AbstractAsyncContextManager[Rec]],
        **surroundings: Unpack[Surroundings],
    ) -> None:
        super().__init__(records, **surroundings)
        self._step = step
        self._finish = finish

    def step(self) -> AbstractAsyncContextManager[Rec]:
        """A transaction of its own, committed when it is left. After a crash it runs again, with the handler."""
        return self._step()

    async def record(self, write: Callable[[Rec], Awaitable[None]]) -> None:
        """A step that is tried until the store takes it: what has happened outside is not undone because the store is
        away. So `write` may run more than once."""
        while True:
            try:
                async with self._step() as records:
                    await write(records)
                return
            except (StoreAway, Raced):
                await asyncio.sleep(RECORD_AGAIN_S)

    def finish(self) -> AbstractAsyncContextManager[Rec]:
        """The last transaction; at most once, last. What is written in it commits with the reply, or not at all."""
        return self._finish()
