"""`python -m bench.imports [MIB]`: a large file of each format, tasks a second, and memory.

The house is a process of its own on embedded twins; a file of each format comes in over HTTP, by default of 35 MiB,
into a project of its own. Memory is what the process has beyond what it had idle, at most, looked at every 50 ms.
"""

from __future__ import annotations

import asyncio
import io
import json
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import aiohttp

from bench.processes import resident_mib
from tests.edge.whole_house import Uploader
from tests.servers.processes import free_port
from tests.system.world import Api, World

MIB = 1 << 20
TEXT = "The quick brown fox jumps over the lazy dog. " * 16
DAY = "2026-11-24T09:00:00Z"


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
    "trello": trello,
    "todoist-csv": todoist,
    "vikunja": vikunja,
    "troupe-json": troupe,
}


async def main(size: int) -> None:
    """Each format once, in a house of its own."""
    print(f"{'format':12} {'MiB':>5} {'tasks':>7} {'seconds':>8} {'tasks/s':>8} {'MiB above idle':>15}")
    for name, make in FORMATS.items():
        for line in await one(name, make(size)):
            print(line)


async def one(name: str, content: bytes) -> Iterator[str]:
    settings = {"EDGE_PORT": str(free_port()), "RATE_LIMITS": "off"}
    with tempfile.TemporaryDirectory(prefix="troupe-imports-") as folder:
        async with World(Path(folder), settings) as world, aiohttp.ClientSession() as session:
            running = await world.start()
            ada = Uploader(await Api(session, running.address).person("Ada"))
            small = [("format", None, name.encode()), ("file", "a", FORMATS[name](8000))]
            await ada.ended(await ada.send_import(small))  # what the first one loads is no growth
            await asyncio.sleep(2)
            idle = highest = resident_mib(running.process.pid)
            begun = time.monotonic()
            answer = await ada.send_import([("format", None, name.encode()), ("file", "a", content)])
            while True:
                highest = max(highest, resident_mib(running.process.pid))
                got = await ada("GET", answer.headers["Location"])
                if got.json["status"] in {"done", "failed"}:
                    break
                await asyncio.sleep(0.05)
            took, result = time.monotonic() - begun, got.json
            line = f"{name:12} {len(content) / MIB:5.1f} {result['created']:7} {took:8.1f}"
            return iter(
                [
                    f"{line} {result['created'] / took:8.0f} {highest - idle:15.1f}",
                    *(f"  {error}" for error in [result["status"], *result["errors"]] if error != "done"),
                ]
            )


if __name__ == "__main__":
    asyncio.run(main(int(float(sys.argv[1]) * MIB) if len(sys.argv) > 1 else 35 * MIB))
