"""What the edge knows of ended sessions and changed roles, and what it does while it cannot know (row B62)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import pytest

from actors.contracts.user import Role
from actors.contracts.user_session import AccessChange, AccessMoved
from edge import access
from edge.access import Access
from edge.auth import Identity
from edge.problems import Problem
from runtime import beat
from runtime.client import Client
from runtime.errors import Unavailable
from runtime.message import Envelope, encode, frame
from runtime.ports import Publication
from tests.edge.key_keeper import SESSION, USER, KeyKeeper
from tests.edge.stand import client_of, edge_of
from tests.system.world import Api

ME = Identity(USER, "member", SESSION, None)


class Watch:
    """An edge's knowledge, and the actor that it comes from."""

    def __init__(self, client: Client, keeper: KeyKeeper) -> None:
        self.client = client
        self.keeper = keeper
        self.access = Access(client)

    def change(self, *ended: str, role: Role | None = None, active: bool | None = None) -> None:
        """Something new, which the edge has not asked for yet."""
        seq = len(self.keeper.changes) + 1
        self.keeper.changes.append(AccessChange(seq=seq, account_id=USER, role=role, active=active, ended=list(ended)))

    async def tell(self, last: int) -> None:
        """As the event of a change does, or that of anybody on the bus."""
        body = frame([Envelope("id", "access_moved", "", encode(AccessMoved(last=last)))])
        await self.client._broker.publish([Publication("id", "access_moved", body)])
        await asyncio.sleep(0)

    async def refused(self) -> bool:
        with suppress(Problem):
            await self.access.check(ME)
            return False
        return True


@pytest.fixture
async def watch(tmp_path: Path) -> AsyncIterator[Watch]:
    keeper = KeyKeeper()
    async with client_of(tmp_path, keeper) as client:
        yield Watch(client, keeper)


@asynccontextmanager
async def following(known: Access) -> AsyncIterator[None]:
    """While the edge's loop runs, from its first answer on."""
    await known.watch()
    await known.refresh()
    running = asyncio.create_task(known.run())
    try:
        yield
    finally:
        running.cancel()


@pytest.fixture
def always_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """No answer is new enough."""
    monkeypatch.setattr(access, "SILENT_S", -1.0)


async def test_b62_an_ended_session_comes_in_no_more(watch: Watch) -> None:
    assert not await watch.refused()
    watch.change(SESSION)
    await watch.access.refresh()
    assert await watch.refused()


async def test_b62_the_sessions_of_others_go_on(watch: Watch) -> None:
    watch.change(USER)
    assert not await watch.refused()


async def test_b62_an_account_that_was_suspended_comes_in_no_more_until_it_may_again(watch: Watch) -> None:
    watch.change(active=False)
    assert await watch.refused()
    watch.change(active=True)
    await watch.access.refresh()
    assert not await watch.refused()


async def test_a_changed_role_counts_in_place_of_the_one_in_the_token(watch: Watch) -> None:
    watch.change(role="admin")
    assert (await watch.access.check(ME)).role == "admin"
    watch.change(active=True)  # says nothing of roles
    watch.change(role="member")
    watch.change(role="admin")
    await watch.access.refresh()
    assert (await watch.access.check(ME)).role == "admin"


async def test_what_came_before_is_known_before_anyone_comes_in(watch: Watch) -> None:
    watch.change(SESSION)
    assert watch.access.word != "ok"
    assert await watch.refused()
    assert watch.access.word == "ok"


async def test_while_the_feed_is_not_silent_nobody_asks_for_a_call(watch: Watch) -> None:
    await watch.access.refresh()
    asked = watch.keeper.asked_for_changes
    for _ in range(10):
        await watch.access.check(ME)
    assert watch.keeper.asked_for_changes == asked


@pytest.mark.usefixtures("always_silent")
async def test_while_the_feed_is_silent_each_call_asks(watch: Watch) -> None:
    assert not await watch.refused()
    watch.change(SESSION)
    assert await watch.refused()


@pytest.mark.usefixtures("always_silent")
async def test_calls_that_ask_at_once_share_one_question(watch: Watch) -> None:
    await asyncio.gather(*(watch.access.check(ME) for _ in range(100)))
    assert watch.keeper.asked_for_changes == 1


