"""Sign-in attempts: reserved before a password is looked at, so that no number of them at once exceeds a limit."""

from __future__ import annotations

from typing import Final

import msgspec

from runtime.ports import Session


class Limit(msgspec.Struct, frozen=True):
    """At most so many failures within a sliding window of so many ms."""

    most: int
    within_ms: int

    def recent(self, times: list[int], now: int) -> list[int]:
        """Those that still count; one from the future (the clock went back) does not."""
        return [time for time in times if now - self.within_ms < time <= now]

    def wait_ms(self, recent: list[int], now: int) -> int:
        """Until one more fits; 0 when it does."""
        return recent[-self.most] + self.within_ms - now if len(recent) >= self.most else 0


PER_ACCOUNT: Final = Limit(most=5, within_ms=5 * 60_000)
"""For one account from one network."""

PER_NETWORK: Final = Limit(most=20, within_ms=60_000)
"""For all accounts together from one network."""

KEPT_MS: Final = max(PER_ACCOUNT.within_ms, PER_NETWORK.within_ms)

ANY_ACCOUNT: Final = ""
"""In place of an account: the row that counts a network's attempts for all of them."""

_decode = msgspec.json.Decoder(list[int]).decode


class Attempt(msgspec.Struct, frozen=True):
    """One try.

    :param account: digest of the address, known or not: what people type there may be a secret.
    :param network: the /24 or /64 that it comes from.
    :param at: ms since the epoch.
    """

    account: str
    network: str
    at: int


class Reserved(msgspec.Struct, frozen=True):
    """What a reservation found: ms until there is room, each 0 where there is."""

    account_wait_ms: int
    network_wait_ms: int


class Attempts:
    """Failures by network, and by network and account, as lists of times; an attempt counts as one until released."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def reserve(self, attempt: Attempt, *, known: bool) -> Reserved:
        """Count an attempt as failed, unless it must not be made.

        :param known: the account has been signed in to from that network; then its own limit does not stop it.
        """
        # always in this order, so that two of one network queue up at the first row and cannot deadlock
        by_network = PER_NETWORK.recent(await self._locked(ANY_ACCOUNT, attempt), attempt.at)
        by_account = PER_ACCOUNT.recent(await self._locked(attempt.account, attempt), attempt.at)
        reserved = Reserved(PER_ACCOUNT.wait_ms(by_account, attempt.at), PER_NETWORK.wait_ms(by_network, attempt.at))
        if reserved.network_wait_ms or (reserved.account_wait_ms and not known):
            return reserved
        await self._write(ANY_ACCOUNT, attempt, [*by_network, attempt.at])
        if not reserved.account_wait_ms:
            await self._write(attempt.account, attempt, [*by_account, attempt.at])
        return reserved

    async def release(self, attempt: Attempt) -> None:
        """It was no failure after all."""
        for account in (ANY_ACCOUNT, attempt.account):
            times = await self._locked(account, attempt)
            if attempt.at in times:
                times.remove(attempt.at)
                await self._write(account, attempt, times)

    async def forget(self, before: int) -> None:
        """Delete what has had no attempt since."""
        await self._session.execute("delete from attempt where latest < $1", before)

    async def _locked(self, account: str, attempt: Attempt) -> list[int]:
        """The times of a row, which is held until the transaction ends, made when it is missing."""
        row = await self._session.row(
            "insert into attempt (account, network, times, latest) values ($1, $2, '[]', $3)"
            " on conflict (network, account) do update set latest = excluded.latest returning times",
            account,
            attempt.network,
            attempt.at,
        )
        return _decode(row["times"]) if row else []

    async def _write(self, account: str, attempt: Attempt, times: list[int]) -> None:
        await self._session.execute(
            "update attempt set times = $3 where network = $1 and account = $2",
            attempt.network,
            account,
            msgspec.json.encode(times).decode(),
        )
