"""Archives of Vikunja: what tasks become and what comes of their files; archives that lie, and what is none."""

from __future__ import annotations

import contextlib
import io
import json
import zipfile
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from actors.contracts.media import ListAttachments
from actors.contracts.task_import import ImportFault
from actors.imports import archive, vikunja
from actors.imports.item import FileBroken, Found, FoundFile, ImportedLink, ImportedTask, Remark, Unreadable
from actors.imports.json_elements import LARGEST
from tests.actors.conftest import schemas
from tests.actors.importing import Importers
from tests.actors.office import Office, office_of

DAY = "2026-11-24T09:00:00Z"
DAY_MS = 1_795_510_800_000
NEVER = "0001-01-01T00:00:00Z"
"""How they write that there is no time."""


def task(id: int, title: str = "Land", **fields: Any) -> dict[str, Any]:
    """As they write one: what is not set is there all the same."""
    empty = {"due_date": NEVER, "start_date": NEVER, "done_at": NEVER, "related_tasks": None, "attachments": None}
    return {"id": id, "title": title, "index": id, "created": DAY, "updated": DAY, **empty, **fields}


def project(*tasks: Any, title: str = "Apollo", **members: Any) -> dict[str, Any]:
    return {"id": 1, "title": title, "description": "<p>To the <b>moon</b></p>", "tasks": tasks, **members}


def attachment(id: int, name: str = "a.txt") -> dict[str, Any]:
    return {"id": id, "task_id": 1, "file": {"id": id * 10, "name": name}, "created": DAY}


