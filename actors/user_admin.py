"""What admins do: the part of the user actor that lists and changes other people's accounts, and reads the audit."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import UNSET

from actors.contracts.user import Role, User, UserCreated
from actors.contracts.user_admin import (
    AuditEntry,
    ChangeUser,
    FindUser,
    GetUser,
    ListAudit,
    ListUsers,
    Profile,
    PromoteUser,
)
from actors.contracts.user_dead_letter import DeadLetterDiscarded, DeadLetterReplayed
from actors.contracts.values import rfc3339
from actors.pages import paged, place
from actors.records.audit import AuditRow
from actors.records.user import Account, UserRecords
from actors.requests import check_match
from actors.user_accounts import changed, last_admin
from actors.user_part import UserPart, change_access, end_sessions, folded, note, own_account
from runtime.actor import handles
from runtime.context import Context
from runtime.errors import Forbidden, NotFound
from runtime.message import Page

COMMAND_LINE: Final = "on the command line"


class Admins(UserPart):
    """Handlers of other people's accounts."""

    @handles
    async def list_users(self, query: ListUsers, ctx: Context[UserRecords]) -> Page[User]:
        """All accounts, newest first. Refuses `auth.forbidden`."""
        await _check_admin(ctx)
        accounts = await ctx.records.page_of(
            q=query.q, role=query.role, status=query.status, limit=query.limit + 1, after=place(query, query.cursor)
        )
        return paged(query, query.limit, accounts, Account.user, lambda account: (account.created_at, account.id))

    @handles
    async def get_user(self, query: GetUser, ctx: Context[UserRecords]) -> Profile:
        """All of an account for its owner and admins, a little for companions. Refuses `user.not_found`."""
        caller = await own_account(ctx)
        account = await ctx.records.account(query.id)
        if account is not None and (caller.id == account.id or caller.role == "admin"):
            return Profile(**msgspec.structs.asdict(account.user()))
        if account is None or ctx.granted("task", "companion", account.id) is None:
            raise _no_user()
        return Profile(id=account.id, name=account.name, avatar_url=account.avatar_url)

    @handles
    async def change_user(self, command: ChangeUser, ctx: Context[UserRecords]) -> User:
        """Change role or status; a suspended account's sessions end.

        Refuses `auth.forbidden`, `user.not_found`, `request.precondition_failed` and `user.last_admin`; emits
        UserUpdated.
        """
        admins = await ctx.records.active_admins()  # locked: of two who demote each other, the second is refused
        await _check_admin(ctx)
        before = await ctx.records.account(command.id)
        if before is None:
            raise _no_user()
        check_match(command.if_match, before.version, "account")
        wanted: dict[str, Any] = {
            field: value for field in ("role", "status") if (value := getattr(command, field)) is not UNSET
        }
        loses = wanted.get("role") == "member" or wanted.get("status") == "suspended"
        if loses and admins == {before.id}:
            raise last_admin()
        account = await changed(ctx, before.id, if_match=command.if_match, **wanted)
        if account is None:
            raise _no_user()
        await _tell_edges(before, account, ctx)
        return account.user()

    @handles
    async def promote(self, command: PromoteUser, ctx: Context[UserRecords]) -> User:
        """Make someone an admin. Refuses `user.not_found`; emits UserUpdated."""
        before = await ctx.records.account_of(folded(command.email))
        account = await changed(ctx, before.id, role="admin", status="active") if before else None
        if before is None or account is None:
            raise _no_account(command.email)
        await _tell_edges(before, account, ctx, COMMAND_LINE)
        return account.user()

    @handles
    async def find(self, query: FindUser, ctx: Context[UserRecords]) -> User:
        """The account with an address, to whoever works on the command line. Refuses `user.not_found`."""
        account = await ctx.records.account_of(folded(query.email))
        if account is None:
            raise _no_account(query.email)
        return account.user()

    @handles
    async def list_audit(self, query: ListAudit, ctx: Context[UserRecords]) -> Page[AuditEntry]:
        """What happened to accounts, newest first. Refuses `auth.forbidden`."""
        await _check_admin(ctx)
        after = place(query, query.cursor)
        rows = await ctx.records.audit.page_of(
            user_id=query.user_id, action=query.action, limit=query.limit + 1, before=after[1] if after else None
        )
        return paged(query, query.limit, rows, _entry, lambda row: (row[0].at, row[0].id))

    @handles
    async def note_replayed(self, event: DeadLetterReplayed, ctx: Context[UserRecords]) -> None:
        """An admin let dead letters be handled again: into the audit."""
        await _note_letter(event, "dead_letter.replayed", ctx)

    @handles
    async def note_discarded(self, event: DeadLetterDiscarded, ctx: Context[UserRecords]) -> None:
        """An admin deleted a dead letter: into the audit."""
        await _note_letter(event, "dead_letter.discarded", ctx)

    async def _make_first_admin(self, email: str, password: str, ctx: Context[UserRecords]) -> None:
        """The one of the settings, unless there is such an account: whoever has it may be somebody else."""
        address = folded(email)
        if await ctx.records.account_of(address) is not None:
            return
        account = Account(
            id=ctx.new_id(),
            email=email,
            address=address,
            email_verified=True,
            password=await self._passwords.hash(password),
            name="Admin",
            role="admin",
            locale="en",
            timezone="UTC",
            created_at=ctx.now,
            updated_at=ctx.now,
        )
        await ctx.records.add_account(account)
        await note(ctx.records, ctx, "user.registered", account.id, detail="by the settings")
        ctx.emit(UserCreated(person=account.person(), contact=account.contact()))


