"""Killed at any step, an import of any format goes on when it is taken up, and ends as it would have."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from itertools import count, cycle
from pathlib import Path
from typing import Any, Final, get_args

import pytest

from actors.contracts.task_import import Import, ImportFormat
from actors.media_actor import MediaActor
from actors.task_actor import TaskActor
from actors.task_imports import TASKS
from config.settings import Settings
from runtime import connect
from runtime.ports import BlobInfo, Blobs
from runtime.seams import Seams
from runtime.testing import Stage
from tests.actors import test_import_todoist as todoist
from tests.actors import test_import_trello as trello
from tests.actors import test_import_troupe_json as troupe
from tests.actors import test_import_vikunja as vikunja
from tests.actors.importing import Importers, archive, comment, issue
from tests.actors.office import KEY

MANY = range(1, TASKS + 2)
"""More than one step takes."""


def troupe_id(n: int) -> str:
    return f"00000000-0000-7000-8000-{n:012}"


def _troupe() -> bytes:
    tasks = [
        {"id": troupe_id(n), "title": f"Task {n}", "number": n, "comments": [troupe.said(n)], "parent_id": parent}
        for n, parent in zip(MANY, (troupe_id(MANY[-1]), *[None] * len(MANY)), strict=False)
    ]
    files = [{**troupe.piece(1, troupe_id(1), b"Hello, moon!"), "id": troupe_id(n)} for n in (101, 102)]
    return troupe.export(*tasks, attachments=files)


def _vikunja() -> bytes:
    tasks: list[Any] = [
        vikunja.task(n, f"Task {n}", comments=[{"id": n, "comment": "Yes", "created": vikunja.DAY}]) for n in MANY
    ]
    tasks[0]["attachments"] = [vikunja.attachment(1), vikunja.attachment(2)]
    tasks[1]["related_tasks"] = {"parenttask": [{"id": 51}]}
    return vikunja.packed([vikunja.project(*tasks)], {"files/10": b"Hello, moon!", "files/20": b"Hello, Mars!"})


def _trello() -> bytes:
    return trello.board(
        *(trello.card(n, f"Task {n}") for n in MANY[2:]),
        actions=[trello.comment(1000 + n, n) for n in MANY[2:]],
        checklists=[trello.checklist(2000, 3, trello.item(2001, "Item 1"), trello.item(2002, "Item 2"))],
    )


FILES: Final[Mapping[ImportFormat, bytes]] = {
    "csv": "".join(["title,id\n", *(f"Task {n},{n}\n" for n in MANY)]).encode(),
    "github-archive": archive(*(issue(n, f"Task {n}", comments=[comment()]) for n in MANY)),
    "todoist-csv": "".join(
        [todoist.HEADER, *(todoist.line(f"Task {n}", 1 + (n == 2)) + todoist.note("Yes") for n in MANY)]
    ).encode(),
    "trello": _trello(),
    "troupe-json": _troupe(),
    "vikunja": _vikunja(),
}


class Killed(BaseException):
    """Nothing but what is in the stores and the object store is left."""


class Wire(Seams):
    """Kills at the n-th moment from now on; never when n is 0."""

    def __init__(self) -> None:
        super().__init__("")
        self.n = 0

    def at(self, seam: str, kind: str) -> None:
        self.n -= 1
        if self.n == 0:
            raise Killed


class FrailBlobs:
    """An object store beside which one may be killed, too."""

    def __init__(self, blobs: Blobs, wire: Wire) -> None:
        self._blobs = blobs
        self._wire = wire

    def __getattr__(self, name: str) -> Any:
        return getattr(self._blobs, name)

    async def put(self, key: str, chunks: AsyncIterator[bytes], *, content_type: str) -> BlobInfo:
        self._wire.at("before", key)
        info = await self._blobs.put(key, chunks, content_type=content_type)
        self._wire.at("after", key)
        return info

    async def move(self, source: str, target: str) -> None:
        await self._blobs.move(source, target)
        self._wire.at("after", target)


@contextlib.asynccontextmanager
async def house_of(folder: Path, wire: Wire) -> AsyncIterator[Importers]:
    """The task and the media actor."""
    settings = Settings(blob_url=f"file:{folder}", public_url="http://edge.test")
    blobs: Any = FrailBlobs(connect.blobs(settings), wire)
    await blobs.open()
    media = MediaActor(blobs=blobs, settings=settings, signing_keys=[KEY])
    async with Stage(TaskActor(blobs=blobs, settings=settings), media, seams=wire) as stage:
        yield Importers(stage, blobs)
    await blobs.close()


async def essence(importers: Importers, result: Import) -> tuple[Sequence[Any], Sequence[Any]]:
    """Of the import, and of each task."""
    tasks = await importers.tasks_in(result.project_id)
    titles = {each.id: each.title for each in tasks}
    return (
        [result.status, result.done, result.total, result.created, result.skipped, result.errors],
        [
            (each.number, each.title, titles.get(each.parent_id or ""), each.comment_count, each.attachment_count)
            for each in tasks
        ],
    )


@pytest.mark.parametrize(("format", "first"), [*zip(get_args(ImportFormat), cycle((1, 2)), strict=False)])
async def test_killed_at_any_moment_an_import_goes_on(tmp_path: Path, format: ImportFormat, first: int) -> None:
    """Every second moment of each format: what they share is met at all."""
    wire = Wire()
    async with house_of(tmp_path, wire) as importers:
        whole = await essence(importers, await importers.imported(FILES[format], format=format))
        assert (whole[0][0], whole[0][3], len(whole[1])) == ("done", len(MANY), len(MANY))
        for n in count(first, 2):
            begun = await importers.start(FILES[format], format=format)
            wire.n = n
            try:
                await importers.stage.drain()
            except Killed:
                await importers.stage.take_up()
            else:
                break
            assert await essence(importers, await importers.how_far(begun)) == whole, n
        assert n > 10, "there are so many moments, at least"
        assert await importers.objects() == set()
