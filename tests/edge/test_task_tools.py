"""Relations, moves, history, batches and the feed of changes over HTTP: statuses, codes and pointers."""

from __future__ import annotations

import uuid
from http import HTTPStatus
from typing import Any

import pytest

from tests.edge.test_task_calls import refused
from tests.edge.whole_house import House
from tests.system.world import Api


async def test_relations(ada: Api, project: str, task: Any) -> None:
    other = await ada.task(project)
    path = f"/v1/tasks/{task['id']}/relations/blocks/{other['id']}"
    related = await ada("PUT", path)
    assert (related.status, related.headers["ETag"]) == (200, '"2"')
    assert related.json["relations"] == [{"type": "blocks", "task_id": other["id"]}]
    seen = (await ada("GET", f"/v1/tasks/{other['id']}")).json
    assert seen["relations"] == [{"type": "blocked_by", "task_id": task["id"]}]
    back = f"/v1/tasks/{other['id']}/relations/blocks/{task['id']}"
    refused(await ada("PUT", back), 409, "task.relation_cycle")
    refused(await ada("DELETE", path, if_match='"1"'), 412, "request.precondition_failed")
    ended = await ada("DELETE", path, if_match='"2"')
    assert (ended.status, ended.json["relations"]) == (200, [])
    for kind in ("blocked_by", "likes"):
        refused(await ada("PUT", f"/v1/tasks/{task['id']}/relations/{kind}/{other['id']}"), 404, "route.not_found")
    for hidden in (str(uuid.uuid4()), "x"):
        refused(await ada("PUT", f"/v1/tasks/{task['id']}/relations/blocks/{hidden}"), 404, "task.not_found")
        refused(await ada("PUT", f"/v1/tasks/{hidden}/relations/blocks/{task['id']}"), 404, "task.not_found")


async def test_moves(ada: Api, project: str, task: Any) -> None:
    other = await ada.task(project)
    path = f"/v1/tasks/{other['id']}/move"
    moved = await ada("POST", path, {"before_id": task["id"], "status": "done", "after_id": None})
    assert (moved.status, moved.headers["ETag"], moved.json["status"]) == (200, '"2"', "done")
    assert moved.json["position"] < task["position"]
    elsewhere = await ada.project()
    gone = await ada("POST", path, {"project_id": elsewhere})
    assert (gone.status, gone.json["project_id"], gone.json["number"]) == (200, elsewhere, 1)
    for pointer, body in (
        ("", {}),
        ("", {"status": None}),
        ("/after_id", {"before_id": task["id"], "after_id": task["id"]}),
        ("/before_id", {"before_id": task["id"]}),  # which is in another project
        ("/before_id", {"before_id": "x"}),
        ("/status", {"status": "gone"}),
        ("/position", {"position": "1", "status": "done"}),
    ):
        refused(await ada("POST", path, body), 422, "request.invalid", pointer)
    refused(await ada("POST", path, {"project_id": str(uuid.uuid4())}), 404, "project.not_found")


async def test_history_and_undo(ada: Api, task: Any) -> None:
    path = f"/v1/tasks/{task['id']}"
    assert (await ada("PATCH", path, {"title": "New"})).status == 200
    listed = await ada("GET", f"{path}/activity?limit=1")
    (entry,) = listed.json["items"]
    assert entry.keys() == {"id", "task_id", "actor_id", "field", "from", "to", "created_at"}
    assert (entry["field"], entry["from"], entry["to"]) == ("title", task["title"], "New")
    rest = await ada("GET", f"{path}/activity?cursor={listed.json['next_cursor']}")
    assert [each["field"] for each in rest.json["items"]] == ["created_at"]
    undone = await ada("POST", f"/v1/activity/{entry['id']}/undo", idempotency_key=(key := uuid.uuid4().hex))
    assert (undone.status, undone.json["title"], undone.headers["ETag"]) == (200, task["title"], '"3"')
    again = await ada("POST", f"/v1/activity/{entry['id']}/undo", idempotency_key=key)
    assert (again.json, again.headers["Idempotency-Replayed"]) == (undone.json, "true")
    refused(await ada("POST", f"/v1/activity/{entry['id']}/undo"), 409, "activity.not_undoable")
    for hidden in (str(uuid.uuid4()), "x"):
        refused(await ada("POST", f"/v1/activity/{hidden}/undo"), 404, "activity.not_found")
    assert (await ada("DELETE", path)).status == 204
    refused(await ada("POST", f"/v1/activity/{entry['id']}/undo"), 409, "task.deleted")


