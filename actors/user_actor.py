"""The user actor: who is who, and who may come in. Nothing else knows a password."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from typing import Final, Protocol
from zoneinfo import ZoneInfo

from actors.contracts.notify import SendVerification
from actors.contracts.user import (
    ACCESS_TOKEN_S,
    GetMe,
    GetPublicKeys,
    PublicKey,
    Register,
    ResendVerification,
    SignIn,
    Tokens,
    User,
    UserCreated,
    UserUpdated,
    VerifyEmail,
    VouchForPerson,
)
from actors.passwords import Passwords, normal
from actors.records.attempts import KEPT_MS, Attempt, Reserved
from actors.records.user import Account, SealedKey, SessionRow, UserRecords
from actors.tokens import SigningKey, digest, random_token
from runtime.actor import Actor, every, handles
from runtime.context import Context, OutsideContext
from runtime.errors import (
    Conflict,
    Fault,
    Forbidden,
    Invalid,
    MessageError,
    NotFound,
    StartError,
    Throttled,
    Unauthenticated,
)
from runtime.keys import Sealer
from runtime.message import Grant, Tick, encode
from runtime.ports import Duplicate

DAY_MS: Final = 24 * 3600 * 1000
SESSION_MS: Final = 30 * DAY_MS
"""How long a session lives, however often it is refreshed."""

NETWORK_KNOWN_MS: Final = 30 * DAY_MS
"""How long a sign-in makes its network a known one."""

RESYNC: Final = 500
"""Accounts told again in one transaction."""


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


class UserActor(Actor[UserRecords]):
    """Accounts, sessions and the keys of their tokens."""

    name = "user"
    records = UserRecords

    def __init__(self, *, settings: UserSettings, sealer: Sealer) -> None:
        self._origin = settings.origin
        self._sealer = sealer
        self._passwords = Passwords(settings.argon2, threads=min(4, os.cpu_count() or 1))
        self._key: SigningKey | None = None

    async def start(self, ctx: Context[UserRecords]) -> None:
        """Load the signing key, or make the first one."""
        kept = await ctx.records.newest_key()
        if kept is None:
            self._key = key = SigningKey.make()
            sealed = self._sealer.seal(key.dump())
            await ctx.records.add_key(SealedKey(key.public.kid, sealed, key.public.x, key.public.y), ctx.now)
            return
        try:
            self._key = SigningKey.load(self._sealer.unseal(kept.sealed))
        except MessageError as error:
            raise StartError(
                "the key that signs access tokens was sealed with another SECRET_KEY; start with that one"
            ) from error

    async def stop(self) -> None:
        self._passwords.close()

    # ------------------------------------------------------------------------------------ accounts

    @handles(outside=True)
    async def register(self, command: Register, ctx: OutsideContext[UserRecords]) -> User:
        """Open an account, and have its address verified.

        Refuses `user.email_taken`, and a common password; emits UserCreated.
        """
        _check(command, common=self._passwords.is_common(normal(command.password)))
        account = Account(
            id=ctx.new_id(),
            email=command.email,
            address=folded(command.email),
            password=await self._passwords.hash(command.password),
            name=command.name,
            locale=command.locale,
            timezone=command.timezone,
            created_at=ctx.now,
            updated_at=ctx.now,
        )
        try:
            async with ctx.finish() as records:
                await records.add_account(account)
                await self._ask_to_verify(account, records, ctx)
        except Duplicate as error:
            raise Conflict("user.email_taken", "there is an account with this address") from error
        ctx.emit(UserCreated(person=account.person(), contact=account.contact()))
        return account.user()

    @handles
    async def verify_email(self, command: VerifyEmail, ctx: Context[UserRecords]) -> None:
        """Take a token as the proof of an address, once. Refuses `user.token_invalid`; emits UserUpdated."""
        id = await ctx.records.verifications.spend(digest(command.token), ctx.now)
        account = await ctx.records.verify(id, ctx.now) if id else None
        if account is None:
            raise Invalid("user.token_invalid", "this token was used or replaced, has expired, or never was one")
        ctx.emit(UserUpdated(person=account.person(), contact=account.contact()))

    @handles
    async def resend_verification(self, command: ResendVerification, ctx: Context[UserRecords]) -> None:
        """Mail a new token, unless the address is proven already. Refuses `rate.limited`."""
        account = await self._own_account(ctx)
        if not account.email_verified:
            await self._ask_to_verify(account, ctx.records, ctx)

    @handles
    async def me(self, query: GetMe, ctx: Context[UserRecords]) -> User:
        """The caller's own account."""
        return (await self._own_account(ctx)).user()

    @handles
    async def vouch_for_person(self, query: VouchForPerson, ctx: Context[UserRecords]) -> Grant:
        """A grant on an account that exists and is active. Refuses `user.not_found`."""
        account = await ctx.records.account(query.user_id)
        if account is None or account.status != "active":
            raise NotFound("user.not_found", "there is no such user")
        return ctx.vouch("person", account.id, encode(account.person()))

    async def resync(self, ctx: Context[UserRecords], after: str | None) -> str | None:
        """Tell the next accounts again, after that id; returns the last one's, or None at the end."""
        accounts = await ctx.records.accounts_after(after or "", RESYNC)
        for account in accounts:
            ctx.emit(UserUpdated(person=account.person(), contact=account.contact()))
        return accounts[-1].id if len(accounts) == RESYNC else None

    @staticmethod
    async def _own_account(ctx: Context[UserRecords]) -> Account:
        account = await ctx.records.account(ctx.caller.id or "")
        if account is None:
            raise Unauthenticated("auth.token_invalid", "the account of this token does not exist")
        return account

    @staticmethod
    async def _ask_to_verify(account: Account, records: UserRecords, ctx: Context[UserRecords]) -> None:
        """A new token, told to the notify actor alone."""
        token = random_token()
        wait_ms = await records.verifications.renew(account.id, digest(token), ctx.now)
        if wait_ms:
            raise Throttled(
                "rate.limited", "no more than five such mails to one address an hour", retry_after=wait_ms / 1000
            )
        ctx.tell(SendVerification(email=account.email, name=account.name, token=token))

    # ------------------------------------------------------------------------------------ sessions

    @handles(outside=True)
    async def sign_in(self, command: SignIn, ctx: OutsideContext[UserRecords]) -> Tokens:
        """Open a session. Refuses `auth.invalid_credentials`, `auth.throttled` and `user.suspended`.

        An unknown address takes the same way as a known one, and as long. A network from which the account was
        signed in to lately gets in also after too many failures, but only with the right password.
        """
        address, network = folded(command.email), ctx.caller.network or ""
        attempt = Attempt(hashlib.sha256(address.encode()).hexdigest(), network, ctx.now)
        async with ctx.step() as records:
            account = await records.account_of(address)
            known = account is not None and await records.knows_network(account.id, network, ctx.now - NETWORK_KNOWN_MS)
            reserved = await records.attempts.reserve(attempt, known=known)
        if reserved.network_wait_ms or (reserved.account_wait_ms and not known):
            raise _throttled(reserved)
        right = await self._passwords.matches(account.password if account else None, command.password)
        if account is None or not right:
            if reserved.account_wait_ms:
                raise _throttled(reserved)
            raise Unauthenticated("auth.invalid_credentials", "the address or the password is wrong")
        async with ctx.finish() as records:
            return await self._open_session(account, attempt, records, ctx)

    @handles
    async def public_keys(self, query: GetPublicKeys, ctx: Context[UserRecords]) -> list[PublicKey]:
        """The keys that access tokens in use may be signed with."""
        return await ctx.records.public_keys()

    @every(hours=1)
    async def forget(self, tick: Tick, ctx: Context[UserRecords]) -> None:
        """Delete attempts that no longer count, networks no longer known, sessions that have expired."""
        await ctx.records.attempts.forget(ctx.now - KEPT_MS)
        await ctx.records.forget(networks_before=ctx.now - NETWORK_KNOWN_MS, sessions_before=ctx.now)

    async def _open_session(
        self, account: Account, attempt: Attempt, records: UserRecords, ctx: OutsideContext[UserRecords]
    ) -> Tokens:
        await records.attempts.release(attempt)
        if account.status == "suspended":
            raise Forbidden("user.suspended", "this account is suspended", keep=True)
        await records.remember_network(account.id, attempt.network, ctx.now)
        secret = random_token()
        session = SessionRow(
            id=ctx.new_id(),
            account_id=account.id,
            user_agent=ctx.caller.agent,
            network=ctx.caller.network,
            created_at=ctx.now,
            last_seen_at=ctx.now,
            expires_at=ctx.now + SESSION_MS,
        )
        await records.add_session(session, digest(secret))
        assert self._key is not None  # noqa: S101 - `start` has run
        access = self._key.access_token(
            origin=self._origin,
            account=account.id,
            role=account.role,
            session=session.id,
            id=ctx.new_id(),
            now=ctx.now,
        )
        return Tokens(access_token=access, expires_in=ACCESS_TOKEN_S, refresh_token=secret, session_id=session.id)


def _throttled(reserved: Reserved) -> Throttled:
    wait_ms = max(reserved.account_wait_ms, reserved.network_wait_ms)
    return Throttled("auth.throttled", "too many failed attempts; wait before the next one", retry_after=wait_ms / 1000)


def folded(email: str) -> str:
    """An address as it is compared: NFC, without regard to case (Unicode 3.13, D145)."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", email).casefold())


def _check(command: Register, *, common: bool) -> None:
    """:raises Invalid: what the contract's patterns cannot see."""
    faults: list[Fault] = []
    if common:
        faults.append(Fault("/password", "must not be one of the most common passwords"))
    elif len(normal(command.password)) < 8:
        faults.append(Fault("/password", "must be 8 to 256 characters, each with its accents counted as one"))
    try:
        ZoneInfo(command.timezone)
    except (KeyError, ValueError, OSError):  # unknown; not a name; the name of a folder of zones
        faults.append(Fault("/timezone", "must be an IANA time zone such as Europe/Berlin"))
    if faults:
        raise Invalid("request.invalid", "the account cannot be opened like this", faults=tuple(faults))
