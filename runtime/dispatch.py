"""Dispatch: a list of envelopes → a list of verdicts. Every rule of reliability is in this one place.

A message is one transaction: its inbox row, what the handler writes, what goes out and the saved reply commit
together. The consumer sends the reply after that, and acks after the reply; whatever is lost in between is
delivered or asked for again, and meets the inbox.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from itertools import count
from typing import Any, TypeVar

import msgspec

from runtime import stagehands
from runtime.actor import Actor, Handler, table_of
from runtime.closing import OUTBOX_LEASE_MS, Closing
from runtime.context import Clock, Context, Ids, ManyContext, system_clock
from runtime.contexts import Contexts
from runtime.dead_letters import DeadLetters
from runtime.errors import ConnectionLost, ContractError, Kind, Refusal, StoreAway, Throttled
from runtime.keys import Sealer
from runtime.lease import LEASE_MS, keeping
from runtime.message import Envelope, Failed, decoder
from runtime.outgoing import emitted, outgoing
from runtime.parking import Parking, unparked
from runtime.ports import Outgoing, Raced, Scope, Store, Transaction
from runtime.replies import Replies, claim_of
from runtime.seams import Seams
from runtime.telemetry import Metrics, bound_to, logger
from runtime.verdict import Received, Settle, Verdict, kept, outcome, word

Result = TypeVar("Result")

RACES = 8
"""Tries of a message that nobody waits for, while other transactions keep being first."""


class Dispatch:
    """The pipeline of one actor in one process; `records` makes what its handlers work with of what its store gives.

    :param offer: takes the outbox rows of a commit, to publish them right away.
    :param beat: lets the actor's watchers know how things stand now.
    :param report: is told of what a handler raised that was no verdict; the log, by default.
    :param lease_ms: of work outside a transaction.
    """

    def __init__(
        self,
        actor: Actor[Any],
        store: Store,
        *,
        key: bytes,
        metrics: Metrics,
        offer: Callable[[Sequence[Outgoing]], None],
        beat: Callable[[], None] = lambda: None,
        clock: Clock = system_clock,
        new_id: Callable[[], str] | None = None,
        seams: Seams | None = None,
        report: Callable[[BaseException], None] | None = None,
        lease_ms: int = LEASE_MS,
    ) -> None:
        self.actor = actor
        self.store = store
        self.records = stagehands.records_of(actor, store)
        of_store = table_of(DeadLetters, actor.name)
        self.table = {**actor.table(), **of_store}
        self.sealer = Sealer(key)
        self._metrics = metrics
        self._offer = offer
        self._beat = beat
        self._new_id = new_id or Ids(clock)
        self._seams = seams or Seams("")
        self._report = report or self._log
        self._lease_ms = lease_ms
        self.parking = Parking(
            actor.name, store, self.table, sealer=self.sealer, metrics=metrics, new_id=self._new_id, report=self._report
        )
        self.dead_letters = DeadLetters(actor.name, store, self.parking, self.table)
        self._replies = Replies(actor.name, sealer=self.sealer, report=self._report)
        self._closing = partial(Closing, self._replies, sealer=self.sealer, new_id=self._new_id)
        self._contexts = Contexts(actor.name, store, self.records, key=key, clock=clock, new_id=self._new_id)
        self._of_store = of_store.keys()
        self._methods = {
            kind: getattr(self.dead_letters if kind in self._of_store else actor, handler.method)
            for kind, handler in self.table.items()
        }

    async def __call__(self, batch: Sequence[Received]) -> list[Verdict]:
        """Verdicts for envelopes of one type, in their order. Never raises but for cancellation."""
        kind = batch[0].envelope.type
        handler = self.table.get(kind)
        if handler is None:
            return [await self._unreadable(each, f"{self.actor.name!r} has no handler for {kind!r}") for each in batch]
        verdicts: list[Verdict | None] = [None] * len(batch)
        ready: list[tuple[int, Received, Any]] = []
        decode = decoder(handler.message).decode
        for index, each in enumerate(batch):
            if self._is_late(each):
                verdicts[index] = Settle.DONE
                continue
            try:
                ready.append((index, each, decode(each.envelope.body)))
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                verdicts[index] = await self._unreadable(each, f"{kind!r} cannot be read: {error}")
        if ready:
            with self._metrics.handling.labels(self.actor.name, kind).time():
                made = await self._handle(handler, [(each, message) for _, each, message in ready])
            for (index, _, _), verdict in zip(ready, made, strict=True):
                verdicts[index] = verdict
        settled = [verdict for verdict in verdicts if verdict is not None]
        for verdict in settled:
            self._metrics.handled.labels(self.actor.name, kind, word(verdict)).inc()
        return settled

    # ------------------------------------------------------------------------------------ the paths

    async def _handle(self, handler: Handler, items: list[tuple[Received, Any]]) -> list[Verdict]:
        if handler.is_query:
            return await self._queries_apart(handler, items)
        if len(items) > 1 and not handler.outside:
            return await self._together(handler, items)
        return [await self._alone(handler, received, message) for received, message in items]

    async def _queries_apart(self, handler: Handler, items: list[tuple[Received, Any]]) -> list[Verdict]:
        """Those who have just written ask the database itself, all others its replica, where there is one."""
        fresh = [received.envelope.fresh for received, _ in items]
        if len(set(fresh)) == 1 or self.store.primary is self.store.reader:
            return await self._queries(handler, items)
        answers = {
            kind: iter(
                await self._queries(handler, [item for item, each in zip(items, fresh, strict=True) if each is kind])
            )
            for kind in (False, True)
        }
        return [next(answers[kind]) for kind in fresh]

    async def _queries(self, handler: Handler, items: list[tuple[Received, Any]]) -> list[Verdict]:
        """No transaction, no inbox; the records are shared, so their loaders merge the reads of the list."""
        records = self._records(handler, self.store.primary if items[0][0].envelope.fresh else self.store.reader)
        contexts = [self._contexts.inside(records, received) for received, _ in items]
        method = self._methods[handler.type]
        results: Sequence[Any]
        if handler.many:
            try:
                many = ManyContext(records, contexts, now=contexts[0].now, new_id=self._new_id)
                results = await method([message for _, message in items], many)
            except Exception as error:
                if len(items) > 1:
                    return [(await self._queries(handler, [item]))[0] for item in items]
                results = [error]
        elif len(items) == 1:
            results = [await outcome(method(items[0][1], contexts[0]))]
        else:
            results = await asyncio.gather(
                *(outcome(method(message, context)) for (_, message), context in zip(items, contexts, strict=True))
            )
        return [
            self._replies.to(received.envelope, result) for (received, _), result in zip(items, results, strict=True)
        ]

    async def _together(self, handler: Handler, items: list[tuple[Received, Any]]) -> list[Verdict]:
        """All in one transaction; when that fails as a whole, each in one of its own. Messages that the handler does
        not take as a list are handled one after the other."""
        firsts: dict[str, tuple[Received, Any]] = {}
        for received, message in items:
            firsts.setdefault(received.envelope.id, (received, message))
        try:
            made = zip(firsts.values(), await self._transact(handler, list(firsts.values())), strict=True)
            verdicts = [await self._unless_refused(received, verdict) for (received, _), verdict in made]
        except Exception as error:
            if isinstance(error, StoreAway) and not isinstance(error, ConnectionLost):
                return [self._replies.away(received, error) for received, _ in items]
            logger().info("batch.split", actor=self.actor.name, type=handler.type, size=len(items), exc_info=True)
            verdicts = [await self._alone(handler, received, message) for received, message in firsts.values()]
        known = dict(zip(firsts, verdicts, strict=True))
        return [
            known[received.envelope.id]
            if firsts[received.envelope.id][0] is received
            else await self._alone(handler, received, message)
            for received, message in items
        ]

    async def _alone(self, handler: Handler, received: Received, message: Any) -> Verdict:
        """One message, and what becomes of it when it fails."""
        envelope = received.envelope
        with bound_to(envelope.request_id or envelope.id, envelope.trace):
            try:
                return await self._unless_refused(received, await self._unraced(handler, received, message))
            except StoreAway as error:
                return self._replies.away(received, error)
            except Exception as error:
                if envelope.reply_to is None:
                    return await self.parking.park(handler, received, error)
                return self._replies.to(envelope, error)

    async def _unless_refused(self, received: Received, verdict: Verdict) -> Verdict:
        """What nobody waits for and was refused, with what it wrote kept and committed, is a dead letter."""
        envelope = received.envelope
        if isinstance(verdict, Failed) and envelope.reply_to is None:
            reason = f"{verdict.code} {verdict.detail}"
            return await self.parking.bury(envelope, reason, attempt=envelope.attempt + 1)
        return verdict

    async def _unraced(self, handler: Handler, received: Received, message: Any) -> Verdict:
        """Tries until no other transaction was first: whoever was may have settled this message, and its reply is there
        then. A request is tried while somebody waits for it, other messages `RACES` times, which counts as one attempt.

        Before try n + 1 it waits for a time uniform in [0, min(0.1, 0.005 · (2ⁿ⁻¹ − 1))] s: the first is at once.
        A lost connection is no more than a reason for a second try: what was committed is in the inbox.
        """
        for lost in count(1):
            try:
                return await self._once(handler, received, message)
            except ConnectionLost:
                if lost > 1:
                    raise
            except Raced:
                if received.deadline is None and lost == RACES:
                    raise
                await asyncio.sleep(random.uniform(0, min(0.1, 0.005 * (2 ** min(lost - 1, 5) - 1))))
                if self._is_late(received):
                    break
        return Settle.DONE

    def _is_late(self, received: Received) -> bool:
        """Nobody waits for its answer any more; counted."""
        late = received.deadline is not None and asyncio.get_running_loop().time() >= received.deadline
        if late:
            self._metrics.shed.labels(self.actor.name, "expired").inc()
        return late

    async def _once(self, handler: Handler, received: Received, message: Any) -> Verdict:
        """One try. Raises what is no verdict."""
        try:
            if handler.outside:
                return await self._outside(handler, received, message)
            return (await self._transact(handler, [(received, message)]))[0]
        except Refusal as refusal:
            return await self._refused(handler, received, refusal)

    async def _transact(self, handler: Handler, items: list[tuple[Received, Any]]) -> list[Verdict]:
        """Claim, handle, finish, commit. Raises whatever undoes the whole of it."""
        self._seams.at("before", handler.type)
        verdicts: dict[int, Verdict] = {}
        closing = self._closing()
        async with self.store.transaction() as transaction:
            claims = [claim_of(received.envelope) for received, _ in items]
            fresh: list[int] = []
            for index, claimed in enumerate(await transaction.begin(claims)):
                if claimed is None:
                    fresh.append(index)
                else:
                    verdicts[index] = self._replies.known(items[index][0].envelope, claimed)
                    closing.unpark += unparked(items[index][0], claimed)
            if fresh:
                records = self._records(handler, transaction)
                contexts = [self._contexts.inside(records, items[index][0]) for index in fresh]
                results = await self._run(handler, records, [items[index][1] for index in fresh], contexts)
                await self._before_commit(handler, records, zip(contexts, results, strict=True))
                for index, context, result in zip(fresh, contexts, results, strict=True):
                    verdicts[index] = closing.add(handler, items[index][0], context, result)
            await closing.finish(transaction)
        self._committed(handler, closing)
        return [verdicts[index] for index in range(len(items))]

    def _records(self, handler: Handler, scope: Scope) -> Any:
        """What a handler works with: the actor's records; for messages about the store's own tables, those."""
        return scope if handler.type in self._of_store else self.records(scope)

    async def _run(
        self, handler: Handler, records: Any, messages: list[Any], contexts: list[Context[Any]]
    ) -> Sequence[Any]:
        """The handler's results; raises a refusal that undoes what the handler wrote."""
        method = self._methods[handler.type]
        if not handler.many:
            answers = []
            for message, context in zip(messages, contexts, strict=True):
                with bound_to(context.request_id or context.cause, context.trace):
                    answers.append(await kept(method(message, context)))
            return answers
        many = ManyContext(records, contexts, now=contexts[0].now, new_id=self._new_id)
        results: Sequence[Any] = await method(messages, many)
        if len(results) != len(messages):
            raise ContractError(f"{handler.method} answered {len(results)} of {len(messages)} messages")
        return results

    async def _before_commit(self, handler: Handler, records: Any, handled: Iterable[tuple[Context[Any], Any]]) -> None:
        """:param handled: contexts and results of one transaction."""
        if handler.type not in self._of_store:
            events = [event for context, result in handled for event in emitted(context, result)]
            await self.actor.before_commit(records, events)

    async def _outside(self, handler: Handler, received: Received, message: Any) -> Verdict:
        """Claim (committed) → work → finish, in a second transaction."""
        claim, lease = claim_of(received.envelope), os.urandom(8).hex()
        self._seams.at("before", handler.type)
        if (claimed := await self.store.claim(claim, lease, lease_ms=self._lease_ms)) is not None:
            for id in unparked(received, claimed):
                await self.store.unpark(id)
            return self._replies.known(received.envelope, claimed)
        try:
            async with keeping(self.store, claim.id, lease, lease_ms=self._lease_ms):
                return await self._work(handler, received, message, lease)
        except Refusal as refusal:
            return await self._refused(handler, received, refusal, lease)
        except BaseException:
            # nothing was settled: the next attempt need not wait until the lease lapses
            await asyncio.shield(self.store.release(claim.id, lease))
            raise

    async def _work(self, handler: Handler, received: Received, message: Any, lease: str) -> Verdict:
        closing = self._closing()
        async with AsyncExitStack() as stack:
            last: list[tuple[Transaction, Any]] = []

            async def enter_last() -> Any:
                transaction = await stack.enter_async_context(self.store.transaction())
                if not await transaction.resume(received.envelope.id, lease):
                    raise Raced
                last.append((transaction, self.records(transaction)))
                return last[0][1]

            context = self._contexts.outside(received, enter_last)
            result = await kept(self._methods[handler.type](message, context))
            if not last:
                await enter_last()
            ((transaction, records),) = last
            await self._before_commit(handler, records, [(context, result)])
            verdict = closing.add(handler, received, context, result)
            await closing.finish(transaction)
        self._committed(handler, closing)
        return verdict

    async def _refused(
        self, handler: Handler, received: Received, refusal: Refusal, lease: str | None = None
    ) -> Verdict:
        """What the handler wrote is undone; the refusal is saved as the reply in a transaction of its own."""
        envelope = received.envelope
        verdict = self._replies.to(envelope, refusal)
        if envelope.reply_to is None or isinstance(refusal, Throttled):
            if lease:
                await self.store.release(envelope.id, lease)
            return await self.parking.park(handler, received, refusal) if envelope.reply_to is None else verdict
        async with self.store.transaction() as transaction:
            if lease is None:
                (claimed,) = await transaction.begin([claim_of(envelope)])
                if claimed is not None:
                    return self._replies.known(envelope, claimed)
            elif not await transaction.resume(envelope.id, lease):
                return Settle.DONE
            settled = self._replies.settled(handler, envelope, verdict, refusal)
            await transaction.finish(settled, (), unpark=unparked(received, verdict), lease_ms=OUTBOX_LEASE_MS)
        return verdict

    def _committed(self, handler: Handler, closing: Closing) -> None:
        self._seams.at("after_commit", handler.type)
        if closing.outgoing:
            self._offer(closing.outgoing)
        if closing.beats:
            self._beat()

    def _log(self, error: BaseException) -> None:
        logger().error("handler.failed", actor=self.actor.name, exc_info=error)

    async def start(self) -> None:
        """`Actor.start`, in a transaction that one replica at a time is in."""
        async with self.store.exclusive(f"start {self.actor.name}") as transaction:
            await self._unasked(transaction, "start", self.actor.start)

    async def resync(self, after: str | None) -> str | None:
        """One step of `Actor.resync`, in a transaction."""
        async with self.store.transaction() as transaction:
            return await self._unasked(transaction, "resync", lambda context: self.actor.resync(context, after))

    async def _unasked(
        self, transaction: Transaction, why: str, work: Callable[[Context[Any]], Awaitable[Result]]
    ) -> Result:
        """What no message asked for; its events wait in the outbox for any relay."""
        received = Received(Envelope(self._new_id(), why, self.actor.name, b""))
        context = self._contexts.inside(self.records(transaction), received)
        result = await work(context)
        await self.actor.before_commit(context.records, context.emitted)
        sent = outgoing(context, None, sealer=self.sealer, new_id=self._new_id)
        await transaction.finish((), sent, lease_ms=0)
        return result

    async def _unreadable(self, received: Received, reason: str) -> Verdict:
        """Not a message of this actor's: nothing that a new attempt could mend."""
        envelope = received.envelope
        logger().error("message.unreadable", actor=self.actor.name, type=envelope.type, reason=reason)
        if envelope.reply_to is not None:
            return Failed(Kind.INTERNAL, "internal")
        return await self.parking.bury(envelope, reason)
