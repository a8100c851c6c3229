"""Renewing sessions, ending them, and what edges are told of it."""

from __future__ import annotations

import asyncio
import uuid

import pytest

from actors.contracts.user_session import (
    EndCurrentSession,
    EndOtherSessions,
    EndSession,
    GetAccessChanges,
    ListSessions,
    RefreshSession,
)
from actors.user_sessions import TOLD_MS
from runtime.errors import NotFound, Unauthenticated
from runtime.message import Caller
from runtime.testing import Stage
from tests.actors.people import Person, told
from tests.shelves import alter


@pytest.fixture
async def ada(stage: Stage) -> Person:
    return await Person.register(stage)


@pytest.fixture
async def seen(stage: Stage) -> int:
    """Up to where edges have been told."""
    return (await stage.ask(GetAccessChanges())).last


# ------------------------------------------------------------------------------------------------ refresh


async def test_a_refresh_token_gives_new_tokens_of_the_same_session(ada: Person) -> None:
    first = await ada.sign_in()
    ada.stage.advance(minutes=9)
    second = await ada.stage.ask(RefreshSession(refresh_token=first.refresh_token), caller=ada.anyone)
    assert second.session_id == first.session_id
    assert second.refresh_token != first.refresh_token
    assert second.access_token != first.access_token
    (session,) = await ada.sessions(second)
    assert session.last_seen_at > session.created_at
    assert await ada.refresh(second.refresh_token) == "ok"


async def test_b63_a_refresh_token_shown_again_ends_its_session_alone(ada: Person, seen: int) -> None:
    stolen, other = await ada.sign_in(), await ada.sign_in()
    successor = await ada.stage.ask(RefreshSession(refresh_token=stolen.refresh_token), caller=ada.anyone)
    assert await ada.refresh(stolen.refresh_token) == "auth.token_reused"
    assert await ada.refresh(successor.refresh_token) == "auth.token_invalid"
    assert [each.id for each in await ada.sessions(other)] == [other.session_id]
    (change,) = await told(ada.stage, seen)
    assert (change.account_id, change.ended, change.role, change.active) == (
        ada.user.id, [stolen.session_id], None, None,
    )  # fmt: skip


async def test_b64_twenty_uses_at_once_have_one_successor_at_most(ada: Person) -> None:
    tokens = await ada.sign_in()
    codes = await asyncio.gather(*(ada.refresh(tokens.refresh_token) for _ in range(20)))
    assert sorted(codes) == ["auth.token_reused"] * 19 + ["ok"]
    assert await ada.sessions(tokens) == []


async def test_b64_the_same_id_gives_the_same_successor(ada: Person) -> None:
    tokens, id = await ada.sign_in(), str(uuid.uuid4())
    message = RefreshSession(refresh_token=tokens.refresh_token)
    first = await ada.stage.ask(message, caller=ada.anyone, id=id)
    assert await ada.stage.ask(message, caller=ada.anyone, id=id) == first
    assert await ada.refresh(first.refresh_token) == "ok"


@pytest.mark.parametrize("token", ["", "no token", "A" * 43])
async def test_b58_what_is_no_refresh_token_is_refused(ada: Person, token: str) -> None:
    assert await ada.refresh(token) == "auth.token_invalid"


async def test_b58_an_access_token_is_no_refresh_token(ada: Person) -> None:
    assert await ada.refresh((await ada.sign_in()).access_token) == "auth.token_invalid"


async def test_b65_another_ones_refresh_token_gives_another_ones_session(stage: Stage, ada: Person) -> None:
    bob = await Person.register(stage, "Bob")
    adas, bobs = await ada.sign_in(), await bob.sign_in()
    message = RefreshSession(refresh_token=bobs.refresh_token)
    tokens = await stage.ask(message, caller=Caller(network="192.0.2.0/24"))
    assert tokens.session_id == bobs.session_id != adas.session_id


async def test_a_session_ends_after_thirty_days_however_often_it_was_refreshed(ada: Person) -> None:
    tokens = await ada.sign_in()
    ada.stage.advance(hours=30 * 24, seconds=-1)
    tokens = await ada.stage.ask(RefreshSession(refresh_token=tokens.refresh_token), caller=ada.anyone)
    ada.stage.advance(seconds=1)
    assert await ada.refresh(tokens.refresh_token) == "auth.token_invalid"
    assert await ada.sessions(tokens) == []


async def test_a_suspended_account_refreshes_nothing(ada: Person) -> None:
    tokens = await ada.sign_in()
    await alter(ada.stage.dispatches["user"].store, "account", ada.user.id, status="suspended")
    assert await ada.refresh(tokens.refresh_token) == "auth.token_invalid"


# --------------------------------------------------------------------------------------- listing and ending


