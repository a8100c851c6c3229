"""A project as a file, in three formats: complete, safe to open, streamed, and for those who may see it."""

from __future__ import annotations

import asyncio
import csv
import io
import tracemalloc
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import icalendar
import pytest

from actors.contracts.task import ListTasks, Task
from actors.contracts.task_label import Label, ListLabels
from actors.contracts.task_project import GetProject, ListMembers, Member, Project
from edge.export_files import ExportedPiece
from edge.exports import COLUMNS, TASKS, pieces
from runtime.actor import Actor, handles
from runtime.context import Context
from runtime.message import Grant, Page, decoder, encode
from tests.edge.key_keeper import KeyKeeper, NoRecords
from tests.edge.stand import edge_of
from tests.edge.whole_house import House, house_of
from tests.system.world import Answer, Api


@pytest.fixture(scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    async with house_of(tmp_path_factory.mktemp("exports")) as house:
        yield house


@pytest.fixture
async def ada(house: House) -> Api:
    return await house.anyone.person("Ada")


async def made(api: Api, path: str, **fields: Any) -> Any:
    answer = await api("POST", path, fields)
    assert answer.status == 201, answer
    return answer.json


async def exported(api: Api, project: Mapping[str, Any], format: str) -> Answer:
    answer = await api("GET", f"/v1/projects/{project['id']}/export?format={format}")
    assert answer.status == 200, answer
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{project["key"]}.{format}"'
    return answer


def table(answer: Answer) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(answer.body.decode(), newline="")))


def to_dos(answer: Answer) -> list[Any]:
    return list(icalendar.Calendar.from_ical(answer.body).walk("VTODO"))


async def test_json_has_all_that_is_in_the_project_but_its_trash(house: House, ada: Api) -> None:
    bob = await house.anyone.person("Bob")
    project = await made(ada, "/v1/projects", name="Apollo")
    await ada("PUT", f"/v1/projects/{project['id']}/members/{bob.user['id']}", {"role": "viewer"})
    label = await made(ada, f"/v1/projects/{project['id']}/labels", name="urgent")
    tasks = [
        await made(ada, "/v1/tasks", project_id=project["id"], title=f"Step {n}", label_ids=[label["id"]])
        for n in range(TASKS + 2)
    ]
    said = [await made(ada, f"/v1/tasks/{tasks[0]['id']}/comments", body=f"Mind {n}") for n in range(2)]
    gone = await made(ada, "/v1/tasks", project_id=project["id"], title="Gone")
    assert (await ada("DELETE", f"/v1/tasks/{gone['id']}")).status == 204
    answer = await exported(bob, project, "json")
    assert answer.headers["Content-Type"] == "application/json"
    assert b"@example.org" not in answer.body
    file = answer.json
    assert file.keys() == {"project", "members", "labels", "tasks"}
    assert (file["project"]["id"], file["project"]["role"]) == (project["id"], "viewer")
    assert {each["user_id"] for each in file["members"]} == {ada.user["id"], bob.user["id"]}
    assert file["labels"] == [label]
    assert [each["title"] for each in file["tasks"]] == [each["title"] for each in tasks]
    assert file["tasks"][0]["comments"] == said
    task = (await bob("GET", f"/v1/tasks/{tasks[0]['id']}")).json
    assert file["tasks"][0] == {**task, "comments": said}


@pytest.mark.parametrize("format", ["json", "csv", "ics"])
async def test_an_empty_project_is_a_file_too(ada: Api, format: str) -> None:
    project = await made(ada, "/v1/projects", name="Empty")
    answer = await exported(ada, project, format)
    if format == "json":
        assert (answer.json["tasks"], answer.json["labels"]) == ([], [])
    elif format == "csv":
        assert answer.body.decode() == ",".join(COLUMNS) + "\r\n"
    else:
        assert to_dos(answer) == []


