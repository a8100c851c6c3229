"""Pages of tasks that are kept for a while: those of many projects and of searches, which cost more to look up than to
learn that nothing has changed since."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

import msgspec

from actors.contracts.task import ListTasks, Task
from actors.records.feed import FeedRecords
from runtime.errors import CacheAway, MessageError
from runtime.keys import Sealer
from runtime.message import Page, encode
from runtime.ports import Cache

KEPT_MS: Final = 60_000
"""How long a page lies in the cache. The feed keeps its numbers far longer, so no version comes again meanwhile."""

LARGEST: Final = 512 * 1024
"""Bytes of a page that is kept."""


class _Entry(msgspec.Struct, frozen=True, array_like=True):
    """:ivar key: under which it was put, so that nobody can put it under another one."""

    key: str
    page: Page[Task]


_decode = msgspec.msgpack.Decoder(_Entry).decode


class KeptPages:
    """Pages, found by who asks for what and by the version of all that they see, which is read each time: so a change
    makes a page stale at once, and nothing need be taken out.

    They lie sealed in a cache that processes share; one that is away, or was emptied, has none. In the memory of one
    process none are kept.
    """

    def __init__(self, cache: Cache | None, sealer: Sealer | None) -> None:
        self._cache = cache if cache is not None and "shared" not in cache.lacks else None
        self._sealer = sealer

    async def page(
        self, query: ListTasks, user_id: str, feed: FeedRecords, look_up: Callable[[], Awaitable[Page[Task]]]
    ) -> Page[Task]:
        """What was kept, or what is looked up, which is at least as new as the version that it is kept by.

        What is in the trash goes from there without a change, so its pages are not kept.
        """
        if self._cache is None or self._sealer is None or query.deleted:
            return await look_up()
        version = await feed.version(user_id, query.project_id)
        key = f"page.{self._sealer.mark(encode((user_id, query, version)))}"
        found = await self._find(key, self._cache, self._sealer)
        if found is None:
            found = await look_up()
            sealed = self._sealer.seal(encode(_Entry(key, found)))
            if len(sealed) <= LARGEST:
                with suppress(CacheAway):
                    await self._cache.put({key: sealed}, ttl_ms=KEPT_MS)
        return found

    async def _find(self, key: str, cache: Cache, sealer: Sealer) -> Page[Task] | None:
        try:
            (sealed,) = await cache.get([key])
            entry = _decode(sealer.unseal(sealed)) if sealed else None
        except (CacheAway, MessageError, msgspec.MsgspecError):
            return None
        return entry.page if entry is not None and entry.key == key else None
