"""Imports over HTTP, on embedded twins."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.actors.importing import archive, comment, issue
from tests.edge.whole_house import House, Parts, Uploader, house_of

LIMIT = 300_000
FORMAT = ("format", None, b"github-archive")


@pytest.fixture(scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    async with house_of(tmp_path_factory.mktemp("var"), import_limit=LIMIT) as house:
        yield house


@pytest.fixture(scope="module")
async def ada(house: House) -> Uploader:
    return await house.person()


def files(house: House) -> set[str]:
    """Of imports, all that is in the folder of objects; also what is being written."""
    folder = Path(house.app.settings.var_dir) / "media"
    return {f"{path}/{name}" for path, _, names in os.walk(folder) for name in names}  # folders may go meanwhile


async def until_none(house: House) -> None:
    deadline = time.monotonic() + 10
    while files(house):
        assert time.monotonic() < deadline, files(house)
        await asyncio.sleep(0.02)


async def test_an_import_is_accepted_and_can_be_followed(house: House, ada: Uploader) -> None:
    project = await ada.api.project()
    content = archive(issue(1, "Order brass", comments=[comment("Soon")]), issue(2, None))  # type: ignore[arg-type] # on purpose
    answer = await ada.send_import([FORMAT, ("project_id", None, project.encode()), ("file", "a.json", content)])
    assert answer.status == 202, answer
    begun = answer.json
    assert answer.headers["Location"] == f"/v1/imports/{begun['id']}"
    assert begun == {
        "id": begun["id"],
        "format": "github-archive",
        "project_id": project,
        "dry_run": False,
        "status": "queued",
        "done": 0,
        "total": 0,
        "created": 0,
        "skipped": 0,
        "errors": [],
        "created_at": begun["created_at"],
    }
    result = await ada.ended(answer)
    (error,) = result["errors"]
    assert error["detail"].startswith("issue 2: ")
    assert result == {**begun, "status": "done", "done": 2, "total": 2, "created": 1, "errors": [error]}
    (task,) = (await ada("GET", f"/v1/tasks?project_id={project}")).json["items"]
    assert (task["number"], task["title"], task["comment_count"]) == (1, "Order brass", 1)
    (said,) = (await ada("GET", f"/v1/tasks/{task['id']}/comments")).json["items"]
    assert (said["author_id"], said["author_name"], said["body"]) == (None, "bob", "Soon")
    deadline = time.monotonic() + 10
    while not (told := (await ada("GET", "/v1/notifications")).json["items"]):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
    assert [(each["kind"], each["subject"], each["title"], each["body"]) for each in told] == [
        (
            "import_done",
            {"type": "import", "id": begun["id"]},
            "An import has ended: a.json",
            "Tasks: 2; new: 1; there already: 0",
        )
    ]
    await until_none(house)


async def test_the_same_import_with_the_same_key_is_begun_once(house: House, ada: Uploader) -> None:
    parts: Parts = [("file", "a.json", archive(issue(1))), FORMAT]
    first = await ada.send_import(parts, idempotency_key="one")
    again = await ada.send_import(parts, idempotency_key="one")
    assert (again.status, again.body) == (202, first.body)
    assert again.headers["Idempotency-Replayed"] == "true"
    reused = await ada.send_import([("file", "a.json", archive(issue(2))), FORMAT], idempotency_key="one")
    assert (reused.status, reused.problem()) == (422, "idempotency.key_reused")
    assert (await ada.ended(first))["created"] == 1
    projects = (await ada("GET", "/v1/projects")).json["items"]
    assert [each["name"] for each in projects].count("moon/apollo") == 1
    await until_none(house)


async def test_a_dry_run_makes_nothing(ada: Uploader) -> None:
    before = (await ada("GET", "/v1/projects")).json
    parts: Parts = [FORMAT, ("dry_run", None, b"true"), ("mapping", None, b'{"a": "b"}')]
    answer = await ada.send_import([*parts, ("file", "a.json", archive(issue(1)))])
    assert answer.status == 202, answer
    result = await ada.ended(answer)
    assert (result["dry_run"], result["project_id"], result["created"]) == (True, None, 1)
    assert (await ada("GET", "/v1/projects")).json == before


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n", b"[]", archive(issue(1))[:-20]])
async def test_what_cannot_be_read_fails_and_says_why(house: House, ada: Uploader, content: bytes) -> None:
    answer = await ada.send_import([FORMAT, ("file", "a.json", content)])
    assert answer.status == 202
    result = await ada.ended(answer)
    assert (result["status"], result["created"], len(result["errors"])) == ("failed", 0, 1)
    assert result["errors"][0].keys() == {"line", "detail"}
    await until_none(house)


async def test_a_file_beyond_the_limit_is_refused(house: House, ada: Uploader) -> None:
    for size in (LIMIT + 1, 3 * LIMIT):
        answer = await ada.send_import([FORMAT, ("file", "a.json", b"x" * size)])
        assert (answer.status, answer.problem()) == (413, "request.too_large")
    await until_none(house)


async def test_what_is_no_form_is_refused(ada: Uploader) -> None:
    answer = await ada.api("POST", "/v1/imports", {"format": "github-archive"})
    assert (answer.status, answer.problem()) == (415, "request.media_type")


@pytest.mark.parametrize(
    ("parts", "pointers"),
    [
        ([("file", "a", b"{}")], ["/format"]),
        ([("file", "a", b"{}"), ("format", None, b"jira")], ["/format"]),
        ([FORMAT], ["/file"]),
        (
            [("file", "a", b"{}"), FORMAT, ("project_id", None, b"x"), ("dry_run", None, b"1")],
            ["/project_id", "/dry_run"],
        ),
        ([("file", "a", b"{}"), FORMAT, ("mapping", None, b"{")], ["/mapping"]),
        ([("file", "a", b"{}"), FORMAT, ("mapping", None, b"null")], ["/mapping"]),
        ([("file", "a", b"{}"), FORMAT, ("mapping", None, b'["a"]')], ["/mapping"]),
        ([("file", "a", b"{}"), FORMAT, ("mapping", None, b'{"a": 1}')], ["/mapping"]),
        ([("file", "a", b"{}"), FORMAT, ("mapping", None, b'{"a": "\\u0000"}')], ["/mapping"]),
        ([("file", "a", b"{}"), FORMAT, ("mapping", None, b'{"a": "\\ud800"}')], ["/mapping"]),
        ([("file", "a", b"{}"), FORMAT, ("mapping", None, b"")], ["/mapping"]),
        ([("file", "a", b"{}"), FORMAT, ("color", None, b"red")], ["/color"]),
    ],
)
async def test_wrong_fields_are_named(house: House, ada: Uploader, parts: Parts, pointers: list[str]) -> None:
    answer = await ada.send_import(parts)
    assert (answer.status, answer.problem()) == (422, "request.invalid")
    assert [each["pointer"] for each in answer.json["errors"]] == pointers
    await until_none(house)


async def test_who_may_not_write_to_a_project_is_refused(house: House, ada: Uploader) -> None:
    bob, project = await house.person("Bob"), await ada.api.project()
    parts: Parts = [FORMAT, ("project_id", None, project.encode()), ("file", "a.json", archive())]
    answer = await bob.send_import(parts)
    assert (answer.status, answer.problem()) == (404, "project.not_found")
    await ada.join(project, bob, "viewer")
    answer = await bob.send_import(parts)
    assert (answer.status, answer.problem()) == (403, "auth.forbidden")
    await ada.join(project, bob, "editor")
    answer = await bob.send_import(parts)
    assert answer.status == 202
    hidden = await ada("GET", answer.headers["Location"])
    assert (hidden.status, hidden.problem()) == (404, "import.not_found")
    malformed = await ada("GET", "/v1/imports/x")
    assert (malformed.status, malformed.problem()) == (404, "import.not_found")
    await bob.ended(answer)
    await until_none(house)


async def test_imports_need_a_caller(house: House) -> None:
    assert (await house.anyone("POST", "/v1/imports")).status == 401
