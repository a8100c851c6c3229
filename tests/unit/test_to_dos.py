"""iCalendar as it is written: read back with a library, and line by line."""

from __future__ import annotations

import re
from collections import Counter

import icalendar
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.contracts.task import Task, TaskStatus
from edge.to_dos import END, beginning, calendar_of, to_dos

PLAIN = Task(
    id="01a20bcc-acb5-7000-971e-45359f8ce9c4", project_id="01a20bcc-acb5-7000-971e-45359f8ce9c5", number=1, title="Land",
    description="", status="todo", priority=0, assignee_ids=[], label_ids=[], watching=False, watcher_count=0,
    start_at=None, due_at="2027-03-28T01:30:00.500Z", remind_at=[], parent_id=None, relations=[], estimate_minutes=None,
    position="115", comment_count=0, attachment_count=0, created_by=None, created_at="2026-11-24T09:30:00.123Z",
    updated_at="2026-11-25T09:30:00.000Z", completed_at=None, deleted_at=None, version=7,
)  # fmt: skip


def written(*tasks: Task) -> bytes:
    return calendar_of(tasks, "Ada, and others")


def read(task: Task) -> icalendar.Todo:
    calendar = icalendar.Calendar.from_ical(written(task))
    (todo,) = calendar.todos
    return todo


def test_a_plain_task_to_the_letter() -> None:
    assert written(PLAIN).decode().split("\r\n") == [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//Troupe//Tasks//EN",
        "X-WR-CALNAME:Ada\\, and others",
        "BEGIN:VTODO",
        "CREATED:20261124T093000Z",
        "DTSTAMP:20261125T093000Z",
        "DUE:20270328T013000Z",
        "LAST-MODIFIED:20261125T093000Z",
        "SEQUENCE:6",
        "STATUS:NEEDS-ACTION",
        "SUMMARY:Land",
        "UID:01a20bcc-acb5-7000-971e-45359f8ce9c4",
        "END:VTODO",
        "END:VCALENDAR",
        "",
    ]


texts = st.text(st.characters(exclude_categories=("Cs", "Cc")) | st.sampled_from("\\;,:\"'\n\t"), max_size=1000)


@given(title=texts.filter(lambda text: "\n" not in text), description=texts)
def test_any_text_comes_back_and_no_line_is_too_long(title: str, description: str) -> None:
    task = msgspec.structs.replace(PLAIN, title=title, description=description)
    for line in written(task).split(b"\r\n"):
        assert len(line) <= 75
        assert line.decode().encode() == line  # no character is cut in two
    assert b"\n" not in written(task).replace(b"\r\n", b"")
    todo = read(task)
    assert str(todo["summary"]) == title
    assert str(todo.get("description", "")) == description


LINE = re.compile(r"(?P<name>[A-Z-]+)(;[A-Z-]+=[^;:\x00-\x1f\x7f]+)*:(?P<value>[^\x00-\x08\x0a-\x1f\x7f]*)")
"""A content line (section 3.1), as far as ours use it."""

MOMENT = re.compile(r"\d{8}T([01]\d|2[0-3])[0-5]\d[0-5]\dZ")


def test_a_full_task_keeps_the_rules_of_the_standard() -> None:
    """RFC 5545 section 3.6.2, without a library."""
    full = msgspec.structs.replace(
        PLAIN, title="a;b,c\\d:e", description="x\n" * 100, status="done", priority=4, label_ids=["1", "2"],
        start_at="2027-03-27T01:30:00.000Z", parent_id=PLAIN.project_id, completed_at="2027-03-28T01:30:00.000Z",
    )  # fmt: skip
    text = (beginning("Ada") + to_dos([full], {"1": "a,b", "2": "ü"}) + END).decode()
    lines = [LINE.fullmatch(line) for line in text.replace("\r\n ", "").split("\r\n")[:-1]]
    names = Counter(line["name"] if line else "?" for line in lines)
    assert names == Counter(
        ["BEGIN", "END"] * 2
        + ["VERSION", "PRODID", "X-WR-CALNAME", "UID", "DTSTAMP", "CREATED", "LAST-MODIFIED", "SUMMARY", "STATUS"]
        + ["SEQUENCE", "DESCRIPTION", "PRIORITY", "DUE", "DTSTART", "COMPLETED", "RELATED-TO", "CATEGORIES"]
    ), "each at most once, none that is not of a to-do, and not both DUE and DURATION"
    values = {line["name"]: line["value"] for line in lines if line}
    for name in ("DTSTAMP", "CREATED", "LAST-MODIFIED", "DUE", "DTSTART", "COMPLETED"):
        assert MOMENT.fullmatch(values[name]), name
    assert values["DTSTART"] < values["DUE"]
    assert (values["SUMMARY"], values["CATEGORIES"]) == ("a\\;b\\,c\\\\d:e", "a\\,b,ü")
    assert (values["STATUS"], values["PRIORITY"]) == ("COMPLETED", "1")


def test_what_a_text_cannot_have_is_left_out() -> None:
    task = msgspec.structs.replace(PLAIN, description="one\r\ntwo\rthree\x1b[31m\x07\nBEGIN:VALARM\x7f\tend")
    assert str(read(task)["description"]) == "one\ntwo\nthree[31m\nBEGIN:VALARM\tend"


def test_a_calendar_without_tasks_is_one_too() -> None:
    calendar = icalendar.Calendar.from_ical(written())
    assert (calendar.todos, len(calendar.subcomponents)) == ([], 1)


@pytest.mark.parametrize(
    ("status", "priority", "expected"),
    [
        ("todo", 0, ("NEEDS-ACTION", 0)),
        ("in_progress", 1, ("IN-PROCESS", 9)),
        ("in_review", 2, ("IN-PROCESS", 5)),
        ("done", 3, ("COMPLETED", 3)),
        ("cancelled", 4, ("CANCELLED", 1)),
    ],
)
def test_status_and_priority(status: TaskStatus, priority: int, expected: tuple[str, int]) -> None:
    done = "2026-11-25T09:30:00.000Z" if status == "done" else None
    todo = read(msgspec.structs.replace(PLAIN, status=status, priority=priority, completed_at=done))
    assert (todo["status"], todo.get("priority", 0)) == expected
    assert ("completed" in todo) == (status == "done")


@pytest.mark.parametrize(
    ("start", "due", "found"),
    [
        ("2027-01-01T09:00:00.000Z", None, {"dtstart"}),
        ("2027-01-01T09:00:00.000Z", "2027-01-01T09:00:01.000Z", {"dtstart", "due"}),
        ("2027-01-01T09:00:00.000Z", "2027-01-01T09:00:00.999Z", {"due"}),
        ("2027-01-02T09:00:00.000Z", "2027-01-01T09:00:00.000Z", {"due"}),
    ],
)
def test_a_start_comes_before_the_end(start: str, due: str | None, found: set[str]) -> None:
    todo = read(msgspec.structs.replace(PLAIN, start_at=start, due_at=due))
    assert {name for name in ("dtstart", "due") if name in todo} == found
