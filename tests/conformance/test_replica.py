"""A replica that lags behind, as far as it can: another database."""

from __future__ import annotations

import contextlib

import pytest

from runtime import connect
from runtime.context import system_clock
from tests.servers import answers
from tests.unit.counter import MIGRATIONS, Add, GetEach, GetTotal, Total
from tests.unit.house import House, answer, envelope


@pytest.mark.parametrize("query", [GetTotal, GetEach])
async def test_who_has_just_written_sees_it_and_all_others_ask_the_replica(
    postgres_url: str, run_id: str, query: type[GetTotal | GetEach]
) -> None:
    name = f"troupe_{run_id}_replica"
    other = await answers.create_database(postgres_url, name)
    try:
        async with contextlib.AsyncExitStack() as stack:
            urls = [f"{url}?schema=replica_{query.__name__.lower()}" for url in (postgres_url, other)]
            replica = connect.store_at(urls[1], "counter", system_clock)
            store = connect.store_at(urls[0], "counter", system_clock, read_url=urls[1])
            for each in (replica, store):
                await each.open()
                stack.push_async_callback(each.close)
                await each.migrate(MIGRATIONS)
            house = House(store)
            await house.one(Add(name="x"))
            asked = [envelope(query(name="x"), fresh=fresh) for fresh in (True, False, True)]
            assert [answer(each, Total).value for each in await house.handle(*asked)] == [1, 0, 1]
            assert answer(await house.one(asked[0]), Total).value == 1
    finally:
        await answers.drop_database(postgres_url, name)
