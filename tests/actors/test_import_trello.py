"""Boards of Trello: what becomes of lists, cards, checklists and comments; what is broken, and what is no board."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from actors.contracts.task_import import ImportFault
from actors.contracts.task_project import ListProjects
from actors.imports import trello
from actors.imports.item import Found, ImportedComments, ImportedTask, Remark, Unreadable
from actors.imports.json_elements import LARGEST
from tests.actors.importing import Importers

REAL = Path(__file__).parents[3] / "shared" / "data" / "trello-export.json"

MADE = 0x61694F99
"""When all that `oid` names was made, in seconds: 2021-10-15T09:53:29Z."""


def oid(n: int) -> str:
    """An id as Trello makes them."""
    return f"{MADE:08x}{n:016x}"


def card(n: int, name: str = "Land", **fields: Any) -> dict[str, Any]:
    """On the list `To do`."""
    return {"id": oid(n), "idShort": n, "name": name, "idList": "todo", "pos": n * 16384, **fields}


def item(n: int, name: str, **fields: Any) -> dict[str, Any]:
    return {"id": oid(n), "name": name, "state": "incomplete", "pos": n, **fields}


def checklist(n: int, on: int, *items: Any, name: str = "Checklist") -> dict[str, Any]:
    return {"id": oid(n), "idCard": oid(on), "name": name, "pos": n, "checkItems": items}


def comment(n: int, on: int, text: str = "Yes", name: str = "Bob", **fields: Any) -> dict[str, Any]:
    """An action that is one."""
    return {
        "id": oid(n),
        "type": "commentCard",
        "date": f"2021-10-16T00:00:{n % 60:02}.000Z",
        "data": {"card": {"id": oid(on)}, "text": text, **fields},
        "memberCreator": {"id": "m1", "fullName": name, "username": name.lower()},
    }


LISTS = [
    {"id": "todo", "name": "To do"},
    {"id": "doing", "name": "Doing"},
    {"id": "review", "name": "In Review"},
    {"id": "done", "name": "Done!"},
    {"id": "odd", "name": "Someday"},
    {"id": "old", "name": "To do", "closed": True},
]
MEMBERS = [
    {"id": "m1", "fullName": "Someone", "username": "someone1"},
    {"id": "m2", "fullName": "Nobody", "username": "nobody"},
]


def board(*cards: Any, **members: Any) -> bytes:
    """An export, on many lines. Actions come first in the file, as theirs do."""
    whole = {"id": oid(0), "name": "Apollo", "desc": "To the moon", "actions": [], "cards": cards, "checklists": []}
    return json.dumps({**whole, "labels": [], "lists": LISTS, "members": MEMBERS, **members}, indent=1).encode()


async def read(content: bytes, mapping: Mapping[str, str] | None = None, size: int = 1000) -> list[Found]:
    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(content), size):
            yield content[start : start + size]

    return [each async for each in trello.read(pieces, mapping or {})][1:]  # first, the board itself


async def task(**fields: Any) -> ImportedTask:
    (found,) = await read(board(card(1, **fields)))
    assert isinstance(found, ImportedTask), found
    return found


# ---------------------------------------------------------------------------------------------------- read


@pytest.mark.parametrize(
    ("list_", "status"),
    [
        ("todo", "todo"),
        ("doing", "in_progress"),
        ("review", "in_review"),
        ("done", "done"),
        ("odd", "todo"),
        ("old", "done"),
        ("unknown", "todo"),
    ],
)
async def test_a_list_is_a_status_by_its_name(list_: str, status: str) -> None:
    assert (await task(idList=list_)).status == status


async def test_a_mapping_says_which_status_a_list_is_and_beats_its_name() -> None:
    cards = board(card(1, idList="odd"), card(2, idList="doing"), card(3, idList="todo"))
    found = await read(cards, {"Someday": "cancelled", "Doing": "in_review"})
    assert [each.status for each in found if isinstance(each, ImportedTask)] == ["cancelled", "in_review", "todo"]


async def test_a_mapping_of_a_list_that_is_not_there_is_told_of() -> None:
    content = board(card(1))
    found = [each async for each in trello.read(lambda: _whole(content), {"Somday": "done"})]
    assert found[0] == Remark(ImportFault(line=1, detail="there is no list 'Somday', which the mapping names"))


async def test_what_is_archived_or_marked_complete_is_done() -> None:
    archived = await task(closed=True, dateLastActivity="2021-11-01T00:00:00Z")
    assert (archived.status, archived.completed_at) == ("done", 1_635_724_800_000)
    complete = await task(dueComplete=True, idList="doing", due="2021-11-02T00:00:00Z")
    assert (complete.status, complete.due_at) == ("done", 1_635_811_200_000)


async def test_an_id_says_when_a_card_was_made() -> None:
    found = await task(dateLastActivity="2021-11-01T00:00:00.123Z", start="2021-11-03T00:00:00Z")
    assert (found.created_at, found.updated_at) == (MADE * 1000, 1_635_724_800_123)
    assert found.start_at == 1_635_897_600_000


async def test_a_reminder_is_so_many_minutes_before_the_due_date() -> None:
    due = "2021-11-02T00:00:00Z"
    assert (await task(due=due, dueReminder=60)).remind_at == [1_635_811_200_000 - 3_600_000]
    assert (await task(due=due, dueReminder=-1)).remind_at == []
    assert (await task(dueReminder=60)).remind_at == []


async def test_attachments_are_links_to_the_web_alone() -> None:
    attached = [
        {"url": "https://example.org/a.png", "name": "a [1].png"},
        {"url": "javascript:alert(1)", "name": "bad"},
        {"url": "http://example.org/b", "name": ""},
    ]
    assert (await task(desc="Look", attachments=attached)).description == (
        "Look\n\n- [a 1.png](https://example.org/a.png)\n- bad\n- [http://example.org/b](http://example.org/b)"
    )


async def test_labels_have_their_names_and_colors() -> None:
    labels = [{"name": "bug", "color": "red_dark"}, {"name": "", "color": "sky"}, {"name": "", "color": None}]
    found = await task(labels=labels)
    assert [(each.name, each.color) for each in found.labels] == [("bug", "#f87462"), ("sky", "#60c6d2")]


@pytest.mark.parametrize(
    ("name", "title", "description"),
    [("", "#1", ""), ("a\nb", "a b", ""), ("x" * 600, "x" * 500, "x" * 600), ("\x00\u2028", "#1", "")],
)
async def test_a_name_fits_on_one_line(name: str, title: str, description: str) -> None:
    found = await task(name=name)
    assert (found.title, found.description) == (title, description)


# ----------------------------------------------------------------------------------------- broken, hostile


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (None, "a card: Expected 'object'"),
        ({"id": oid(9)}, "a card: Object missing required field 'name'"),
        (card(9, None), "a card: Expected 'str', got 'null' - at '$.name'"),  # type: ignore[arg-type] # on purpose
        (card(9, due="tomorrow"), "card 'Land': Invalid RFC3339 encoded datetime - at '$.due'"),
        (card(9, due="1066-10-14T00:00:00Z"), "card 'Land': the time 1066-10-14 00:00:00+00:00 lies outside"),
        (card(9, labels="red"), "card 'Land': Expected 'array', got 'str' - at '$.labels'"),
        (card(9, desc="x" * LARGEST), "this card is too large"),
        (card(9, idMembers=["m"] * 1001), "card 'Land': Expected 'array' of length <= 1000"),
    ],
)
async def test_a_broken_card_is_told_of_with_its_line_and_stops_no_other(broken: Any, told: str) -> None:
    content = board(card(1), broken, card(2))
    found = await read(content, size=64 << 10)
    assert [isinstance(each, ImportedTask) for each in found] == [True, False, True]
    fault = found[1]
    assert isinstance(fault, ImportFault)
    assert fault.detail.startswith(told), fault
    lines = content.decode().split("\n")
    assert lines[fault.line - 1].strip() in {"{", "null,"}


async def test_broken_checklists_and_comments_cost_no_card() -> None:
    content = board(
        card(1),
        checklists=[None, checklist(5, 1, {"name": "no id"}, item(6, "Fuel"))],
        actions=[{"type": "commentCard"}, {"type": "updateCard"}, None, comment(7, 1)],
    )
    first, broken, no_id, fuel, no_comment, said = await read(content)
    assert isinstance(broken, Remark)
    assert isinstance(no_id, ImportFault)
    assert isinstance(fuel, ImportedTask)
    assert isinstance(no_comment, Remark)
    assert isinstance(first, ImportedTask)
    assert (fuel.parent, fuel.title) == (first.source, "Fuel")
    assert isinstance(said, ImportedComments)


@pytest.mark.parametrize(
    ("content", "line", "told"),
    [
        (b"", 1, "this is not JSON"),
        (b'{"name": "Apollo"}', 1, "there is no list 'cards'"),
        (b'{"cards": {}}', 1, "there is no list 'cards'"),
        (b"[]", 1, "there is no list 'cards'"),
        (b"[" * 100_000, 1, "this is not JSON"),
        (board(card(1))[:-20], 0, "this is not JSON"),
        (board(card(1, "Länd")).decode().replace("\\u00e4", "ä").encode("latin-1"), 0, "this is not JSON"),
        (board(card(1)).decode().encode("utf-16"), 1, "this is not JSON"),
        (b'{"cards": [], "desc": "' + b"x" * (LARGEST + 100_000), 1, "there is a text of more than"),
    ],
)
async def test_what_is_no_board_is_unreadable(content: bytes, line: int, told: str) -> None:
    with pytest.raises(Unreadable) as caught:
        await read(content, size=64 << 10)
    assert caught.value.fault.detail.startswith(told), caught.value.fault
    assert caught.value.fault.line == line or not line


async def test_deep_nesting_is_no_reason_to_fail() -> None:
    content = board(card(1), "DEEP").replace(b'"DEEP"', b"[" * 100_000 + b"]" * 100_000)
    assert [type(each) for each in await read(content)] == [ImportedTask, ImportFault]


async def test_a_mapping_to_what_is_no_status_is_unreadable() -> None:
    with pytest.raises(Unreadable, match="'later', which is no status; there are: todo, in_progress"):
        await read(board(card(1)), {"To do": "later"})


# ------------------------------------------------------------------------------------------- what becomes

FULL = board(
    card(1, "Order brass", idMembers=["m1", "m2"], labels=[{"name": "bug", "color": "red"}], pos=2),
    card(2, "Leave", idList="doing", due="2021-11-02T00:00:00Z", pos=1),
    card(3, "Broken", due="tomorrow"),
    labels=[{"name": "bug", "color": "red"}, {"name": "unused", "color": "lime"}],
    checklists=[
        checklist(20, 1, item(22, "Second", state="complete"), item(21, "First", idMember="m1"), name="Steps"),
    ],
    actions=[comment(32, 1, "Later"), comment(31, 1, "Sooner", "Eve"), {"type": "createCard"}],
)


async def test_a_board_becomes_a_project_with_all_that_hangs_on_its_cards(importers: Importers) -> None:
    project = await importers.project()
    await importers.join(project, importers.bob)
    result = await importers.imported(FULL, project.id, format="trello")
    assert (result.status, result.total, result.created, result.skipped, result.done) == ("done", 5, 4, 0, 5)
    (fault,) = result.errors
    assert (fault.line, "tomorrow" in fault.detail or "due" in fault.detail) == (
        FULL[: FULL.index(b'"name": "Broken"')].count(b"\n") - 2, True,
    )  # fmt: skip
    tasks = {each.title: each for each in await importers.tasks_in(project.id)}
    brass, leave, first, second = (tasks[title] for title in ("Order brass", "Leave", "First", "Second"))
    assert (brass.number, brass.status, brass.assignee_ids) == (1, "todo", [importers.bob])
    assert (leave.number, leave.status, leave.due_at) == (2, "in_progress", "2021-11-02T00:00:00.000Z")
    assert (first.parent_id, first.status, first.assignee_ids) == (brass.id, "todo", [importers.bob])
    assert (second.parent_id, second.status, second.description) == (brass.id, "done", "Steps")
    assert await importers.comments(brass) == [("Eve", "Sooner"), ("Bob", "Later")]
    assert await importers.labels(project.id) == {"bug": "#f87462", "unused": "#94c748"}
    order = [each.title for each in await importers.tasks_in(project.id)]
    assert order.index("Leave") < order.index("Order brass")
    assert order.index("First") < order.index("Second")


async def test_without_a_project_one_is_made_with_the_boards_name_and_description(importers: Importers) -> None:
    result = await importers.imported(FULL, format="trello")
    (project,) = (await importers.stage.ask(ListProjects(), caller=importers.ada)).items
    assert (project.id, project.name, project.description) == (result.project_id, "Apollo", "To the moon")


async def test_the_same_board_again_makes_nothing_and_a_grown_one_only_what_is_new(importers: Importers) -> None:
    project = await importers.project()
    whole: dict[str, Any] = json.loads(FULL)
    await importers.imported(FULL, project.id, format="trello")
    before = await importers.tasks_in(project.id)
    again = await importers.imported(FULL, project.id, format="trello")
    assert (again.status, again.created, again.skipped) == ("done", 0, 4)
    assert await importers.tasks_in(project.id) == before
    whole["cards"] += [card(4, "New")]
    whole["checklists"][0]["checkItems"] += [item(23, "Third")]
    whole["actions"] = [comment(33, 2, "On the other"), *whole["actions"]]
    grown = await importers.imported(json.dumps(whole).encode(), project.id, format="trello")
    assert (grown.created, grown.skipped) == (2, 4)
    tasks = {each.title: each for each in await importers.tasks_in(project.id)}
    assert tasks["Third"].parent_id == tasks["Order brass"].id
    assert (tasks["Leave"].comment_count, tasks["Order brass"].comment_count) == (1, 2)


async def test_a_dry_run_counts_as_the_real_one_and_changes_nothing(importers: Importers) -> None:
    project = await importers.project()
    dry = await importers.imported(FULL, project.id, format="trello", dry_run=True, mapping={"No": "done"})
    assert await importers.tasks_in(project.id) == []
    assert await importers.labels(project.id) == {}
    real = await importers.imported(FULL, project.id, format="trello", mapping={"No": "done"})
    for field in ("status", "created", "skipped", "done", "total", "errors"):
        assert getattr(real, field) == getattr(dry, field), field


async def test_a_mapping_travels_along(importers: Importers) -> None:
    result = await importers.imported(board(card(1, idList="odd")), format="trello", mapping={"Someday": "cancelled"})
    assert [each.status for each in await importers.tasks_in(result.project_id)] == ["cancelled"]
    failed = await importers.imported(board(card(1)), format="trello", mapping={"Someday": "never"})
    assert (failed.status, "which is no status" in failed.errors[0].detail) == ("failed", True)


@pytest.mark.skipif(not REAL.is_file(), reason="no board of somebody's is beside this repository")
async def test_a_real_board_comes_whole_and_once(importers: Importers) -> None:
    content = REAL.read_bytes()
    whole = json.loads(content)
    cards = {each["id"]: each for each in whole["cards"]}
    items = [(cards[each["idCard"]]["name"], one) for each in whole["checklists"] for one in each["checkItems"]]
    first = await importers.imported(content, format="trello")
    assert (first.status, first.created, first.skipped, first.errors) == ("done", len(cards) + len(items), 0, [])
    tasks = await importers.tasks_in(first.project_id)
    names = {each.id: each.title for each in tasks}
    assert {(names[each.parent_id], each.title) for each in tasks if each.parent_id is not None} == {
        (card, one["name"].strip()) for card, one in items
    }
    assert {each.title for each in tasks if each.parent_id is None} == {each["name"] for each in cards.values()}
    again = await importers.imported(content, first.project_id, format="trello")
    assert (again.created, again.skipped) == (0, first.created)


async def _whole(content: bytes) -> AsyncIterator[bytes]:
    yield content
