"""The second factor: the part of the user actor that sets it up, and looks at it when somebody signs in."""

from __future__ import annotations

from actors.contracts.user_totp import BeginTotp, ConfirmTotp, DisableTotp, RecoveryCodes, TotpSecret
from actors.records.user import UserRecords
from actors.tokens import digest
from actors.totp import CODES, address, base32, new_secret, plain, recovery_code, step_of
from actors.user_part import UserPart, note, own_account
from runtime.actor import handles
from runtime.context import Context, OutsideContext
from runtime.errors import Conflict, Invalid, Throttled


class SecondFactor(UserPart):
    """Handlers of one-time passwords."""

    @handles
    async def begin_totp(self, command: BeginTotp, ctx: Context[UserRecords]) -> TotpSecret:
        """A secret that no sign-in wants a code of yet."""
        account, secret = await own_account(ctx), new_secret()
        await ctx.records.second_factors.begin(account.id, self._sealer.seal(secret))
        return TotpSecret(secret=base32(secret), otpauth_uri=address(secret, account.email))

    @handles
    async def confirm_totp(self, command: ConfirmTotp, ctx: Context[UserRecords]) -> RecoveryCodes:
        """From now on sign-ins want a code. Refuses `user.totp_not_started` and `user.totp_invalid`."""
        account, factors = await own_account(ctx), ctx.records.second_factors
        row = await factors.of(account.id)
        if row is None or row.begun is None:
            raise Conflict("user.totp_not_started", "there is no secret to confirm; begin with POST")
        step = step_of(self._sealer.unseal(row.begun), command.code, ctx.now, after=0)
        codes = [recovery_code() for _ in range(CODES)]
        digests = [digest(plain(code)) for code in codes]
        if step is None or not await factors.confirm(account.id, row.begun, step, digests):
            raise Invalid("user.totp_invalid", "this is no present code of the secret that was begun with")
        await note(ctx.records, ctx, "totp.enabled", account.id)
        return RecoveryCodes(recovery_codes=codes)

    @handles(outside=True)
    async def disable_totp(self, command: DisableTotp, ctx: OutsideContext[UserRecords]) -> None:
        """A password is enough again. Refuses `auth.invalid_credentials` and `auth.throttled`."""
        tried = await self._prove_self(command.password, ctx)
        async with ctx.finish() as records:
            await records.attempts.release(tried.attempt)
            if await records.second_factors.remove(ctx.caller.id or ""):
                await note(records, ctx, "totp.disabled", ctx.caller.id)

    async def _is_wanted(self, account_id: str, records: UserRecords) -> bool:
        """Whether signing in takes a code, too."""
        row = await records.second_factors.of(account_id)
        return row is not None and row.sealed is not None

    async def _takes(self, code: str, account_id: str, records: UserRecords, ctx: Context[UserRecords]) -> bool:
        """Whether this is a code or a recovery code of the account; it is used up then.

        Refuses `auth.throttled`: guesses are few for an account, wherever they come from.
        """
        wait_ms = await records.attempts.reserve_code(account_id, ctx.now)
        if wait_ms:
            raise Throttled(
                "auth.throttled", "too many wrong codes; wait before the next one", retry_after=wait_ms / 1000
            )
        factors = records.second_factors
        row = await factors.of(account_id)
        if row is None or row.sealed is None:
            return True  # no code is wanted any more
        step = step_of(self._sealer.unseal(row.sealed), code, ctx.now, after=row.last_step)
        if step is not None:
            return await factors.spend_step(account_id, step)
        return await factors.spend_code(account_id, digest(plain(code)))
