"""Projects, members, labels, comments and what hangs on a task, over HTTP: statuses, tags and places."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest

from tests.edge.whole_house import House
from tests.system.world import Answer, Api


@pytest.fixture(scope="module")
async def bob(house: House) -> Api:
    """Never in a project but as the test says."""
    return await house.anyone.person("Bob")


async def join(ada: Api, project: str, other: Api, role: str = "editor") -> None:
    joined = await ada("PUT", f"/v1/projects/{project}/members/{other.user['id']}", {"role": role})
    assert joined.status == 200, joined


def refused(answer: Answer, status: int, code: str, *pointers: str) -> None:
    assert (answer.status, answer.problem()) == (status, code), answer
    assert [fault["pointer"] for fault in answer.json.get("errors", [])] == list(pointers)


# ------------------------------------------------------------------------------------------------- projects


async def test_a_project_has_a_tag_that_reading_and_changing_heed(ada: Api, project: str) -> None:
    path = f"/v1/projects/{project}"
    read = await ada("GET", path)
    assert (read.status, read.json["id"], read.headers["ETag"]) == (200, project, '"1"')
    assert (await ada("GET", path, if_none_match='"1"')).status == 304
    changed = await ada("PATCH", path, {"name": "Difference Engine", "description": None}, if_match='"7", "1"')
    assert (changed.status, changed.json["name"], changed.headers["ETag"]) == (200, "Difference Engine", '"2"')
    refused(await ada("PATCH", path, {"name": "x"}, if_match='"1"'), 412, "request.precondition_failed")
    refused(await ada("PATCH", path, {"name": "x"}, if_match="1"), 400, "request.malformed")
    refused(await ada("DELETE", path, if_match='"1"'), 412, "request.precondition_failed")
    assert (await ada("GET", path)).json == changed.json
    gone = await ada("DELETE", path, if_match="*")
    assert (gone.status, gone.body) == (204, b"")
    refused(await ada("GET", path), 404, "project.not_found")
    refused(await ada("DELETE", path), 404, "project.not_found")


async def test_b83_of_two_patches_of_a_project_at_once_with_one_tag_one_wins(ada: Api, project: str) -> None:
    path = f"/v1/projects/{project}"
    answers = await asyncio.gather(*(ada("PATCH", path, {"name": name}, if_match='"1"') for name in ("one", "other")))
    assert sorted(answer.status for answer in answers) == [200, 412]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"name": None}, "/name"),
        ({"name": ""}, "/name"),
        ({"name": "a\nb"}, "/name"),
        ({"name": "x" * 201}, "/name"),
        ({"key": "lower"}, "/key"),
        ({"description": "é" * 32769}, "/description"),
    ],
    ids=str,
)
async def test_a_change_of_a_project_that_breaks_a_rule_says_where(
    ada: Api, project: str, body: dict[str, Any], pointer: str
) -> None:
    refused(await ada("PATCH", f"/v1/projects/{project}", body), 422, "request.invalid", pointer)


@pytest.mark.parametrize("field", ["role", "created_by", "created_at", "version", "id"])
async def test_b80_what_is_not_the_clients_to_set_is_refused_everywhere(
    ada: Api, project: str, task: Any, field: str
) -> None:
    label = (await ada("POST", f"/v1/projects/{project}/labels", {"name": "bug"})).json
    comment = (await ada("POST", f"/v1/tasks/{task['id']}/comments", {"body": "x"})).json
    mine = {field: ada.user["id"]}
    for method, path, body in (
        ("POST", "/v1/projects", {"name": "x", **mine}),
        ("PATCH", f"/v1/projects/{project}", mine),
        ("POST", f"/v1/projects/{project}/labels", {"name": "x", **mine}),
        ("PATCH", f"/v1/labels/{label['id']}", mine),
        ("POST", f"/v1/tasks/{task['id']}/comments", {"body": "x", **mine}),
        ("PATCH", f"/v1/comments/{comment['id']}", mine),
        ("PATCH", f"/v1/tasks/{task['id']}", mine),
        ("PUT", f"/v1/tasks/{task['id']}/watchers/me", mine),
        ("POST", f"/v1/tasks/{task['id']}/restore", mine),
    ):
        refused(await ada(method, path, body), 422, "request.invalid", f"/{field}")


async def test_an_editor_may_not_what_an_owner_may(ada: Api, bob: Api, project: str) -> None:
    await join(ada, project, bob, "editor")
    path = f"/v1/projects/{project}"
    for method, below, body in (
        ("PATCH", "", {"name": "mine"}),
        ("DELETE", "", None),
        ("PUT", f"/members/{bob.user['id']}", {"role": "owner"}),
        ("DELETE", f"/members/{ada.user['id']}", None),
    ):
        refused(await bob(method, path + below, body), 403, "auth.forbidden")
    assert (await bob("GET", path)).json["role"] == "editor"


async def test_b77_what_one_does_not_see_is_not_there(ada: Api, bob: Api, project: str, task: Any) -> None:
    label = (await ada("POST", f"/v1/projects/{project}/labels", {"name": "bug"})).json
    comment = (await ada("POST", f"/v1/tasks/{task['id']}/comments", {"body": "x"})).json
    calls = {
        "project": [
            ("GET", f"/v1/projects/{project}", None),
            ("PATCH", f"/v1/projects/{project}", {"name": "mine"}),
            ("DELETE", f"/v1/projects/{project}", None),
            ("GET", f"/v1/projects/{project}/members", None),
            ("DELETE", f"/v1/projects/{project}/members/{ada.user['id']}", None),
            ("DELETE", f"/v1/projects/{project}/members/{bob.user['id']}", None),
            ("POST", f"/v1/projects/{project}/labels", {"name": "mine"}),
            ("GET", f"/v1/projects/{project}/labels", None),
        ],
        "label": [("PATCH", f"/v1/labels/{label['id']}", {"name": "x"}), ("DELETE", f"/v1/labels/{label['id']}", None)],
        "comment": [
            ("PATCH", f"/v1/comments/{comment['id']}", {"body": "x"}),
            ("DELETE", f"/v1/comments/{comment['id']}", None),
        ],
        "task": [
            ("GET", f"/v1/tasks/{task['id']}/comments", None),
            ("POST", f"/v1/tasks/{task['id']}/comments", {"body": "x"}),
            ("POST", f"/v1/tasks/{task['id']}/restore", None),
            *(
                (method, f"/v1/tasks/{task['id']}/{below}", None)
                for method in ("PUT", "DELETE")
                for below in (f"assignees/{bob.user['id']}", f"labels/{label['id']}", "watchers/me")
            ),
        ],
    }
    ids = (project, label["id"], comment["id"], task["id"])
    for kind, those in calls.items():
        for method, path, body in those:
            missing, malformed = path, path
            for id in ids:
                missing, malformed = missing.replace(id, str(uuid.uuid4())), malformed.replace(id, "7")
            hidden, unknown = await bob(method, path, body), await bob(method, missing, body)
            refused(hidden, 404, f"{kind}.not_found")
            refused(unknown, 404, f"{kind}.not_found")
            refused(await bob(method, malformed, body), 404, f"{kind}.not_found")
            assert unknown.json["detail"] == hidden.json["detail"]


async def test_who_has_just_registered_is_added_and_assigned_at_once(ada: Api, house: House, task: Any) -> None:
    eve = await house.anyone.person("Eve")
    await join(ada, task["project_id"], eve, "viewer")
    assigned = await ada("PUT", f"/v1/tasks/{task['id']}/assignees/{eve.user['id']}")
    assert (assigned.status, assigned.json["assignee_ids"]) == (200, [eve.user["id"]])


async def test_b81_who_shares_a_project_is_told_no_address(ada: Api, bob: Api, project: str, task: Any) -> None:
    await join(ada, project, bob)
    assert (await ada("POST", f"/v1/tasks/{task['id']}/comments", {"body": "x"})).status == 201
    for path in (
        f"/v1/projects/{project}",
        f"/v1/projects/{project}/members",
        f"/v1/projects/{project}/export?format=json",
        f"/v1/tasks?project_id={project}",
        f"/v1/tasks/{task['id']}/comments",
        f"/v1/tasks/{task['id']}/activity",
        "/v1/changes",
        f"/v1/users/{ada.user['id']}",
    ):
        answer = await bob("GET", path)
        assert answer.status == 200, answer
        assert ada.user["email"] not in answer.body.decode(), path


async def test_members_are_listed_and_leave(ada: Api, bob: Api, project: str) -> None:
    await join(ada, project, bob, "viewer")
    path = f"/v1/projects/{project}/members"
    listed = await bob("GET", path + "?limit=1")
    assert [member["name"] for member in listed.json["items"]] in (["Bob"], ["Ada"])  # of one ms, perhaps
    rest = await bob("GET", f"{path}?limit=1&cursor={listed.json['next_cursor']}")
    assert {member["role"] for member in listed.json["items"] + rest.json["items"]} == {"owner", "viewer"}
    refused(await ada("DELETE", f"{path}/{ada.user['id']}"), 409, "project.last_owner")
    left = await bob("DELETE", f"{path}/{bob.user['id']}")
    assert (left.status, left.body) == (204, b"")
    refused(await bob("GET", path), 404, "project.not_found")
    refused(await ada("DELETE", f"{path}/{bob.user['id']}"), 404, "member.not_found")


# ------------------------------------------------------------------------------------------------- labels


async def test_a_label_is_made_changed_and_deleted(ada: Api, project: str) -> None:
    made = await ada("POST", f"/v1/projects/{project}/labels", {"name": "bug", "color": None})
    path = f"/v1/labels/{made.json['id']}"
    assert (made.status, made.headers["Location"], made.headers["ETag"]) == (201, path, '"1"')
    assert made.json["project_id"] == project
    assert made.json["color"] == "#808080"
    again = await ada("POST", f"/v1/projects/{project}/labels", {"name": "bug"})
    refused(again, 409, "label.name_taken")
    changed = await ada("PATCH", path, {"color": "#ff0000"}, if_match='"1"')
    assert (changed.status, changed.json["color"], changed.headers["ETag"]) == (200, "#ff0000", '"2"')
    refused(await ada("PATCH", path, {"color": "red"}), 422, "request.invalid", "/color")
    refused(await ada("PATCH", path, {"name": "x" * 101}), 422, "request.invalid", "/name")
    refused(await ada("DELETE", path, if_match='"1"'), 412, "request.precondition_failed")
    assert (await ada("GET", f"/v1/projects/{project}/labels")).json == {"items": [changed.json], "next_cursor": None}
    refused(await ada("GET", f"/v1/projects/{project}/labels?cursor=x"), 422, "request.invalid", "?cursor")
    assert (await ada("DELETE", path)).status == 204
    refused(await ada("DELETE", path), 404, "label.not_found")
    refused(await ada("GET", path), 405, "route.method_not_allowed")


# ------------------------------------------------------------------------------------------------- comments


async def test_a_comment_is_made_changed_and_deleted(ada: Api, task: Any) -> None:
    comments = f"/v1/tasks/{task['id']}/comments"
    made = await ada("POST", comments, {"body": "Well done"}, idempotency_key="once " + task["id"])
    refused(made, 422, "request.invalid", "Idempotency-Key")  # a space
    made = await ada("POST", comments, {"body": "Well done"}, idempotency_key=task["id"])
    again = await ada("POST", comments, {"body": "Well done"}, idempotency_key=task["id"])
    assert (again.body, again.headers["Idempotency-Replayed"]) == (made.body, "true")
    path = f"/v1/comments/{made.json['id']}"
    assert (made.status, made.headers["Location"], made.headers["ETag"]) == (201, path, '"1"')
    assert (made.json["author_id"], made.json["author_name"]) == (ada.user["id"], "Ada")
    changed = await ada("PATCH", path, {"body": "Very well done"}, if_match='"1"')
    assert (changed.status, changed.json["body"], changed.headers["ETag"]) == (200, "Very well done", '"2"')
    refused(await ada("PATCH", path, {"body": "x"}, if_match='"1"'), 412, "request.precondition_failed")
    for body in ("", None, "a\0b", "é" * 32769):
        refused(await ada("PATCH", path, {"body": body}), 422, "request.invalid", "/body")
    assert (await ada("GET", comments)).json == {"items": [changed.json], "next_cursor": None}
    assert (await ada("GET", f"/v1/tasks/{task['id']}")).json["comment_count"] == 1
    assert (await ada("DELETE", path)).status == 204
    refused(await ada("DELETE", path), 404, "comment.not_found")


async def test_viewers_say_nothing(ada: Api, bob: Api, project: str, task: Any) -> None:
    await join(ada, project, bob, "viewer")
    refused(await bob("POST", f"/v1/tasks/{task['id']}/comments", {"body": "x"}), 403, "auth.forbidden")


# ------------------------------------------------------------------------------------------------- on a task


async def test_what_hangs_on_a_task_answers_with_the_task(ada: Api, bob: Api, project: str, task: Any) -> None:
    await join(ada, project, bob, "viewer")
    label = (await ada("POST", f"/v1/projects/{project}/labels", {"name": "bug"})).json
    path = f"/v1/tasks/{task['id']}"
    version = 1
    for below, field, value in (
        (f"assignees/{bob.user['id']}", "assignee_ids", bob.user["id"]),
        (f"labels/{label['id']}", "label_ids", label["id"]),
    ):
        for method, expected in (("PUT", [value]), ("DELETE", [])):
            version += 1
            for _ in range(2):
                answer = await ada(method, f"{path}/{below}")
                assert (answer.status, answer.json[field]) == (200, expected)
                assert answer.headers["ETag"] == f'"{version}"'
    for method, watching in (("PUT", True), ("DELETE", False)):
        answer = await bob(method, f"{path}/watchers/me")
        assert (answer.status, answer.json["watching"], answer.json["watcher_count"]) == (200, watching, int(watching))
    stale = await ada("DELETE", f"{path}/assignees/{bob.user['id']}", if_match='"1"')
    refused(stale, 412, "request.precondition_failed")


async def test_b78_foreign_ids_in_a_path_change_nothing(ada: Api, bob: Api, task: Any) -> None:
    path = f"/v1/tasks/{task['id']}"
    other = (await ada("POST", f"/v1/projects/{await ada.project()}/labels", {"name": "bug"})).json
    refused(await ada("PUT", f"{path}/assignees/{bob.user['id']}"), 422, "task.assignee_not_member")
    refused(await ada("PUT", f"{path}/assignees/{uuid.uuid4()}"), 422, "task.assignee_not_member")
    refused(await ada("PUT", f"{path}/assignees/7"), 404, "user.not_found")
    refused(await ada("PUT", f"{path}/labels/{other['id']}"), 404, "label.not_found")
    refused(await ada("PUT", f"{path}/labels/7"), 404, "label.not_found")
    refused(await ada("PUT", f"{path}/watchers/{ada.user['id']}"), 404, "route.not_found")
    assert (await ada("GET", path)).json == task


async def test_the_trash_is_left_by_restoring(ada: Api, task: Any) -> None:
    path = f"/v1/tasks/{task['id']}"
    assert (await ada("DELETE", path)).status == 204
    for method, below, body in (
        ("PATCH", "", {"title": "x"}),
        ("PUT", "/watchers/me", None),
        ("PUT", f"/assignees/{ada.user['id']}", None),
        ("POST", "/comments", {"body": "x"}),
    ):
        refused(await ada(method, path + below, body), 409, "task.deleted")
    restored = await ada("POST", f"{path}/restore")
    assert (restored.status, restored.json["deleted_at"], restored.headers["ETag"]) == (200, None, '"3"')
    assert (await ada("POST", f"{path}/restore")).json == restored.json


async def test_a_search_finds_words_of_comments(ada: Api, project: str, task: Any) -> None:
    await ada("POST", f"/v1/tasks/{task['id']}/comments", {"body": "Schön, die Nieten"})
    for q in ("schon brass", "nieten", "niet* ord*", '"order brass" nieten'):
        found = await ada("GET", f"/v1/tasks?project_id={project}&q={q}")
        assert [each["id"] for each in found.json["items"]] == [task["id"]], q
    assert (await ada("GET", f"/v1/tasks?project_id={project}&q=nieten steel")).json["items"] == []


async def test_b82_a_removed_member_is_refused_from_then_on(ada: Api, bob: Api, project: str, task: Any) -> None:
    await join(ada, project, bob, "editor")
    path = f"/v1/tasks/{task['id']}"
    answers, removed = [], asyncio.Event()

    async def keep_changing() -> None:
        while not removed.is_set():
            answers.append(await bob("PATCH", path, {"title": str(uuid.uuid4())}))

    changing = asyncio.create_task(keep_changing())
    assert (await ada("DELETE", f"/v1/projects/{project}/members/{bob.user['id']}")).status == 204
    removed.set()
    await changing
    assert {answer.status for answer in answers} <= {200, 404}
    refused(await bob("PATCH", path, {"title": "late"}), 404, "task.not_found")
    assert (await ada("GET", path)).json["assignee_ids"] == []