def packed(data: Any, files: Mapping[str, bytes] | None = None) -> bytes:
    """An archive. :param data: what data.json says, or its bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as written:
        written.writestr("VERSION", "0.24")
        written.writestr("data.json", data if isinstance(data, bytes) else json.dumps(data, indent=1))
        for name, content in (files or {}).items():
            written.writestr(name, content)
    return out.getvalue()


async def read(content: bytes, mapping: Mapping[str, str] | None = None) -> list[Found]:
    """Files are read, too; what breaks them stands in the place of their content."""

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(content), 64 << 10):
            yield content[start : start + (64 << 10)]

    found: list[Found] = []
    async for each in vikunja.read(pieces, mapping or {}):
        if isinstance(each, FoundFile):
            try:
                CONTENTS.append(b"".join([piece async for piece in each.content]))
            except FileBroken as error:
                each = Remark(ImportFault(line=each.file.line, detail=str(error)))
        found.append(each)
    return found[1:]  # first, the project itself


CONTENTS: list[bytes] = []
"""Of files, in the order of reading."""


async def one(**fields: Any) -> ImportedTask:
    (found,) = await read(packed([project(task(1, **fields))]))
    assert isinstance(found, ImportedTask), found
    return found


# ---------------------------------------------------------------------------------------------------- read


async def test_fields_of_a_task() -> None:
    found = await one(
        description="<p>Look:</p><ul><li><a href='https://example.org'>here</a></li></ul>", priority=5, due_date=DAY,
        labels=[{"title": "bug", "hex_color": "FF0000"}], assignees=[{"name": "Ada", "username": "ada"}],
        reminders=[{"reminder": DAY}], comments=[{"id": 1, "comment": "<p>Yes</p>", "created": DAY}],
    )  # fmt: skip
    assert (found.title, found.number, found.priority, found.status) == ("Land", 1, 4, "todo")
    assert found.description == "Look:\n\n- [here](https://example.org)"
    assert (found.due_at, found.start_at, found.created_at, found.remind_at) == (DAY_MS, None, DAY_MS, [DAY_MS])
    assert [(each.name, each.color) for each in found.labels] == [("bug", "#ff0000")]
    assert found.assignees == [("Ada", "ada")]
    assert [(each.author, each.body) for each in found.comments] == [("unknown", "Yes")]


async def test_done_is_done_and_buckets_are_statuses_by_name_or_mapping() -> None:
    buckets = [{"id": 1, "title": "Doing"}, {"id": 2, "title": "Odd"}]
    tasks = [task(1, bucket_id=1), task(2, bucket_id=2), task(3, done=True, done_at=DAY), task(4)]
    found = await read(packed([project(*tasks, buckets=buckets)]), {"Odd": "cancelled"})
    assert [each.status for each in found if isinstance(each, ImportedTask)] == [
        "in_progress", "cancelled", "done", "todo",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"repeat_after": 172_800}, "FREQ=DAILY;INTERVAL=2"),
        ({"repeat_mode": 1}, "FREQ=MONTHLY"),
        ({"repeat_after": 3600}, None),
        ({"repeat_after": -86_400}, None),
        ({}, None),
    ],
)
async def test_what_repeats_in_days_or_months_recurs(fields: dict[str, int], rule: str | None) -> None:
    found = await one(due_date=DAY, **fields)
    assert (found.recurrence and found.recurrence.rule) == rule


async def test_related_tasks_are_parents_and_relations() -> None:
    parent = task(1, related_tasks={"subtask": [{"id": 2}], "blocking": [{"id": 3}], "related": [{"id": 3}]})
    child = task(2, related_tasks={"parenttask": [{"id": 1}]})
    other = task(3, related_tasks={"blocked": [{"id": 1}], "related": [{"id": 1}]})
    found = await read(packed([project(parent, child, other)]))
    tasks = [each for each in found if isinstance(each, ImportedTask)]
    assert [each.parent for each in tasks] == [None, tasks[0].source, None]
    links = [(each.of, each.kind, each.other) for each in found if isinstance(each, ImportedLink)]
    assert links == [
        (tasks[0].source, "blocks", tasks[2].source),
        (tasks[0].source, "relates", tasks[2].source),
    ]


async def test_of_several_projects_each_is_a_label() -> None:
    found = await read(packed([project(task(1)), project(task(2), title="Gemini")]))
    assert [[label.name for label in each.labels] for each in found if isinstance(each, ImportedTask)] == [
        ["Apollo"], ["Gemini"],
    ]  # fmt: skip


# ----------------------------------------------------------------------------------------- broken, hostile


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (None, "a task: Expected 'object'"),
        ({"id": 7}, "task 7: Object missing required field 'title'"),
        (task(7, due_date="tomorrow"), "task 7: Invalid RFC3339"),
        (task(7, due_date="1066-10-14T00:00:00Z"), "task 7: the time 1066-10-14"),
        (task(7, comments=[{}]), "task 7: Object missing required field"),
    ],
)
async def test_a_broken_task_is_told_of_and_stops_no_other(broken: Any, told: str) -> None:
    first, fault, last = await read(packed([project(task(1), broken, task(2))]))
    assert isinstance(first, ImportedTask)
    assert isinstance(last, ImportedTask)
    assert isinstance(fault, ImportFault)
    assert (fault.line > 1, fault.detail[: len(told)]) == (True, told)


async def test_a_text_that_is_too_large_costs_its_task_alone() -> None:
    first, fault, last = await read(packed([project(task(1), task(7, "x" * LARGEST), task(2))]))
    assert isinstance(first, ImportedTask)
    assert isinstance(last, ImportedTask)
    assert isinstance(fault, ImportFault)
    assert fault.detail == "this task is too large"


async def test_deep_nesting_is_no_reason_to_fail() -> None:
    data = json.dumps([project(task(1), "DEEP")]).replace('"DEEP"', "[" * 100_000 + "]" * 100_000)
    assert [type(each) for each in await read(packed(data.encode()))] == [ImportedTask, ImportFault]


async def test_no_name_in_the_archive_is_a_path() -> None:
    data = [project(task(1, attachments=[{"id": 1, "file": {"id": 10, "name": "../../etc/passwd"}}]))]
    found = await read(packed(data, {"../files/10": b"evil", "/files/10": b"evil", "files/../files/10": b"evil"}))
    assert [type(each) for each in found] == [ImportedTask, Remark]
    assert isinstance(found[1], Remark)
    assert "'../../etc/passwd' is left out: it is not in the archive" in found[1].fault.detail


async def test_a_file_that_is_too_large_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "ENTRY", 100_000)
    data = [project(task(1, attachments=[attachment(1), attachment(2)]))]
    CONTENTS.clear()
    _, refused, taken = await read(packed(data, {"files/10": b"\0" * 200_000, "files/20": b"small"}))
    assert isinstance(refused, Remark)
    assert "it has more than 100000 bytes" in refused.fault.detail
    assert isinstance(taken, FoundFile)
    assert CONTENTS == [b"small"]


async def test_an_archive_that_unpacks_to_too_much_is_unreadable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "ENTRY", 1 << 20)
    bomb = packed(b"[" + b" " * (2 << 20) + b"]")
    assert len(bomb) < 10_000
    with pytest.raises(Unreadable, match=r"data\.json cannot be read: it has more than"):
        await read(bomb)


async def test_an_archive_that_lies_about_a_size_gives_out_no_more_than_it_says() -> None:
    whole = packed(json.dumps([project(task(1))]).encode() + b" " * 500_000)
    place = whole.index(b"PK\1\2", whole.index(b"PK\1\2") + 1)  # of data.json, the entry in the directory
    lying = bytearray(whole)
    lying[place + 24 : place + 28] = (100).to_bytes(4, "little")
    with pytest.raises(Unreadable):
        await read(bytes(lying))


async def test_a_file_whose_bytes_are_not_those_that_were_packed_is_left_out() -> None:
    data = [project(task(1, attachments=[attachment(1)]))]
    whole = bytearray(packed(data, {"files/10": bytes(range(256)) * 20}))
    start = whole.index(b"files/10") + len(b"files/10")
    whole[start + 20] ^= 0xFF
    found = await read(bytes(whole))
    assert [type(each) for each in found] == [ImportedTask, Remark]
    assert isinstance(found[1], Remark)
    assert "the archive is broken there" in found[1].fault.detail


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "this is no ZIP archive"),
        (b"PK\x03\x04", "this is no ZIP archive"),
        (b'[{"title": "Apollo"}]', "this is no ZIP archive"),
        (packed([project(task(1))])[:-10], "this is no ZIP archive"),
        (packed(b""), "this is not JSON"),
        (packed(b"{}"), "this is no list of projects"),
        (packed("[]".encode("utf-16")), "this is not JSON"),
        (packed(b"[" * 100_000), "this is not JSON"),
    ],
)
async def test_what_is_no_archive_is_unreadable(content: bytes, told: str) -> None:
    with pytest.raises(Unreadable) as caught:
        await read(content)
    assert caught.value.fault.detail.startswith(told)


async def test_an_archive_without_its_data_is_unreadable() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as written:
        written.writestr("../data.json", "[]")
    with pytest.raises(Unreadable, match=r"data\.json cannot be read: it is not in the archive"):
        await read(out.getvalue())


async def test_a_directory_that_is_too_large_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "DIRECTORY", 10_000)
    with pytest.raises(Unreadable, match="this archive has too many entries"):
        await read(packed([], {f"files/{n}": b"" for n in range(1000)}))


# ------------------------------------------------------------------------------------------- what becomes


@pytest.fixture(scope="module")
async def office(database: str | None, run_id: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Office]:
    """The task actor and the media actor with one object store."""
    async with contextlib.AsyncExitStack() as stack:
        store_url = await stack.enter_async_context(schemas(database, f"vikunja_{run_id}")) if database else None
        yield await stack.enter_async_context(office_of(store_url, f"file:{tmp_path_factory.mktemp('blobs')}"))


@pytest.fixture
def importers(office: Office) -> Importers:
    return Importers(office.stage, office.blobs)


FULL = packed(
    [
        project(
            task(1, "Order brass", attachments=[attachment(1, "plan.txt"), attachment(2, "bad.exe"), attachment(3)]),
            task(2, "Leave", related_tasks={"parenttask": [{"id": 1}]}, comments=[
                {"id": 1, "comment": "Soon", "created": DAY, "author": {"username": "bob"}},
            ]),
            {"id": 3},
        )
    ],
    {"files/10": b"Hello, moon!", "files/20": b"MZ\x90\x00\x03\x00\x00\x00" + b"\0" * 200},
)  # fmt: skip


async def files(importers: Importers, task_id: str) -> dict[str, str]:
    """Name → type of the files of a task."""
    office = Office(importers.stage, importers.blobs)
    grants = await office.word(task_id, importers.ada)
    page = await importers.stage.ask(ListAttachments(id=task_id), caller=importers.ada, grants=grants)
    return {each.filename: each.content_type for each in page.items}


async def test_an_archive_becomes_tasks_with_their_files(importers: Importers) -> None:
    result = await importers.imported(FULL, format="vikunja", name="moon.zip")
    assert (result.status, result.total, result.created, result.done) == ("done", 3, 2, 3)
    brass, leave = await importers.tasks_in(result.project_id)
    assert (brass.title, leave.title, leave.parent_id) == ("Order brass", "Leave", brass.id)
    assert await importers.comments(leave) == [("bob", "Soon")]
    assert await files(importers, brass.id) == {"plan.txt": "text/plain"}
    told = [each.detail for each in result.errors]
    assert [word for word in ("'a.txt' is left out", "'bad.exe' is left out", "task 3: ") if any(
        word in each for each in told)] == ["'a.txt' is left out", "'bad.exe' is left out", "task 3: "], told  # fmt: skip
    assert await importers.objects() == set()


async def test_the_same_archive_again_makes_nothing_and_doubles_no_file(importers: Importers) -> None:
    first = await importers.imported(FULL, format="vikunja")
    before = await importers.tasks_in(first.project_id)
    again = await importers.imported(FULL, first.project_id, format="vikunja")
    assert (again.status, again.created, again.skipped) == ("done", 0, 2)
    assert await importers.tasks_in(first.project_id) == before
    assert await files(importers, before[0].id) == {"plan.txt": "text/plain"}
    assert await importers.objects() == set()


async def test_of_an_archive_that_has_grown_only_what_is_new_is_added(importers: Importers) -> None:
    said = [{"id": n, "comment": f"{n}", "created": DAY} for n in range(2)]
    first = await importers.imported(packed([project(task(1, comments=said[:1]))]), format="vikunja")
    grown = packed([project(task(1, "Renamed", comments=said), task(2, "Leave"))])
    result = await importers.imported(grown, first.project_id, format="vikunja")
    assert (result.created, result.skipped) == (1, 1)
    land, leave = await importers.tasks_in(first.project_id)
    assert (land.title, land.comment_count, leave.title) == ("Land", 2, "Leave")


async def test_in_a_circle_of_parents_one_is_left_out(importers: Importers) -> None:
    tasks = [task(n, related_tasks={"parenttask": [{"id": n % 3 + 1}]}) for n in (1, 2, 3)]
    result = await importers.imported(packed([project(*tasks)]), format="vikunja")
    found = await importers.tasks_in(result.project_id)
    assert sum(each.parent_id is not None for each in found) == 2
    assert [each.detail for each in result.errors] == ["the parent is left out: that would be a circle"]


async def test_a_dry_run_counts_as_the_real_one_and_keeps_nothing(importers: Importers) -> None:
    target = await importers.project()
    dry = await importers.imported(FULL, target.id, format="vikunja", dry_run=True)
    assert await importers.tasks_in(target.id) == []
    assert await importers.objects() == set()
    real = await importers.imported(FULL, target.id, format="vikunja")
    for field in ("status", "created", "skipped", "done", "total"):
        assert getattr(real, field) == getattr(dry, field), field
