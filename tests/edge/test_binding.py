"""Requests become messages, or are refused with all that is wrong with them."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
import pytest
from msgspec import UNSET, Meta
from multidict import CIMultiDict

from actors.contracts.task import CreateTask, GetTask, ListTasks, UpdateTask
from actors.contracts.user import Register
from edge.binding import Binder
from edge.problems import Problem
from edge.route import Route, delete, get, patch, post, put
from edge.routes import ROUTES
from runtime.faults import MAX_FAULTS
from runtime.message import Command, Request

ID, OTHER = "01a20bcc-aec9-7000-b6e8-a84670feea08", "01a20bcc-aec9-7000-b6e8-a84670feea09"
CREATE = post("/v1/tasks", CreateTask, created="/v1/tasks/{id}")
UPDATE = patch("/v1/tasks/{id}", UpdateTask)
LIST = get("/v1/tasks", ListTasks)
REGISTER = post("/v1/users", Register, public=True)


def bind(
    route: Route,
    body: Any = b"",
    *,
    path: tuple[str, ...] = (),
    query: list[tuple[str, str]] | None = None,
    if_match: str | None = None,
) -> Request[Any]:
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
    headers = CIMultiDict({} if if_match is None else {"If-Match": if_match})
    return Binder(route).bind(path, query or [], headers, raw)


def faults(route: Route, body: Any = b"", **rest: Any) -> dict[str, str]:
    with pytest.raises(Problem) as caught:
        bind(route, body, **rest)
    assert (caught.value.status, caught.value.code) == (422, "request.invalid")
    return {fault.pointer: fault.detail for fault in caught.value.faults}


def new_task(**fields: Any) -> dict[str, Any]:
    return {"project_id": ID, "title": "T", **fields}


# ------------------------------------------------------------------------------------- what is taken


def test_body_becomes_a_message() -> None:
    message = bind(CREATE, new_task(due_at="2026-11-24T10:30:00+01:00", priority=2, assignee_ids=[OTHER]))
    assert message == CreateTask(
        project_id=ID,
        title="T",
        priority=2,
        assignee_ids=[OTHER],
        due_at=datetime(2026, 11, 24, 9, 30, tzinfo=UTC),
    )


def test_null_in_post_means_the_default() -> None:
    nulls = dict.fromkeys(("description", "status", "priority", "assignee_ids", "remind_at", "due_at", "parent_id"))
    assert bind(CREATE, new_task(**nulls)) == CreateTask(project_id=ID, title="T")
    assert list(faults(CREATE, new_task(title=None))) == ["/title"]


def test_null_in_patch_is_not_the_same_as_not_sent() -> None:
    message = bind(UPDATE, {"due_at": None, "priority": 1}, path=(ID,))
    assert isinstance(message, UpdateTask)
    assert (message.id, message.due_at, message.priority, message.title) == (ID, None, 1, UNSET)
    assert list(faults(UPDATE, {"title": None}, path=(ID,))) == ["/title"]


def test_query_becomes_a_message() -> None:
    query = [
        ("status", "todo"),
        ("priority", "4"),
        ("status", "done"),
        ("deleted", "true"),
        ("limit", "7"),
        ("q", "a b"),
    ]
    assert bind(LIST, query=query) == ListTasks(status=["todo", "done"], priority=[4], deleted=True, limit=7, q="a b")


@pytest.mark.parametrize(
    ("header", "versions"),
    [(None, None), ("*", None), ('"3"', (3,)), ('"3", "4"', (3, 4)), ('W/"3"', ()), ('"x", "03"', ()), ('""', ())],
)
def test_if_match_names_versions(header: str | None, versions: tuple[int, ...] | None) -> None:
    message = bind(UPDATE, {}, path=(ID,), if_match=header)
    assert isinstance(message, UpdateTask)
    assert message.if_match == versions


@pytest.mark.parametrize("header", ["", "3", '"3', '"3" "4"', "*, *", '"3",', 'w/"3"', '"a b"'])
def test_malformed_if_match_cannot_be_read(header: str) -> None:
    with pytest.raises(Problem) as caught:
        bind(UPDATE, {}, path=(ID,), if_match=header)
    assert caught.value.status == 400


@pytest.mark.parametrize("id", ["", "x", ID.upper(), ID + "0", "..", "'; drop table task", "1", ID[:-1] + "\u0660"])
def test_malformed_id_in_a_path_is_nothing_that_exists(id: str) -> None:
    for route, body in ((get("/v1/tasks/{id}", GetTask), b""), (UPDATE, {"title": ""}), (UPDATE, {"x": 1})):
        with pytest.raises(Problem) as caught:
            bind(route, body, path=(id,))
        assert (caught.value.status, caught.value.code) == (404, "task.not_found")


def test_path_segment_says_what_was_not_found() -> None:
    member = next(route for route in ROUTES if route.path.endswith("/members/{user_id}"))
    for path, code in (((ID, "x"), "user.not_found"), (("x", ID), "project.not_found")):
        with pytest.raises(Problem) as caught:
            bind(member, {"role": "editor"}, path=path)
        assert caught.value.code == code


# ------------------------------------------------------------------------------------- what is refused


def test_every_fault_is_named_at_its_place() -> None:
    found = faults(
        CREATE,
        {"title": "", "priority": 9, "remind_at": ["2026-11-24T09:30:00Z", "x", 3], "status": "new", "a/b~c": 1},
    )
    assert set(found) == {
        "/project_id", "/title", "/priority", "/remind_at/1", "/remind_at/2", "/status", "/a~1b~0c"
    }  # fmt: skip
    assert found["/project_id"] == "is missing"
    assert found["/priority"] == "must be a whole number from 0 (none) to 4 (urgent)"
    assert found["/status"] == "must be one of todo, in_progress, in_review, done, cancelled"


def test_at_most_a_hundred_faults_are_named() -> None:
    assert len(faults(CREATE, new_task(**{f"x{n}": 1 for n in range(500)}))) == MAX_FAULTS


@pytest.mark.parametrize("text", ["a\0b", "\0"])
def test_b31_nul_in_a_text(text: str) -> None:
    assert list(faults(CREATE, new_task(title=text))) == ["/title"]
    assert list(faults(CREATE, new_task(description=text))) == ["/description"]
    assert list(faults(LIST, query=[("q", text)])) == ["?q"]
    assert list(faults(LIST, query=[("cursor", text)])) == ["?cursor"]
    assert list(faults(REGISTER, {"email": "a@b.c", "name": "A", "password": f"long enough {text}"})) == ["/password"]


@pytest.mark.parametrize("number", [2**31, 2**63, -(2**63) - 1, 10**40, -1])
def test_b33_numbers_out_of_range(number: int) -> None:
    raw = f'{{"project_id": "{ID}", "title": "T", "estimate_minutes": {number}}}'.encode()
    assert list(faults(CREATE, raw)) == ["/estimate_minutes"]
    assert list(faults(LIST, query=[("limit", str(number))])) == ["?limit"]


@pytest.mark.parametrize("value", [b"1.0", b'"1"', b"true", b"1e0", b"[1]", b"{}"])
def test_b34_no_integer(value: bytes) -> None:
    raw = f'{{"project_id": "{ID}", "title": "T", "priority": '.encode() + value + b"}"
    assert list(faults(CREATE, raw)) == ["/priority"]


@pytest.mark.parametrize("text", ["+5", "05", "5.0", "1e1", " 5", "5 ", "", "-", "five", "٥", "0x5"])
def test_b34_no_integer_in_a_query(text: str) -> None:
    assert list(faults(LIST, query=[("limit", text)])) == ["?limit"]


@pytest.mark.parametrize("text", ["1", "True", "yes", "", "TRUE"])
def test_no_boolean_in_a_query(text: str) -> None:
    assert list(faults(LIST, query=[("deleted", text)])) == ["?deleted"]


@pytest.mark.parametrize(
    "name", ["role", "owner_id", "id", "created_at", "number", "version", "created_by", "if_match", ""]
)
def test_b36_unknown_fields(name: str) -> None:
    assert list(faults(CREATE, new_task(**{name: ID}))) == [f"/{name}"]
    assert list(faults(UPDATE, {name: ID}, path=(ID,))) == [f"/{name}"]
    if name != "role":
        return
    good = {"email": "a@b.c", "name": "A", "password": "long enough"}
    assert list(faults(REGISTER, good | {"role": "admin"})) == ["/role"]


@pytest.mark.parametrize("body", [b"null", b"[]", b'"x"', b"1", b"true", b"[{}]"])
def test_b37_no_object(body: bytes) -> None:
    assert faults(CREATE, body) == {"": "must be an object"}


def test_b39_huge_list_and_text_in_short_fields() -> None:
    for fields in (
        {"assignee_ids": [ID] * 1_000_000},
        {"remind_at": ["x"] * 1_000_000},
        {"title": "x" * 1_000_000},
        {"description": "ü" * 40_000},
    ):
        started = time.perf_counter()
        assert list(faults(CREATE, new_task(**fields))) == [f"/{next(iter(fields))}"]
        assert time.perf_counter() - started < 3
    assert bind(CREATE, new_task(description="ü" * 32_768))


@pytest.mark.parametrize(
    "text",
    [
        "0000-01-01T00:00:00Z",
        "99999-01-01T00:00:00Z",
        "2026-02-30T00:00:00Z",
        "2026-11-24T09:30:00",
        "2026-11-24",
        "2026-11-24T09:30:00+99:00",
        "2026-11-24T25:00:00Z",
        "tomorrow",
        "",
        1795521600,
    ],
)
def test_b41_no_time(text: Any) -> None:
    assert list(faults(CREATE, new_task(due_at=text))) == ["/due_at"]
    if isinstance(text, str):
        assert list(faults(LIST, query=[("due_before", text)])) == ["?due_before"]


@pytest.mark.parametrize("limit", ["-1", "0", "201", str(10**9)])
def test_b42_limit_out_of_range(limit: str) -> None:
    assert list(faults(LIST, query=[("limit", limit)])) == ["?limit"]


def test_b42_empty_cursor() -> None:
    assert list(faults(LIST, query=[("cursor", "")])) == ["?cursor"]


def test_b43_scalar_parameter_twice() -> None:
    assert faults(LIST, query=[("limit", "5"), ("limit", "5")]) == {"?limit": "must be given once"}


def test_unknown_parameter() -> None:
    assert list(faults(LIST, query=[("x", "1"), ("y", "2")])) == ["?x", "?y"]
    assert list(faults(CREATE, new_task(), query=[("x", "1")])) == ["?x"]


def test_query_that_is_no_utf8_cannot_be_read() -> None:
    for query in ([("q", "\udcff")], [("\udcff", "x")]):
        with pytest.raises(Problem) as caught:
            bind(LIST, query=query)
        assert caught.value.status == 400


@pytest.mark.parametrize("text", ["' OR 1=1--", "%", "_", '"', "\\", "*"])
def test_b44_search_is_taken_as_it_is(text: str) -> None:
    assert bind(LIST, query=[("q", text)]) == ListTasks(q=text)


@pytest.mark.parametrize("sort", ["title", "created_at desc", "--created_at", "", "CREATED_AT", "1"])
def test_b45_unlisted_sort(sort: str) -> None:
    assert list(faults(LIST, query=[("sort", sort)])) == ["?sort"]


@pytest.mark.parametrize("address", ["a" * 50_000, "a@" + "a." * 25_000, "a." * 25_000 + "@a", "@" * 50_000])
def test_b46_address_made_for_regular_expressions(address: str) -> None:
    started = time.perf_counter()
    assert list(faults(REGISTER, {"email": address, "name": "A", "password": "long enough"})) == ["/email"]
    assert time.perf_counter() - started < 0.1


@pytest.mark.parametrize("end", ["\r\nBcc: x@y.z", "\r", "\u2028", "\x1b[2J", "\x7f", "\n", "\nx"])
def test_b47_line_breaks_and_controls_in_names_and_titles(end: str) -> None:
    assert list(faults(CREATE, new_task(title=f"T{end}"))) == ["/title"]
    assert list(faults(REGISTER, {"email": "a@b.c", "name": f"A{end}", "password": "long enough"})) == ["/name"]


@pytest.mark.parametrize(
    "text", ["\u202eevil", "zero\u200bwidth", "\U0001f469\u200d\U0001f4bb", "e\u0301", "{{7*7}}", "<b>"]
)
def test_b40_texts_stay_exactly_as_they_are(text: str) -> None:
    message = bind(CREATE, new_task(title=text, description=text))
    assert isinstance(message, CreateTask)
    assert (message.title, message.description) == (text, text)


# ------------------------------------------------------------------------------------- the next route


class Hours(msgspec.Struct, frozen=True):
    """An object within a body."""

    begin: Annotated[str, Meta(pattern=r"^\d\d:\d\d$", description="a time such as 22:00")]
    end: str = "07:00"


class SetHours(Command[None], frozen=True, kw_only=True):
    """A message with an object inside."""

    quiet: Hours | None
    more: list[Hours] = []


class Nothing(Command[None], frozen=True, kw_only=True):
    """A message without fields."""


def test_objects_within_are_as_strict_as_the_outer_one() -> None:
    route = put("/v1/hours", SetHours)
    assert bind(route, {"quiet": {"begin": "22:00"}}) == SetHours(quiet=Hours("22:00"))
    assert bind(route, {"quiet": None}) == SetHours(quiet=None)
    found = faults(route, {"quiet": {"begin": "x", "until": 1}, "more": [{"begin": "01:00"}, {"end": 3}]})
    assert found == {
        "/quiet/until": "is not known here",
        "/quiet/begin": "must be a time such as 22:00",
        "/more/1/begin": "is missing",
        "/more/1/end": "must be a text",
    }


def test_call_without_fields_takes_no_body_or_an_empty_object() -> None:
    route = post("/v1/nothing", Nothing)
    assert bind(route) == bind(route, {}) == Nothing()
    assert list(faults(route, {"x": 1})) == ["/x"]
    assert bind(delete("/v1/nothing", Nothing)) == Nothing()
