"""The first pass over a file: to one line a task, which an import can go on from anywhere, and a count."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Final

import msgspec

from actors.contracts.task_import import ImportFault
from actors.imports.item import Format, ImportedTask

FAULTS: Final = 100
"""How many are told, at most; all are counted."""


class Conversion:
    """One file on its way.

    :ivar total: tasks in the file. :ivar broken: those of them that cannot be taken. :ivar twice: those that stand
        there again. :ivar highest: of their numbers.
    """

    def __init__(self, format: Format, mapping: Mapping[str, str] | None = None) -> None:
        self.total = 0
        self.broken = 0
        self.twice = 0
        self.highest = 0
        self.faults: list[ImportFault] = []
        self._format = format
        self._mapping = mapping or {}

    async def lines(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """JSON texts of `ImportedTask`, each with its line feed; none twice.

        :raises Unreadable: at any point.
        """
        seen: set[str] = set()
        async for found in self._format.read(pieces, self._mapping):
            self.total += 1
            if isinstance(found, ImportFault):
                self.broken += 1
                if len(self.faults) < FAULTS:
                    self.faults.append(found)
            elif found.source in seen:
                self.twice += 1
            else:
                seen.add(found.source)
                self.highest = max(self.highest, found.number or 0)
                yield _encode(found) + b"\n"


read_line = msgspec.json.Decoder(ImportedTask).decode
_encode = msgspec.json.Encoder().encode
