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

PER_CODE: Final = Limit(most=10, within_ms=5 * 60_000)
"""Wrong codes of a second factor for one account, from all networks together."""

PER_ACCOUNT_ANYWHERE: Final = Limit(most=100, within_ms=60 * 60_000)
"""For one account from all networks together; beyond that each failure doubles the wait for the next attempt."""

LONGEST_WAIT_MS: Final = 15 * 60_000

KEPT_MS: Final = max(PER_ACCOUNT.within_ms, PER_NETWORK.within_ms, PER_CODE.within_ms, PER_ACCOUNT_ANYWHERE.within_ms)

ANY_ACCOUNT: Final = ""
"""In place of an account: the row that counts a network's attempts for all of them."""

ANYWHERE: Final = "*"
"""In place of a network: the row that counts an account's attempts from all of them."""

CODES: Final = "codes"
"""In place of a network: the row that counts an account's codes."""

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
        now, everywhere = attempt.at, Attempt(attempt.account, ANYWHERE, attempt.at)
        # always in this order, so that those who share a row queue up at it and cannot deadlock
        by_network = PER_NETWORK.recent(await self._locked(_of_network(attempt)), now)
        by_account = PER_ACCOUNT.recent(await self._locked(attempt), now)
        anywhere = PER_ACCOUNT_ANYWHERE.recent(await self._locked(everywhere), now)
        here_ms, network_ms = PER_ACCOUNT.wait_ms(by_account, now), PER_NETWORK.wait_ms(by_network, now)
        reserved = Reserved(here_ms or (0 if known else _growing_ms(anywhere, now)), network_ms)
        if reserved.network_wait_ms or (reserved.account_wait_ms and not known):
            return reserved
        await self._write(_of_network(attempt), [*by_network, now])
        if not here_ms:
            await self._write(attempt, [*by_account, now])
        if not known:  # so that nobody who knows the owner's network can make others wait
            await self._write(everywhere, [*anywhere, now])
        return reserved

    async def release(self, attempt: Attempt) -> None:
        """It was no failure after all."""
        for each in (_of_network(attempt), attempt, Attempt(attempt.account, ANYWHERE, attempt.at)):
            await self._strike(each)

    async def reserve_code(self, account_id: str, now: int) -> int:
        """Count a code of a second factor as wrong; ms to wait where there were too many, 0 when it may be tried."""
        attempt = Attempt(account_id, CODES, now)
        times = PER_CODE.recent(await self._locked(attempt), now)
        wait_ms = PER_CODE.wait_ms(times, now)
        if not wait_ms:
            await self._write(attempt, [*times, now])
        return wait_ms

    async def release_code(self, account_id: str, now: int) -> None:
        """It was right."""
        await self._strike(Attempt(account_id, CODES, now))

    async def _strike(self, attempt: Attempt) -> None:
        times = await self._locked(attempt)
        if attempt.at in times:
            times.remove(attempt.at)
            await self._write(attempt, times)

    async def forget(self, before: int) -> None:
        """Delete what has had no attempt since."""
        await self._session.execute("delete from attempt where latest < $1", before)

    async def _locked(self, attempt: Attempt) -> list[int]:
        """The times of its row, which is held until the transaction ends, made when it is missing."""
        row = await self._session.row(
            "insert into attempt (account, network, times, latest) values ($1, $2, '[]', $3)"
            " on conflict (network, account) do update set latest = excluded.latest returning times",
            attempt.account,
            attempt.network,
            attempt.at,
        )
        return _decode(row["times"]) if row else []

    async def _write(self, attempt: Attempt, times: list[int]) -> None:
        await self._session.execute(
            "update attempt set times = $3 where network = $1 and account = $2",
            attempt.network,
            attempt.account,
            msgspec.json.encode(times).decode(),
        )


def _of_network(attempt: Attempt) -> Attempt:
    return Attempt(ANY_ACCOUNT, attempt.network, attempt.at)


def _growing_ms(times: list[int], now: int) -> int:
    """Until the next attempt after so many failures: 2, 4, 8 … s after the last one."""
    beyond = len(times) - PER_ACCOUNT_ANYWHERE.most
    if beyond < 0:
        return 0
    return max(0, times[-1] + min(2000 << beyond, LONGEST_WAIT_MS) - now)
