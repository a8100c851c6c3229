"""Pages of listings, and cursors: an opaque place in one, stable while rows are added, useless for any other."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec

from runtime.errors import Fault, Invalid
from runtime.message import Page, Query, encode, wire_name

Row = TypeVar("Row")
Item = TypeVar("Item")

After = tuple[int | str, str]
"""A row's key in the order of its listing, and its id, which breaks ties."""


class _Place(msgspec.Struct, frozen=True, array_like=True):
    """Behind the last row that was shown.

    :param listing: fingerprint of the query.
    :param key: its value in the order of the listing.
    :param id: its id, which breaks ties.
    """

    listing: bytes
    key: int | str
    id: str


_decode = msgspec.msgpack.Decoder(_Place).decode


def paged(
    listing: Query[Page[Item]],
    limit: int,
    rows: Sequence[Row],
    view: Callable[[Row], Item],
    at: Callable[[Row], After],
) -> Page[Item]:
    """The page of these rows, as they are shown.

    :param limit: how many rows are on a page.
    :param rows: up to one more than that: it says that there is another page.
    :param at: a row's key in the order of the listing, and its id.
    """
    items = [view(row) for row in rows[:limit]]
    return Page(items, cursor(listing, *at(rows[limit - 1])) if len(rows) > limit else None)


def cursor(listing: Query[Any], key: int | str, id: str) -> str:
    """The cursor of the page after the row with that key and id.

    :param listing: the query that is answered; it has the fields `cursor` and `limit`, and others that say what is
        listed and in what order.
    """
    return base64.urlsafe_b64encode(encode(_Place(_fingerprint(listing), key, id))).rstrip(b"=").decode()


def place(
    listing: Query[Any], text: str | None, key: type[int] | type[str] = int, *, parameter: str = "cursor"
) -> After | None:
    """The row after which that cursor's page begins; None for the first page.

    :param key: the type of the keys in this order.
    :param parameter: where the cursor stood.
    :raises Invalid: `request.invalid` there: not ours, or of another listing.
    """
    if text is None:
        return None
    try:
        found = _decode(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
    except (ValueError, msgspec.MsgspecError):  # ValueError: no base64, or no ASCII
        raise _foreign(parameter) from None
    if found.listing != _fingerprint(listing) or not isinstance(found.key, key):
        raise _foreign(parameter)
    return found.key, found.id


def _fingerprint(listing: Query[Any]) -> bytes:
    plain = msgspec.structs.replace(listing, cursor=None, limit=1)
    return hashlib.sha256(encode((wire_name(type(listing)), plain))).digest()[:8]


def _foreign(parameter: str) -> Invalid:
    fault = Fault(f"?{parameter}", "must be the next_cursor of this very listing")
    return Invalid("request.invalid", "the cursor belongs to no such listing", faults=(fault,))
