"""Accounts: the part of the user actor that opens them and has their addresses proven."""

from __future__ import annotations

import unicodedata
from zoneinfo import ZoneInfo

from actors.contracts.notify import SendVerification
from actors.contracts.user import (
    GetMe,
    Register,
    ResendVerification,
    User,
    UserCreated,
    UserUpdated,
    VerifyEmail,
    VouchForPerson,
)
from actors.passwords import normal
from actors.records.user import Account, UserRecords
from actors.tokens import digest, random_token
from actors.user_part import UserPart, note, own_account
from runtime.actor import handles
from runtime.context import Context, OutsideContext
from runtime.errors import Conflict, Fault, Invalid, NotFound, Throttled
from runtime.message import Grant, encode
from runtime.ports import Duplicate


class Accounts(UserPart):
    """Handlers of accounts."""

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
                await _ask_to_verify(account, records, ctx)
                await note(records, ctx, "user.registered", account.id, actor_id=account.id)
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
        await note(ctx.records, ctx, "user.email_verified", account.id, actor_id=account.id)
        ctx.emit(UserUpdated(person=account.person(), contact=account.contact()))

    @handles
    async def resend_verification(self, command: ResendVerification, ctx: Context[UserRecords]) -> None:
        """Mail a new token, unless the address is proven already. Refuses `rate.limited`."""
        account = await own_account(ctx)
        if not account.email_verified:
            await _ask_to_verify(account, ctx.records, ctx)

    @handles
    async def me(self, query: GetMe, ctx: Context[UserRecords]) -> User:
        """The caller's own account."""
        return (await own_account(ctx)).user()

    @handles
    async def vouch_for_person(self, query: VouchForPerson, ctx: Context[UserRecords]) -> Grant:
        """A grant on an account that exists and is active. Refuses `user.not_found`."""
        account = await ctx.records.account(query.user_id)
        if account is None or account.status != "active":
            raise NotFound("user.not_found", "there is no such user")
        return ctx.vouch("person", account.id, encode(account.person()))


async def _ask_to_verify(account: Account, records: UserRecords, ctx: Context[UserRecords]) -> None:
    """A new token, told to the notify actor alone."""
    token = random_token()
    wait_ms = await records.verifications.renew(account.id, digest(token), ctx.now)
    if wait_ms:
        raise Throttled(
            "rate.limited", "no more than five such mails to one address an hour", retry_after=wait_ms / 1000
        )
    ctx.tell(SendVerification(email=account.email, name=account.name, token=token))


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
