"""Sessions: the part of the user actor that opens, renews and ends them."""

from __future__ import annotations

from typing import Final

from actors.contracts.notify_account import SendNotice
from actors.contracts.user import ACCESS_TOKEN_S, SignIn, Tokens
from actors.contracts.user_notice import NewNetwork
from actors.contracts.user_session import (
    AccessChanges,
    EndCurrentSession,
    EndOtherSessions,
    EndSession,
    GetAccessChanges,
    ListSessions,
    RefreshSession,
    Session,
)
from actors.contracts.values import DAY_MS, rfc3339
from actors.pages import paged, place
from actors.records.session import SessionRow
from actors.records.user import Account, UserRecords
from actors.requests import caller_of
from actors.tokens import digest, random_token
from actors.user_keys import SigningKeys
from actors.user_part import Tried, end_sessions, folded, note
from actors.user_second_factor import SecondFactor
from runtime.actor import handles
from runtime.context import Context, OutsideContext
from runtime.errors import Forbidden, NotFound, Unauthenticated
from runtime.message import Page

SESSION_MS: Final = 30 * DAY_MS
"""How long a session lives, however often it is refreshed."""

TOLD_MS: Final = 2 * ACCESS_TOKEN_S * 1000
"""How old a change may be that an edge must still be told of at its start: access tokens live half as long, and the
clocks of replicas may be minutes apart."""

CHANGES: Final = 1000
"""Told in one answer."""


