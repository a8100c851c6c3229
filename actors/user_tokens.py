"""API tokens: the part of the user actor that makes, knows and ends them."""

from __future__ import annotations

import msgspec

from actors.contracts.user_token import (
    TOKEN_PREFIX,
    ApiToken,
    CreateToken,
    IdentifyToken,
    ListTokens,
    NewApiToken,
    NoteTokenUse,
    RevokeToken,
    TokenHolder,
)
from actors.contracts.values import milliseconds
from actors.pages import paged, place
from actors.records.api_token import ApiTokenRow
from actors.records.user import UserRecords
from actors.requests import caller_of
from actors.tokens import digest, random_token
from actors.user_part import UserPart, change_access, note, own_account
from runtime.actor import handles
from runtime.context import Context
from runtime.errors import Fault, Invalid, NotFound, Unauthenticated
from runtime.message import Page


class ApiTokens(UserPart):
    """Handlers of API tokens."""

    @handles
    async def create_token(self, command: CreateToken, ctx: Context[UserRecords]) -> NewApiToken:
        """Make one; it is shown in this answer and never again. Refuses a time that has passed."""
        account = await own_account(ctx)
        expires_at = None if command.expires_at is None else milliseconds(command.expires_at)
        if expires_at is not None and expires_at <= ctx.now:
            fault = Fault("/expires_at", "must lie ahead")
            raise Invalid("request.invalid", "the token would have expired already", faults=(fault,))
        secret = TOKEN_PREFIX + random_token()
        row = ApiTokenRow(
            id=ctx.new_id(),
            account_id=account.id,
            name=command.name,
            scopes=" ".join(dict.fromkeys(command.scopes)),
            digest=digest(secret),
            created_at=ctx.now,
            expires_at=expires_at,
        )
        await ctx.records.api_tokens.add(row)
        await note(ctx.records, ctx, "token.created", account.id, detail=row.id)
        return NewApiToken(**msgspec.structs.asdict(row.view()), token=secret)

    @handles
    async def list_tokens(self, query: ListTokens, ctx: Context[UserRecords]) -> Page[ApiToken]:
        """The caller's, newest first."""
        after = place(query, query.cursor)
        rows = await ctx.records.api_tokens.page_of(caller_of(ctx), limit=query.limit + 1, after=after)
        return paged(query, query.limit, rows, ApiTokenRow.view, lambda row: (row.created_at, row.id))

    @handles
    async def revoke_token(self, command: RevokeToken, ctx: Context[UserRecords]) -> None:
        """End one of the caller's, on every edge. Refuses `token.not_found`."""
        caller = caller_of(ctx)
        if not await ctx.records.api_tokens.revoke(command.id, caller):
            raise NotFound("token.not_found", "there is no such token")
        await note(ctx.records, ctx, "token.revoked", caller, detail=command.id)
        await change_access(caller, ctx.records, ctx, ended=[command.id])

    @handles
    async def identify_token(self, query: IdentifyToken, ctx: Context[UserRecords]) -> TokenHolder:
        """Whom a token speaks for. Refuses `auth.token_invalid`."""
        holder = await ctx.records.api_tokens.holder(query.digest, ctx.now)
        if holder is None:
            raise Unauthenticated("auth.token_invalid", "the token is not valid, or no longer")
        return holder

    @handles
    async def note_token_use(self, command: NoteTokenUse, ctx: Context[UserRecords]) -> None:
        """Remember when it was."""
        await ctx.records.api_tokens.note_use(command.id, ctx.now)
