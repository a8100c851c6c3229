"""What can be asked of the user actor about API tokens: for programs that speak for a person."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from actors.contracts.user import Role
from actors.contracts.values import Cursor, Id, Limit, Name, Time, TimeIn
from runtime.message import Command, Page, Query, Secret

TOKEN_PREFIX = "trp_"  # noqa: S105 # how one is told from an access token, by us and by whoever finds it in a log

Scope = Literal[
    "tasks:read", "tasks:write", "media:read", "media:write",
    "notifications:read", "notifications:write", "profile:read", "profile:write",
]  # fmt: skip


class ApiToken(msgspec.Struct, frozen=True, kw_only=True):
    """An API token without the token itself; `last_used_at` may be a minute late."""

    id: Id
    name: str
    scopes: list[Scope]
    created_at: Time
    expires_at: Time | None
    last_used_at: Time | None


class NewApiToken(msgspec.Struct, frozen=True, kw_only=True):
    """An API token with the token, which is shown this once."""

    id: Id
    name: str
    scopes: list[Scope]
    created_at: Time
    expires_at: Time | None
    last_used_at: Time | None
    token: Secret


class CreateToken(Command[NewApiToken], frozen=True, kw_only=True):
    """Make a token that speaks for the caller within its scopes; `write` does not include `read`."""

    name: Name
    scopes: Annotated[list[Scope], Meta(min_length=1, max_length=100, description="a list of at least one scope")]
    expires_at: TimeIn | None = None


class ListTokens(Query[Page[ApiToken]], frozen=True, kw_only=True):
    """The caller's API tokens, newest first."""

    limit: Limit = 50
    cursor: Cursor | None = None


class RevokeToken(Command[None], frozen=True, kw_only=True):
    """End one of the caller's API tokens. Refuses `token.not_found`."""

    changes_access: ClassVar[bool] = True

    id: Id


class TokenHolder(msgspec.Struct, frozen=True, kw_only=True):
    """Whom an API token speaks for. :ivar expires_at: ms since the epoch; None: never."""

    id: Id
    account_id: Id
    role: Role
    scopes: list[Scope]
    expires_at: int | None


class IdentifyToken(Query[TokenHolder], frozen=True, kw_only=True):
    """Whom the token with this SHA-256 digest speaks for. Refuses `auth.token_invalid`."""

    digest: bytes


class NoteTokenUse(Command[None], frozen=True, kw_only=True):
    """A token is being used: an edge tells so once a minute at most."""

    id: Id