async def test_sessions_are_listed_newest_first_and_say_which_one_asks(ada: Person) -> None:
    first, second = await ada.sign_in(), await ada.sign_in()
    newest, oldest = await ada.sessions(first)
    assert [newest.id, oldest.id] == [second.session_id, first.session_id]
    assert [newest.current, oldest.current] == [False, True]
    assert (newest.user_agent, newest.ip) == ("curl/8", "203.0.113.7")


async def test_sessions_are_listed_in_pages(ada: Person) -> None:
    ids = [(await ada.sign_in()).session_id for _ in range(3)]
    caller = ada.caller
    page = await ada.stage.ask(ListSessions(limit=2), caller=caller)
    rest = await ada.stage.ask(ListSessions(limit=2, cursor=page.next_cursor), caller=caller)
    assert [each.id for each in (*page.items, *rest.items)] == ids[::-1]
    assert rest.next_cursor is None


async def test_ending_a_session_stops_its_refresh_token_and_tells_edges(ada: Person, seen: int) -> None:
    kept, ended = await ada.sign_in(), await ada.sign_in()
    await ada.stage.ask(EndSession(id=ended.session_id), caller=ada.with_session(kept))
    assert [each.id for each in await ada.sessions(kept)] == [kept.session_id]
    assert await ada.refresh(ended.refresh_token) == "auth.token_invalid"
    assert [each.ended for each in await told(ada.stage, seen)] == [[ended.session_id]]


async def test_ending_a_session_that_is_not_ones_own_is_like_one_that_is_not(ada: Person, stage: Stage) -> None:
    tokens = await ada.sign_in()
    for caller, id in (
        (Caller(id=str(uuid.uuid4())), tokens.session_id),
        (ada.with_session(tokens), str(uuid.uuid4())),
    ):
        with pytest.raises(NotFound, match=r"session\.not_found"):
            await stage.ask(EndSession(id=id), caller=caller)
    assert await ada.refresh(tokens.refresh_token) == "ok"


async def test_signing_out_ends_the_session_that_asks(ada: Person) -> None:
    kept, ended = await ada.sign_in(), await ada.sign_in()
    await ada.stage.ask(EndCurrentSession(), caller=ada.with_session(ended))
    assert [each.id for each in await ada.sessions(kept)] == [kept.session_id]


async def test_all_other_sessions_are_ended_at_once(ada: Person, seen: int) -> None:
    kept, *others = [await ada.sign_in() for _ in range(3)]
    await ada.stage.ask(EndOtherSessions(), caller=ada.with_session(kept))
    assert [each.id for each in await ada.sessions(kept)] == [kept.session_id]
    (change,) = await told(ada.stage, seen)
    assert set(change.ended) == {each.session_id for each in others}
    await ada.stage.ask(EndOtherSessions(), caller=ada.with_session(kept))  # nothing to end, nothing to tell
    assert len(await told(ada.stage, seen)) == 1


async def test_without_an_account_there_are_no_sessions(stage: Stage) -> None:
    with pytest.raises(Unauthenticated, match=r"auth\.required"):
        await stage.ask(ListSessions())


# ---------------------------------------------------------------------------------------------- the feed


async def test_changes_are_numbered_without_gaps_also_when_they_are_made_at_once(ada: Person, seen: int) -> None:
    sessions = [await ada.sign_in() for _ in range(6)]
    await asyncio.gather(
        *(ada.stage.ask(EndSession(id=each.session_id), caller=ada.with_session(each)) for each in sessions)
    )
    changes = await told(ada.stage, seen)
    assert [each.seq for each in changes] == list(range(seen + 1, seen + 7))
    assert {each.ended[0] for each in changes} == {each.session_id for each in sessions}


async def test_who_asks_first_is_told_of_what_a_good_token_may_not_know(ada: Person) -> None:
    old, new = await ada.sign_in(), await ada.sign_in()
    await ada.stage.ask(EndSession(id=old.session_id), caller=ada.with_session(old))
    ada.stage.advance(seconds=TOLD_MS / 1000 + 1)
    await ada.stage.ask(EndSession(id=new.session_id), caller=ada.with_session(new))
    answer = await ada.stage.ask(GetAccessChanges())
    assert [each.ended for each in answer.changes] == [[new.session_id]]
    assert answer.last == answer.changes[-1].seq
    assert await told(ada.stage, answer.last) == []


async def test_changes_that_every_edge_knows_are_forgotten(ada: Person) -> None:
    tokens = await ada.sign_in()
    await ada.stage.ask(EndCurrentSession(), caller=ada.with_session(tokens))
    before = (await ada.stage.ask(GetAccessChanges())).last
    ada.stage.advance(seconds=2 * TOLD_MS / 1000 + 1)
    await ada.stage.tick("user", "forget")
    assert await told(ada.stage, 0) == []
    tokens = await ada.sign_in()
    await ada.stage.ask(EndCurrentSession(), caller=ada.with_session(tokens))
    assert [each.seq for each in await told(ada.stage, 0)] == [before + 1]
