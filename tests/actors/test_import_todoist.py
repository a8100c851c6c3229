"""Projects of Todoist as CSV: what lines become, what is broken, and what is no such file."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

import pytest

from actors.contracts.task_import import ImportFault
from actors.imports import todoist
from actors.imports.item import Found, ImportedComments, ImportedTask, Remark, Unreadable
from tests.actors.importing import Importers

HEADER = "TYPE,CONTENT,DESCRIPTION,PRIORITY,INDENT,AUTHOR,RESPONSIBLE,DATE,DATE_LANG,TIMEZONE\n"
NINE = 1_795_510_800_000
"""2026-11-24T09:00:00Z."""


def line(content: str, indent: int | str = 1, priority: int | str = 4, **cells: str) -> str:
    """A task."""
    names = HEADER.strip().split(",")[2:]
    row = {"PRIORITY": priority, "INDENT": indent, **cells}
    return ",".join(["task", content, *(str(row.get(name, "")) for name in names)]) + "\n"


def note(text: str, author: str = "Bob (123)", date: str = "2026-11-24T09:00:00Z") -> str:
    return f"note,{text},,,,{author},,{date},,\n"


async def read(content: bytes | str, size: int = 7, mapping: Mapping[str, str] | None = None) -> list[Found]:
    octets = content.encode() if isinstance(content, str) else content

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(octets), size):
            yield octets[start : start + size]

    return [each async for each in todoist.read(pieces, mapping or {})]


async def tasks(content: str) -> list[ImportedTask]:
    return [each for each in await read(HEADER + content) if isinstance(each, ImportedTask)]


async def task(content: str) -> ImportedTask:
    (found,) = await read(HEADER + content)
    assert isinstance(found, ImportedTask), found
    return found


# ---------------------------------------------------------------------------------------------------- read


@pytest.mark.parametrize(("theirs", "ours"), [("1", 4), ("2", 3), ("3", 2), ("4", 0), ("", 0)])
async def test_one_is_their_highest_priority(theirs: str, ours: int) -> None:
    assert (await task(line("Land", priority=theirs))).priority == ours


async def test_indent_says_what_lies_below_what() -> None:
    found = await tasks(line("a") + line("b", 2) + line("c", 3) + line("d", 3) + line("e", 2) + line("f"))
    names = {each.source: each.title for each in found}
    assert [names.get(each.parent or "") for each in found] == [None, "a", "b", "b", "a", None]


async def test_an_indent_that_jumps_lies_below_what_is_there() -> None:
    found = await tasks(line("a") + line("b", 4) + line("c", 4) + line("d", 2))
    names = {each.source: each.title for each in found}
    assert [names.get(each.parent or "") for each in found] == [None, "a", "a", "a"]


async def test_what_lies_below_a_broken_task_is_not_put_below_another() -> None:
    found = await tasks(line("a") + line("broken", 1, 9) + line("b", 2) + line("c", 3) + line("d", 2))
    names = {each.source: each.title for each in found}
    assert [(each.title, names.get(each.parent or "")) for each in found] == [
        ("a", None), ("b", None), ("c", "b"), ("d", None),
    ]  # fmt: skip


async def test_notes_are_comments_on_the_task_before_them() -> None:
    land, first, second = await read(HEADER + line("Land") + note('"Bring, two ""keys"""') + note("Yes", "", ""))
    assert isinstance(land, ImportedTask)
    assert isinstance(first, ImportedComments)
    assert isinstance(second, ImportedComments)
    assert (first.of, second.of) == (land.source, land.source)
    (one,), (other,) = first.comments, second.comments
    assert (one.author, one.body, one.created_at) == ("Bob", 'Bring, two "keys"', NINE)
    assert (other.author, other.body, other.created_at) == ("unknown", "Yes", None)


async def test_sections_and_words_with_an_at_are_labels() -> None:
    first, second, third = await tasks(
        line("Mail ada@example.org @urgent @home") + "section,Later,,,,,,,,\n" + line("Land @home") + line("@alone")
    )
    assert (first.title, [each.name for each in first.labels]) == ("Mail ada@example.org", ["urgent", "home"])
    assert (second.title, [each.name for each in second.labels]) == ("Land", ["home", "Later"])
    assert third.title == "@alone"