async def test_a_batch(ada: Api, project: str, task: Any) -> None:
    operations = [
        {"op": "create", "project_id": project, "title": "one", "priority": None},
        {"op": "update", "id": task["id"], "title": ""},
        {"op": "update", "id": task["id"], "due_at": "2026-11-24T09:30:00+02:00"},
        {"op": "delete", "id": task["id"]},
    ]
    answer = await ada("POST", "/v1/tasks/batch", {"operations": operations}, idempotency_key=(key := uuid.uuid4().hex))
    assert answer.status == 200
    made, problem, changed, deleted = answer.json["results"]
    assert (made["status"], made["task"]["title"], made.keys()) == (201, "one", {"status", "task"})
    assert problem == {
        "status": 422,
        "problem": {
            "type": "about:blank",
            "title": HTTPStatus(422).phrase,
            "status": 422,
            "detail": "The operation breaks a rule.",
            "code": "request.invalid",
            "errors": [
                {"pointer": "/title", "detail": "must be 1 to 500 characters on one line, no control characters"}
            ],
        },
    }
    assert (changed["status"], changed["task"]["due_at"]) == (200, "2026-11-24T07:30:00.000Z")
    assert deleted == {"status": 204}
    nul = await ada("POST", "/v1/tasks/batch", {"operations": [{"op": "update", "id": task["id"], "title": "a\0b"}]})
    assert [each["pointer"] for each in nul.json["results"][0]["problem"]["errors"]] == ["/title"]
    again = await ada("POST", "/v1/tasks/batch", {"operations": operations}, idempotency_key=key)
    assert (again.json, again.headers["Idempotency-Replayed"]) == (answer.json, "true")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/operations"),
        ({"operations": []}, "/operations"),
        ({"operations": [{"op": "delete", "id": "x"}] * 101}, "/operations"),
        ({"operations": [7]}, "/operations/0"),
        ({"operations": [{"op": "archive", "id": "x"}]}, "/operations/0/op"),
        ({"operations": [{"id": "x"}]}, "/operations/0/op"),
        ({"operations": [{"op": "update"}]}, "/operations/0/id"),
        ({"operations": [{"op": "update", "id": "x", "priority": 2**64}]}, "/operations/0/priority"),
        ({"operations": [{"op": "update", "id": "x", "remind_at": [[-(2**63) - 1]]}]}, "/operations/0/remind_at/0/0"),
    ],
)
async def test_b33_b78_a_batch_that_is_refused_as_a_whole(ada: Api, body: Any, pointer: str) -> None:
    refused(await ada("POST", "/v1/tasks/batch", body), 422, "request.invalid", pointer)


async def test_the_feed_of_changes(house: House, project: str, ada: Api) -> None:
    bob = await house.anyone.person("Bob")
    assert (await ada("PUT", f"/v1/projects/{project}/members/{bob.user['id']}", {"role": "viewer"})).status == 200
    task = await ada.task(project)
    assert (await ada("PATCH", f"/v1/tasks/{task['id']}", {"title": "New"})).status == 200
    first = await bob("GET", "/v1/changes?limit=3")
    assert [each["type"] for each in first.json["items"]] == ["member_added", "member_added", "task_created"]
    assert first.json["next_cursor"] == first.json["items"][2]["cursor"]
    rest = await bob("GET", f"/v1/changes?since={first.json['next_cursor']}")
    (change,) = rest.json["items"]
    assert change == {
        "cursor": change["cursor"],
        "type": "task_updated",
        "project_id": project,
        "task_id": task["id"],
        "version": 2,
        "at": change["at"],
    }
    assert rest.json["next_cursor"] is None
    assert (await bob("GET", f"/v1/changes?since={change['cursor']}")).json == {"items": [], "next_cursor": None}
    for query, name in (("since=", "?since"), ("since=x", "?since"), ("limit=0", "?limit"), ("until=x", "?until")):
        refused(await bob("GET", f"/v1/changes?{query}"), 422, "request.invalid", name)
