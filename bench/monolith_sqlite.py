"""The monolith without a server: aiohttp and SQLite in one process. `FILE`: where it keeps its rows.

As durable as our store: write-ahead log, synced at each commit. One thread writes and one reads, each with a
connection of its own.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from concurrent.futures import ThreadPoolExecutor

import msgspec
import uvloop

from bench.monolith import COLUMNS, Task, encode, serve

TABLES = """
pragma journal_mode = wal;
create table task (
    id text primary key, project_id text not null, title text not null, description text not null,
    status text not null, created_at integer not null
);
create index task_by_project on task (project_id, created_at);
create table outbox (id integer primary key, topic text not null, payload blob not null)
"""


class SqliteStore:
    """A transaction for each task."""

    def __init__(self, file: str) -> None:
        self._writer, self._reader = ThreadPoolExecutor(1), ThreadPoolExecutor(1)
        self._written = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        self._written.executescript(TABLES)
        self._written.execute("pragma synchronous = full")
        self._read = sqlite3.connect(file, isolation_level=None, check_same_thread=False)

    async def get(self, id: str) -> Task | None:
        return await asyncio.get_running_loop().run_in_executor(self._reader, self._get, id)

    async def create(self, task: Task) -> None:
        await asyncio.get_running_loop().run_in_executor(self._writer, self._create, task)

    def _get(self, id: str) -> Task | None:
        row = self._read.execute(f"select {COLUMNS} from task where id = ?", (id,)).fetchone()
        return None if row is None else Task(*row)

    def _create(self, task: Task) -> None:
        self._written.execute("begin immediate")
        self._written.execute(f"insert into task ({COLUMNS}) values (?, ?, ?, ?, ?, ?)", msgspec.structs.astuple(task))
        self._written.execute("insert into outbox (topic, payload) values ('task_created', ?)", (encode(task),))
        self._written.execute("commit")


if __name__ == "__main__":
    uvloop.run(serve(SqliteStore(sys.argv[1])))
