"""What a task's row keeps of how it recurs."""

from __future__ import annotations

import msgspec

from actors.contracts.task_recurrence import Basis, Recurrence, SeriesPlace, Wall
from actors.contracts.values import rfc3339


class Series(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The column `recurrence`, JSON.

    :ivar exclude: ms since the epoch, in order.
    :ivar number: which of the series the task is, from 1 on.
    :ivar walls: of those of the task's times that a clock does not show as the series means them, since the hour is
        left out on that day: ms since the epoch → what the clock would have shown (ISO 8601).
    :ivar followed: the next task was made; there is never a second.
    """

    rule: str
    exclude: list[int] = []
    timezone: str
    basis: Basis
    number: int = 1
    walls: dict[int, str] = {}
    followed: bool = False

    def view(self) -> Recurrence:
        """As a member of the project sees it."""
        return Recurrence(
            rule=self.rule, exclude=[rfc3339(ms) for ms in self.exclude], timezone=self.timezone, basis=self.basis
        )

    def place(self) -> SeriesPlace:
        """For an export."""
        walls = [Wall(at=rfc3339(ms), shows=meant) for ms, meant in self.walls.items()]
        return SeriesPlace(number=self.number, followed=self.followed, walls=walls)

    def text(self) -> str:
        """For the row."""
        return msgspec.json.encode(self).decode()


_decode = msgspec.json.Decoder(Series).decode


def series_of(text: str | None) -> Series | None:
    """From the row."""
    return None if text is None else _decode(text)


def shown(text: str | None) -> Recurrence | None:
    """What is seen of it."""
    series = series_of(text)
    return series.view() if series else None
