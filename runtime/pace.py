"""How much may be under way: who asks for more than an actor can do in time is told at once, and so is not waited for
by those who come after (a limit on concurrency that follows throughput times delay, as BBR's window does)."""

from __future__ import annotations

from runtime.errors import Overloaded
from runtime.telemetry import Metrics

LEAST = 8
"""Asks of one type that may always be under way."""

SLOW = 1 / 8
"""Of its budget: an answer that took longer says that more is asked for than can be done."""

ROOM = 1 / 4
"""Of a budget: as many may be under way as were answered in that time."""

FREE_S = 5.0
"""After so long without a slow answer there is no limit any more."""

OVERTAKEN_S = 0.2
"""An ask that others have overtaken which were sent so much later is not in its queue any more."""

QUIET_S = 1.0
"""Nor is one whose type has not been answered for so long: that is an interruption, and no overload."""

BUCKET_S = 1.0
"""Answers are counted in buckets of this length; the fuller one of the last two tells the rate."""


class _Kind:
    """:ivar slow_at: when the last slow answer came; before any there is no limit.
    :ivar judged_from: from when on answers may be called slow; after an interruption a backlog is worked off first.
    :ivar heard_at: when the last answer came. :ivar newest: when the last sent of all that were answered was sent.
    """

    __slots__ = ("answers", "before", "bucket_at", "heard_at", "judged_from", "limit", "newest", "slow_at", "under_way")

    def __init__(self) -> None:
        self.under_way = 0
        self.limit = 0.0
        self.slow_at = self.heard_at = self.newest = self.judged_from = float("-inf")
        self.bucket_at = 0.0
        self.answers = 0
        self.before = 0


class Pace:
    """Asks by type, as one edge sees them: so sign-ins, which hash passwords, slow down nothing but themselves."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._kinds: dict[tuple[str, str], _Kind] = {}

    def begin(self, actor: str, kind: str, now: float) -> None:
        """:raises Overloaded: enough of them are under way."""
        each = self._kinds.get((actor, kind))
        if each is None:
            each = self._kinds[actor, kind] = _Kind()
        if each.under_way >= LEAST and now - each.slow_at < FREE_S and each.under_way >= each.limit:
            self._metrics.shed.labels(actor, "pace").inc()
            raise Overloaded(f"the actor {actor!r} has more of this to do than it can in time")
        each.under_way += 1

    def end(self, actor: str, kind: str, now: float, took_s: float, budget_s: float, *, answered: bool) -> None:
        """One less is under way. What was not answered in time says as much as a slow answer."""
        each = self._kinds[actor, kind]
        each.under_way -= 1
        if now - each.bucket_at >= BUCKET_S:
            each.before = each.answers if now - each.bucket_at < 2 * BUCKET_S else 0
            each.answers, each.bucket_at = 0, now
        if answered:
            each.answers += 1
            if now - each.heard_at > QUIET_S:
                each.judged_from = now + BUCKET_S
            each.heard_at, each.newest = now, max(each.newest, now - took_s)
        if took_s <= SLOW * budget_s:
            each.limit += 1
        elif took_s >= budget_s or (answered and now >= each.judged_from):
            each.slow_at = now
            each.limit = max(each.answers, each.before) / BUCKET_S * ROOM * budget_s

    def waits(self, actor: str, kind: str, sent: float, now: float) -> bool:
        """Those who were asked before it are being answered, so that its turn will come."""
        each = self._kinds[actor, kind]
        return now - each.heard_at < QUIET_S and each.newest - sent < OVERTAKEN_S

    def reconnected(self) -> None:
        """What was under way may be lost, whatever was answered before."""
        for each in self._kinds.values():
            each.heard_at = float("-inf")
