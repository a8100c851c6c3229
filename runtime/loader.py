"""A loader: the reads of one event-loop tick become one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Loader(Generic[K, V]):
    """Merges the keys asked for in one tick into one call of `fetch`.

    :param fetch: keys, each once → the values that exist, by key.
    """

    def __init__(self, fetch: Callable[[Sequence[K]], Awaitable[Mapping[K, V]]]) -> None:
        self._fetch = fetch
        self._asked: dict[K, asyncio.Future[V | None]] = {}
        self._running: set[asyncio.Task[None]] = set()

    async def load(self, key: K) -> V | None:
        """The value of `key`; None when there is none. What `fetch` raises, every asker of that tick gets."""
        future = self._asked.get(key)
        if future is None:
            loop = asyncio.get_running_loop()
            if not self._asked:
                loop.call_soon(self._flush)
            future = self._asked[key] = loop.create_future()
        return await asyncio.shield(future)  # one asker's cancellation is not the others'

    def _flush(self) -> None:
        asked, self._asked = self._asked, {}
        task = asyncio.ensure_future(self._run(asked))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _run(self, asked: dict[K, asyncio.Future[V | None]]) -> None:
        try:
            found = await self._fetch(list(asked))
        except BaseException as error:
            for future in asked.values():
                if not future.done():
                    future.set_exception(error)
                    future.exception()  # an asker that was cancelled leaves nobody to retrieve it
            if not isinstance(error, Exception):
                raise
            return
        for key, future in asked.items():
            if not future.done():
                future.set_result(found.get(key))