async def test_csv_has_a_line_a_task_with_names(ada: Api) -> None:
    project = await made(ada, "/v1/projects", name="Apollo")
    ids = [(await made(ada, f"/v1/projects/{project['id']}/labels", name=name))["id"] for name in ("a", "b, c")]
    fields = {"priority": 4, "due_at": "2026-12-24T10:00:00+01:00", "estimate_minutes": 30}
    text = 'two\nlines, "quoted"'
    task = await made(
        ada, "/v1/tasks", project_id=project["id"], title="Land", description=text, label_ids=ids,
        assignee_ids=[ada.user["id"]], **fields,
    )  # fmt: skip
    answer = await exported(ada, project, "csv")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8; header=present"
    (row,) = table(answer)
    assert {name: row[name] for name in ("id", "number", "title", "description", "status", "priority")} == {
        "id": task["id"], "number": "1", "title": "Land", "description": text, "status": "todo", "priority": "4",
    }  # fmt: skip
    assert sorted(row["labels"].split(";")) == ["a", "b, c"]
    assert (row["assignees"], row["start_at"], row["due_at"]) == ("Ada", "", "2026-12-24T09:00:00.000Z")
    assert row["estimate_minutes"] == "30"


@pytest.mark.parametrize("formula", ["=1+1", "+1", "-1", "@SUM(A1)", '=HYPERLINK("http://x")'])
async def test_no_cell_is_a_formula(ada: Api, formula: str) -> None:
    project = await made(ada, "/v1/projects", name="Apollo")
    await made(ada, "/v1/tasks", project_id=project["id"], title=formula, description=formula)
    (row,) = table(await exported(ada, project, "csv"))
    assert (row["title"], row["description"]) == (f"'{formula}", f"'{formula}")


async def test_ics_has_a_to_do_a_task_that_a_calendar_can_read(ada: Api) -> None:
    project = await made(ada, "/v1/projects", name="Apollo")
    label = await made(ada, f"/v1/projects/{project['id']}/labels", name="a;b,c")
    text = "Commas, semicolons; back\\slashes\nand lines\x07" + "long " * 50
    parent = await made(ada, "/v1/tasks", project_id=project["id"], title="Parent", status="done")
    task = await made(
        ada, "/v1/tasks", project_id=project["id"], title="Land; softly,\\n now", description=text, priority=4,
        label_ids=[label["id"]], start_at="2026-12-24T08:00:00Z", due_at="2026-12-24T09:00:00Z",
        parent_id=parent["id"], status="in_review",
    )  # fmt: skip
    backwards = {"start_at": "2026-12-24T08:00:00Z", "due_at": "2026-12-24T07:00:00Z", "status": "cancelled"}
    await made(ada, "/v1/tasks", project_id=project["id"], title="Late", **backwards)
    answer = await exported(ada, project, "ics")
    assert answer.headers["Content-Type"] == "text/calendar; charset=utf-8"
    assert max(map(len, answer.body.split(b"\r\n"))) <= 75
    assert b"\n" not in answer.body.replace(b"\r\n", b"")
    done, todo, late = to_dos(answer)
    assert (done["status"], done["completed"].dt.isoformat()[:10]) == ("COMPLETED", parent["completed_at"][:10])
    assert (todo["uid"], todo["summary"], todo["status"], todo["priority"]) == (
        task["id"], "Land; softly,\\n now", "IN-PROCESS", 1,
    )  # fmt: skip
    assert todo["description"] == text.replace("\x07", "")
    assert (todo["dtstart"].dt.isoformat(), todo["due"].dt.isoformat()) == (
        "2026-12-24T08:00:00+00:00", "2026-12-24T09:00:00+00:00",
    )  # fmt: skip
    assert todo["related-to"] == parent["id"]
    assert [str(each) for each in todo["categories"].cats] == ["a;b,c"]
    assert (late["status"], late.get("dtstart"), "due" in late) == ("CANCELLED", None, True)


async def test_a_format_is_required_and_known(ada: Api) -> None:
    project = await made(ada, "/v1/projects", name="Apollo")
    for query in ("", "?format=xml", "?format=csv&format=ics", "?format=csv&x=1"):
        refused = await ada("GET", f"/v1/projects/{project['id']}/export{query}")
        assert (refused.status, refused.json["code"]) == (422, "request.invalid")


