"""When a mail may go: quiet hours and the hour of the digest, in a person's zone."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from actors.contracts.notify_preferences import QuietHours

DIGEST_AT: Final = time(8)
"""When the digest goes, by the person's clock."""

_DAY = timedelta(days=1)


def after_quiet(at: int, quiet: QuietHours | None, timezone: str) -> int:
    """The first moment from `at` on that lies in no quiet hours; ms since the epoch."""
    if quiet is None or quiet.begin == quiet.end:
        return at
    local, begin, end = _local(at, timezone), time.fromisoformat(quiet.begin), time.fromisoformat(quiet.end)
    now = local.time()
    over_midnight = end < begin
    if not (now >= begin or now < end if over_midnight else begin <= now < end):
        return at
    return max(at, _next(local, end))


def next_digest(at: int, timezone: str) -> int:
    """The next time after `at` that a digest goes; ms since the epoch."""
    return _next(_local(at, timezone), DIGEST_AT)


def _local(at: int, timezone: str) -> datetime:
    try:
        zone = ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError):  # one that this host does not know
        zone = ZoneInfo("UTC")
    return datetime.fromtimestamp(at / 1000, UTC).astimezone(zone)


def _next(local: datetime, hour: time) -> int:
    """The next time after that when the clock shows this; one that a change of the clock leaves out is taken as it
    would have been."""
    day = local.date() if local.time() < hour else local.date() + _DAY
    return int(datetime.combine(day, hour, local.tzinfo).timestamp() * 1000)
