"""How often a caller may call: at most `count` in any `seconds`, for each class of routes.

Counting is local and never waits. Where the cache is shared between edges, sums are exchanged through it within
`EXCHANGE_S`; while it is away each edge goes on with what it knows: limits get looser, never off. Who calls at n edges
within one exchange gets up to n times the limit, once.

A window is counted in `SLOTS` parts and the running one: what happened in the oldest part counts until all of it is
older than the window. So the promise holds for every window, and a caller at its limit waits a tenth longer at most.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import get_args

import msgspec

from edge.problems import Problem, retry_after
from edge.route import RateClass
from runtime.context import Clock
from runtime.errors import CacheAway, SettingError
from runtime.ports import Cache
from runtime.telemetry import logger

SLOTS = 10
EXCHANGE_S = 0.1
MOST_CALLERS = 20_000
"""Callers that are counted at a time; beyond that, the first of them are forgotten."""

Headers = tuple[tuple[str, str], ...]

_Slot = tuple[RateClass, str, int]
"""Class, caller, and the number of the part of time."""


class Limit(msgspec.Struct, frozen=True):
    """At most `count` calls in any `seconds`."""

    count: int
    seconds: int


DEFAULTS: Mapping[RateClass, Limit] = {
    "auth": Limit(20, 60),
    "read": Limit(1200, 60),
    "write": Limit(600, 60),
    "search": Limit(240, 60),
    "upload": Limit(120, 60),
}


def parse(text: str) -> Mapping[RateClass, Limit]:
    """The setting `RATE_LIMITS`: `off`, or changes to the defaults such as `read=1200/60,auth=5/60`.

    :raises SettingError: it is neither.
    """
    if text == "off":
        return {}
    limits = dict(DEFAULTS)
    for part in filter(None, text.split(",")):
        name, _, value = part.strip().partition("=")
        count, _, seconds = value.partition("/")
        if name not in limits or not all(each.isdecimal() and 0 < int(each) < 10**9 for each in (count, seconds)):
            raise SettingError(
                f"RATE_LIMITS: {part.strip()!r} is no limit; right would be `off` or read=1200/60,write=600/60, "
                f"for the classes {', '.join(get_args(RateClass))}"
            )
        limits[name] = Limit(int(count), int(seconds))
    return limits


class _Window:
    """Calls of one caller in one class: the last `SLOTS` parts and the running one."""

    __slots__ = ("counts", "slot", "total")

    def __init__(self, slot: int) -> None:
        self.slot = slot
        self.counts = [0] * (SLOTS + 1)  # [-1] is the running one
        self.total = 0

    def turn(self, slot: int) -> range:
        """Go on to a slot. :return: those before it that others may have counted in since."""
        before = range(max(self.slot, slot - SLOTS), slot)
        steps = min(slot - self.slot, SLOTS + 1)
        if steps > 0:
            self.counts = self.counts[steps:] + [0] * steps
            self.total = sum(self.counts)
        self.slot = slot  # when the clock goes back, what was counted counts from there on
        return before

    def learn(self, slot: int, count: int) -> None:
        """All edges together counted that many in a slot; less than is known here says that the cache forgot."""
        index = SLOTS - (self.slot - slot)
        if 0 <= index <= SLOTS and count > self.counts[index]:
            self.total += count - self.counts[index]
            self.counts[index] = count


class Limits:
    """Counts calls and refuses those beyond the limit."""

    def __init__(self, limits: Mapping[RateClass, Limit], *, cache: Cache, clock: Clock) -> None:
        self._limits = limits
        self._policies = {name: f'"{name}";q={limit.count};w={limit.seconds}' for name, limit in limits.items()}
        self._cache = cache if "shared" not in cache.lacks else None
        self._clock = clock
        self._ttl_ms = 2000 * max((limit.seconds for limit in limits.values()), default=0)
        self._windows: dict[tuple[RateClass, str], _Window] = {}
        self._unsent: defaultdict[_Slot, int] = defaultdict(int)
        self._exchange: asyncio.Task[None] | None = None

    def count(self, name: RateClass, caller: str) -> tuple[Headers, Problem | None]:
        """Count one call, if it is within the limit.

        :return: the headers of the answer (draft-ietf-httpapi-ratelimit-headers-10), and the refusal, if it is one.
        """
        limit = self._limits.get(name)
        if limit is None:
            return (), None
        now = self._clock()
        slot_ms = limit.seconds * 1000 // SLOTS
        slot = now // slot_ms
        window = self._windows.get((name, caller))
        if window is None:
            window = self._windows[name, caller] = _Window(slot - SLOTS)
            if len(self._windows) > MOST_CALLERS:
                self._forget()
        for before in window.turn(slot):
            self._share((name, caller, before), 0)
        if window.total >= limit.count:
            wait_s = self._wait_ms(window, limit, slot_ms, now) / 1000
            refusal = Problem(
                429,
                "rate.limited",
                f"More than {limit.count} calls in {limit.seconds} s.",
                headers=(retry_after(wait_s),),
            )
            return self._headers(name, 0, wait_s), refusal
        window.counts[-1] += 1
        window.total += 1
        self._share((name, caller, window.slot), 1)
        reset_s = ((window.slot + SLOTS + 1) * slot_ms - now) / 1000
        return self._headers(name, limit.count - window.total, reset_s), None

    async def close(self) -> None:
        """Send what is not sent yet."""
        if self._exchange is not None:
            await self._exchange

    def _headers(self, name: RateClass, remaining: int, reset_s: float) -> Headers:
        return (
            ("RateLimit-Policy", self._policies[name]),
            ("RateLimit", f'"{name}";r={remaining};t={max(1, int(reset_s))}'),
        )

    @staticmethod
    def _wait_ms(window: _Window, limit: Limit, slot_ms: int, now: int) -> int:
        """Until enough of the oldest calls no longer count."""
        left = window.total
        for age, count in enumerate(window.counts):
            left -= count
            if left < limit.count:
                return (window.slot + age + 1) * slot_ms - now
        return (window.slot + SLOTS + 1) * slot_ms - now

    def _forget(self) -> None:
        """Those that began to be counted longest ago, a tenth at once."""
        for key in list(self._windows)[: MOST_CALLERS // 10]:
            del self._windows[key]

    def _share(self, of: _Slot, count: int) -> None:
        """Tell what was counted with the next exchange, and learn the sum; a count of 0 only asks for it."""
        if self._cache is not None:
            self._unsent[of] += count
            if self._exchange is None:
                self._exchange = asyncio.create_task(self._exchange_sums(self._cache))

    async def _exchange_sums(self, cache: Cache) -> None:
        """Tell the other edges what was counted here and learn what they counted, until there is nothing to tell."""
        try:
            while self._unsent:
                await asyncio.sleep(EXCHANGE_S)
                unsent, self._unsent = self._unsent, defaultdict(int)
                try:
                    await self._tell(cache, {of: count for of, count in unsent.items() if count})
                    await self._ask(cache, [of for of, count in unsent.items() if not count])
                except CacheAway as error:
                    logger().debug("limits.local", reason=str(error))
        finally:
            self._exchange = None

    async def _tell(self, cache: Cache, counts: Mapping[_Slot, int]) -> None:
        sums = await cache.add({_key(of): count for of, count in counts.items()}, ttl_ms=self._ttl_ms)
        for of in counts:
            self._learn(of, sums[_key(of)])

    async def _ask(self, cache: Cache, slots: Sequence[_Slot]) -> None:
        for of, total in zip(slots, await cache.get([_key(of) for of in slots]), strict=True):
            self._learn(of, int(total or 0))

    def _learn(self, of: _Slot, total: int) -> None:
        name, caller, slot = of
        window = self._windows.get((name, caller))
        if window is not None:
            window.learn(slot, total + self._unsent.get(of, 0))


def _key(of: _Slot) -> str:
    return "rate:{}:{}:{}".format(*of)
