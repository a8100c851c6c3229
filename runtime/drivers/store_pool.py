"""Connections to a database, first come, first served.

A slot is a connection, or the right to make one. Whoever waits longest gets the next slot, handed over directly:
a pool that puts it back for all to grab lets late comers overtake, and then the tail waits for hundreds of ms.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Generic, Protocol, TypeVar

from runtime.errors import StoreAway

GOODBYE_S = 1.0
"""Seconds that a connection may take to close."""


class Connection(Protocol):
    """What the pool must know of a connection."""

    def is_closed(self) -> bool: ...

    def terminate(self) -> None:
        """Drop it without a goodbye; a closed one gives up what it still holds."""
        ...

    async def close(self) -> None: ...


C = TypeVar("C", bound=Connection)


async def _close(connection: Connection) -> None:
    try:
        async with asyncio.timeout(GOODBYE_S):
            await connection.close()
    except Exception:  # a server that is gone hears no goodbye, and the connection is not needed any more
        connection.terminate()


class Pool(Generic[C]):
    """At most `size` connections, made when they are first needed and again after they broke.

    :param connect: makes one; what it raises, the one who wanted it gets.
    :param timeout_s: seconds for one `acquire`, waiting and connecting together.
    """

    def __init__(self, connect: Callable[[], Awaitable[C]], *, size: int, timeout_s: float) -> None:
        self._connect = connect
        self._timeout_s = timeout_s
        self._free: deque[C | None] = deque([None] * size)
        self._waiting: deque[asyncio.Future[C | None]] = deque()
        self._closed = False

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[C]:
        """A connection for the block; one that is closed when the block ends is replaced.

        :raises StoreAway: none was free, or none could be made, in time; or the pool is closed.
        """
        connection = await self._take()
        try:
            yield connection
        finally:
            usable = not self._closed and not connection.is_closed()
            if not usable:
                connection.terminate()
            self._put(connection if usable else None)

    async def close(self) -> None:
        """Close what is free now and the rest when it comes back; who waits gets `StoreAway`."""
        self._closed = True
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_exception(StoreAway("the store is closed"))
        free, self._free = self._free, deque()
        for connection in free:
            if connection is not None:
                await _close(connection)

    async def _take(self) -> C:
        if self._closed:
            raise StoreAway("the store is closed")
        if self._free and (ready := self._free[-1]) is not None and not ready.is_closed():
            self._free.pop()  # the common case, without a timer
            return ready
        try:
            async with asyncio.timeout(self._timeout_s):
                slot = self._free.pop() if self._free else await self._next()
                if slot is not None and not slot.is_closed():
                    return slot
                if slot is not None:
                    slot.terminate()
                try:
                    return await self._connect()
                except BaseException:
                    self._put(None)
                    raise
        except TimeoutError as error:
            raise StoreAway("no connection to the database in time") from error

    async def _next(self) -> C | None:
        waiter: asyncio.Future[C | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._put(waiter.result())  # it was handed over in the same moment: the next one gets it
            raise

    def _put(self, slot: C | None) -> None:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(slot)
                return
        if slot is None:
            self._free.appendleft(None)  # open connections are taken first
        else:
            self._free.append(slot)
