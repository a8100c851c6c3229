"""What admins can ask of the user actor, and what people see of each other."""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from actors.contracts.user import Role, Status, User
from actors.contracts.values import Cursor, Id, Limit, Time, Versions
from runtime.message import Command, Page, Query


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """A person: everything for themselves and admins, the first three fields for those who share a project."""

    id: Id
    name: str
    avatar_url: str | None
    email: str | UnsetType = UNSET
    email_verified: bool | UnsetType = UNSET
    role: Role | UnsetType = UNSET
    status: Status | UnsetType = UNSET
    locale: str | UnsetType = UNSET
    timezone: str | UnsetType = UNSET
    phone: str | UnsetType | None = UNSET
    created_at: Time | UnsetType = UNSET
    updated_at: Time | UnsetType = UNSET
    version: int | UnsetType = UNSET


class ListUsers(Query[Page[User]], frozen=True, kw_only=True):
    """All accounts, newest first, for admins. Refuses `auth.forbidden`.

    :ivar q: stands literally in name or address.
    """

    q: Annotated[str, Meta(max_length=1000, description="at most 1000 characters")] | None = None
    role: Role | None = None
    status: Status | None = None
    limit: Limit = 50
    cursor: Cursor | None = None


class GetUser(Query[Profile], frozen=True, kw_only=True):
    """A person, as much as the caller may see. Refuses `user.not_found`. Reads the grant `companion` on `id`."""

    id: Id


class ChangeUser(Command[User], frozen=True, kw_only=True):
    """Change an account's role or status, as an admin; felt within a second. A suspended account's sessions end.

    Refuses `auth.forbidden`, `user.not_found`, `request.precondition_failed` and `user.last_admin`.
    """

    changes_access: ClassVar[bool] = True

    id: Id
    role: Role | UnsetType = UNSET
    status: Status | UnsetType = UNSET
    if_match: Versions = None


class PromoteUser(Command[User], frozen=True, kw_only=True):
    """Make the account with an address an admin. Refuses `user.not_found`."""

    verb: ClassVar[str] = "users promote EMAIL"

    email: str


class FindUser(Query[User], frozen=True, kw_only=True):
    """The account with an address, for the command line. Refuses `user.not_found`."""

    email: str


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """Who did what to which account, and when.

    :ivar actor_id: who did it; null for somebody unknown.
    :ivar ip: from where; gone once that account was erased.
    """

    id: Id
    action: str
    actor_id: Id | None
    user_id: Id | None
    at: Time
    ip: str | None
    user_agent: str | None
    detail: str


class ListAudit(Query[Page[AuditEntry]], frozen=True, kw_only=True):
    """What happened to accounts, newest first, for admins. Refuses `auth.forbidden`."""

    user_id: Id | None = None
    action: Annotated[str, Meta(max_length=100, description="at most 100 characters")] | None = None
    limit: Limit = 50
    cursor: Cursor | None = None
