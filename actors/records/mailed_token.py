"""Tokens that are mailed: one at a time for each purpose, kept as its digest, and how many were mailed lately."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from actors.records.attempts import Limit
from runtime.ports import Session

HOUR_MS: Final = 3600 * 1000

MAILS: Final = Limit(most=5, within_ms=HOUR_MS)
"""To one address."""

Purpose = Literal["verification", "reset"]

_decode = msgspec.json.Decoder(list[int]).decode


class MailedTokens:
    """Rows of the table `mailed_token` of one purpose; the digest is null once the token was used.

    :param good_ms: how long a token is good.
    """

    def __init__(self, session: Session, purpose: Purpose, good_ms: int) -> None:
        self._session = session
        self._purpose = purpose
        self._good_ms = good_ms

    async def renew(self, subject: str, account_id: str | None, digest: bytes | None, now: int) -> int:
        """Put a new token in place of the old one; ms to wait where there were too many, 0 when it is done.

        :param subject: whom mails are counted for.
        :param account_id: whose token it is; None, with no digest: nobody's, though counted all the same.
        """
        row = await self._session.row(
            "insert into mailed_token (purpose, subject, made_at, mails) values ($1, $2, $3, '[]')"
            " on conflict (purpose, subject) do update set made_at = mailed_token.made_at returning mails",
            self._purpose,
            subject,
            now,
        )
        mails = MAILS.recent(_decode(row["mails"]) if row else [], now)
        wait_ms = MAILS.wait_ms(mails, now)
        if not wait_ms:
            await self._session.execute(
                "update mailed_token set account_id = $3, digest = $4, made_at = $5, mails = $6"
                " where purpose = $1 and subject = $2",
                self._purpose,
                subject,
                account_id,
                digest,
                now,
                msgspec.json.encode([*mails, now]).decode(),
            )
        return wait_ms

    async def account_of(self, digest: bytes, now: int) -> str | None:
        """The account of a token that is still good."""
        row = await self._session.row(
            "select account_id from mailed_token where purpose = $1 and digest = $2 and made_at > $3",
            self._purpose,
            digest,
            now - self._good_ms,
        )
        return row["account_id"] if row else None

    async def spend(self, digest: bytes, now: int) -> str | None:
        """The account of a token, which is used up by this; None when it is none, or no longer."""
        row = await self._session.row(
            "update mailed_token set digest = null where purpose = $1 and digest = $2 and made_at > $3"
            " returning account_id",
            self._purpose,
            digest,
            now - self._good_ms,
        )
        return row["account_id"] if row else None

    async def void(self, account_id: str) -> None:
        """No token of that account is good any more."""
        await self._session.execute(
            "update mailed_token set digest = null where purpose = $1 and account_id = $2", self._purpose, account_id
        )

    async def forget(self, made_before: int) -> None:
        """Delete what has been neither good nor counted since."""
        await self._session.execute(
            "delete from mailed_token where purpose = $1 and made_at < $2", self._purpose, made_before
        )
