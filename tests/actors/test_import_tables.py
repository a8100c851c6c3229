"""Tables of tasks: good, broken and hostile files, and what becomes of them."""

from __future__ import annotations

import tracemalloc
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from actors.contracts.task_import import ImportFault
from actors.imports import table
from actors.imports.item import Found, ImportedTask, Unreadable
from tests.actors.importing import Importers


async def pieces(content: bytes, size: int = 7) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


async def read(content: bytes | str, size: int = 7, mapping: Mapping[str, str] | None = None) -> list[Found]:
    octets = content.encode() if isinstance(content, str) else content
    return [each async for each in table.read(lambda: pieces(octets, size), mapping or {})]


async def task(content: bytes | str, **mapping: str) -> ImportedTask:
    (found,) = await read(content, mapping=mapping)
    assert isinstance(found, ImportedTask), found
    return found


# --------------------------------------------------------------------------------------------------- good


async def test_columns_are_fields() -> None:
    found = await task(
        "Title, Description ,status,priority,labels,start_at,due_at,estimate_minutes,number,created_at,colour\r\n"
        'Land,"two\r\nlines, ""quoted""",in_review,4,a; b;;a,2026-11-24T10:00:00+01:00,2026-11-25T09:00:00Z,30,7,'
        "2026-11-01T00:00:00Z,red\r\n".replace("Title, Description ", "Title,Description ")
    )
    assert (found.title, found.description, found.status) == ("Land", 'two\r\nlines, "quoted"', "in_review")
    assert (found.priority, found.estimate_minutes, found.number) == (4, 30, 7)
    assert [label.name for label in found.labels] == ["a", "b"]
    assert (found.start_at, found.due_at) == (1_795_510_800_000, 1_795_597_200_000)
    assert (found.created_at, found.updated_at) == (1_793_491_200_000, None)


async def test_another_line_is_a_parent_by_its_id_and_people_are_names() -> None:
    child, parent = await read("title,id,parent_id,assignees\nChild,1,2,Bob; Ada;;\nParent,2,,\n")
    assert isinstance(child, ImportedTask)
    assert isinstance(parent, ImportedTask)
    assert (child.parent, child.assignees) == (parent.source, [("Bob",), ("Ada",)])


async def test_what_is_empty_is_the_default() -> None:
    found = await task("title,status,priority,due_at,labels\nLand,,,,\n")
    assert found == ImportedTask(source=found.source, line=2, title="Land")


async def test_a_mapping_names_columns_and_beats_names_that_fit() -> None:
    found = await task("Aufgabe,title,Prio\nLand,x,3", Aufgabe="title", Prio="priority")
    assert (found.title, found.priority) == ("Land", 3)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
async def test_the_header_says_what_separates(separator: str) -> None:
    found = await task(separator.join(("title", "status")) + "\n" + separator.join(("Land", "done")))
    assert (found.title, found.status) == ("Land", "done")


async def test_a_byte_order_mark_and_empty_lines_are_no_matter() -> None:
    first, second = await read("\ufefftitle\r\n\r\nLand\r\n   \r\nLeave")
    assert isinstance(first, ImportedTask)
    assert isinstance(second, ImportedTask)
    assert (first.title, second.title) == ("Land", "Leave")


@pytest.mark.parametrize("size", [1, 3, 1000])
async def test_the_line_of_a_fault_is_the_files(size: int) -> None:
    content = 'title,priority\n"a\nb\nc",1\nLand,9\n"d\ne",x\n'
    found = await read(content, size)
    assert [each.line for each in found if isinstance(each, ImportFault)] == [5, 6]


async def test_a_source_is_the_same_when_the_file_has_grown() -> None:
    before = await read("title,id,number\nLand,,\nLand,,\nA,x,\nB,,7\n")
    after = await read("title,id,number\nNew,,\nLand,,\nA again,x,\nLand,,\nB again,,7\nLand,,\n")
    sources = [each.source for each in before if isinstance(each, ImportedTask)]
    assert len(set(sources)) == 4
    assert set(sources) < {each.source for each in after if isinstance(each, ImportedTask)}


# ------------------------------------------------------------------------------------- broken and hostile


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("Land,9,,", "priority"),
        ("Land,high,,", "priority"),
        ("Land,,open,", "status"),
        ("Land,,,2026-11-24", "due_at"),
        ("Land,,,2026-11-24T10:00:00", "due_at"),
        ("Land,,,1066-10-14T00:00:00Z", "years 1970 to 9999"),
        (",1,,", "title"),
        ("\x1b\x07,,,", "the title says nothing"),
        ("a,b,c,d,e", "5 cells, but 4 columns"),
        ('"a"b,,,', "no line of a table"),
        ("x" * 140_000, "no line of a table"),
    ],
)
async def test_a_broken_line_is_told_of_and_stops_no_other(line: str, told: str) -> None:
    found = await read(f"title,priority,status,due_at\nA,,,\n{line}\nB,,,\n", 1000)
    assert [isinstance(each, ImportedTask) for each in found] == [True, False, True]
    fault = found[1]
    assert isinstance(fault, ImportFault)
    assert (fault.line, told in fault.detail) == (3, True), fault


