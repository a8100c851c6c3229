"""The kinds of values that contracts are made of. `description` finishes the sentence "must be …" in an error."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Final
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta

# `$` alone would let a line feed follow, in Python though not in a browser: hence `(?!\n)` in all patterns
UUID = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$(?!\n)"
# C0, DEL, C1 and the two Unicode line separators: nothing that can break a line, a header or a terminal
_LINE = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$(?!\n)"

Id = Annotated[str, Meta(pattern=UUID, description="a UUID in lower case", extra_json_schema={"format": "uuid"})]

Time = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
"""A time in an answer: RFC 3339, UTC, milliseconds."""

TimeIn = Annotated[datetime, Meta(tz=True, description="an RFC 3339 time with an offset, such as 2026-11-24T09:30:00Z")]
"""A time in a request; any offset."""

Name = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=200,
        pattern=_LINE,
        description="1 to 200 characters on one line, no control characters",
    ),
]
LabelName = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=100,
        pattern=_LINE,
        description="1 to 100 characters on one line, no control characters",
    ),
]
Title = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=500,
        pattern=_LINE,
        description="1 to 500 characters on one line, no control characters",
    ),
]
Text = Annotated[
    str,
    Meta(
        max_length=65536,
        pattern=r"^[^\x00]*$",
        description="at most 64 KiB of UTF-8 without NUL",
        extra={"max_bytes": 65536},
    ),
]
Email = Annotated[
    str,
    Meta(
        min_length=3,
        max_length=254,
        # RFC 5321 dot-string and host name; each part bounded, so matching is linear
        pattern=(
            r"^(?=.{1,64}@)[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
            r"@[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$(?!\n)"
        ),
        description="an e-mail address in ASCII, at most 254 characters",
        extra_json_schema={"format": "email"},
    ),
]

Zone = Annotated[
    str, Meta(max_length=64, pattern=r"^[A-Za-z0-9_+/-]+$(?!\n)", description="an IANA time zone such as Europe/Berlin")
]
"""What may be the name of a time zone; `is_zone` knows whether it is one."""

Limit = Annotated[int, Meta(ge=1, le=200, description="a whole number from 1 to 200")]
Cursor = Annotated[str, Meta(min_length=1, max_length=1000, description="a cursor from next_cursor")]

Versions = tuple[int, ...] | None
"""What `If-Match` allows: the versions of its tags, or None for `*` and where there is no such header."""


class Ticket(msgspec.Struct, frozen=True, kw_only=True):
    """Leave to put one object into the store: what the edge asks an actor for when a file begins to arrive.

    :param id: of what the file becomes.
    :param key: where its bytes go.
    :param limit: how many there may be.
    """

    id: Id
    key: str
    limit: int


class Upload(msgspec.Struct, frozen=True, kw_only=True):
    """A file that has arrived, as the edge tells it: its ticket's id, and the name that it came with."""

    id: Id
    filename: str


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)


@lru_cache(maxsize=4096)  # what is made or read together often shares its times
def rfc3339(ms: int) -> str:
    """Milliseconds since the epoch as an answer writes them: `2026-11-24T09:30:00.000Z`."""
    # by whole ms, since a float of seconds has none to spare; 23 characters without the offset
    return (_EPOCH + ms * _MS).isoformat(timespec="milliseconds")[:23] + "Z"


def milliseconds(time: datetime) -> int:
    """A time with an offset as milliseconds since the epoch, finer parts cut off."""
    return (time - _EPOCH) // _MS


DAY_MS: Final = 24 * 3600 * 1000
"""A day, as times are counted in stores."""


def is_zone(name: str) -> bool:
    """Whether there is a time zone of that name."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown; not a name; the name of a folder of zones
        return False
    return True
