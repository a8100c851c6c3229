"""`python -m bench.imports [MIB [FORMAT …]]`: a large file of each format, tasks a second, and memory over time.

The house is a process of its own on embedded twins; a file of each format comes in over HTTP, by default of 35 MiB,
into a project of its own, and that project goes out again as JSON, CSV and iCalendar. Memory is what the process has
beyond what it had idle before its first large file: the most of each tenth of the time, looked at every 50 ms.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import sys
import tempfile
import time
import zipfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import aiohttp

from bench.processes import resident_mib
from tests.actors.importing import archive, comment, issue
from tests.edge.whole_house import Uploader
from tests.servers.processes import free_port
from tests.system.world import Api, World

Made = TypeVar("Made")

MIB = 1 << 20
TEXT = "The quick brown fox jumps over the lazy dog. " * 16
DAY = "2026-11-24T09:00:00Z"


def github(size: int) -> bytes:
    """Issues with a comment each."""
    return archive(
        *(issue(n, f"Task {n}", body=TEXT, comments=[comment(TEXT)]) for n in range(1, 1 + size // 1750)), pulls=[]
    )


def table(size: int) -> bytes:
    """Tasks with a label and a date."""
    rows = (f"Task {n},{n},{TEXT},urgent,{DAY}\n" for n in range(1, 1 + size // 760))
    return ("title,number,description,labels,due_at\n" + "".join(rows)).encode()


def trello(size: int) -> bytes:
    """Cards with an item and a comment each."""
    whole: dict[str, Any] = {"name": "Board", "actions": [], "cards": [], "checklists": [], "lists": []}
    for n in range(size // 2200):
        card = f"65f0{n:020x}"
        whole["actions"].append(
            {
                "id": f"65f1{n:020x}", "type": "commentCard", "date": DAY, "memberCreator": {"fullName": "Bob"},
                "data": {"text": TEXT, "card": {"id": card}},
            }
        )  # fmt: skip
        badges = {f"badge{k}": k for k in range(10)}
        whole["cards"].append(
            {"id": card, "name": f"Card {n}", "desc": TEXT, "idList": "l", "pos": n, "badges": badges, "idShort": n + 1}
        )
        item = {"id": f"65f2{n:020x}", "name": f"Item {n}", "state": "incomplete", "pos": 1}
        whole["checklists"].append({"id": f"c{n}", "idCard": card, "name": "Checklist", "checkItems": [item]})
    return json.dumps(whole).encode()


def troupe(size: int) -> bytes:
    """Tasks with a comment each."""
    tasks = []
    for n in range(size // 1850):
        id = f"01a20bcc-acb5-7000-971e-{n:012x}"
        comment = {"id": f"01a20bcc-acb5-7000-971f-{n:012x}", "body": TEXT, "author_name": "Bob", "created_at": DAY}
        tasks.append({"id": id, "number": n + 1, "title": f"Task {n}", "description": TEXT, "comments": [comment]})
    return json.dumps({"project": {"name": "Large"}, "members": [], "labels": [], "tasks": tasks}).encode()


def todoist(size: int) -> bytes:
    """Tasks, every second below the one before."""
    rows = (f"task,Task {n},{TEXT},{n % 4 + 1},{n % 2 + 1},,,,,,,\n" for n in range(size // 750))
    return ("TYPE,CONTENT,DESCRIPTION,PRIORITY,INDENT,AUTHOR,RESPONSIBLE,DATE\n" + "".join(rows)).encode()


def vikunja(size: int) -> bytes:
    """Tasks with a comment each, and `data.json` of that size."""
    tasks = []
    for n in range(1, size // 1650):
        said = {"id": n, "comment": f"<p>{TEXT}</p>", "created": DAY}
        text = f"<p>{TEXT}</p>"
        tasks.append({"id": n, "index": n, "title": f"Task {n}", "description": text, "comments": [said]})
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data.json", json.dumps([{"id": 1, "title": "Large", "tasks": tasks}]))
    return content.getvalue()


FORMATS: Final[Mapping[str, Callable[[int], bytes]]] = {
    "github-archive": github,
    "trello": trello,
    "todoist-csv": todoist,
    "vikunja": vikunja,
    "csv": table,
    "troupe-json": troupe,
}


class Memory:
    """Of a process over time. :param idle: MiB that are its own anyway."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._idle = resident_mib(pid)

    async def during(self, work: Awaitable[Made]) -> tuple[Made, float, Sequence[float]]:
        """What it made, the seconds that it took, and the most MiB above idle of each tenth of them."""
        looks: list[tuple[float, float]] = []
        begun = time.monotonic()

        async def look() -> None:
            while True:
                looks.append((time.monotonic() - begun, resident_mib(self._pid) - self._idle))
                await asyncio.sleep(0.05)

        looking = asyncio.create_task(look())
        try:
            made = await work
        finally:
            took = time.monotonic() - begun
            looking.cancel()
        tenths = [[mib for at, mib in looks if n * took / 10 <= at < (n + 1) * took / 10] for n in range(10)]
        return made, took, [max(each, default=0.0) for each in tenths]


