"""What every actor tells of its dead letters, for the audit."""

from __future__ import annotations

from typing import ClassVar

from runtime import letters


class DeadLetterReplayed(letters.DeadLetterReplayed, frozen=True, kw_only=True):
    """An admin has let dead letters be handled again."""

    consumers: ClassVar[tuple[str, ...]] = ("user",)


class DeadLetterDiscarded(letters.DeadLetterDiscarded, frozen=True, kw_only=True):
    """An admin has deleted a dead letter."""

    consumers: ClassVar[tuple[str, ...]] = ("user",)
