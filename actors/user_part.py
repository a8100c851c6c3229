"""What all parts of the user actor stand on: its settings and keys, and what more than one of them does."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections.abc import Sequence
from typing import Final, Protocol

import msgspec

from actors.contracts.user import Role
from actors.contracts.values import DAY_MS
from actors.passwords import Passwords, normal
from actors.records.attempts import Attempt, Reserved
from actors.records.audit import AuditRow
from actors.records.user import Account, UserRecords
from actors.tokens import SigningKey
from runtime.actor import Actor
from runtime.context import Context, OutsideContext
from runtime.errors import Fault, Forbidden, Invalid, Refusal, Throttled, Unauthenticated
from runtime.keys import Sealer

NETWORK_KNOWN_MS: Final = 30 * DAY_MS
"""How long a sign-in makes its network a known one."""

_WRONG: Final = "the password is wrong"


class UserSettings(Protocol):
    """What this actor reads of the settings."""

    @property
    def origin(self) -> str:
        """How clients reach the edge: issuer and audience of access tokens."""
        ...

    @property
    def argon2(self) -> str:
        """KiB of memory, passes, lanes."""
        ...

    @property
    def admin_email(self) -> str:
        """Of the first admin; empty for none."""
        ...

    @property
    def admin_password(self) -> str: ...


class UserPart(Actor[UserRecords]):
    """The base of each part; the whole has them all as its own bases."""

    records = UserRecords

    def __init__(self, *, settings: UserSettings, sealer: Sealer) -> None:
        self.given = {"sealer": sealer}
        self._origin = settings.origin
        self._sealer = sealer
        self._passwords = Passwords(settings.argon2, threads=min(4, os.cpu_count() or 1))
        self._keys: dict[str, SigningKey] = {}
        self._first_admin = (settings.admin_email, settings.admin_password) if settings.admin_email else None

    async def stop(self) -> None:
        self._passwords.close()

    async def _try(self, address: str, password: str, ctx: OutsideContext[UserRecords]) -> Tried:
        """Look at a password, counted as a failure until the attempt is released. Refuses `auth.throttled`.

        An unknown address takes the same way as a known one, and as long. A network from which the account was
        signed in to lately passes also after too many failures, but only with the right password.

        :param address: folded.
        """
        network = ctx.caller.network or ""
        attempt = Attempt(hashlib.sha256(address.encode()).hexdigest(), network, ctx.now)
        async with ctx.step() as records:
            account = await records.account_of(address)
            known = account is not None and await records.knows_network(account.id, network, ctx.now - NETWORK_KNOWN_MS)
            reserved = await records.attempts.reserve(attempt, known=known)
        if reserved.network_wait_ms or (reserved.account_wait_ms and not known):
            raise throttled(reserved)
        right = await self._passwords.matches(account.password if account else None, password)
        return Tried(attempt, reserved, account, right and account is not None, known)

    async def _prove_self(self, password: str, ctx: OutsideContext[UserRecords]) -> Tried:
        """The caller's own password, on a route that wants it. Refuses `auth.invalid_credentials`, counted as a
        failure to sign in, and `auth.throttled`."""
        async with ctx.step() as records:
            account = await records.account(ctx.caller.id or "")
        if account is None:
            raise no_account()
        tried = await self._try(account.address, password, ctx)
        if tried.account is None or tried.account.id != account.id or not tried.right:
            raise await self._refused(tried, ctx, Forbidden("auth.invalid_credentials", _WRONG, keep=True))
        return tried

    async def _refused(self, tried: Tried, ctx: OutsideContext[UserRecords], refusal: Refusal) -> Refusal:
        """What to raise for a wrong password: the attempt is in the audit."""
        if tried.reserved.account_wait_ms:
            return throttled(tried.reserved)
        async with ctx.finish() as records:
            await note(records, ctx, "session.refused", tried.account.id if tried.account else None)
        return refusal

    def _check_new_password(self, password: str, pointer: str) -> None:
        """:raises Invalid: what the contract's bounds cannot see."""
        if fault := self._password_fault(password, pointer):
            raise Invalid("request.invalid", "this password cannot be taken", faults=(fault,))

    def _password_fault(self, password: str, pointer: str) -> Fault | None:
        if self._passwords.is_common(normal(password)):
            return Fault(pointer, "must not be one of the most common passwords")
        if len(normal(password)) < 8:
            return Fault(pointer, "must be 8 to 256 characters, each with its accents counted as one")
        return None


class Tried(msgspec.Struct, frozen=True):
    """A password that was looked at.

    :ivar right: it is the one of `account`.
    :ivar known: the account was signed in to lately from this network.
    """

    attempt: Attempt
    reserved: Reserved
    account: Account | None
    right: bool
    known: bool


async def own_account(ctx: Context[UserRecords]) -> Account:
    """The caller's. Refuses `auth.token_invalid`."""
    account = await ctx.records.account(ctx.caller.id or "")
    if account is None:
        raise no_account()
    return account


def no_account() -> Unauthenticated:
    return Unauthenticated("auth.token_invalid", "the account of this token does not exist")


def throttled(reserved: Reserved) -> Throttled:
    wait_ms = max(reserved.account_wait_ms, reserved.network_wait_ms)
    return Throttled("auth.throttled", "too many failed attempts; wait before the next one", retry_after=wait_ms / 1000)


def folded(email: str) -> str:
    """An address as it is compared: NFC, without regard to case (Unicode 3.13, D145)."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", email).casefold())


async def note(
    records: UserRecords,
    ctx: Context[UserRecords],
    action: str,
    user_id: str | None,
    *,
    actor_id: str | None = None,
    detail: str = "",
) -> None:
    """Write into the audit what happened to an account. :param actor_id: who did it, where it is not the caller."""
    row = AuditRow(
        id=ctx.new_id(), action=action, actor_id=actor_id or ctx.caller.id, user_id=user_id, at=ctx.now, detail=detail
    )
    await records.audit.add(row, ip=ctx.caller.address, user_agent=ctx.caller.agent)


async def end_sessions(
    account_id: str,
    records: UserRecords,
    ctx: Context[UserRecords],
    *,
    only: str | None = None,
    but: str | None = None,
    role: Role | None = None,
    active: bool | None = None,
) -> bool:
    """Revoke an account's sessions, all, one or all but one, and let every edge know; whether there were any.

    The last thing that a transaction does: edges are told in the order of commits, so transactions queue up here.
    :param role: the account's new one, and `active` whether it may come in now; None where that did not change.
    """
    ended = await records.sessions.end(account_id, ctx.now, only=only, but=but)
    if ended:
        await note(records, ctx, "session.revoked", account_id, detail=" ".join(ended))
    if ended or role is not None or active is not None:
        await change_access(account_id, records, ctx, ended=ended, role=role, active=active)
    return bool(ended)


async def change_access(
    account_id: str,
    records: UserRecords,
    ctx: Context[UserRecords],
    *,
    ended: Sequence[str] = (),
    role: Role | None = None,
    active: bool | None = None,
) -> None:
    """Let every edge know. The last thing that a transaction does, see `AccessFeed`.

    :param ended: sessions and API tokens.
    """
    await records.access.add(account_id, ctx.now, ended=ended, role=role, active=active)
    ctx.beat()
