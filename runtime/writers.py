"""Who has just written where: their queries must see what they wrote, so no replica of the database will do."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from runtime.message import Caller, Command, Message

FRESH_S: Final = 10.0
"""Seconds for which a replica may lag behind what somebody has written."""

MOST: Final = 100_000
"""Callers that are remembered."""


class Writers:
    """What one process has sent."""

    def __init__(self) -> None:
        self._until: OrderedDict[tuple[str, str], float] = OrderedDict()

    def have_written(self, message: Message, actor: str, caller: Caller, now: float) -> bool:
        """Whether a message is a query of somebody who has just sent the actor a command; a command is remembered.

        :param now: seconds of a clock that does not go back.
        """
        if caller.id is None:
            return False
        key = (actor, caller.id)
        if isinstance(message, Command):
            self._until[key] = now + FRESH_S
            self._until.move_to_end(key)
            while len(self._until) > MOST or next(iter(self._until.values())) < now:
                self._until.popitem(last=False)
            return False
        until = self._until.get(key)
        return until is not None and until >= now