@pytest.mark.parametrize(
    ("text", "zone"),
    [
        ("2026-11-24T09:00:00Z", ""),
        ("24 Nov 2026 10:00", "Europe/Berlin"),
        ("2026-11-24 04:00", "America/New_York"),
        ("Nov 24 2026 9:00 AM", ""),
    ],
)
async def test_a_whole_date_is_the_due_date_in_its_zone(text: str, zone: str) -> None:
    assert (await task(line("Land", DATE=text, TIMEZONE=zone))).due_at == NINE


async def test_a_date_that_cannot_be_read_stands_in_the_description_and_is_told_of() -> None:
    found, remark = await read(HEADER + line("Land", DATE="every other day", DESCRIPTION="Softly"))
    assert isinstance(found, ImportedTask)
    assert (found.due_at, found.description) == (None, "Softly\n\nDATE: every other day")
    assert isinstance(remark, Remark)
    assert (remark.fault.line, "'every other day' is no date" in remark.fault.detail) == (2, True)


async def test_names_of_columns_may_be_mapped_and_the_header_says_what_separates() -> None:
    (found,) = await read(
        "Art;Inhalt;Prio\ntask;Land;1\n", mapping={"Art": "TYPE", "Inhalt": "CONTENT", "Prio": "PRIORITY"}
    )
    assert isinstance(found, ImportedTask)
    assert (found.title, found.priority) == ("Land", 4)


async def test_a_byte_order_mark_meta_lines_and_empty_lines_are_no_matter() -> None:
    found = await read(f"\ufeff{HEADER}meta,view_style=list,,,,,,,,\n,,,,,,,,,\n\n{line('Land')}")
    assert [type(each) for each in found] == [ImportedTask]


# ----------------------------------------------------------------------------------------- broken, hostile


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (line("Land", priority=5), "a task: PRIORITY must be a number from 1 to 4"),
        (line("Land", priority="high"), "a task: PRIORITY must be a number from 1 to 4"),
        (line("Land", indent=0), "a task: INDENT must be a number from 1 to 100"),
        (line("Land", indent=101), "a task: INDENT must be a number from 1 to 100"),
        (line("Land", indent="deep"), "a task: INDENT must be a number from 1 to 100"),
        (line("Land", indent="9" * 5000), "a task: INDENT must be a number from 1 to 100"),
        (line(""), "a task: CONTENT says nothing"),
        (line("\x00\x1b"), "a task: CONTENT says nothing"),
        ('task,"a"b,,,\n', "this is no line of a table"),
        (line("x" * 140_000), "this is no line of a table"),
    ],
)
async def test_a_broken_line_is_told_of_and_stops_no_other(text: str, told: str) -> None:
    found = await read(HEADER + line("a") + text + line("b"), 1000)
    assert [isinstance(each, ImportedTask) for each in found] == [True, False, True]
    fault = found[1]
    assert isinstance(fault, ImportFault)
    assert (fault.line, fault.detail[: len(told)]) == (3, told)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (note("lost"), "a note belongs to no task before it"),
        ("label,x,,,\n", "a line of the type 'label' is none that is known"),
    ],
)
async def test_a_line_that_is_no_task_is_told_of_and_counts_as_none(text: str, told: str) -> None:
    assert await read(HEADER + text) == [Remark(ImportFault(line=2, detail=told))]


async def test_notes_on_a_broken_task_are_not_put_on_another() -> None:
    found = await read(HEADER + line("a") + line("broken", priority=9) + note("about the broken one"))
    assert [type(each) for each in found] == [ImportedTask, ImportFault, Remark]


@pytest.mark.parametrize("formula", ["=1+1", "+1", "-1", '"=HYPERLINK(""http://x"")"'])
async def test_a_formula_comes_as_the_text_that_it_is(formula: str) -> None:
    assert (await task(line(formula))).title == formula.strip('"').replace('""', '"')