async def test_catching_up_does_not_make_do_with_an_answer_that_is_on_its_way(watch: Watch) -> None:
    await watch.access.refresh()
    early = asyncio.create_task(watch.access.refresh())
    while watch.keeper.asked_for_changes < 2:  # until the actor has looked
        await asyncio.sleep(0)
    watch.change(SESSION)
    await watch.access.catch_up()
    await early
    assert await watch.refused()


async def until_refused(watch: Watch) -> None:
    async with asyncio.timeout(5):
        while not await watch.refused():
            await asyncio.sleep(0.01)


async def test_a_change_is_asked_for_when_an_event_tells_of_it(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    watch.keeper.beats = False
    monkeypatch.setattr(access, "SILENT_S", 60.0)
    async with following(watch.access):
        watch.change(SESSION)
        assert not await watch.refused()
        await watch.tell(1)
        await until_refused(watch)


async def test_a_change_whose_event_was_lost_is_asked_for_at_the_next_beat(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "SILENT_S", 60.0)
    async with following(watch.access):
        watch.change(SESSION)
        await until_refused(watch)


async def test_beats_alone_keep_the_feed_from_being_silent(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beat, "EVERY_S", 0.05)
    async with following(watch.access):
        await asyncio.sleep(0.5)  # for as long as a beat was to wait that had begun before
        monkeypatch.setattr(access, "SILENT_S", 0.6)
        asked = watch.keeper.asked_for_changes
        for _ in range(8):
            await asyncio.sleep(0.1)
            await watch.access.check(ME)
        assert watch.keeper.asked_for_changes == asked


async def test_the_beat_of_a_replica_that_lags_makes_nobody_feel_safe(watch: Watch) -> None:
    watch.keeper.beats = False
    watch.change(role="admin")
    watch.change(role="member")
    async with following(watch.access):
        heard_at = watch.access._heard_at
        await watch.tell(1)
        assert watch.access._heard_at == heard_at
        await watch.tell(2)
        assert watch.access._heard_at > heard_at


async def test_a_forged_event_makes_the_edge_ask_and_changes_nothing(watch: Watch) -> None:
    async with following(watch.access):
        await watch.tell(10**9)
        assert not await watch.refused()
        watch.change(SESSION)
        await until_refused(watch)


async def test_after_a_reconnect_nobody_comes_in_before_the_edge_has_asked(watch: Watch) -> None:
    await watch.access.watch()
    await watch.access.refresh()
    watch.change(SESSION)
    watch.client.reconnected()
    assert watch.access.word != "ok"
    assert await watch.refused()
    assert watch.access.word == "ok"


async def test_without_ever_an_answer_nobody_comes_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "BUDGET_MS", 50)
    async with client_of(tmp_path) as client:
        with pytest.raises(Unavailable):
            await Access(client).check(ME)


async def test_what_is_known_stands_while_nobody_can_end_a_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "SILENT_S", -1.0)
    keeper = KeyKeeper()
    async with client_of(tmp_path, keeper) as client:
        known = Access(client)
        assert await known.check(ME) == ME
    async with client_of(tmp_path) as nobody:
        known._client = nobody
        await known.refresh(budget_ms=50)
        assert await known.check(ME) == ME
        assert known.word == "ok"


async def test_an_edge_is_not_ready_before_it_knows_who_has_signed_out(tmp_path: Path) -> None:
    async with edge_of(tmp_path) as (_, address), aiohttp.ClientSession() as session:
        answer = await Api(session, address)("GET", "/readyz")
        assert answer.status == 503
        assert answer.json["dependencies"]["sessions"] != "ok"


async def test_a_running_edge_hears_of_an_ended_session_by_itself(tmp_path: Path) -> None:
    keeper = KeyKeeper()
    async with edge_of(tmp_path, keeper) as (_, address), aiohttp.ClientSession() as session:
        api = Api(session, address, keeper.token())
        assert (await api("GET", "/v1/me")).status == 200
        assert (await api("GET", "/readyz")).status == 200
        keeper.changes.append(AccessChange(seq=1, account_id=USER, role=None, active=None, ended=[SESSION]))
        async with asyncio.timeout(1):
            while (await api("GET", "/v1/me")).status == 200:  # each call is one more look
                pass
        assert (await api("GET", "/v1/me")).problem() == "auth.token_invalid"
