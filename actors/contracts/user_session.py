"""What can be asked of the user actor about sessions, and what every edge asks of it: who may no longer come in.

A command with `changes_access` shows in that feed; the edge that passes it on asks for the feed before it answers.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from actors.contracts.user import Role, Tokens
from actors.contracts.values import Cursor, Id, Limit, Time
from runtime.message import Command, Event, Page, Query

RefreshToken = Annotated[str, Meta(max_length=1000, description="a refresh token", extra={"secret": True})]


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """One sign-in that is still good; `current` is the one that asks."""

    id: Id
    created_at: Time
    last_seen_at: Time
    user_agent: str | None
    ip: str | None
    current: bool


class RefreshSession(Command[Tokens], frozen=True, kw_only=True):
    """Take new tokens for a refresh token, which is spent by it.

    Refuses `auth.token_invalid`, and `auth.token_reused` for one that was spent before: its session then ends. Whoever
    lost the answer asks again with the same Idempotency-Key.
    """

    refresh_token: RefreshToken


class ListSessions(Query[Page[Session]], frozen=True, kw_only=True):
    """The caller's own sessions, newest first."""

    limit: Limit = 50
    cursor: Cursor | None = None


class EndSession(Command[None], frozen=True, kw_only=True):
    """End one of the caller's sessions. Refuses `session.not_found`."""

    changes_access: ClassVar[bool] = True

    id: Id


class EndCurrentSession(Command[None], frozen=True, kw_only=True):
    """End the session that asks."""

    changes_access: ClassVar[bool] = True


class EndOtherSessions(Command[None], frozen=True, kw_only=True):
    """End all of the caller's sessions but the one that asks."""

    changes_access: ClassVar[bool] = True


class AccessChange(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is true of tokens which say otherwise.

    :ivar seq: grows by one from change to change, in the order in which they were committed.
    :ivar role: the account's from here on; None: as it was.
    :ivar active: whether the account may come in at all; None: as it was.
    :ivar ended: sessions and API tokens that are good for nothing any more.
    """

    seq: int
    account_id: Id
    role: Role | None
    active: bool | None
    ended: list[Id]


class AccessChanges(msgspec.Struct, frozen=True, kw_only=True):
    """:ivar last: up to where these reach; ask from there on."""

    changes: list[AccessChange]
    last: int


class AccessMoved(Event, frozen=True, kw_only=True):
    """The feed reaches up to that number: told of every change at once, and again and again as the actor's beat.

    It says nothing of the change itself, for events carry no authority: whoever follows the feed asks for it.
    """

    last: int


class GetAccessChanges(Query[AccessChanges], frozen=True, kw_only=True):
    """The next changes after the one with that number; without it, from those on that tokens may not know yet."""

    after: int | None = None
