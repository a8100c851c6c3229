"""The reads of one tick become one; what travels together leaves together."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from runtime.batch import LARGEST, MOST, Batcher
from runtime.loader import Loader


class Table:
    """:ivar calls: the keys of each fetch."""

    def __init__(self, error: Exception | None = None) -> None:
        self.calls: list[list[int]] = []
        self.released = asyncio.Event()
        self.released.set()
        self._error = error

    async def fetch(self, keys: Sequence[int]) -> Mapping[int, str]:
        self.calls.append(list(keys))
        await self.released.wait()
        if self._error is not None:
            raise self._error
        return {key: f"v{key}" for key in keys if key >= 0}


async def test_the_reads_of_a_tick_are_one_call_with_each_key_once() -> None:
    table = Table()
    loader = Loader(table.fetch)
    assert await asyncio.gather(*(loader.load(key) for key in (1, 2, 1, -1))) == ["v1", "v2", "v1", None]
    assert table.calls == [[1, 2, -1]]


async def test_the_next_tick_reads_again() -> None:
    table = Table()
    loader = Loader(table.fetch)
    await loader.load(1)
    await loader.load(1)
    assert table.calls == [[1], [1]]


async def test_an_asker_that_is_cancelled_harms_no_other() -> None:
    table = Table()
    table.released.clear()
    loader = Loader(table.fetch)
    gone, stays, also = (asyncio.ensure_future(loader.load(key)) for key in (1, 1, 2))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.sleep(0)
    table.released.set()
    assert list(await asyncio.gather(stays, also)) == ["v1", "v2"]
    assert gone.cancelled()


async def test_when_all_askers_are_cancelled_nothing_is_left_behind() -> None:
    table = Table(ZeroDivisionError())
    table.released.clear()
    loader = Loader(table.fetch)
    gone = asyncio.ensure_future(loader.load(1))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    table.released.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)


async def test_what_the_read_raises_every_asker_gets() -> None:
    loader = Loader(Table(ZeroDivisionError("oh")).fetch)
    results = await asyncio.gather(loader.load(1), loader.load(2), return_exceptions=True)
    assert [str(each) for each in results] == ["oh", "oh"]
    with pytest.raises(ZeroDivisionError):
        await loader.load(1)


async def test_items_of_a_tick_leave_together_by_destination_and_none_is_lost() -> None:
    sent: list[tuple[str, list[int]]] = []
    batcher = Batcher[int](lambda destination, items: sent.append((destination, items)))
    for n in range(MOST + 2):
        batcher.add("a", n, 1)
    batcher.add("b", -1, LARGEST)
    batcher.add("b", -2, 1)
    assert [len(items) for _, items in sent] == [MOST, 1], "full ones leave at once"
    await asyncio.sleep(0)
    assert [(destination, len(items)) for destination, items in sent] == [("a", MOST), ("b", 1), ("a", 2), ("b", 1)]
    await asyncio.sleep(0)
    assert len(sent) == 4, "nothing empty is sent"