async def test_a_project_of_others_does_not_exist(house: House, ada: Api) -> None:
    project = await made(ada, "/v1/projects", name="Apollo")
    eve = await house.anyone.person("Eve")
    refused = await eve("GET", f"/v1/projects/{project['id']}/export?format=csv")
    assert (refused.status, refused.json["code"]) == (404, "project.not_found")


async def test_a_connection_serves_on_after_an_export_and_a_head_has_no_body(house: House, ada: Api) -> None:
    project = await made(ada, "/v1/projects", name="Apollo")
    path = f"/v1/projects/{project['id']}/export?format=json"
    host, port = house.address.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = f"Host: x\r\nAuthorization: Bearer {ada.token}\r\n\r\n"
    for method, ends in (("HEAD", b"\r\n\r\n"), ("GET", b"\r\n0\r\n\r\n"), ("GET", b"\r\n0\r\n\r\n")):
        writer.write(f"{method} {path} HTTP/1.1\r\n{head}".encode())
        answer = await asyncio.wait_for(reader.readuntil(ends), 5)
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"Transfer-Encoding: chunked\r\n" in answer
        assert b"Content-Length" not in answer
    writer.write(f"GET {path} HTTP/1.0\r\n{head}".encode())
    answer = await asyncio.wait_for(reader.read(), 5)
    assert answer.endswith(b"]}"), "to the end of the connection, without chunks"
    assert b"chunked" not in answer
    writer.close()


class Failing(Actor[NoRecords]):
    """Has a project whose tasks cannot be read to their end."""

    name = "task"
    records = NoRecords

    @handles
    async def project(self, query: GetProject, ctx: Context[NoRecords]) -> Project:
        at = "2026-11-24T09:30:00.000Z"
        return Project(
            id=query.id, name="Apollo", description="", key="A", role="owner", created_by=None, created_at=at,
            updated_at=at, version=1,
        )  # fmt: skip

    @handles
    async def members(self, query: ListMembers, ctx: Context[NoRecords]) -> Page[Member]:
        return Page([])

    @handles
    async def labels(self, query: ListLabels, ctx: Context[NoRecords]) -> Page[Label]:
        return Page([])

    @handles
    async def tasks(self, query: ListTasks, ctx: Context[NoRecords]) -> Page[Task]:
        raise RuntimeError("a fault of this test")


@pytest.mark.parametrize("format", ["json", "csv", "ics"])
async def test_what_breaks_off_has_no_end(tmp_path: Path, format: str) -> None:
    keeper = KeyKeeper()
    async with edge_of(tmp_path, keeper, Failing()) as (_, address), aiohttp.ClientSession() as session:
        headers = {"Authorization": f"Bearer {keeper.token()}"}
        url = f"{address}/v1/projects/{uuid4()}/export?format={format}"
        async with session.get(url, headers=headers) as response:
            assert response.status == 200
            with pytest.raises(aiohttp.ClientError):
                await response.read()


async def none_attached(task_ids: Sequence[str]) -> AsyncIterator[ExportedPiece]:
    for _ in task_ids:
        raise AssertionError("no task of these has a file")
        yield


async def test_memory_does_not_grow_with_the_project(ada: Api) -> None:
    """What asks is a stand-in for the actor that answers as many pages as one likes."""
    own = await made(ada, "/v1/projects", name="Apollo")
    task = await made(ada, "/v1/tasks", project_id=own["id"], title="Land", description="x" * 10_000)
    project = decoder(Project).decode(encode(own))
    page = encode({"items": [task] * TASKS, "next_cursor": "more"})
    left = 200

    async def ask(query: Any, /, *, grants: Sequence[Grant] = ()) -> Any:
        nonlocal left
        if not isinstance(query, ListTasks):
            return Page([])
        left -= 1
        found = decoder(Page[Task]).decode(page)
        return found if left else Page(found.items)

    tracemalloc.start()
    total = 0
    async for piece in pieces(ask, none_attached, project, "json"):
        total += len(piece)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert total > 100_000_000
    assert peak < 10_000_000
