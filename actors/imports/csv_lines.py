"""Lines of tables (CSV, RFC 4180), whatever stands in their columns."""

from __future__ import annotations

import asyncio
import csv
import re
from collections.abc import AsyncIterator, Sequence
from typing import Final

from actors.imports.item import Unreadable

LARGEST: Final = 1 << 20
"""Bytes of one line of a table, at most; of one cell, the library takes 128 KiB of characters."""

_LINES = re.compile(rb"[^\n]*\n|[^\n]+")
_ESCAPED = re.compile("'[=+@-]")


def plain(cell: str) -> str:
    """Without the apostrophe that keeps it from being a formula."""
    return cell[1:] if _ESCAPED.match(cell) else cell


def cells(text: str, delimiter: str, line: int) -> Sequence[str]:
    """Of one line of the table. :raises Unreadable: it is none."""
    try:
        (row,) = csv.reader([text], delimiter=delimiter, strict=True)
    except (csv.Error, ValueError) as error:
        raise Unreadable(line, f"this is no line of a table: {error}") from None
    return row


async def lines(pieces: AsyncIterator[bytes]) -> AsyncIterator[tuple[int, str]]:
    """Lines of the table, and the line of the file where each begins; a line of the table ends outside of quotes."""
    record, quotes, begins, line = bytearray(), 0, 1, 1
    async for piece in pieces:
        for part in _LINES.findall(piece):
            record += part
            quotes += part.count(b'"')
            if len(record) > LARGEST:
                raise Unreadable(begins, f"a line of the table has more than {LARGEST} bytes: is a quote not closed?")
            if part.endswith(b"\n"):
                line += 1
                if quotes % 2 == 0:
                    if record.strip():
                        yield begins, _text(record, begins)
                    record, quotes, begins = bytearray(), 0, line
        await asyncio.sleep(0)
    if quotes % 2:
        raise Unreadable(begins, "a quote is not closed")
    if record.strip():
        yield begins, _text(record, begins)


def _text(record: bytearray, line: int) -> str:
    try:
        return record.decode("utf-8-sig" if line == 1 else "utf-8")
    except UnicodeDecodeError:
        raise Unreadable(line, "this is not UTF-8") from None
