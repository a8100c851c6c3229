"""When a failed event or tell is tried again: one policy a handler.

The delay before attempt n (n ≥ 1; the first try is attempt 0) is

    min(first · factor^(n−1), longest) · (1 + jitter),   jitter uniform in [0, 0.25), seconds

and after `attempts` tries in all the message is a dead letter. The jitter keeps what failed together from coming
back together. The worst case is the sum of all delays at full jitter; `Policy.worst_case_s` computes it.
"""

from __future__ import annotations

import random

import msgspec


class Policy(msgspec.Struct, frozen=True):
    """Exponential back-off with an end.

    :param attempts: tries in all, the first one included.
    :param first: seconds before the second try.
    :param longest: seconds that no delay exceeds, before jitter.
    """

    attempts: int
    first: float = 1.0
    factor: float = 2.0
    longest: float = 60.0

    def delay_s(self, attempt: int) -> float | None:
        """Seconds before try number `attempt` (≥ 1); None when there is none left."""
        if attempt >= self.attempts:
            return None
        return self._plain(attempt) * (1 + random.random() / 4)

    @property
    def worst_case_s(self) -> float:
        """Seconds from the first failure to the last try, at most."""
        return sum(self._plain(n) * 1.25 for n in range(1, self.attempts))

    def _plain(self, attempt: int) -> float:
        return min(self.first * self.factor ** (attempt - 1), self.longest)


QUICK = Policy(attempts=8, first=0.5, longest=30.0)
"""For work inside the house. 0.5, 1, 2, 4, 8, 16, 30 s: 8 tries in at most 77 s."""

PATIENT = Policy(attempts=60, first=5.0, longest=3600.0)
"""For what depends on others (mail, webhooks). 5 s, doubling up to 1 h: 60 tries in at most 65 h."""

NONE = Policy(attempts=1)
"""For what must not be tried twice: one failure makes a dead letter."""
