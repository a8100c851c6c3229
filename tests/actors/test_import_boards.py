"""Boards of Trello, templates of Todoist and archives of Vikunja: good, broken and hostile, and what becomes of them."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from actors.contracts.task_import import FileImported, ImportFault, ImportFormat
from actors.contracts.user import Person, UserCreated
from actors.imports import FORMATS
from actors.imports.conversion import Conversion, read_line
from actors.imports.item import (
    Found,
    FoundFile,
    ImportedComments,
    ImportedLink,
    ImportedTask,
    Line,
    Remark,
    Unreadable,
)
from actors.imports.markdown import to_markdown
from tests.actors.importing import Importers

REAL = Path(__file__).parents[3] / "shared" / "data" / "trello-export.json"
DAY = "2026-11-24T09:00:00Z"
DAY_MS = 1_795_510_800_000
CARD = "65f000000000000000000001"


async def read(format: ImportFormat, content: bytes, mapping: Mapping[str, str] | None = None) -> list[Found]:
    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(content), 1000):
            yield content[start : start + 1000]

    return [each async for each in FORMATS[format].read(pieces, mapping or {})]


async def converted(format: ImportFormat, content: bytes) -> tuple[list[Line], Conversion]:
    async def pieces() -> AsyncIterator[bytes]:
        yield content

    conversion = Conversion(FORMATS[format])
    return [read_line(line) async for line in conversion.lines(pieces)], conversion


def tasks(found: list[Found] | list[Line]) -> list[ImportedTask]:
    return [each for each in found if isinstance(each, ImportedTask)]


def told(found: list[Found]) -> list[str]:
    faults = [
        each.fault if isinstance(each, Remark) else each for each in found if isinstance(each, Remark | ImportFault)
    ]
    return [fault.detail for fault in faults]


# ------------------------------------------------------------------------------------------------ Trello


def card(**fields: Any) -> dict[str, Any]:
    return {"id": CARD, "name": "Land", "idList": "l1", "idShort": 7, "pos": 16384, **fields}


def board(*cards: Any, **members: Any) -> bytes:
    """As Trello writes it: actions before cards, cards before what they refer to."""
    action = {
        "id": "a1", "type": "commentCard", "date": DAY, "memberCreator": {"id": "m1", "fullName": "Bob Bee"},
        "data": {"text": "Softly", "card": {"id": CARD}},
    }  # fmt: skip
    item = {"id": "65f000000000000000000009", "name": "Fuel", "state": "complete", "idMember": "m1", "pos": 1}
    whole = {
        "id": "b", "name": "Apollo", "desc": "To the moon", "actions": [action], "cards": list(cards),
        "checklists": [{"id": "c", "idCard": CARD, "name": "Before", "checkItems": [item]}],
        "labels": [{"id": "x", "name": "unused", "color": "red"}],
        "lists": [{"id": "l1", "name": "In Progress"}, {"id": "l2", "name": "Somewhen"}],
        "members": [{"id": "m1", "fullName": "Bob Bee", "username": "bee"}],
    }  # fmt: skip
    return json.dumps({**whole, **members}, indent=1).encode()


async def test_a_card_has_all_that_a_task_can_have() -> None:
    whole = card(
        desc="Gently", due=DAY, dueReminder=60, start=DAY, dateLastActivity=DAY, idMembers=["m1", "gone"],
        labels=[{"name": "", "color": "green_dark"}, {"name": "big", "color": None}],
        attachments=[{"name": "a [map]", "url": "https://x.org/a"}, {"name": "bad", "url": "javascript:x"}],
    )  # fmt: skip
    found = await read("trello", board(whole))
    task, item = tasks(found)
    assert (task.title, task.number, task.status, task.due_at, task.start_at) == (
        "Land",
        7,
        "in_progress",
        DAY_MS,
        DAY_MS,
    )
    assert task.description == "Gently\n\n- [a map](https://x.org/a)\n- bad"
    assert task.remind_at == [DAY_MS - 3_600_000]
    assert [label.name for label in task.labels] == ["green", "big"]
    assert task.assignees == [("Bob Bee", "bee")]
    assert task.created_at == int(CARD[:8], 16) * 1000
    assert (item.title, item.status, item.parent, item.description) == ("Fuel", "done", task.source, "Before")
    (said,) = (each for each in found if isinstance(each, ImportedComments))
    assert [(each.author, each.body, each.created_at) for each in said.comments] == [("Bob Bee", "Softly", DAY_MS)]
    assert said.of == task.source


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"idList": "l2"}, "todo"),
        ({"idList": "nowhere"}, "todo"),
        ({"closed": True}, "done"),
        ({"dueComplete": True}, "done"),
    ],
)
async def test_the_list_is_the_status_unless_the_card_is_archived(fields: dict[str, Any], status: str) -> None:
    assert tasks(await read("trello", board(card(**fields))))[0].status == status


async def test_a_mapping_names_lists() -> None:
    found = await read("trello", board(card()), {"In Progress": "in_review", "None": "done"})
    assert tasks(found)[0].status == "in_review"
    assert told(found) == ["there is no list 'None', which the mapping names"]
    with pytest.raises(Unreadable) as error:
        await read("trello", board(card()), {"In Progress": "doing"})
    assert "no status" in error.value.fault.detail


@pytest.mark.parametrize("broken", [None, [], "x", {"id": "x"}, card(name=None), card(due="soon"), card(idMembers=[1])])
async def test_a_broken_card_is_told_of_and_stops_no_other(broken: Any) -> None:
    found = await read("trello", board(broken, card()))
    assert [task.title for task in tasks(found)] == ["Land", "Fuel"]
    assert len(told(found)) == 1


async def test_deep_cards_are_no_reason_to_fail() -> None:
    content = board("DEEP", card()).replace(b'"DEEP"', b"[" * 100_000 + b"]" * 100_000)
    assert len(tasks(await read("trello", content))) == 2


async def test_a_board_becomes_a_project_with_its_people(importers: Importers) -> None:
    await importers.stage.given(UserCreated(person=Person(id=importers.ada, name="Bob Bee", active=True, version=1)))
    importers.events()
    content = board(card(idMembers=["m1"]))
    done = await importers.imported(content, format="trello")
    assert (done.status, done.created, done.errors) == ("done", 2, [])
    task, item = await importers.tasks_in(done.project_id)
    assert (task.assignee_ids, item.assignee_ids, item.parent_id) == ([importers.ada], [importers.ada], task.id)
    assert await importers.comments(task) == [("Bob Bee", "Softly")]
    assert done.project_id is not None
    assert (await importers.labels(done.project_id)).keys() == {"unused"}
    again = await importers.imported(board(card(), card(id="new", pos=1)), done.project_id, format="trello")
    assert (again.created, again.skipped) == (1, 2)
    assert await importers.comments(task) == [("Bob Bee", "Softly")]
    told = {type(event).__name__ for event in importers.events()}
    assert told == {"MemberAdded", "ImportDone"}, "history notifies nobody"


async def test_cards_stand_as_on_their_board(importers: Importers) -> None:
    cards = [card(id=f"c{pos}", name=str(pos), pos=pos) for pos in (300, 20.5, 20.25, 1e15, 4)]
    done = await importers.imported(board(*cards, checklists=[]), format="trello")
    titles = [task.title for task in await importers.tasks_in(done.project_id)]
    assert titles == ["4", "20.25", "20.5", "300", "1000000000000000.0"]
    assert done.project_id is not None
    project = await importers.imported(board(card(id="z", name="first", pos=0)), done.project_id, format="trello")
    assert (await importers.tasks_in(project.project_id))[5].title in {"first", "Fuel"}, "another import, behind"


@pytest.mark.skipif(not REAL.is_file(), reason="the board of a real team is not beside this one")
async def test_a_real_board_is_read_whole() -> None:
    content = REAL.read_bytes()
    whole = json.loads(content)
    lines, conversion = await converted("trello", content)
    assert conversion.faults == []
    assert conversion.total == len(whole["cards"]) + sum(len(each["checkItems"]) for each in whole["checklists"])
    assert len(tasks(lines)) == conversion.total


# ----------------------------------------------------------------------------------------------- Todoist

HEADER = "TYPE,CONTENT,DESCRIPTION,PRIORITY,INDENT,AUTHOR,RESPONSIBLE,DATE,DATE_LANG,TIMEZONE,DURATION,DURATION_UNIT\n"


async def test_todoist_tells_what_lies_below_what() -> None:
    rows = (
        "task,Land @home @big,Gently,1,1,Ada (12),Bob Bee (13),2026-11-24,en,Europe/Berlin,90,minute\n"
        "note,Softly,,,,Bob Bee (13),,2026-11-24T09:00:00Z,,,,\n"
        "task,Fuel,,4,2,,,,,,,\n,,,,,,,,,,,\n"
        "section,Later,,,,,,,,,,\ntask,Leave,,2,3,,,,,,,\n"
    )
    lines, conversion = await converted("todoist-csv", ("\ufeff" + HEADER + rows).encode())
    land, fuel, leave = tasks(lines)
    assert (land.title, land.description, land.priority, land.estimate_minutes) == ("Land", "Gently", 4, 90)
    assert [label.name for label in land.labels] == ["home", "big"]
    assert land.due_at == 1_795_474_800_000, "midnight in Berlin"
    assert land.assignees == [("Bob Bee",)]
    assert (fuel.parent, fuel.priority, leave.parent, leave.priority) == (land.source, 0, None, 3)
    assert [label.name for label in leave.labels] == ["Later"]
    (said,) = (each for each in lines if isinstance(each, ImportedComments))
    assert [(each.author, each.body, each.created_at) for each in said.comments] == [("Bob Bee", "Softly", DAY_MS)]
    assert conversion.faults == []


@pytest.mark.parametrize(
    ("row", "detail", "kept"),
    [
        ("task,Land,,9,1,,,,,,,", "PRIORITY", 0),
        ("task,Land,,1,x,,,,,,,", "invalid literal", 0),
        ("task,Land,,1,999,,,,,,,", "INDENT", 0),
        ("task,,,1,1,,,,,,,", "CONTENT says nothing", 0),
        ("goal,Land,,1,1,,,,,,,", "type 'goal'", 0),
        ("note,Land,,,,,,,,,,", "no task before it", 0),
        ("task,Land,,1,1,,,every! 3 days,,,,", "no date that can be read", 1),
        ('task,"Land"x,,1,1,,,,,,,', "no line of a table", 0),
    ],
)
async def test_broken_rows_of_todoist_are_told_of(row: str, detail: str, kept: int) -> None:
    found = await read("todoist-csv", f"{HEADER}{row}\ntask,Fuel,,1,1,,,,,,,\n".encode())
    assert len(tasks(found)) == kept + 1
    (only,) = told(found)
    assert detail in only
    if kept:
        assert "every! 3 days" in tasks(found)[0].description


@pytest.mark.parametrize(
    "content", [b"", b"a,b\n", "TYPE,CONTENT\ntask,L\xe4nd\n".encode("latin-1"), b"PK\x03\x04\xff"]
)
async def test_what_is_no_template_is_unreadable(content: bytes) -> None:
    with pytest.raises(Unreadable):
        await read("todoist-csv", content)


async def test_a_template_that_has_grown_is_known_again(importers: Importers) -> None:
    rows = "task,Land,,1,1,,,,,,,\nnote,Soon,,,,Bob,,,,,,\ntask,Fuel,,1,2,,,,,,,\ntask,=1+1,,1,1,,,,,,,\n"
    first = await importers.imported((HEADER + rows).encode(), format="todoist-csv")
    again = await importers.imported(
        (HEADER + "task,New,,1,1,,,,,,,\n" + rows).encode(), first.project_id, format="todoist-csv"
    )
    assert (first.created, again.created, again.skipped) == (3, 1, 3)
    found = await importers.tasks_in(first.project_id)
    assert [(task.title, task.comment_count) for task in found] == [("Land", 1), ("Fuel", 0), ("=1+1", 0), ("New", 0)]
    assert found[1].parent_id == found[0].id


# ----------------------------------------------------------------------------------------------- Vikunja


def entry(id: int = 1, **fields: Any) -> dict[str, Any]:
    return {"id": id, "title": f"Task {id}", "project_id": 1, "index": id, "created": DAY, "updated": DAY, **fields}


def archive_of(
    *projects: Any, files: Mapping[str, bytes] | None = None, compression: int = zipfile.ZIP_DEFLATED
) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", compression) as archive:
        archive.writestr("data.json", json.dumps(projects))
        for name, octets in (files or {}).items():
            archive.writestr(name, octets)
    return content.getvalue()


def project(*entries: Any, title: str = "Apollo", **fields: Any) -> dict[str, Any]:
    return {"id": 1, "title": title, "description": "<p>To the moon</p>", "tasks": list(entries), **fields}


async def test_a_task_of_vikunja_has_all_that_a_task_can_have() -> None:
    whole = entry(
        description="<p>Go <strong>far</strong></p>", priority=5, due_date=DAY, done_at="0001-01-01T00:00:00Z",
        reminders=[{"reminder": DAY}], repeat_after=172_800, assignees=[{"name": "", "username": "bee"}],
        labels=[{"title": "big", "hex_color": "ff0000"}], position=3.5,
        comments=[{"id": 4, "comment": "<p>Yes</p>", "created": DAY, "author": {"name": "Bob"}}],
        related_tasks={"parenttask": [{"id": 2}], "blocking": [{"id": 2}]},
        attachments=[{"id": 9, "file": {"id": 5, "name": "a.txt"}, "created": DAY}],
    )  # fmt: skip
    buckets: dict[str, Any] = {
        "buckets": [{"id": 3, "title": "Doing"}],
        "task_buckets": [{"task_id": 2, "bucket_id": 3}],
    }
    found = await read("vikunja", archive_of(project(whole, entry(2), **buckets), files={"files/5": b"text"}))
    task, other = tasks(found)
    assert (task.description, task.priority, task.due_at, task.completed_at) == ("Go **far**", 4, DAY_MS, None)
    assert (task.number, task.parent, other.status, task.assignees) == (1, other.source, "in_progress", [("bee",)])
    assert task.recurrence is not None
    assert (task.recurrence.rule, task.remind_at) == ("FREQ=DAILY;INTERVAL=2", [DAY_MS])
    assert [(each.name, each.color) for each in task.labels] == [("big", "#ff0000")]
    assert [(each.author, each.body) for each in task.comments] == [("Bob", "Yes")]
    assert [each.kind for each in found if isinstance(each, ImportedLink)] == ["blocks"]
    assert [each.file.filename for each in found if isinstance(each, FoundFile)] == ["a.txt"]


async def test_several_projects_are_labels() -> None:
    found = await read("vikunja", archive_of(project(entry(1)), {**project(entry(2), title="Gemini"), "id": 2}))
    assert [[label.name for label in task.labels] for task in tasks(found)] == [["Apollo"], ["Gemini"]]


async def test_circles_of_parents_are_cut_and_told_of() -> None:
    below = [
        entry(n, related_tasks={"parenttask": [{"id": n % 3 + 1}], "blocking": [{"id": n % 3 + 1}]}) for n in (1, 2, 3)
    ]
    lines, conversion = await converted(
        "vikunja", archive_of(project(*below, entry(4, related_tasks={"parenttask": [{"id": 4}]})))
    )
    assert sorted(fault.detail for fault in conversion.faults) == [
        "the parent is left out: that would be a circle",
        "the parent is left out: that would be a circle",
        "the task that this one blocks is left out: that would be a circle",
    ]
    links = [each for each in lines if isinstance(each, ImportedLink)]
    assert [each.kind for each in links].count("blocks") == 2
    assert len([task for task in tasks(lines) if task.parent]) + [each.kind for each in links].count("parent") == 2


@pytest.mark.parametrize(
    ("content", "detail"),
    [
        (b"", "no ZIP archive"),
        (b"{}", "no ZIP archive"),
        (b"PK\x05\x06" + b"\xff" * 18, "too many entries"),
        (archive_of(files={"../data.json": b"[]"})[:-30], "no ZIP archive"),
        (archive_of(compression=zipfile.ZIP_BZIP2), "packed in a way"),
    ],
)
async def test_what_is_no_archive_of_vikunja_is_unreadable(content: bytes, detail: str) -> None:
    with pytest.raises(Unreadable) as error:
        await read("vikunja", content)
    assert detail in error.value.fault.detail


async def test_a_bomb_does_not_go_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.imports.archive.ENTRY", 1 << 20)
    bomb = entry(attachments=[{"id": 9, "file": {"id": 5, "name": "bomb"}}, {"id": 8, "file": {"id": 6}}])
    found = await read("vikunja", archive_of(project(bomb), files={"files/5": bytes(2 << 20)}))
    assert len(tasks(found)) == 1
    assert ["more than" in each or "not in the archive" in each for each in told(found)] == [True, True]


async def test_a_broken_file_of_a_task_is_left_out() -> None:
    whole = archive_of(
        project(entry(attachments=[{"id": 9, "file": {"id": 5, "name": "a.txt"}}])),
        files={"files/5": b"text " * 10}, compression=zipfile.ZIP_STORED,
    )  # fmt: skip
    lines, conversion = await converted("vikunja", whole.replace(b"text " * 10, b"tEXt " * 10))
    assert len(tasks(lines)) == 1
    assert ["'a.txt' is left out" in fault.detail for fault in conversion.faults] == [True]


async def test_files_of_tasks_wait_for_the_media_actor(importers: Importers) -> None:
    hostile = {"files/5": b"text", "../../evil": b"x", "/etc/passwd": b"x"}
    content = archive_of(project(entry(attachments=[{"id": 9, "file": {"id": 5, "name": "../a.txt"}}])), files=hostile)
    importers.events()
    dry = await importers.imported(content, format="vikunja", dry_run=True)
    assert [each for each in importers.events() if isinstance(each, FileImported)] == []
    assert await importers.objects() == set()
    done = await importers.imported(content, format="vikunja")
    assert (done.status, done.created, dry.created, done.errors) == ("done", 1, 1, [])
    (file,) = (each for each in importers.events() if isinstance(each, FileImported))
    (task,) = await importers.tasks_in(done.project_id)
    assert (file.task_id, file.user_id, file.filename) == (task.id, importers.ada, "../a.txt")
    assert b"".join([piece async for piece in importers.blobs.get(file.key)]) == b"text"
    await importers.blobs.delete([file.key])


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("1 < 2", "1 < 2"),
        ("<p>a <em>b</em></p><p>c&amp;d</p>", "a *b*\n\nc&d"),
        ('<a href="https://x.org">x</a> <a href="javascript:x">y</a>', "[x](https://x.org) y"),
        ('<ul><li data-checked="true"><p>a</p></li><li>b<ol><li>c</li></ol></li></ul>', "- [x] a\n- b\n  1. c"),
        ("<pre><code>a  b</code></pre><blockquote><p>q</p></blockquote>", "```\na  b\n```\n\n> q"),
        ("<script>x</script><h2>T</h2>", "## T"),
        ("<div>" * 100_000, ""),
    ],
)
def test_html_becomes_markdown(html: str, text: str) -> None:
    assert to_markdown(html) == text