class Sessions(SecondFactor, SigningKeys):
    """Handlers of sessions."""

    @handles(outside=True)
    async def sign_in(self, command: SignIn, ctx: OutsideContext[UserRecords]) -> Tokens:
        """Open a session.

        Refuses `auth.invalid_credentials`, `auth.totp_required`, `auth.throttled` and `user.suspended`.
        """
        wrong = Unauthenticated("auth.invalid_credentials", "the address, the password or the code is wrong", keep=True)
        tried = await self._try(folded(command.email), command.password, ctx)
        account = tried.account
        if account is None or not tried.right:
            raise await self._refused(tried, ctx, wrong)
        fresh = await self._passwords.renewed(account.password, command.password)
        async with ctx.finish() as records:
            if fresh is not None:
                await records.rehash(account, fresh)
            if await self._is_wanted(account.id, records):
                if command.totp is None:
                    await records.attempts.release(tried.attempt)
                    raise Unauthenticated("auth.totp_required", "this account wants a code, too", keep=True)
                if not await self._takes(command.totp, account.id, records, ctx):
                    await note(records, ctx, "session.refused", account.id)
                    raise wrong
                await records.attempts.release_code(account.id, ctx.now)
            return await self._open_session(account, tried, records, ctx)

    @handles
    async def refresh(self, command: RefreshSession, ctx: Context[UserRecords]) -> Tokens:
        """New tokens for a refresh token, which is spent. Refuses `auth.token_invalid` and `auth.token_reused`."""
        records, token = ctx.records, digest(command.refresh_token)
        id = await records.sessions.spend(token, ctx.now)
        if id is None:
            session = await records.sessions.session_of(token)
            if session is None:
                raise _no_session()
            # somebody has it who should not: the thief or the owner was here before
            await note(records, ctx, "token.reused", session.account_id, detail=session.id)
            await end_sessions(session.account_id, records, ctx, only=session.id)
            raise Unauthenticated(
                "auth.token_reused", "this refresh token was used before; its session has ended", keep=True
            )
        session = await records.sessions.seen(id, ctx.now)
        account = await records.account(session.account_id) if session else None
        if session is None or account is None or account.status != "active":
            raise _no_session()
        return await self._tokens(account, session.id, records, ctx)

    @handles
    async def list_sessions(self, query: ListSessions, ctx: Context[UserRecords]) -> Page[Session]:
        """The caller's own, newest first."""
        after = place(query, query.cursor)
        rows = await ctx.records.sessions.page_of(caller_of(ctx), ctx.now, limit=query.limit + 1, after=after)
        return paged(
            query,
            query.limit,
            rows,
            lambda row: _view(row, current=row.id == ctx.caller.session),
            lambda row: (row.created_at, row.id),
        )

    @handles
    async def end_session(self, command: EndSession, ctx: Context[UserRecords]) -> None:
        """End one of the caller's. Refuses `session.not_found`."""
        if not await end_sessions(caller_of(ctx), ctx.records, ctx, only=command.id):
            raise NotFound("session.not_found", "there is no such session")

    @handles
    async def end_current_session(self, command: EndCurrentSession, ctx: Context[UserRecords]) -> None:
        """End the one that asks."""
        await end_sessions(caller_of(ctx), ctx.records, ctx, only=ctx.caller.session or "")

    @handles
    async def end_other_sessions(self, command: EndOtherSessions, ctx: Context[UserRecords]) -> None:
        """End all but the one that asks."""
        await end_sessions(caller_of(ctx), ctx.records, ctx, but=ctx.caller.session or "")

    @handles
    async def access_changes(self, query: GetAccessChanges, ctx: Context[UserRecords]) -> AccessChanges:
        """The next ones; at first, from those on that a token may not know which is still good."""
        feed = ctx.records.access
        after = await feed.start(ctx.now - TOLD_MS) if query.after is None else query.after
        changes = await feed.after(after, CHANGES)
        return AccessChanges(changes=changes, last=changes[-1].seq if changes else after)

    async def _open_session(
        self, account: Account, tried: Tried, records: UserRecords, ctx: OutsideContext[UserRecords]
    ) -> Tokens:
        await records.attempts.release(tried.attempt)
        if account.status == "suspended":
            raise Forbidden("user.suspended", "this account is suspended", keep=True)
        if not tried.known and account.email_verified and await records.knows_any_network(account.id):
            place = ctx.caller.address or "unknown"
            ctx.emit(NewNetwork(user_id=account.id, network=place, at=rfc3339(ctx.now)))
            ctx.tell(
                SendNotice(
                    kind="new_network", email=account.email, name=account.name, detail=place, locale=account.locale
                )
            )
        await records.remember_network(account.id, tried.attempt.network, ctx.now)
        session = SessionRow(
            id=ctx.new_id(),
            account_id=account.id,
            user_agent=ctx.caller.agent,
            network=ctx.caller.network,
            address=ctx.caller.address,
            created_at=ctx.now,
            last_seen_at=ctx.now,
            expires_at=ctx.now + SESSION_MS,
        )
        await records.sessions.add(session)
        await note(records, ctx, "session.created", account.id, actor_id=account.id, detail=session.id)
        return await self._tokens(account, session.id, records, ctx)

    async def _tokens(
        self, account: Account, session_id: str, records: UserRecords, ctx: Context[UserRecords]
    ) -> Tokens:
        """An access token, and a refresh token that is good once."""
        secret = random_token()
        await records.sessions.add_refresh_token(digest(secret), session_id, ctx.now)
        key = await self._signing_key(records, ctx.now)
        access = key.access_token(
            origin=self._origin,
            account=account.id,
            role=account.role,
            session=session_id,
            id=ctx.new_id(),
            now=ctx.now,
        )
        return Tokens(access_token=access, expires_in=ACCESS_TOKEN_S, refresh_token=secret, session_id=session_id)


def _no_session() -> Unauthenticated:
    return Unauthenticated("auth.token_invalid", "this refresh token is not valid, or no longer")


def _view(row: SessionRow, *, current: bool) -> Session:
    """As its owner sees it."""
    return Session(
        id=row.id,
        created_at=rfc3339(row.created_at),
        last_seen_at=rfc3339(row.last_seen_at),
        user_agent=row.user_agent,
        ip=row.address,
        current=current,
    )
