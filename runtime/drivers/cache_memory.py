"""The cache's embedded twin: a dictionary in this process, bounded, the longest unused out first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import ClassVar
from urllib.parse import parse_qsl, urlsplit

from runtime.context import Clock, system_clock
from runtime.errors import SettingError
from runtime.ports import Cache

_ENTRY_OVERHEAD = 200
"""Bytes that an entry costs beside its key and value: dictionary slot, link, tuple, object headers."""


def connect(url: str, *, prefix: str, clock: Clock = system_clock) -> Cache:
    """`memory:`, or `memory:?max_mib=64`, the most that all entries together may take.

    :raises SettingError: another path or option.
    """
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    size = options.pop("max_mib", "64")
    if parts.path or parts.netloc or options or not size.isdecimal() or int(size) < 1:
        raise SettingError(f"the cache's URL must be `memory:` or `memory:?max_mib=64`, not {url!r}")
    return MemoryCache(prefix=prefix, clock=clock, max_bytes=int(size) << 20)


class MemoryCache:
    """Counters are kept as Redis keeps them, as decimal text, so that `get` reads them here too."""

    lacks: ClassVar[frozenset[str]] = frozenset({"shared"})

    def __init__(self, *, prefix: str = "", clock: Clock = system_clock, max_bytes: int = 64 << 20) -> None:
        self._prefix = prefix
        self._clock = clock
        self._room = max_bytes
        self._entries: OrderedDict[str, tuple[bytes, int]] = OrderedDict()  # key → value, expires at; oldest use first

    async def open(self) -> None:
        """Nothing to connect to."""

    async def close(self) -> None:
        while self._entries:
            self._drop(next(iter(self._entries)))

    async def ping(self) -> None:
        """Always there."""

    async def get(self, keys: Sequence[str]) -> Sequence[bytes | None]:
        return [entry and entry[0] for entry in map(self._live, keys)]

    async def put(self, values: Mapping[str, bytes], *, ttl_ms: int) -> None:
        for key, value in values.items():
            self._set(key, value, self._clock() + ttl_ms)

    async def delete(self, keys: Sequence[str]) -> None:
        for key in keys:
            self._drop(self._name(key))

    async def add(self, amounts: Mapping[str, int], *, ttl_ms: int) -> Mapping[str, int]:
        sums: dict[str, int] = {}
        for key, amount in amounts.items():
            value, expires_at = self._live(key) or (b"0", self._clock() + ttl_ms)
            sums[key] = int(value) + amount
            self._set(key, b"%d" % sums[key], expires_at)
        return sums

    def _name(self, key: str) -> str:
        return f"{self._prefix}:{key}"

    def _live(self, key: str) -> tuple[bytes, int] | None:
        name = self._name(key)
        entry = self._entries.get(name)
        if entry is None:
            return None
        if entry[1] <= self._clock():
            self._drop(name)
            return None
        self._entries.move_to_end(name)
        return entry

    def _set(self, key: str, value: bytes, expires_at: int) -> None:
        name = self._name(key)
        self._drop(name)
        self._entries[name] = (value, expires_at)
        self._room -= _cost(name, value)
        while self._room < 0:
            self._drop(next(iter(self._entries)))

    def _drop(self, name: str) -> None:
        entry = self._entries.pop(name, None)
        if entry is not None:
            self._room += _cost(name, entry[0])


def _cost(name: str, value: bytes) -> int:
    return len(name) + len(value) + _ENTRY_OVERHEAD