@pytest.mark.parametrize(
    ("content", "line", "told"),
    [
        (b"", 1, "there is no header"),
        (b"TYPE,TITLE\n", 1, "there is no column 'CONTENT'"),
        ((HEADER + line("Länd")).encode("latin-1"), 2, "this is not UTF-8"),
        ((HEADER + line("Land")).encode("utf-16"), 1, "this is not UTF-8"),
        (HEADER.encode() + b'task,"never closed\n', 2, "a quote is not closed"),
        (HEADER.encode() + b'task,"' + b"x\n" * 600_000, 2, "a line of the table has more than"),
        (b"PK\x03\x04\xff", 1, "this is not UTF-8"),
    ],
)
async def test_what_is_no_such_table_is_unreadable(content: bytes, line: int, told: str) -> None:
    with pytest.raises(Unreadable) as caught:
        await read(content, 1000)
    assert (caught.value.fault.line, caught.value.fault.detail[: len(told)]) == (line, told)


async def test_a_mapping_to_what_is_no_column_is_unreadable() -> None:
    with pytest.raises(Unreadable, match="the mapping names 'WHO', which is no column"):
        await read(HEADER, mapping={"RESPONSIBLE": "WHO"})


# ------------------------------------------------------------------------------------------- what becomes

FULL = (
    HEADER
    + line("Order brass @shop", priority=1, RESPONSIBLE="Someone (7)", DATE="2026-11-24T09:00:00Z")
    + note("Soon")
    + note("Soon")
    + line("Polish it", 2, 2)
    + line("Broken", 1, 9)
    + line("Leave", 1, 3)
)


async def test_a_table_becomes_tasks_with_all_that_hangs_on_them(importers: Importers) -> None:
    project = await importers.project()
    await importers.join(project, importers.bob)
    result = await importers.imported(FULL.encode(), project.id, format="todoist-csv")
    assert (result.status, result.total, result.created, result.done) == ("done", 4, 3, 4)
    assert [(each.line, each.detail) for each in result.errors] == [
        (6, "a task: PRIORITY must be a number from 1 to 4"),
    ]
    brass, polish, leave = await importers.tasks_in(project.id)
    assert (brass.title, brass.priority, brass.due_at) == ("Order brass", 4, "2026-11-24T09:00:00.000Z")
    assert (brass.assignee_ids, len(brass.label_ids)) == ([importers.bob], 1)
    assert await importers.comments(brass) == [("Bob", "Soon"), ("Bob", "Soon")]
    assert (polish.parent_id, polish.priority) == (brass.id, 3)
    assert (leave.parent_id, leave.priority) == (None, 2)
    assert (await importers.labels(project.id)).keys() == {"shop"}


async def test_the_same_table_again_makes_nothing_and_a_grown_one_only_what_is_new(importers: Importers) -> None:
    project = await importers.project()
    await importers.imported(FULL.encode(), project.id, format="todoist-csv")
    before = await importers.tasks_in(project.id)
    again = await importers.imported(FULL.encode(), project.id, format="todoist-csv")
    assert (again.status, again.created, again.skipped) == ("done", 0, 3)
    assert await importers.tasks_in(project.id) == before
    grown = FULL.replace(line("Polish it", 2, 2), note("Late") + line("Cut it", 2) + line("Polish it", 2, 2))
    result = await importers.imported(grown.encode(), project.id, format="todoist-csv")
    assert (result.created, result.skipped) == (1, 3)
    found = {each.title: each for each in await importers.tasks_in(project.id)}
    assert found["Cut it"].parent_id == found["Order brass"].id
    assert [body for _, body in await importers.comments(found["Order brass"])] == ["Soon", "Soon", "Late"]


async def test_a_dry_run_counts_as_the_real_one_and_changes_nothing(importers: Importers) -> None:
    project = await importers.project()
    dry = await importers.imported(FULL.encode(), project.id, format="todoist-csv", dry_run=True)
    assert await importers.tasks_in(project.id) == []
    real = await importers.imported(FULL.encode(), project.id, format="todoist-csv")
    for field in ("status", "created", "skipped", "done", "total", "errors"):
        assert getattr(real, field) == getattr(dry, field), field


async def test_without_a_project_one_is_made_and_named_after_the_file(importers: Importers) -> None:
    result = await importers.imported(FULL.encode(), format="todoist-csv", name="Moon.csv")
    assert (result.status, len(await importers.tasks_in(result.project_id))) == ("done", 3)
