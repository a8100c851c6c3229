"""Tasks that recur, over HTTP: what is shown, asked for and refused, and two who complete one together."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.system.world import Answer, Api

DUE = "2027-03-27T09:00:00+01:00"


async def recurring(api: Api, recurrence: Any, **fields: Any) -> Answer:
    body = {"project_id": await api.project(), "title": "Land", "due_at": DUE, "recurrence": recurrence, **fields}
    return await api("POST", "/v1/tasks", body)


async def test_a_recurrence_is_shown_whole_and_its_dates_where_asked_for(ada: Api) -> None:
    made = await recurring(
        ada, {"rule": "FREQ=DAILY", "exclude": ["2027-03-28T09:00:00+02:00"], "timezone": "Europe/Berlin"}
    )
    assert made.status == 201, made
    assert made.json["recurrence"] == {
        "rule": "FREQ=DAILY",
        "exclude": ["2027-03-28T07:00:00.000Z"],
        "timezone": "Europe/Berlin",
        "basis": "due",
    }
    assert "occurrences" not in made.json
    path = f"/v1/tasks/{made.json['id']}"
    assert (await ada("GET", path)).json == made.json
    answer = await ada("GET", f"{path}?occurrences=2", if_none_match=made.headers["ETag"])
    assert (answer.status, "ETag" in answer.headers) == (200, False)  # they change though the task does not
    assert answer.json == {**made.json, "occurrences": ["2027-03-29T07:00:00.000Z", "2027-03-30T07:00:00.000Z"]}
    for number in ("0", "101", "ten", "", "1&occurrences=1"):
        refused = await ada("GET", f"{path}?occurrences={number}")
        assert (refused.status, [fault["pointer"] for fault in refused.json["errors"]]) == (422, ["?occurrences"])


async def test_null_is_the_default(ada: Api) -> None:
    made = await recurring(ada, {"rule": "FREQ=DAILY", "exclude": None, "timezone": None, "basis": None})
    assert made.json["recurrence"] == {"rule": "FREQ=DAILY", "exclude": [], "timezone": "UTC", "basis": "due"}
    cleared = await ada("PATCH", f"/v1/tasks/{made.json['id']}", {"recurrence": None})
    assert (cleared.status, cleared.json["recurrence"]) == (200, None)


@pytest.mark.parametrize(
    ("pointer", "recurrence"),
    [
        ("/recurrence", "FREQ=DAILY"),
        ("/recurrence", []),
        ("/recurrence/rule", {}),
        ("/recurrence/rule", {"rule": None}),
        ("/recurrence/rule", {"rule": ""}),
        ("/recurrence/rule", {"rule": "FREQ=DAILY\n"}),
        ("/recurrence/rule", {"rule": "FREQ=DAILY\x00"}),
        ("/recurrence/rule", {"rule": "FREQ=DAILY;" * 50}),
        ("/recurrence/rule", {"rule": "FREQ=MINUTELY"}),
        ("/recurrence/rule", {"rule": "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30"}),
        ("/recurrence/timezone", {"rule": "FREQ=DAILY", "timezone": "Nowhere"}),
        ("/recurrence/timezone", {"rule": "FREQ=DAILY", "timezone": "../../etc/passwd"}),
        ("/recurrence/basis", {"rule": "FREQ=DAILY", "basis": "start"}),
        ("/recurrence/exclude/1", {"rule": "FREQ=DAILY", "exclude": [DUE, "2027-01-01"]}),
        ("/recurrence/exclude/0", {"rule": "FREQ=DAILY", "exclude": ["9999-12-31T23:59:59-12:00"]}),
        ("/recurrence/exclude", {"rule": "FREQ=DAILY", "exclude": [DUE] * 1001}),
        ("/recurrence/count", {"rule": "FREQ=DAILY", "count": 3}),
    ],
)
async def test_what_is_wrong_is_pointed_at(ada: Api, pointer: str, recurrence: Any) -> None:
    task = await ada.task(await ada.project())
    changed = await ada("PATCH", f"/v1/tasks/{task['id']}", {"due_at": DUE, "recurrence": recurrence})
    for answer in (await recurring(ada, recurrence), changed):
        assert (answer.status, answer.problem()) == (422, "request.invalid"), answer
        assert [fault["pointer"] for fault in answer.json["errors"]] == [pointer]
    assert (await ada("GET", f"/v1/tasks/{task['id']}")).json == task


async def test_two_who_complete_it_together_make_one(ada: Api) -> None:
    task = (await recurring(ada, {"rule": "FREQ=DAILY"})).json
    path = f"/v1/tasks/{task['id']}"
    keys = ["done"] * 3 + [f"done-{n}" for n in range(5)]
    answers = await asyncio.gather(*(ada("PATCH", path, {"status": "done"}, idempotency_key=key) for key in keys))
    assert {answer.status for answer in answers} <= {200, 409}
    listed = (await ada("GET", f"/v1/tasks?project_id={task['project_id']}")).json["items"]
    assert [(each["number"], each["status"], each["due_at"]) for each in listed] == [
        (2, "todo", "2027-03-28T08:00:00.000Z"),
        (1, "done", "2027-03-27T08:00:00.000Z"),
    ]
