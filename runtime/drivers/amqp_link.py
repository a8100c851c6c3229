"""A connection to RabbitMQ that is kept: there is one way to recover, and this is it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import urlsplit

import structlog

from runtime.drivers.amqp_wire import Wire
from runtime.errors import BrokerAway

log = structlog.get_logger()

OPEN_S = 5.0
"""To find any host that answers, at the start."""
BUILD_S = 30.0
"""To declare everything on a new connection; a cluster that makes quorum queues for the first time is slow."""
FIRST_RETRY_S, LONGEST_RETRY_S = 0.1, 2.5
"""Bounds of the delay before the n-th new attempt: uniform in [0, min(longest, first · 2ⁿ)]."""
STABLE_S = 5.0
"""A connection that lived this long starts the back-off from its beginning."""


class Link:
    """Keeps one `Wire`: whenever it is lost it dials again, any host, with exponential back-off and full jitter.

    :param build: makes all that lives on a wire, within `BUILD_S`.
    :param probe: asks the broker something; no answer within `watch_s` means that the wire is dead.
    :param changed: called when `wire` has come, gone, or become blocked or unblocked.
    :ivar wire: None while there is no connection that is built.
    """

    def __init__(
        self,
        urls: Sequence[str],
        name: str,
        build: Callable[[Wire], Awaitable[None]],
        probe: Callable[[Wire], Awaitable[None]],
        changed: Callable[[], None],
        *,
        watch_s: float,
    ) -> None:
        self.wire: Wire | None = None
        self._urls = urls
        self._name = name
        self._build = build
        self._probe = probe
        self._changed = changed
        self._watch_s = watch_s
        self._keeper: asyncio.Task[None] | None = None
        self._trouble = ""

    async def open(self) -> None:
        """A broker that ends a connection while it is built up is dialled again: RabbitMQ does so now and then when
        many processes declare the same quorum queues for the first time (INTERNAL_ERROR, NOT_FOUND).

        :raises BrokerAway: no host answers within `OPEN_S`, or nothing could be built up within `BUILD_S`.
        :raises StartError: a declaration is refused.
        """
        loop, failures = asyncio.get_running_loop(), 0
        until = loop.time() + BUILD_S
        hosts = ", ".join(urlsplit(url).netloc.rpartition("@")[2] for url in self._urls)
        while self.wire is None:
            try:
                async with asyncio.timeout(OPEN_S):
                    wire = await self._dial(failures)
            except TimeoutError:
                raise BrokerAway(f"no message broker answers at {hosts}: {self._trouble}") from None
            try:
                await self._raise_up(wire)
            except BrokerAway as error:
                failures += 1
                log.warning("the broker connection could not be built up", connection=self._name, exc_info=True)
                if loop.time() > until:
                    why = error.__cause__ or error
                    raise BrokerAway(f"the message broker at {hosts} declares no queues: {why}") from error
        self._keeper = asyncio.create_task(self._keep(wire), name=self._name)

    async def close(self) -> None:
        """Never raises."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait({self._keeper})
        wire, self.wire = self.wire, None
        if wire is not None:
            await wire.close()

    async def _keep(self, wire: Wire) -> None:
        loop, failures = asyncio.get_running_loop(), 0
        while True:
            born = loop.time()
            await self._watch(wire)
            self.wire = None
            self._changed()
            log.warning("the broker connection was lost", connection=self._name, why=wire.lost.result())
            await wire.close()
            failures = 1 if loop.time() - born > STABLE_S else failures + 1
            while self.wire is None:
                wire = await self._dial(failures)
                try:
                    await self._raise_up(wire)
                except Exception:
                    failures += 1
                    log.exception("the broker connection could not be built up", connection=self._name)
            log.info("the broker connection is back", connection=self._name)

    async def _dial(self, failures: int) -> Wire:
        """Try all hosts, in random order so that a cluster shares its clients, until one answers."""
        while True:
            if failures:
                await asyncio.sleep(random.uniform(0, min(LONGEST_RETRY_S, FIRST_RETRY_S * 2**failures)))
            for url in random.sample(self._urls, len(self._urls)):
                try:
                    return await Wire.dial(url, self._name, self._changed)
                except BrokerAway as error:
                    self._trouble = str(error.__cause__) or type(error.__cause__).__name__
            failures = min(failures + 1, 16)

    async def _raise_up(self, wire: Wire) -> None:
        try:
            async with asyncio.timeout(BUILD_S):
                await self._build(wire)
        except TimeoutError as error:
            wire.cut("it could not be built up in time")
            await wire.close()
            raise BrokerAway(f"the message broker has not declared the queues within {BUILD_S:.0f} s") from error
        except BaseException:
            wire.cut("it could not be built up")
            await wire.close()
            raise
        self.wire = wire
        self._changed()

    async def _watch(self, wire: Wire) -> None:
        """Returns when the wire is lost, and cuts it when it is silently dead."""
        while not wire.lost.done():
            await asyncio.wait({wire.lost}, timeout=self._watch_s)
            if wire.lost.done() or wire.blocked:  # a blocked connection is not read from, so it cannot answer
                continue
            try:
                async with asyncio.timeout(self._watch_s):
                    await self._probe(wire)
            except (TimeoutError, BrokerAway) as error:
                if not wire.blocked:
                    wire.cut(f"the broker does not answer: {error.__cause__ or error!r}")
