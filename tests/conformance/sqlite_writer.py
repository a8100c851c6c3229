"""A process that writes to a SQLite store: `python -m tests.conformance.sqlite_writer FILE NAME COUNT`.

Says each row's id once it is committed.
"""

from __future__ import annotations

import asyncio
import sys

from runtime.drivers.store_sqlite import connect
from runtime.ports import Claim, Outgoing, Settled
from tests.conformance.store_worlds import THINGS
from tests.sql import sql


async def write(path: str, name: str, count: int) -> None:
    """Rows `name-0` …, each with an inbox row and an outgoing event."""
    store = connect(f"sqlite:{path}", actor="writer")
    await store.open()
    await store.migrate([THINGS])
    for n in range(count):
        id = f"{name}-{n}"
        async with store.transaction() as transaction:
            assert await transaction.begin([Claim(id)]) == [None]
            await sql(transaction).insert("thing", ["id", "body"], [[id, bytes(2000)]])
            await transaction.finish([Settled(Claim(id), b"reply")], [Outgoing(id, "t", b"")], lease_ms=0)
        sys.stdout.write(f"{id}\n")
        sys.stdout.flush()
    await store.close()


if __name__ == "__main__":
    asyncio.run(write(sys.argv[1], sys.argv[2], int(sys.argv[3])))
