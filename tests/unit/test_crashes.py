"""F40: a message that kills its process, among a thousand, in real processes on a real broker."""

from __future__ import annotations

import asyncio
import secrets
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from runtime.client import COPIES
from runtime.connect import store_at
from runtime.context import system_clock
from runtime.errors import Unavailable
from runtime.ports import Store
from tests.sql import sql
from tests.unit.counter import MIGRATIONS, Add, AddEach, Added, Totals
from tests.unit.house import envelope
from tests.unit.line import Brokers, Line, until

ROOT = Path(__file__).parents[2]


class Restarted:
    """A process that is started again whenever it dies, as its supervisor does.

    :ivar deaths: how often it was killed.
    """

    def __init__(self, *arguments: str) -> None:
        self.deaths = 0
        self._command = (sys.executable, "-m", "tests.unit.counter_process", *arguments)
        self._task = asyncio.ensure_future(self._run())

    async def _run(self) -> None:
        while True:
            process = await asyncio.create_subprocess_exec(*self._command, cwd=ROOT)
            try:
                code = await process.wait()
            except asyncio.CancelledError:
                process.kill()
                await process.wait()
                raise
            assert code == -signal.SIGKILL
            self.deaths += 1

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


class Stand:
    def __init__(self, line: Line, store: Store, process: Restarted) -> None:
        self.line = line
        self.store = store
        self.process = process


@pytest.fixture
async def stand(amqp_url: str, store_url: str) -> AsyncIterator[Stand]:
    prefix = f"unit-{secrets.token_hex(6)}"
    store = store_at(store_url, "counter", system_clock)
    await store.open()
    await store.migrate(MIGRATIONS)
    line = await Line(Brokers(amqp_url, prefix), store).open()
    process = Restarted(amqp_url, prefix, store_url)
    yield Stand(line, store, process)
    await process.stop()
    await line.close()
    await store.close()


async def test_a_request_that_kills_its_process_among_1000_is_dead_lettered_and_no_innocent_is(stand: Stand) -> None:
    ask = stand.line.client.ask
    # some go alone and some in lists; some are in the same frame as the poison, some arrive while it kills
    kinds = [AddEach, AddEach, AddEach, Add]
    requests = [kinds[n % 4](name=f"a{n}") for n in range(999)]
    innocent = [asyncio.ensure_future(ask(each, budget_ms=60_000)) for each in requests[:500]]
    poison = asyncio.ensure_future(ask(AddEach(name="poison"), id="poison", budget_ms=60_000))
    innocent += [asyncio.ensure_future(ask(each, budget_ms=60_000)) for each in requests[500:]]
    with pytest.raises(Unavailable, match="the actor failed"):
        await poison
    assert [total.value for total in await asyncio.gather(*innocent)] == [1] * 999, "each was counted once"

    async def only_the_poison_is_dead() -> bool:
        # whose answer was sent, but not its ack, may still be on trial
        return [row.id for row in await stand.store.dead()] == ["poison"]

    await until(only_the_poison_is_dead)
    assert (await Totals(sql(stand.store.reader)).get("poison")).value == 0
    assert 3 <= stand.process.deaths <= 5 + COPIES, (
        "three trials, and at most the copies that were sent again meanwhile"
    )


async def test_an_event_that_kills_its_process_is_parked_and_no_innocent_is_lost(stand: Stand) -> None:
    names = [f"e{n}" for n in range(50)]
    for name in (*names[:25], "poison", *names[25:]):
        await stand.line.publish(envelope(Added(name=name, value=1), id=name))

    async def all_handled() -> bool:
        rows = await sql(stand.store.reader).fetch("select name, value from total where name like 'added e%'")
        return {row["value"] for row in rows} == {1} and len(rows) == 50

    async def poison_waits() -> bool:
        row = await stand.store.parked("poison")
        return row is not None and row.attempt >= 2

    await until(all_handled, seconds=30)
    await until(poison_waits, seconds=30)
    assert await stand.store.dead() == []
    assert (await Totals(sql(stand.store.reader)).get("added poison")).value == 0
