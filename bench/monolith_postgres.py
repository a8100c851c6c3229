"""The plain monolith: aiohttp and asyncpg in one process. `URL`: an empty database."""

from __future__ import annotations

import sys

import asyncpg
import uvloop

from bench.monolith import COLUMNS, Task, encode, serve

POOL = 10
TABLES = """
create schema monolith;
create table monolith.task (
    id text primary key, project_id text not null, title text not null, description text not null,
    status text not null, created_at bigint not null
);
create index on monolith.task (project_id, created_at);
create table monolith.outbox (id bigserial primary key, topic text not null, payload bytea not null)
"""


class PostgresStore:
    """One connection of the pool a request."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def get(self, id: str) -> Task | None:
        row = await self._pool.fetchrow(f"select {COLUMNS} from monolith.task where id = $1", id)
        return None if row is None else Task(*row)

    async def create(self, task: Task) -> None:
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(
                f"insert into monolith.task ({COLUMNS}) values ($1, $2, $3, $4, $5, $6)",
                task.id, task.project_id, task.title, task.description, task.status, task.created_at,
            )  # fmt: skip
            await connection.execute(
                "insert into monolith.outbox (topic, payload) values ('task_created', $1)", encode(task)
            )


async def main(url: str) -> None:
    """Until it is ended."""
    async with asyncpg.create_pool(url, min_size=POOL, max_size=POOL) as pool:
        await pool.execute(TABLES)
        await serve(PostgresStore(pool))


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
