"""B112: what anybody else does to the audit is noticed, on both stores, whoever writes into it meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from actors.contracts.user import SignIn
from actors.records.user import UserRecords
from actors.user_actor import UserActor
from config.settings import Settings
from runtime.keys import Sealer
from runtime.ports import Store
from runtime.testing import Stage
from runtime.timers import Timer
from tests.actors.conftest import schemas
from tests.actors.people import Person
from tests.sql import sql


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

    async def meddle(self, statement: str, *values: str | int) -> None:
        """As somebody does who has the database, but not the key."""
        async with self.store.transaction() as transaction:
            assert await sql(transaction).execute(statement, *values)

    async def ids(self) -> list[str]:
        return [row["id"] for row in await sql(self.store.reader).fetch("select id from audit order by id")]


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
    (row,) = await sql(archive.store.reader).fetch("select count(*) as n from audit where seq is null")
    assert row["n"] == 1, "what happened to no account is only marked, since it is forgotten"


@pytest.mark.parametrize("column", ["action", "actor_id", "user_id", "detail"])
@pytest.mark.parametrize("place", [0, 2, -2, -1], ids=["the first", "in the chain", "not in it yet", "of no account"])
async def test_b112_a_changed_row_is_noticed(archive: Archive, column: str, place: int) -> None:
    id = (await archive.ids())[place]
    await archive.meddle(f"update audit set {column} = 'forged' where id = $1", id)
    assert [id in fault for fault in await archive.faults()] == [True]
    await archive.link()
    assert [id in fault for fault in await archive.faults()] == [True]


async def test_b112_a_changed_time_is_noticed(archive: Archive) -> None:
    await archive.meddle("update audit set at = at + 1 where id = $1", (await archive.ids())[1])
    assert len(await archive.faults()) == 1


async def test_b112_a_row_that_was_taken_out_is_noticed(archive: Archive) -> None:
    _, second, third, *_ = await archive.ids()
    await archive.meddle("delete from audit_origin where audit_id = $1", second)
    await archive.meddle("delete from audit where id = $1", second)
    (missing,) = await archive.faults()
    assert missing == f"of the audit, 1 rows before {third} are missing"


async def test_b112_rows_cut_off_at_the_end_are_noticed(archive: Archive) -> None:
    last = (await archive.ids())[3]
    await archive.meddle("delete from audit_origin where audit_id = $1", last)
    await archive.meddle("delete from audit where id = $1", last)
    assert len(await archive.faults()) == 1
    await archive.link()
    assert len(await archive.faults()) == 1


async def test_b112_a_row_that_was_put_in_is_noticed(archive: Archive) -> None:
    await archive.meddle(
        "insert into audit (id, action, user_id, at, detail, mark) values ('x', 'user.deleted', 'y', 1, '', $1)",
        "0" * 64,
    )
    assert await archive.faults() == ["of the audit, the row x was not written by the user actor"]
    await archive.link()
    assert len(await archive.faults()) == 1


async def test_b112_rows_that_changed_places_are_noticed(archive: Archive) -> None:
    first, second, *_ = await archive.ids()
    await archive.meddle("update audit set seq = -1 where id = $1", first)
    await archive.meddle("update audit set seq = 1 where id = $1", second)
    await archive.meddle("update audit set seq = 2 where id = $1", first)
    assert await archive.faults()


async def test_b112_another_key_knows_no_row(archive: Archive) -> None:
    stranger = UserRecords(sql(archive.store.reader), Sealer(b"another key"))
    assert len(await stranger.audit.faults()) == len(await archive.ids())


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
    rows = await sql(archive.store.reader).fetch("select seq from audit where user_id is not null order by seq")
    assert [row["seq"] for row in rows] == list(range(1, len(rows) + 1))
    assert len(rows) == 1 + 4 + 8 + 16
