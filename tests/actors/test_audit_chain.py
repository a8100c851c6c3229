"""B112: what anybody else does to the audit is noticed, on both stores, whoever writes into it meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from actors.contracts.user import SignIn
from actors.user_actor import UserActor
from config.settings import Settings
from runtime.keys import Sealer
from runtime.ports import Store, Value
from runtime.stagehands import records_of
from runtime.testing import Stage
from runtime.timers import Timer
from tests.actors.conftest import schemas
from tests.actors.people import Person
from tests.shelves import alter, put_in, rows_of, take_out


class Archive:
    """A user actor on a store of its own, and a way past it into its audit."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage

    @property
    def store(self) -> Store:
        return self.stage.dispatches["user"].store

    async def faults(self) -> list[str]:
        """What `python -m runtime check` would say."""
        dispatch = self.stage.dispatches["user"]
        return list(await dispatch.actor.check(dispatch.records(self.store.reader)))

    async def link(self) -> None:
        self.stage.advance(minutes=1)
        await self.stage.tick("user", "link_audit")

    async def rows(self) -> list[dict[str, Any]]:
        """Of the audit, the oldest first."""
        return await rows_of(self.store, "audit")

    async def ids(self) -> list[str]:
        return [row["id"] for row in await self.rows()]

    async def take_out(self, id: str) -> None:
        """As somebody does who has the database, but not the key; likewise below."""
        await take_out(self.store, "audit_origin", id)
        await take_out(self.store, "audit", id)


@pytest.fixture
async def archive(database: str | None, run_id: str) -> AsyncIterator[Archive]:
    """With a few rows: some in the chain, some not yet."""
    async with AsyncExitStack() as stack:
        store_url = await stack.enter_async_context(schemas(database, f"audit_{run_id}")) if database else None
        user = UserActor(settings=Settings(argon2="8,1,1"), sealer=Sealer(b"a key of the tests"))
        archive = Archive(await stack.enter_async_context(Stage(user, store_url=store_url)))
        ada = await Person.register(archive.stage)
        for _ in range(3):
            await ada.sign_in()
        await archive.link()
        await ada.sign_in()
        await ada.outcome(SignIn(email="nobody@example.org", password="no such one"), ada.anyone)
        yield archive


async def test_b112_an_audit_that_was_left_alone_has_no_faults(archive: Archive) -> None:
    assert await archive.faults() == []
    await archive.link()
    assert await archive.faults() == []
    outside = [row for row in await archive.rows() if row["seq"] is None]
    assert len(outside) == 1, "what happened to no account is only marked, since it is forgotten"


@pytest.mark.parametrize("column", ["action", "actor_id", "user_id", "detail"])
@pytest.mark.parametrize("place", [0, 2, -2, -1], ids=["the first", "in the chain", "not in it yet", "of no account"])
async def test_b112_a_changed_row_is_noticed(archive: Archive, column: str, place: int) -> None:
    id = (await archive.ids())[place]
    await alter(archive.store, "audit", id, **{column: "forged"})
    assert [id in fault for fault in await archive.faults()] == [True]
    await archive.link()
    assert [id in fault for fault in await archive.faults()] == [True]


async def test_b112_a_changed_time_is_noticed(archive: Archive) -> None:
    row = (await archive.rows())[1]
    await alter(archive.store, "audit", row["id"], at=row["at"] + 1)
    assert len(await archive.faults()) == 1


async def test_b112_a_row_that_was_taken_out_is_noticed(archive: Archive) -> None:
    _, second, third, *_ = await archive.ids()
    await archive.take_out(second)
    (missing,) = await archive.faults()
    assert missing == f"of the audit, 1 rows before {third} are missing"


async def test_b112_rows_cut_off_at_the_end_are_noticed(archive: Archive) -> None:
    await archive.take_out((await archive.ids())[3])
    assert len(await archive.faults()) == 1
    await archive.link()
    assert len(await archive.faults()) == 1


async def test_b112_a_row_that_was_put_in_is_noticed(archive: Archive) -> None:
    forged: dict[str, Value] = {"action": "user.deleted", "user_id": "y", "at": 1, "detail": "", "mark": "0" * 64}
    await put_in(archive.store, "audit", "x", actor_id=None, **forged)
    assert await archive.faults() == ["of the audit, the row x was not written by the user actor"]
    await archive.link()
    assert len(await archive.faults()) == 1


async def test_b112_rows_that_changed_places_are_noticed(archive: Archive) -> None:
    first, second, *_ = await archive.ids()
    for id, seq in ((first, -1), (second, 1), (first, 2)):
        await alter(archive.store, "audit", id, seq=seq)
    assert await archive.faults()


async def test_b112_another_key_knows_no_row(archive: Archive) -> None:
    stranger = UserActor(settings=Settings(argon2="8,1,1"), sealer=Sealer(b"another key"))
    records = records_of(stranger, archive.store)(archive.store.reader)
    assert len(await stranger.check(records)) == len(await archive.ids())


async def test_b112_the_chain_is_exact_while_many_write_and_several_link(archive: Archive) -> None:
    people = [await Person.register(archive.stage) for _ in range(8)]
    dispatch = archive.stage.dispatches["user"]

    async def link(minute: int) -> None:
        slot = archive.stage.now + minute * 60_000
        await Timer(dispatch, dispatch.table["tick:link_audit"], lambda: slot).tick()

    outcomes = await asyncio.gather(
        *(person.signs_in() for person in people for _ in range(2)), *(link(minute) for minute in range(8))
    )
    assert outcomes[:16] == ["ok"] * 16
    archive.stage.advance(minutes=8)
    await archive.link()
    assert await archive.faults() == []
    numbers = [row["seq"] for row in await archive.rows() if row["user_id"] is not None]
    assert sorted(numbers) == list(range(1, 1 + 1 + 4 + 8 + 16))