async def _check_admin(ctx: Context[UserRecords]) -> None:
    """Refuses `auth.forbidden`."""
    account = await own_account(ctx)
    if account.role != "admin" or account.status != "active":
        raise Forbidden("auth.forbidden", "this is for admins")


async def _tell_edges(before: Account, after: Account, ctx: Context[UserRecords], detail: str = "") -> None:
    """What of a changed account concerns who may come in, in the audit and in the feed."""
    role: Role | None = None
    active: bool | None = None
    if after.role != before.role:
        role = after.role
        await note(ctx.records, ctx, "user.role_changed", after.id, detail=detail or after.role)
    if after.status != before.status:
        active = after.status == "active"
        await note(ctx.records, ctx, "user.status_changed", after.id, detail=detail or after.status)
    if active is False:
        await end_sessions(after.id, ctx.records, ctx, role=role, active=active)
    elif role is not None or active is not None:
        await change_access(after.id, ctx.records, ctx, role=role, active=active)


async def _note_letter(event: DeadLetterReplayed | DeadLetterDiscarded, action: str, ctx: Context[UserRecords]) -> None:
    """Who did it is in the event: it happened where the letter lay."""
    which = f"{event.count} of" if event.letter is None else event.letter
    detail = f"{event.actor}: {which} {event.type}" + (f": {event.note}" if event.note else "")
    row = AuditRow(id=ctx.new_id(), action=action, actor_id=event.by, user_id=None, at=ctx.now, detail=detail)
    await ctx.records.audit.add(row, ip=event.address, user_agent=event.agent)


def _entry(found: tuple[AuditRow, str | None, str | None]) -> AuditEntry:
    row, ip, user_agent = found
    return AuditEntry(
        id=row.id,
        action=row.action,
        actor_id=row.actor_id,
        user_id=row.user_id,
        at=rfc3339(row.at),
        ip=ip,
        user_agent=user_agent,
        detail=row.detail,
    )


def _no_account(email: str) -> NotFound:
    return NotFound("user.not_found", f"there is no account with the address {email}")


def _no_user() -> NotFound:
    return NotFound("user.not_found", "there is no such user")
