"""A project as JSON, imported elsewhere: it is the same, but for what is somebody's or somewhere's own."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from edge.export_files import PIECE
from tests.edge.whole_house import House, Uploader, house_of

FORMAT = ("format", None, b"troupe-json")
DUE = "2026-12-24T09:00:00.000Z"


@pytest.fixture(scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    async with house_of(tmp_path_factory.mktemp("trips"), rate_limits="off") as house:
        yield house


@pytest.fixture(scope="module")
async def ada(house: House) -> Uploader:
    return await house.person()


@pytest.fixture(scope="module")
async def bob(house: House) -> Uploader:
    return await house.person("Bob")


async def made(person: Uploader, path: str, **fields: Any) -> Any:
    answer = await person.api("POST", path, fields)
    assert answer.status == 201, answer
    return answer.json


async def deleted(person: Uploader, project_id: str) -> None:
    """So that its key is free."""
    assert (await person.api("DELETE", f"/v1/projects/{project_id}")).status == 204


async def exported(person: Uploader, project_id: str) -> bytes:
    answer = await person("GET", f"/v1/projects/{project_id}/export?format=json")
    assert answer.status == 200, answer
    return answer.body


async def occurrences(person: Uploader, content: bytes) -> dict[int, Any]:
    """Of each task that recurs, by its number: the dates that would follow."""
    tasks = [task for task in json.loads(content)["tasks"] if task["recurrence"]]
    answers = [(await person("GET", f"/v1/tasks/{task['id']}?occurrences=10")).json for task in tasks]
    return {each["number"]: each["occurrences"] for each in answers}


async def imported(person: Uploader, content: bytes, *parts: tuple[str, None, bytes]) -> Any:
    return await person.ended(await person.send_import([FORMAT, *parts, ("file", "a.json", content)]))


def lines_of(content: bytes) -> list[dict[str, str]]:
    """Of a table, without ids: a parent is known by its number."""
    rows = list(csv.DictReader(io.StringIO(content.decode(), newline="")))
    numbers = {row.pop("id"): row["number"] for row in rows}
    return [{**row, "parent_id": numbers.get(row["parent_id"], "")} for row in rows]


def essence(content: bytes) -> Any:
    """Without ids, versions, places that are told by the order, and who it was."""
    whole = json.loads(content)
    numbers = {task["id"]: task["number"] for task in whole["tasks"]}
    labels = {label["id"]: label["name"] for label in whole["labels"]}
    tasks = []
    for task in sorted(whole["tasks"], key=lambda each: each["position"]):
        kept = {name: task[name] for name in (
            "number", "title", "description", "status", "priority", "start_at", "due_at", "remind_at", "recurrence",
            "estimate_minutes", "comment_count", "attachment_count", "created_at", "updated_at", "completed_at",
        )}  # fmt: skip
        kept["labels"] = sorted(labels[id] for id in task["label_ids"])
        kept["parent"] = numbers.get(task["parent_id"])
        kept["relations"] = sorted((each["type"], numbers[each["task_id"]]) for each in task["relations"])
        kept["comments"] = [
            (each["author_name"], each["body"], each["created_at"], each["updated_at"]) for each in task["comments"]
        ]
        kept["assigned"] = len(task["assignee_ids"])
        tasks.append(kept)
    files = sorted(
        (numbers[each["task_id"]], each["filename"], each["visibility"], each["offset"], each["content"])
        for each in whole.get("attachments", ())
    )
    names = sorted((label["name"], label["color"]) for label in whole["labels"])
    project = {name: whole["project"][name] for name in ("name", "description", "key")}
    return {"project": project, "labels": names, "tasks": tasks, "attachments": files}


async def until(person: Uploader, project_id: str, files: int) -> bytes:
    """The export, once all files have come."""
    deadline = time.monotonic() + 20
    while True:
        content = await exported(person, project_id)
        whole = json.loads(content)
        came = len({each["id"] for each in whole.get("attachments", ())})
        if came == sum(task["attachment_count"] for task in whole["tasks"]) == files:
            return content
        assert time.monotonic() < deadline, came
        await asyncio.sleep(0.05)


async def test_a_project_comes_whole_with_its_files(ada: Uploader, bob: Uploader) -> None:
    project = await made(ada, "/v1/projects", name="Round Trip", description="There\nand back", key="THERE")
    label = await made(ada, f"/v1/projects/{project['id']}/labels", name="big", color="#ff0000")
    await made(ada, f"/v1/projects/{project['id']}/labels", name="unused")
    common = {"project_id": project["id"]}
    child = await made(ada, "/v1/tasks", **common, title="Child", label_ids=[label["id"]], due_at=DUE,
                       remind_at=[DUE], recurrence={"rule": "FREQ=WEEKLY;COUNT=4", "timezone": "Europe/Berlin"})  # fmt: skip
    parent = await made(ada, "/v1/tasks", **common, title="Parent", status="done", assignee_ids=[ada.id])
    third = await made(ada, "/v1/tasks", **common, title="Third", priority=4, estimate_minutes=5)
    for method, path, fields in (
        ("PATCH", f"/v1/tasks/{child['id']}", {"parent_id": parent["id"], "status": "done"}),
        ("PUT", f"/v1/tasks/{child['id']}/relations/blocks/{third['id']}", None),
        ("PUT", f"/v1/tasks/{parent['id']}/relations/relates/{third['id']}", None),
        ("POST", f"/v1/tasks/{third['id']}/move", {"before_id": child["id"]}),
        ("POST", f"/v1/tasks/{third['id']}/comments", {"body": "Mind"}),
    ):
        assert (await ada.api(method, path, fields)).status in {200, 201}
    await ada.upload(b"text", "a.txt", task_id=child["id"])
    await ada.upload(b"%PDF-1.4 " + b"x" * (2 * PIECE), "b.pdf", task_id=child["id"])
    before = await until(ada, project["id"], 2)
    result = await imported(bob, before)
    assert (result["status"], result["created"], result["errors"]) == ("done", 4, [])
    after = await until(bob, result["project_id"], 2)
    elsewhere, here = essence(after), essence(before)
    assert [task.pop("assigned") for task in here["tasks"]] == [0, 0, 1, 0]
    assert [task.pop("assigned") for task in elsewhere["tasks"]] == [0, 0, 0, 0], "Ada takes no part there"
    assert elsewhere == here
    following = await occurrences(ada, before)
    assert {number: len(dates) for number, dates in following.items()} == {1: 3, 4: 2}
    assert await occurrences(bob, after) == following
    assert {(each["author_id"], each["author_name"]) for task in json.loads(after)["tasks"] for each in task["comments"]
            } == {(None, "Ada")}, "nobody is made an author by a file"  # fmt: skip
    again = await imported(bob, before, ("project_id", None, result["project_id"].encode()))
    assert (again["created"], again["skipped"]) == (0, 4)
    assert len(json.loads(await until(bob, result["project_id"], 2))["attachments"]) == 4
    own = await imported(ada, before, ("project_id", None, project["id"].encode()))
    assert (own["created"], own["skipped"]) == (0, 4), "what is here is known"


async def test_a_file_that_is_not_taken_is_told_of(ada: Uploader) -> None:
    task = {"id": "01a20bcc-acb5-7000-971e-45359f8ce9c4", "title": "Land"}
    file: dict[str, Any] = {
        "id": "01a20bcc-acb5-7000-971e-45359f8ce9c5",
        "task_id": task["id"],
        "filename": "a.html",
        "offset": 0,
    }
    whole = {
        "project": {"name": "Files"}, "members": [], "labels": [], "tasks": [task],
        "attachments": [
            {**file, "content": "PGh0bWw+"}, {**file, "id": file["id"][:-1] + "6", "content": "!"},
            {**file, "id": file["id"][:-1] + "7", "content": "", "offset": 5}, {"content": 1},
        ],
    }  # fmt: skip
    result = await imported(ada, json.dumps(whole).encode())
    assert (result["status"], result["created"]) == ("done", 1)
    deadline = time.monotonic() + 10
    while len(errors := (await ada("GET", f"/v1/imports/{result['id']}")).json["errors"]) < 4:
        assert time.monotonic() < deadline, errors
        await asyncio.sleep(0.05)
    details = " / ".join(each["detail"] for each in errors)
    for part in ("a piece of an attachment", "no base64", "a piece of it is missing", "no kind of file"):
        assert part in details


# what begins with an apostrophe and a sign is in a table what begins with the sign
TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1, max_size=40).filter(
    lambda text: text.strip() and not text.startswith("'")
)
TASKS = st.lists(
    st.fixed_dictionaries(
        {"title": TEXTS},
        optional={
            "description": TEXTS,
            "status": st.sampled_from(["todo", "in_progress", "in_review", "done", "cancelled"]),
            "priority": st.integers(0, 4),
            "estimate_minutes": st.integers(0, 100_000),
            "due_at": st.sampled_from([DUE, "1999-12-31T23:59:59.999Z"]),
            "start_at": st.just("2026-10-25T00:30:00.000Z"),
            "recurrence": st.sampled_from(
                [
                    {"rule": "FREQ=DAILY;COUNT=3", "timezone": "Europe/Berlin"},
                    {"rule": "FREQ=MONTHLY", "basis": "completion"},
                ]
            ),
        },
    ),
    max_size=5,
)
PLACES = st.integers(0, 4)
RELATIONS = st.lists(st.tuples(PLACES, st.sampled_from(["blocks", "relates", "duplicates"]), PLACES), max_size=6)
FILES = st.lists(st.tuples(PLACES, st.text("ab\n", max_size=20)), max_size=2)


@given(
    tasks=TASKS, name=TEXTS, parents=st.lists(PLACES, max_size=5), comments=st.lists(TEXTS, max_size=3),
    relations=RELATIONS, files=FILES,
)  # fmt: skip
@settings(
    max_examples=10, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
async def test_whatever_is_exported_is_imported_the_same(
    ada: Uploader, bob: Uploader, tasks: list[Any], name: str, parents: list[int], comments: list[str],
    relations: list[tuple[int, str, int]], files: list[tuple[int, str]],
) -> None:  # fmt: skip
    project = await made(ada, "/v1/projects", name=name, description=name)
    ids = []
    for fields in tasks:
        answer = await ada.api("POST", "/v1/tasks", {"project_id": project["id"], **fields})
        ids += [answer.json["id"]] if answer.status == 201 else []  # what recurs needs a date, one of the rule
    for child, parent in zip(ids, parents, strict=False):
        if parent < len(ids):  # a circle is refused, and then there is none
            await ada.api("PATCH", f"/v1/tasks/{child}", {"parent_id": ids[parent]})
    for one, kind, other in relations:
        if max(one, other) < len(ids):  # likewise
            await ada.api("PUT", f"/v1/tasks/{ids[one]}/relations/{kind}/{ids[other]}")
    for id, body in zip(ids, comments, strict=False):
        await made(ada, f"/v1/tasks/{id}/comments", body=body)
    sent = [
        await ada.upload(text.encode(), f"{text[:3]}.txt", task_id=ids[one]) for one, text in files if one < len(ids)
    ]
    before = await until(ada, project["id"], len(sent))
    result = await imported(bob, before)
    assert (result["status"], result["errors"]) == ("done", [])
    after = await until(bob, result["project_id"], len(sent))
    assert essence(after) == essence(before)
    assert await occurrences(bob, after) == await occurrences(ada, before)
    await deleted(bob, result["project_id"])
    table = (await ada("GET", f"/v1/projects/{project['id']}/export?format=csv")).body
    result = await bob.ended(await bob.send_import([("format", None, b"csv"), ("file", "a.csv", table)]))
    assert (result["status"], result["errors"]) == ("done", [])
    again = (await bob("GET", f"/v1/projects/{result['project_id']}/export?format=csv")).body
    assert sorted(lines_of(again), key=str) == sorted(lines_of(table), key=str)
    await deleted(bob, result["project_id"])
