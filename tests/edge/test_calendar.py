"""The calendar feed over HTTP."""

from __future__ import annotations

from urllib.parse import urlsplit

import icalendar

from tests.edge.whole_house import House
from tests.system.world import Api


async def feed(house: House, api: Api) -> str:
    """The path of a new address."""
    made = await api("POST", "/v1/me/calendar-feed", body=None)
    assert made.status == 201, made
    assert made.headers["Location"] == made.json["url"]
    assert made.json["url"].startswith(f"{house.address}/calendar/")
    return urlsplit(str(made.json["url"])).path


async def test_whoever_has_the_address_reads_the_calendar(house: House, ada: Api) -> None:
    project = await ada.project()
    body = {
        "project_id": project,
        "title": "Bücher, Papier; Tinte",
        "due_at": "2027-01-01T09:00:00+01:00",
        "assignee_ids": [ada.user["id"]],
    }
    task = (await ada("POST", "/v1/tasks", body)).json
    path = await feed(house, ada)
    read = await house.anyone("GET", path)
    assert (read.status, read.headers["Content-Type"]) == (200, "text/calendar; charset=utf-8")
    (todo,) = icalendar.Calendar.from_ical(read.body).todos
    assert (todo["uid"], todo["summary"], todo["due"].to_ical()) == (task["id"], body["title"], b"20270101T080000Z")
    assert (await house.anyone("GET", path, if_none_match=read.headers["ETag"])).status == 304
    await ada("PATCH", f"/v1/tasks/{task['id']}", {"title": "Ink"})
    assert (await house.anyone("GET", path, if_none_match=read.headers["ETag"])).status == 200
    head = await house.anyone("HEAD", path)
    assert (head.status, head.body) == (200, b"")


async def test_an_address_that_is_void_or_never_was_is_unknown(house: House, ada: Api) -> None:
    old = await feed(house, ada)
    new = await feed(house, ada)
    assert (await house.anyone("GET", new)).status == 200
    for path in (
        old,
        new.removesuffix(".ics"),
        f"{new}/",
        new.replace(".ics", ".ICS"),
        "/calendar/.ics",
        "/calendar/%00.ics",
        f"/calendar/{'x' * 4000}.ics",
    ):
        unknown = await house.anyone("GET", path)
        assert (unknown.status, unknown.problem()) == (404, "route.not_found"), path
    assert (await ada("DELETE", "/v1/me/calendar-feed")).status == 204
    assert (await house.anyone("GET", new)).status == 404
    assert (await ada("DELETE", "/v1/me/calendar-feed")).status == 204
    assert (await house.anyone("POST", new)).status == 405


async def test_the_same_key_gives_the_same_address(ada: Api) -> None:
    first, again = [await ada("POST", "/v1/me/calendar-feed", body=None, idempotency_key="one") for _ in range(2)]
    assert (first.json, again.json, again.headers["Idempotency-Replayed"]) == (first.json, first.json, "true")
