"""What the counter of the tests counts, in MongoDB."""

from __future__ import annotations

from runtime.ports import Documents
from tests.unit import counter
from tests.unit.counter import Total


class Totals(counter.Totals):
    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    async def add(self, name: str, amount: int) -> Total:
        row = await self._documents.change("total", {"_id": name}, {"$inc": {"value": amount}}, upsert=True)
        assert row is not None
        return Total(name=name, value=row["value"])

    async def get(self, name: str) -> Total:
        row = await self._documents.one("total", {"_id": name})
        return Total(name=name, value=row["value"] if row else 0)
