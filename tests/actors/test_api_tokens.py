"""API tokens: made, listed, known and ended."""

from __future__ import annotations

import hashlib
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from actors.contracts.user_admin import ChangeUser
from actors.contracts.user_session import AccessChange
from actors.contracts.user_token import (
    ApiToken,
    CreateToken,
    IdentifyToken,
    ListTokens,
    NoteTokenUse,
    RevokeToken,
    TokenHolder,
)
from actors.contracts.values import rfc3339
from runtime.errors import Invalid, NotFound
from runtime.testing import Stage
from tests.actors.people import Person, told
from tests.shelves import rows_of


@pytest.fixture
async def ada(stage: Stage) -> Person:
    return await Person.register(stage)


def identify(token: str) -> IdentifyToken:
    return IdentifyToken(digest=hashlib.sha256(token.encode()).digest())


def moment(stage: Stage, **ahead: float) -> datetime:
    return datetime.fromtimestamp(stage.now / 1000, UTC) + timedelta(**ahead)


async def listed(ada: Person) -> list[ApiToken]:
    return (await ada.stage.ask(ListTokens(), caller=ada.caller)).items


async def test_a_token_speaks_for_its_owner_within_its_scopes(ada: Person) -> None:
    made = await ada.stage.ask(
        CreateToken(name="CI", scopes=["tasks:read", "media:read", "tasks:read"]), caller=ada.caller
    )
    assert made.token.startswith("trp_")
    assert (made.name, made.scopes, made.expires_at, made.last_used_at) == (
        "CI", ["tasks:read", "media:read"], None, None,
    )  # fmt: skip
    holder = await ada.stage.ask(identify(made.token))
    assert holder == TokenHolder(
        id=made.id, account_id=ada.user.id, role="member", scopes=["tasks:read", "media:read"], expires_at=None
    )


async def test_tokens_are_listed_newest_first_in_pages_and_without_themselves(ada: Person) -> None:
    ids = []
    for n in range(3):
        ada.stage.advance(seconds=1)
        ids.append((await ada.stage.ask(CreateToken(name=str(n), scopes=["tasks:read"]), caller=ada.caller)).id)
    first = await ada.stage.ask(ListTokens(limit=2), caller=ada.caller)
    second = await ada.stage.ask(ListTokens(limit=2, cursor=first.next_cursor), caller=ada.caller)
    assert [each.id for each in (*first.items, *second.items)] == ids[::-1]
    assert second.next_cursor is None
    assert not hasattr(first.items[0], "token")


async def test_no_store_holds_a_token_in_the_clear(ada: Person) -> None:
    made = await ada.stage.ask(CreateToken(name="CI", scopes=["tasks:read"]), caller=ada.caller, id="one")
    for table in ("api_token", "inbox", "audit"):
        assert made.token not in repr(await rows_of(ada.stage.dispatches["user"].store, table))


async def test_a_token_expires(ada: Person) -> None:
    command = CreateToken(name="CI", scopes=["tasks:read"], expires_at=moment(ada.stage, hours=1))
    made = await ada.stage.ask(command, caller=ada.caller)
    assert made.expires_at == rfc3339(ada.stage.now + 3_600_000)
    ada.stage.advance(hours=1, seconds=-1)
    assert await ada.outcome(identify(made.token)) == "ok"
    ada.stage.advance(seconds=1)
    assert await ada.outcome(identify(made.token)) == "auth.token_invalid"
    assert [each.id for each in await listed(ada)] == [made.id]


async def test_a_token_cannot_expire_before_it_is_made(ada: Person) -> None:
    with pytest.raises(Invalid) as refusal:
        await ada.stage.ask(
            CreateToken(name="CI", scopes=["tasks:read"], expires_at=moment(ada.stage)), caller=ada.caller
        )
    assert [fault.pointer for fault in refusal.value.faults] == ["/expires_at"]


async def test_b62_a_revoked_token_is_known_no_more_and_edges_are_told(ada: Person) -> None:
    made, kept = [
        await ada.stage.ask(CreateToken(name="CI", scopes=["tasks:read"]), caller=ada.caller) for _ in range(2)
    ]
    await ada.stage.ask(RevokeToken(id=made.id), caller=ada.caller)
    assert await ada.outcome(identify(made.token)) == "auth.token_invalid"
    assert await ada.outcome(identify(kept.token)) == "ok"
    changes, last = list[AccessChange](), 0
    while found := await told(ada.stage, last):
        changes, last = [*changes, *found], found[-1].seq
    assert changes[-1].ended == [made.id]


async def test_a_token_that_is_not_ones_own_is_like_one_that_is_not(ada: Person) -> None:
    bob = await Person.register(ada.stage, "Bob")
    made = await ada.stage.ask(CreateToken(name="CI", scopes=["tasks:read"]), caller=ada.caller)
    for person, id in ((bob, made.id), (ada, str(uuid.uuid4()))):
        with pytest.raises(NotFound, match=r"token\.not_found"):
            await ada.stage.ask(RevokeToken(id=id), caller=person.caller)
    assert await ada.outcome(identify(made.token)) == "ok"


@pytest.mark.parametrize("token", ["", "trp_", "trp_" + "A" * 43])
async def test_what_is_no_token_is_refused(ada: Person, token: str) -> None:
    assert await ada.outcome(identify(token)) == "auth.token_invalid"


async def test_a_suspended_accounts_tokens_rest(ada: Person) -> None:
    root = await Person.admin(ada.stage)
    made = await ada.stage.ask(CreateToken(name="CI", scopes=["tasks:read"]), caller=ada.caller)
    await ada.stage.ask(ChangeUser(id=ada.user.id, status="suspended"), caller=root.caller)
    assert await ada.outcome(identify(made.token)) == "auth.token_invalid"
    await ada.stage.ask(ChangeUser(id=ada.user.id, status="active"), caller=root.caller)
    assert await ada.outcome(identify(made.token)) == "ok"


async def test_the_last_use_is_remembered_and_never_goes_back(ada: Person) -> None:
    made = await ada.stage.ask(CreateToken(name="CI", scopes=["tasks:read"]), caller=ada.caller)
    ada.stage.advance(minutes=5)
    at = ada.stage.now
    await ada.stage.ask(NoteTokenUse(id=made.id))
    ada.stage.now -= 1000
    await ada.stage.ask(NoteTokenUse(id=made.id))
    assert [each.last_used_at for each in await listed(ada)] == [rfc3339(at)]


async def test_tokens_are_in_the_audit(ada: Person) -> None:
    root = await Person.admin(ada.stage)
    made = await ada.stage.ask(CreateToken(name="CI", scopes=["tasks:read"]), caller=ada.caller)
    await ada.stage.ask(RevokeToken(id=made.id), caller=ada.caller)
    entries = (await root.audit(ada))[1:]
    assert [(each.action, each.detail) for each in entries] == [("token.created", made.id), ("token.revoked", made.id)]
