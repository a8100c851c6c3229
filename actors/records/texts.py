"""What became of text messages, and how many went to a number."""

from __future__ import annotations

import hashlib

from actors.contracts.values import DAY_MS
from runtime.ports import Session


class Texts:
    """The tables `text_message` and `text_count`. Numbers are kept as digests, for two days."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def begin(self, id: str, number: str, now: int, *, per_day: int) -> bool:
        """A text message is about to be handed over; its attempts are counted, and once the message itself.

        False: the provider has it from an attempt before, or `per_day` have gone to that number on this day (UTC).
        """
        known = await self._session.row("select status from text_message where id = $1", id)
        if known is not None:
            again = await self._session.execute(
                "update text_message set status = 'sending', attempt = attempt + 1, changed_at = $2"
                " where id = $1 and status <> 'sent'",
                id,
                now,
            )
            return bool(again)
        counted = per_day > 0 and await self._session.execute(
            "insert into text_count (number, day, count) values ($1, $2, 1)"
            " on conflict (number, day) do update set count = text_count.count + 1 where text_count.count < $3",
            _digest(number), now // DAY_MS, per_day,
        )  # fmt: skip
        if not counted:
            return False
        await self._session.insert("text_message", ("id", "status", "attempt", "changed_at"), [(id, "sending", 1, now)])
        return True

    async def sent(self, id: str, now: int) -> None:
        """The provider has taken it."""
        await self._session.execute("update text_message set status = 'sent', changed_at = $2 where id = $1", id, now)

    async def forget(self, now: int, *, kept_ms: int) -> None:
        """Delete what has not changed for so long, and what was counted before yesterday."""
        await self._session.execute("delete from text_message where changed_at < $1", now - kept_ms)
        await self._session.execute("delete from text_count where day < $1", now // DAY_MS - 1)


def _digest(number: str) -> str:
    return hashlib.blake2b(number.encode(), digest_size=16).hexdigest()
