"""Secrets of one-time passwords, sealed, and digests of recovery codes."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from runtime.ports import Session


class TotpRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `totp`.

    :param begun: the sealed secret that no code was shown of yet.
    :param sealed: the sealed secret that sign-ins want a code of.
    :param last_step: of the last code that was taken.
    """

    begun: bytes | None
    sealed: bytes | None
    last_step: int


class SecondFactors:
    """The tables `totp` and `recovery_code`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def of(self, account_id: str) -> TotpRow | None:
        row = await self._session.row("select begun, sealed, last_step from totp where account_id = $1", account_id)
        return TotpRow(**row) if row else None

    async def begin(self, account_id: str, sealed: bytes) -> None:
        await self._session.execute(
            "insert into totp (account_id, begun, last_step) values ($1, $2, 0)"
            " on conflict (account_id) do update set begun = excluded.begun",
            account_id,
            sealed,
        )

    async def confirm(self, account_id: str, begun: bytes, step: int, codes: Sequence[bytes]) -> bool:
        """What was begun counts from now on, with new recovery codes. False: something else was begun meanwhile."""
        confirmed = await self._session.execute(
            "update totp set sealed = begun, begun = null, last_step = $3 where account_id = $1 and begun = $2",
            account_id,
            begun,
            step,
        )
        if confirmed:
            await self._session.execute("delete from recovery_code where account_id = $1", account_id)
            rows = [(account_id, code) for code in codes]
            await self._session.insert("recovery_code", ("account_id", "digest"), rows)
        return confirmed == 1

    async def spend_step(self, account_id: str, step: int) -> bool:
        """Take the code of a step. False: it, or a later one, was taken before."""
        sql = "update totp set last_step = $2 where account_id = $1 and last_step < $2"
        return await self._session.execute(sql, account_id, step) == 1

    async def spend_code(self, account_id: str, digest: bytes) -> bool:
        """Take a recovery code. False: there is none such, or not any more."""
        sql = "delete from recovery_code where account_id = $1 and digest = $2"
        return await self._session.execute(sql, account_id, digest) == 1

    async def remove(self, account_id: str) -> bool:
        """False: no code was wanted."""
        await self._session.execute("delete from recovery_code where account_id = $1", account_id)
        removed = await self._session.fetch("delete from totp where account_id = $1 returning sealed", account_id)
        return any(row["sealed"] is not None for row in removed)