async def main(size: int, names: Sequence[str]) -> None:
    """Each format once, in a house of its own."""
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(f"{'':24} {'MiB':>5} {'tasks':>6} {'s':>6} {'tasks/s':>8}  MiB above idle, tenth by tenth")
    for name in names:
        await one(name, FORMATS[name](size))


async def one(name: str, content: bytes) -> None:
    settings = {"EDGE_PORT": str(free_port()), "RATE_LIMITS": "off"}
    with tempfile.TemporaryDirectory(prefix="troupe-imports-") as folder:
        timeout = aiohttp.ClientTimeout(total=600)
        async with World(Path(folder), settings) as world, aiohttp.ClientSession(timeout=timeout) as session:
            running = await world.start()
            ada = Uploader(await Api(session, running.address).person("Ada"))
            small = await imported(ada, name, FORMATS[name](8000))  # what the first one loads is no growth
            for format in EXPORTS:
                await exported(session, ada, small["project_id"], format)
            await asyncio.sleep(2)
            memory = Memory(running.process.pid)
            result, took, mib = await memory.during(imported(ada, name, content))
            row(name, len(content), result["created"], took, mib)
            for error in result["errors"]:
                print(f"  {error}")
            for format in EXPORTS:
                file_size, took, mib = await memory.during(exported(session, ada, result["project_id"], format))
                row(f"  and out again as {format}", file_size, result["created"], took, mib)


EXPORTS: Final = ("json", "csv", "ics")


async def imported(person: Uploader, name: str, content: bytes) -> Any:
    answer = await person.send_import([("format", None, name.encode()), ("file", "a", content)])
    while True:
        got = await person("GET", answer.headers["Location"])
        if got.json["status"] in {"done", "failed"}:
            return got.json
        await asyncio.sleep(0.05)


async def exported(session: aiohttp.ClientSession, person: Uploader, project_id: str, format: str) -> int:
    """Bytes of the whole file; none of it is kept."""
    address = f"{person.api.address}/v1/projects/{project_id}/export?format={format}"
    size = 0
    headers = {"Authorization": f"Bearer {person.api.token}"}
    async with session.get(address, headers=headers) as answer:
        async for piece in answer.content.iter_any():
            size += len(piece)
    return size


def row(what: str, size: int, tasks: int, took: float, mib: Sequence[float]) -> None:
    tenths = " ".join(f"{each:.0f}" for each in mib)
    print(f"{what:24} {size / MIB:5.1f} {tasks:6} {took:6.1f} {tasks / took:8.0f}  {tenths}", flush=True)


if __name__ == "__main__":
    chosen = sys.argv[2:] or list(FORMATS)
    asyncio.run(main(int(float(sys.argv[1]) * MIB) if len(sys.argv) > 1 else 35 * MIB, chosen))