@pytest.mark.parametrize(
    ("content", "line", "told"),
    [
        (b"", 1, "no header"),
        (b"name,due\nLand,\n", 1, "no column 'title'"),
        (b"title,TITLE\na,b\n", 1, "more than one column"),
        ("title\nLänd\n".encode("latin-1"), 2, "not UTF-8"),
        ("title\nLand\n".encode("utf-16"), 1, "not UTF-8"),
        (b'title\nLand\n"never closed\nx\n', 3, "not closed"),
        (b'title\n"' + b"x\n" * 600_000, 2, "not closed"),
        (b"PK\x03\x04\x00\x00\xff", 1, "not UTF-8"),
    ],
)
async def test_what_is_no_table_is_unreadable(content: bytes, line: int, told: str) -> None:
    with pytest.raises(Unreadable) as error:
        await read(content, 1000)
    assert (error.value.fault.line, told in error.value.fault.detail) == (line, True), error.value.fault


@pytest.mark.parametrize(
    ("mapping", "told"), [({"name": "title", "x": "due_at"}, "'x'"), ({"name": "owner"}, "'owner'")]
)
async def test_a_mapping_that_does_not_fit_is_told_of(mapping: dict[str, str], told: str) -> None:
    with pytest.raises(Unreadable) as error:
        await read("name\nLand\n", mapping=mapping)
    assert told in error.value.fault.detail


@pytest.mark.parametrize("formula", ["=1+1", "+1", "-1", "@SUM(A1)"])
async def test_a_formula_comes_as_the_text_that_it_is(formula: str) -> None:
    assert (await task(f"title\n'{formula}\n")).title == formula
    assert (await task(f"title\n{formula}\n")).title == formula


async def test_memory_does_not_grow_with_the_file() -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield b"title,description,id\n"
        for n in range(3000):
            yield b"Land," + b"x" * 10_000 + b",%d\n" % n

    tracemalloc.start()
    count = 0
    async for _ in table.read(endless, {}):
        count += 1
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 3000
    assert peak < 3_000_000


# ------------------------------------------------------------------------------------------- what becomes


async def test_a_table_becomes_tasks_once(importers: Importers) -> None:
    content = (
        b"title,status,priority,labels,due_at,estimate_minutes\n"
        b"Land,done,3,a;b,2026-11-25T09:00:00Z,30\nLeave,,,a,,\nBroken,,9,,,\n"
    )
    done = await importers.imported(content, format="csv", name="plan.csv")
    assert (done.status, done.total, done.created, done.skipped) == ("done", 3, 2, 0)
    assert [fault.line for fault in done.errors] == [4]
    first, second = await importers.tasks_in(done.project_id)
    assert (first.title, first.status, first.priority, first.estimate_minutes) == ("Land", "done", 3, 30)
    assert (first.due_at, first.completed_at is not None) == ("2026-11-25T09:00:00.000Z", True)
    assert (second.title, second.status, second.completed_at) == ("Leave", "todo", None)
    assert done.project_id is not None
    assert (await importers.labels(done.project_id)).keys() == {"a", "b"}
    again = await importers.imported(content + b"New,,,,,\n", done.project_id, format="csv")
    assert (again.created, again.skipped) == (1, 2)
    assert [each.title for each in await importers.tasks_in(done.project_id)] == ["Land", "Leave", "New"]


async def test_in_a_circle_of_parents_one_is_left_out(importers: Importers) -> None:
    content = b"title,id,parent_id\nA,1,3\nB,2,1\nC,3,2\nD,4,4\nE,5,6\n"
    done = await importers.imported(content, format="csv")
    parents = {each.id: each.parent_id for each in await importers.tasks_in(done.project_id)}
    assert (done.status, done.created, sum(each is not None for each in parents.values())) == ("done", 5, 2)
    assert [(each.line, each.detail) for each in done.errors] == [
        (2, "the parent is left out: that would be a circle"),
        (5, "the parent is left out: that would be a circle"),
        (6, "the parent is left out: it is not in this file"),
    ]


async def test_a_mapping_travels_along_and_a_dry_run_makes_nothing(importers: Importers) -> None:
    how: dict[str, Any] = {"format": "csv", "mapping": {"Aufgabe": "title"}, "dry_run": True}
    done = await importers.imported(b"Aufgabe\nLand\nLeave\n", **how)
    assert (done.status, done.total, done.created, done.project_id) == ("done", 2, 2, None)
    failed = await importers.imported(b"Aufgabe\nLand\n", format="csv")
    assert (failed.status, failed.errors[0].detail) == ("failed", "there is no column 'title' in this file")
