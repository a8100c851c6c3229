"""Verification of e-mail addresses: one token an account, kept as its digest, and how many were mailed lately."""

from __future__ import annotations

from typing import Final

import msgspec

from actors.records.attempts import Limit
from runtime.ports import Session

VERIFIES_MS: Final = 24 * 3600 * 1000
"""How long a token is good."""

MAILS: Final = Limit(most=5, within_ms=3600 * 1000)
"""To one address, that of the account: addresses do not change."""

_decode = msgspec.json.Decoder(list[int]).decode


class Verifications:
    """The table `verification`: a row an account, whose digest is null once the token was used."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def renew(self, account_id: str, digest: bytes, now: int) -> int:
        """Put a new token in place of the old one; ms to wait where there were too many, 0 when it is done."""
        row = await self._session.row(
            "insert into verification (account_id, made_at, mails) values ($1, $2, '[]')"
            " on conflict (account_id) do update set made_at = verification.made_at returning mails",
            account_id,
            now,
        )
        mails = MAILS.recent(_decode(row["mails"]) if row else [], now)
        wait_ms = MAILS.wait_ms(mails, now)
        if not wait_ms:
            await self._session.execute(
                "update verification set digest = $2, made_at = $3, mails = $4 where account_id = $1",
                account_id,
                digest,
                now,
                msgspec.json.encode([*mails, now]).decode(),
            )
        return wait_ms

    async def spend(self, digest: bytes, now: int) -> str | None:
        """The account of a token, which is used up by this; None when it is none, or no longer."""
        row = await self._session.row(
            "update verification set digest = null where digest = $1 and made_at > $2 returning account_id",
            digest,
            now - VERIFIES_MS,
        )
        return row["account_id"] if row else None
