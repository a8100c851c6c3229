"""Passwords: the part of the user actor that changes them."""

from __future__ import annotations

import hashlib

from actors.contracts.notify_account import SendNotice, SendReset
from actors.contracts.user_notice import PasswordChanged
from actors.contracts.user_password import AskForReset, ChangePassword, ResetPassword
from actors.contracts.values import rfc3339
from actors.records.user import Account, UserRecords
from actors.tokens import digest, random_token
from actors.user_accounts import token_invalid
from actors.user_part import UserPart, end_sessions, folded, no_account, note
from runtime.actor import handles
from runtime.context import Context, OutsideContext
from runtime.errors import Throttled


class Credentials(UserPart):
    """Handlers of passwords."""

    @handles(outside=True)
    async def change_password(self, command: ChangePassword, ctx: OutsideContext[UserRecords]) -> None:
        """A new one in place of the present one; all other sessions end.

        Refuses a common password, `auth.invalid_credentials` and `auth.throttled`.
        """
        self._check_new_password(command.new_password, "/new_password")
        tried = await self._prove_self(command.current_password, ctx)
        password = await self._passwords.hash(command.new_password)
        async with ctx.finish() as records:
            await records.attempts.release(tried.attempt)
            account = await self._set_password(ctx.caller.id or "", password, "password.changed", records, ctx)
            await end_sessions(account.id, records, ctx, but=ctx.caller.session or "")

    @handles
    async def ask_for_reset(self, command: AskForReset, ctx: Context[UserRecords]) -> None:
        """Mail a token, if there is such an account, and do as much if there is none. Refuses `rate.limited`."""
        address = folded(command.email)
        account = await ctx.records.account_of(address)
        if account is not None and account.status != "active":
            account = None
        token = random_token()
        wait_ms = await ctx.records.resets.renew(
            hashlib.sha256(address.encode()).hexdigest(),
            account.id if account else None,
            digest(token) if account else None,
            ctx.now,
        )
        if wait_ms:
            raise Throttled(
                "rate.limited", "no more than five such mails to one address an hour", retry_after=wait_ms / 1000
            )
        if account is not None:
            ctx.tell(SendReset(email=account.email, name=account.name, token=token, locale=account.locale))

    @handles(outside=True)
    async def reset_password(self, command: ResetPassword, ctx: OutsideContext[UserRecords]) -> None:
        """A new password on the proof of a token from a mail; all sessions end.

        Refuses a common password and `user.token_invalid`.
        """
        self._check_new_password(command.password, "/password")
        token = digest(command.token)
        async with ctx.step() as records:
            good = await records.resets.account_of(token, ctx.now)
        if good is None:  # before the hash: guesses are cheap to refuse
            raise token_invalid()
        password = await self._passwords.hash(command.password)
        async with ctx.finish() as records:
            id = await records.resets.spend(token, ctx.now)
            if id is None:
                raise token_invalid()
            account = await self._set_password(id, password, "password.reset", records, ctx)
            await end_sessions(account.id, records, ctx)

    async def _set_password(
        self, id: str, password: str, action: str, records: UserRecords, ctx: OutsideContext[UserRecords]
    ) -> Account:
        account = await records.set_password(id, password)
        if account is None:
            raise no_account()
        await records.resets.void(id)
        await note(records, ctx, action, id, actor_id=id)
        ctx.emit(PasswordChanged(user_id=id, at=rfc3339(ctx.now)))
        if account.email_verified:
            ctx.tell(SendNotice(kind="password_changed", email=account.email, name=account.name, locale=account.locale))
        return account
