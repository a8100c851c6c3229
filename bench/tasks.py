"""`python -m bench.tasks [--seeded URL]…`: what tasks cost over HTTP, by how many there are; medians of rounds.

Everything in one process, its tasks in SQLite and in PostgreSQL (`BENCH_POSTGRES_URL`, or one that the tests would
find), 1000 of them in ten projects; each `--seeded` names a database of a task actor that `python -m runtime seed` has
filled, and measures that, too. The account that asks is then the one that they were seeded for. A batch has 100
operations, half of them creations and half changes. Of batches, each in a project of its own, of lists of all and of
searches 8 are in flight, of the others 64.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Any, Final, cast

import aiohttp

from actors.contracts.task_seed import SOMEBODY
from bench.contest import Failure
from bench.load import CONNECTIONS, load
from bench.processes import output_of, python, running
from bench.servers import database
from bench.troupe_side import ACCOUNT, ALL, address_in, environment, runtime
from runtime import connect
from runtime.context import system_clock
from runtime.ports import Session

TASKS: Final = 1000
ROUNDS: Final = 2
WARM_UP_S: Final = 4.0
BATCHES: Final = 8
"""In flight, each in a project of its own."""
IN_FLIGHT: Final = {"list of all": 8, "search": 8, "batch": BATCHES}
"""Of what takes long: with as many as of the others, most would be refused at once, as under any overload."""
WORDS: Final = ("bababa", "babace", "cebaba", "nafori", "vavana")
"""Of the seed: some stand in many tasks, some in few."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.tasks")
    parser.add_argument("--seeded", metavar="URL", action="append", default=[], help="of tasks that are there")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each measurement; default: 4")
    arguments = parser.parse_args()
    asyncio.run(_measure_all(arguments.seeded, arguments.seconds))


async def _measure_all(seeded: Sequence[str], seconds: float) -> None:
    await _measure("SQLite, 1000 tasks", {}, seconds, fill=True)
    async with database() as url:
        await _measure("PostgreSQL, 1000 tasks", {"TASK_STORE_URL": url}, seconds, fill=True)
    for url in seeded:
        name = "PostgreSQL" if url.startswith("postgres") else "SQLite"
        await _measure(f"{name}, {await _count(url)} tasks", {"TASK_STORE_URL": url}, seconds, fill=False)


async def _measure(title: str, settings: Mapping[str, str], seconds: float, *, fill: bool) -> None:
    with tempfile.TemporaryDirectory(prefix="troupe-bench-") as folder:
        directory = Path(folder)
        async with _served(directory, {**environment(directory, **settings), "RATE_LIMITS": "off"}, fill=fill) as (
            address,
            token,
        ):
            files = await _requests(directory, address, token)
            found: dict[str, list[float]] = {name: [] for name in files}
            for _ in range(ROUNDS):
                for name, file in files.items():
                    try:
                        in_flight = IN_FLIGHT.get(name, CONNECTIONS)
                        await load(address, file, token, WARM_UP_S, connections=in_flight)
                        loaded = await load(address, file, token, seconds, connections=in_flight)
                    except Failure as failure:
                        print(f"{title}, {name}: {failure}", file=sys.stderr, flush=True)
                        await asyncio.sleep(seconds)  # what was asked for is still under way
                        found[name].append(0.0)
                    else:
                        found[name].append(loaded.answered / loaded.seconds)
    cells = (f"{median(rates):.0f} ({min(rates):.0f}–{max(rates):.0f})" for rates in found.values())
    print(f"| {title} | {' | '.join(cells)} |", flush=True)


