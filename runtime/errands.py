"""What an actor tells itself, done at once by whoever made it: for a verb that must see how a long work ends.

A process of the actor would get it by way of the broker. Its row in the outbox is leased to us, as any that we commit;
when the lease lapses before we are done, another may take it up, and the inbox lets one of us do it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from runtime.dispatch import Dispatch
from runtime.message import unframe
from runtime.parked import ParkedLoop
from runtime.ports import Outgoing
from runtime.verdict import Received, Settle


class Errands:
    """Of one actor; `offer` is what its `Dispatch` is given. Events wait in the outbox for the running processes."""

    def __init__(self, actor: str) -> None:
        self._actor = actor
        self._rows: deque[Outgoing] = deque()

    def offer(self, rows: Sequence[Outgoing]) -> None:
        """Rows that were just committed."""
        self._rows += (row for row in rows if row.direct and row.route == self._actor)

    async def step(self, dispatch: Dispatch) -> bool:
        """Do the oldest one, or else what was parked and is due. False: there is nothing to do now."""
        if not self._rows:
            return await ParkedLoop(dispatch).step() > 0
        row = self._rows.popleft()
        (envelope,), _ = unframe(dispatch.sealer.unwrap(row.envelope), b"")
        (verdict,) = await dispatch([Received(envelope)])
        if verdict is not Settle.DONE:
            self._rows.append(row)
            return False
        await dispatch.store.delete_outgoing([row.id])
        return True
