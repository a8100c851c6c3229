"""Actors that have stopped answering: whoever asks one is told at once, not at the deadline (a circuit breaker)."""

from __future__ import annotations

from collections.abc import Mapping

from runtime.errors import Unavailable

SILENT_S = 5.0
"""An actor that has answered nothing for so long, though it was asked, is silent. More than a restart takes."""

PROBE_S = 0.25
"""So often one ask goes to a silent actor all the same, to find out whether it still is."""


class Silence:
    """Who is silent. A full queue, one without a majority of its broker's nodes and a process that stands still look
    alike from here: what is sent vanishes, and no answer comes."""

    def __init__(self) -> None:
        self._heard_at: dict[str, float] = {}
        self._asked_at: dict[str, float] = {}
        self._silent: set[str] = set()

    def heard(self, actor: str, now: float) -> None:
        """It has answered."""
        self._heard_at[actor] = now
        self._silent.discard(actor)

    def look(self, oldest: Mapping[str, float], now: float) -> None:
        """:param oldest: actor → when the first of what it has not answered was sent."""
        self._silent = {
            actor for actor, sent in oldest.items() if now - max(sent, self._heard_at.get(actor, sent)) > SILENT_S
        }

    def ask(self, actor: str, now: float) -> None:
        """:raises Unavailable: it is silent, and another ask has just gone to find out."""
        if actor in self._silent and now - self._asked_at.get(actor, 0.0) < PROBE_S:
            raise Unavailable(f"the actor {actor!r} has stopped answering")
        self._asked_at[actor] = now
