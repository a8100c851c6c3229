"""People with accounts of their own, for tests of the user actor."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from actors.contracts.user import Register, SignIn, Tokens, User
from actors.contracts.user_admin import AuditEntry, ListAudit, PromoteUser
from actors.contracts.user_session import AccessChange, GetAccessChanges, ListSessions, RefreshSession, Session
from runtime.errors import TroupeError
from runtime.message import Caller, Request
from runtime.testing import Stage
from tests.shelves import alter, rows_of

PASSWORD = "correct horse"


class Person:
    """Somebody with an account, and with as many sessions as they like.

    :ivar anyone: the caller while nobody knows who it is, from a network of their own.
    :ivar caller: the caller once they are known, without a session.
    """

    def __init__(self, stage: Stage, user: User) -> None:
        self.stage = stage
        self.user = user
        network = f"{uuid.uuid4()}/64"
        self.anyone = Caller(network=network, agent="curl/8", address="203.0.113.7")
        self.caller = Caller(id=user.id, role=user.role, network=network, agent="curl/8", address="203.0.113.7")

    @classmethod
    async def register(cls, stage: Stage, name: str = "Ada", **fields: str) -> Person:
        """Somebody new."""
        form = {"email": f"{uuid.uuid4()}@example.org", "password": PASSWORD, "name": name, **fields}
        return cls(stage, await stage.ask(Register(**form)))

    @classmethod
    async def admin(cls, stage: Stage) -> Person:
        """Somebody new who is an admin."""
        person = await cls.register(stage, "Root")
        return cls(stage, await stage.ask(PromoteUser(email=person.user.email)))

    async def sign_in(self, password: str = PASSWORD) -> Tokens:
        self.stage.advance(seconds=1)
        return await self.stage.ask(SignIn(email=self.user.email, password=password), caller=self.anyone)

    async def outcome(self, message: Request[Any], caller: Caller | None = None) -> str:
        """`ok`, or the code of the refusal."""
        (reply,) = await self.stage.ask_all([message], caller=caller or self.caller)
        return reply.args[0] if isinstance(reply, TroupeError) else "ok"

    async def signs_in(self, password: str = PASSWORD) -> str:
        """`ok`, or the code of the refusal."""
        return await self.outcome(SignIn(email=self.user.email, password=password), self.anyone)

    async def refresh(self, token: str) -> str:
        """`ok`, or the code of the refusal."""
        return await self.outcome(RefreshSession(refresh_token=token), self.anyone)

    def with_session(self, tokens: Tokens) -> Caller:
        """The caller, with a session."""
        known = self.caller
        return Caller(known.id, known.role, tokens.session_id, known.network, known.agent, known.address)

    async def sessions(self, tokens: Tokens) -> list[Session]:
        """Theirs, as this one sees them."""
        return (await self.stage.ask(ListSessions(), caller=self.with_session(tokens))).items

    async def audit(self, of: Person) -> list[AuditEntry]:
        """What happened to an account, oldest first; read by an admin."""
        page = await self.stage.ask(ListAudit(user_id=of.user.id, limit=200), caller=self.caller)
        return page.items[::-1]


async def told(stage: Stage, after: int) -> Sequence[AccessChange]:
    """What edges have been told since."""
    return (await stage.ask(GetAccessChanges(after=after))).changes


async def alone(stage: Stage, *keep: Person) -> None:
    """Nobody else is an admin any more."""
    store, ids = stage.dispatches["user"].store, [each.user.id for each in keep]
    for row in await rows_of(store, "account"):
        if row["role"] == "admin" and row["id"] not in ids:
            await alter(store, "account", row["id"], role="member")
