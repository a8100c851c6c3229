"""Accounts: the part of the user actor that opens them and has their addresses proven."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import UNSET

from actors.contracts.notify import SendVerification
from actors.contracts.user import (
    DeleteMe,
    GetMe,
    Register,
    ResendVerification,
    UpdateMe,
    User,
    UserCreated,
    UserDeleted,
    UserUpdated,
    VerifyEmail,
    VouchForPerson,
)
from actors.contracts.values import Versions, is_zone
from actors.phones import can_exist
from actors.records.user import Account, UserRecords
from actors.requests import caller_of, check_match
from actors.tokens import digest, random_token
from actors.user_part import UserPart, change_access, folded, no_account, note, own_account
from runtime.actor import handles
from runtime.context import Context, OutsideContext
from runtime.errors import Conflict, Fault, Invalid, Later, NotFound, Throttled
from runtime.message import Grant, encode
from runtime.ports import Duplicate


class Accounts(UserPart):
    """Handlers of accounts."""

    @handles(outside=True)
    async def register(self, command: Register, ctx: OutsideContext[UserRecords]) -> User:
        """Open an account, and have its address verified.

        Refuses `user.email_taken`, and a common password; emits UserCreated.
        """
        no_password, no_zone = self._password_fault(command.password, "/password"), not is_zone(command.timezone)
        faults = [*([no_password] if no_password else []), *([_NO_ZONE] if no_zone else [])]
        if faults:
            raise Invalid("request.invalid", "the account cannot be opened like this", faults=tuple(faults))
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
        account = await changed(ctx, id, email_verified=True) if id else None
        if account is None:
            raise token_invalid()
        await note(ctx.records, ctx, "user.email_verified", account.id, actor_id=account.id)

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
    async def update_me(self, command: UpdateMe, ctx: Context[UserRecords]) -> User:
        """Change the caller's own account; without a difference nothing happens.

        Refuses `request.precondition_failed`, an unknown zone, a number that cannot exist and an image that nobody
        vouches for; emits UserUpdated.
        """
        wanted: dict[str, Any] = {
            field: _DEFAULTS[field] if value is None else value
            for field in ("name", "locale", "timezone", "phone")
            if (value := getattr(command, field)) is not UNSET
        }
        faults = [] if is_zone(wanted.get("timezone", "UTC")) else [_NO_ZONE]
        if (number := wanted.get("phone")) is not None and not can_exist(number):
            faults.append(_NO_NUMBER)
        if command.avatar_media_id is None:
            wanted["avatar_url"] = None
        elif command.avatar_media_id is not UNSET:
            shown = ctx.granted("media", "avatar", command.avatar_media_id)
            if shown is None:
                faults.append(Fault("/avatar_media_id", "must be a public image that you have uploaded"))
            else:
                wanted["avatar_url"] = shown.decode()
        if faults:
            raise Invalid("request.invalid", "the account cannot be changed like this", faults=tuple(faults))
        account = await changed(ctx, caller_of(ctx), if_match=command.if_match, **wanted)
        if account is None:
            raise no_account()
        return account.user()

    @handles(outside=True)
    async def delete_me(self, command: DeleteMe, ctx: OutsideContext[UserRecords]) -> None:
        """Erase the caller's account. What others keep of it they erase by the event; what was written stays.

        Refuses `auth.invalid_credentials`, `auth.throttled`, `user.last_admin` and `project.last_owner`; emits
        UserDeleted.
        """
        tried = await self._prove_self(command.password, ctx)
        async with ctx.finish() as records:
            await records.attempts.release(tried.attempt)  # kept whatever follows: the password was right
            account = await records.account(caller_of(ctx))
            if account is None:
                raise no_account()
            if ctx.granted("task", "departure", account.id) is None:
                raise Conflict(
                    "project.last_owner", "you are the only owner of a project with others; make another one", keep=True
                )
            if await records.active_admins() == {account.id}:
                raise last_admin()
            ended = [*await records.sessions.end(account.id, ctx.now), *await records.api_tokens.of(account.id)]
            if not await records.delete(account):
                raise Later(1, "the account was changed meanwhile")
            await note(records, ctx, "user.deleted", account.id)
            await records.audit.forget_origins(account.id)
            await change_access(account.id, records, ctx, ended=ended, active=False)
        ctx.emit(UserDeleted(user_id=account.id, version=account.version + 1))

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
    wait_ms = await records.verifications.renew(account.id, account.id, digest(token), ctx.now)
    if wait_ms:
        raise Throttled(
            "rate.limited", "no more than five such mails to one address an hour", retry_after=wait_ms / 1000
        )
    ctx.tell(SendVerification(email=account.email, name=account.name, token=token, locale=account.locale))


async def changed(ctx: Context[UserRecords], id: str, *, if_match: Versions = None, **fields: Any) -> Account | None:
    """The account with these fields, told to others where it is different then; None: there is none.

    Refuses `request.precondition_failed`; emits UserUpdated.
    """
    while True:
        before = await ctx.records.account(id)
        if before is None:
            return None
        check_match(if_match, before.version, "account")
        after = msgspec.structs.replace(before, **fields)
        if after == before:
            return before
        after = msgspec.structs.replace(after, updated_at=ctx.now, version=before.version + 1)
        if await ctx.records.change(before, after):
            ctx.emit(UserUpdated(person=after.person(), contact=after.contact()))
            return after
        # someone else was faster: look at what they made of it


def token_invalid() -> Invalid:
    return Invalid("user.token_invalid", "this token was used or replaced, has expired, or never was one")


def last_admin() -> Conflict:
    text = "an installation keeps at least one active admin; make another one first"
    return Conflict("user.last_admin", text, keep=True)


_NO_ZONE: Final = Fault("/timezone", "must be an IANA time zone such as Europe/Berlin")
_NO_NUMBER: Final = Fault("/phone", "must be a number of a country, with as many digits as numbers have there")
_DEFAULTS: Final = {"locale": "en", "timezone": "UTC", "phone": None}
"""What null stands for in a change."""