@asynccontextmanager
async def _served(directory: Path, settings: Mapping[str, str], *, fill: bool) -> AsyncIterator[tuple[str, str]]:
    """An address, and the token of somebody whose projects have tasks."""
    async with running(runtime(ALL), directory, settings) as child, aiohttp.ClientSession() as session:
        address = address_in(child.said)
        async with session.post(f"{address}/v1/users", json={**ACCOUNT, "name": "Ada"}) as answer:
            id = (await answer.json())["id"]
        if fill:
            command = python("runtime", "seed", "--tasks", str(TASKS), "--projects", "10", "--owner", id)
            await output_of(command, directory, settings)
            if "TASK_STORE_URL" in settings:
                async with _store(settings["TASK_STORE_URL"], "task") as store:
                    await store.execute("analyze")  # as PostgreSQL does by itself within a minute
        else:
            await _rename(directory, id)
        async with session.post(f"{address}/v1/sessions", json=ACCOUNT) as answer:
            token = (await answer.json())["access_token"]
        yield address, token


async def _requests(directory: Path, address: str, token: str) -> Mapping[str, Path]:
    """What is measured → a file of requests."""
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession(headers=headers) as session:

        async def items(path: str) -> list[dict[str, Any]]:
            async with session.get(f"{address}/v1/{path}") as answer:
                found: list[dict[str, Any]] = (await answer.json())["items"]
                return found

        projects = [each["id"] for each in await items("projects?limit=200")]
        tasks = [each["id"] for id in projects[:10] for each in await items(f"tasks?project_id={id}&limit=100")]
        of_batches = {id: await items(f"tasks?project_id={id}&limit=50") for id in projects[-BATCHES:]}
    lists = ["", "&status=todo&sort=-updated_at", "&assignee_id=me&sort=due_at", "&sort=-priority", "&priority=4"]
    some = projects[-5:]  # the first one is the largest, and the oldest
    made = json.dumps({"project_id": projects[0], "title": "Order brass", "description": "x" * 100})
    lines = {
        "GET": [f"GET\t/v1/tasks/{id}\t" for id in tasks],
        "list of a project": [f"GET\t/v1/tasks?project_id={id}{each}\t" for id in some for each in lists],
        "list of all": [f"GET\t/v1/tasks?limit=50{each}\t" for each in lists],
        "search": [f"GET\t/v1/tasks?q={word}\t" for word in WORDS],
        "create": [f"POST\t/v1/tasks\t{made}"],
        "update": [f"PATCH\t/v1/tasks/{id}\t" + json.dumps({"title": f"Title {n}"}) for n, id in enumerate(tasks * 2)],
        "batch": [
            f"POST\t/v1/tasks/batch\t{_batch(id, tasks, n)}" for n in range(3) for id, tasks in of_batches.items()
        ],
    }
    files = {}
    for number, (name, texts) in enumerate(lines.items()):
        files[name] = directory / f"requests{number}"
        files[name].write_text("".join(f"{text}\n" for text in texts))
    return files


def _batch(project_id: str, tasks: Sequence[dict[str, Any]], n: int) -> str:
    creations = [{"op": "create", "project_id": project_id, "title": "Order brass"}] * (100 - len(tasks))
    return json.dumps(
        {"operations": [*creations, *({"op": "update", "id": each["id"], "title": f"Title {n}"} for each in tasks)]}
    )


@asynccontextmanager
async def _store(url: str, actor: str) -> AsyncIterator[Session]:
    store = connect.store_at(url, actor, system_clock)
    await store.open()
    try:
        async with store.transaction() as transaction:
            yield cast(Session, transaction)  # a database of SQL, by its address
    finally:
        await store.close()


async def _rename(directory: Path, id: str) -> None:
    """The new account of that id, which has not signed in yet: so that what was seeded is its own."""
    async with _store(f"sqlite:{directory}/var/user.db", "user") as session:
        await session.execute("delete from mailed_token where account_id = $1", id)
        await session.execute("update account set id = $1 where id = $2", SOMEBODY, id)


async def _count(url: str) -> int:
    async with _store(url, "task") as session:
        row = await session.row("select count(*) as tasks from task")
        return row["tasks"] if row else 0


if __name__ == "__main__":
    print(
        "| requests a second | GET | list of a project | list of all | search | create | update | batch of 100 |",
        flush=True,
    )
    print("|---|---|---|---|---|---|---|---|", flush=True)
    main()
