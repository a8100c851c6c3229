"""Dead letters of every actor over HTTP, for admins, and how every actor is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from actors.contracts.user import UserDeleted
from runtime import VERSION
from tests.edge.whole_house import House, dead_letter, house_of
from tests.system.world import PASSWORD, Api

ROOT = "root@example.org"
LETTERS = "/v1/admin/dead-letters"


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with house_of(tmp_path, admin_email=ROOT, admin_password=PASSWORD) as house:
        yield house


@pytest.fixture
async def admin(house: House) -> Api:
    opened = await house.anyone("POST", "/v1/sessions", {"email": ROOT, "password": PASSWORD})
    assert opened.status == 201
    return house.anyone.with_token(opened.json["access_token"])


def of_nobody() -> UserDeleted:
    """An event that leaves nothing behind where nobody knew that account."""
    return UserDeleted(user_id=str(uuid4()), version=9)


async def audited(admin: Api, action: str) -> list[Any]:
    """What the audit says, once it says something: it is told by an event."""
    async with asyncio.timeout(10):
        while True:
            found = (await admin("GET", f"/v1/admin/audit?action={action}")).json["items"]
            if found:
                return list(found)
            await asyncio.sleep(0.01)


async def test_letters_of_all_actors_are_listed_newest_first_in_pages(house: House, admin: Api) -> None:
    made = [await dead_letter(house.app, name) for name in ("task", "notify", "user", "media", "task")]
    listed = await admin("GET", LETTERS)
    assert listed.status == 200
    assert [each["id"] for each in listed.json["items"]] == made[::-1]
    assert listed.json["next_cursor"] is None
    found: list[str] = []
    query = "?limit=2"
    while query:
        page = (await admin("GET", LETTERS + query)).json
        found += [each["id"] for each in page["items"]]
        query = f"?limit=2&cursor={page['next_cursor']}" if page["next_cursor"] else ""
    assert found == made[::-1]
    of_task = (await admin("GET", f"{LETTERS}?actor=task&type=unheard_of")).json["items"]
    assert [each["id"] for each in of_task] == [made[4], made[0]]
    for nothing in ("actor=nobody", "type=nothing"):
        assert (await admin("GET", f"{LETTERS}?{nothing}")).json == {"items": [], "next_cursor": None}


async def test_a_cursor_of_another_listing_is_refused(house: House, admin: Api) -> None:
    for _ in range(2):
        await dead_letter(house.app, "task")
    cursor = (await admin("GET", f"{LETTERS}?limit=1")).json["next_cursor"]
    for query in (f"cursor={cursor}&actor=task", "cursor=x", "cursor=eHh4eHh4eHg"):
        refused = await admin("GET", f"{LETTERS}?{query}")
        assert (refused.status, refused.json["errors"][0]["pointer"]) == (422, "?cursor")


async def test_a_letter_says_what_it_was(house: House, admin: Api) -> None:
    event = of_nobody()
    id = await dead_letter(house.app, "notify", event)
    letter = (await admin("GET", f"{LETTERS}/{id}")).json
    assert (letter["id"], letter["actor"], letter["type"], letter["body"]["user_id"]) == (
        id, "notify", "user_deleted", event.user_id,
    )  # fmt: skip
    assert (letter["reason"], letter["attempts"], letter["caller_id"]) == ("it broke", 8, None)
    assert letter["first_failed_at"].endswith("Z")
    for unknown in (uuid4(), "x"):
        missing = await admin("GET", f"{LETTERS}/{unknown}")
        assert (missing.status, missing.json["code"]) == (404, "dead_letter.not_found")


async def test_f42_a_letter_is_replayed_once_and_audited(house: House, admin: Api) -> None:
    id = await dead_letter(house.app, "notify", of_nobody())
    first = await admin("POST", f"{LETTERS}/{id}/replay", idempotency_key="once")
    again = await admin("POST", f"{LETTERS}/{id}/replay", idempotency_key="once")
    assert (first.status, again.status, again.headers.get("Idempotency-Replayed")) == (202, 202, "true")
    assert (await admin("POST", f"{LETTERS}/{id}/replay")).status == 404
    (row,) = await audited(admin, "dead_letter.replayed")
    assert row["detail"] == f"notify: {id} user_deleted"
    assert (row["actor_id"], row["user_id"], row["ip"]) == (
        (await admin("GET", "/v1/me")).json["id"],
        None,
        "127.0.0.1",
    )
    async with asyncio.timeout(10):
        while (await house.app._stores["notify"].counts())["parked"]:
            await asyncio.sleep(0.01)
    assert (await admin("GET", LETTERS)).json["items"] == []


async def test_an_edited_letter_must_fit(house: House, admin: Api) -> None:
    id = await dead_letter(house.app, "notify", of_nobody())
    refused = await admin("POST", f"{LETTERS}/{id}/replay", {"body": {"user_id": 7}})
    assert (refused.status, refused.json["code"]) == (422, "request.invalid")
    assert [each["pointer"] for each in refused.json["errors"]] == ["/body/user_id"]
    assert (await admin("GET", f"{LETTERS}/{id}")).status == 200
    body = (await admin("GET", f"{LETTERS}/{id}")).json["body"]
    assert (await admin("POST", f"{LETTERS}/{id}/replay", {"body": body})).status == 202
    (row,) = await audited(admin, "dead_letter.replayed")
    assert row["detail"].endswith(": edited")


async def test_all_of_a_type_are_replayed(house: House, admin: Api) -> None:
    for _ in range(3):
        await dead_letter(house.app, "notify", of_nobody())
    other = await dead_letter(house.app, "notify")
    asked = {"actor": "notify", "type": "user_deleted"}
    replayed = await admin("POST", f"{LETTERS}/replay", asked)
    assert (replayed.status, replayed.json) == (202, {"count": 3})
    assert (await admin("POST", f"{LETTERS}/replay", {**asked, "actor": "nobody"})).json == {"count": 0}
    assert [each["id"] for each in (await admin("GET", LETTERS)).json["items"]] == [other]
    (row,) = await audited(admin, "dead_letter.replayed")
    assert row["detail"] == "notify: 3 of user_deleted"


async def test_a_letter_is_discarded_with_a_reason_and_audited(house: House, admin: Api) -> None:
    id = await dead_letter(house.app, "media")
    path = f"{LETTERS}/{id}?reason=of%20no%20use"
    assert [(await admin("DELETE", path, idempotency_key="gone")).status for _ in range(2)] == [204, 204]
    assert (await admin("DELETE", path)).status == 404
    (row,) = await audited(admin, "dead_letter.discarded")
    assert row["detail"] == f"media: {id} unheard_of: of no use"


async def test_who_is_no_admin_is_refused_whatever_is_named(house: House) -> None:
    ada = await house.anyone.person("Ada")
    asked = (
        ("GET", f"{LETTERS}?actor=nobody", None),
        ("GET", f"{LETTERS}/{uuid4()}", None),
        ("POST", f"{LETTERS}/replay", {"actor": "nobody", "type": "x"}),
    )
    for method, path, body in asked:
        refused = await ada(method, path, body)
        assert (refused.status, refused.json["code"]) == (403, "auth.forbidden")


async def test_how_every_actor_is(house: House, admin: Api) -> None:
    await dead_letter(house.app, "media")
    async with asyncio.timeout(10):
        while True:
            items = (await admin("GET", "/v1/admin/actors")).json["items"]
            if all(each["instances"] for each in items):  # each has said that it is there
                break
            await asyncio.sleep(0.05)
    assert [each["name"] for each in items] == ["media", "notify", "task", "user"]
    assert items[0] == {
        "name": "media", "instances": 1, "queue_depth": 0, "in_flight": 0, "parked": 0, "dead": 1, "version": VERSION,
    }  # fmt: skip


async def test_while_an_actor_is_away_the_others_can_be_asked(house: House, admin: Api) -> None:
    id = await dead_letter(house.app, "media")
    await house.app._stores["task"].close()
    whole = await admin("GET", LETTERS)
    assert (whole.status, "task" in whole.json["detail"]) == (503, True)
    assert len((await admin("GET", f"{LETTERS}?actor=media")).json["items"]) == 1
    assert (await admin("GET", f"{LETTERS}/{id}")).status == 200
    assert (await admin("GET", f"{LETTERS}/{uuid4()}")).status == 503, "it may be the one who has it"
    states = {each["name"]: each for each in (await admin("GET", "/v1/admin/actors")).json["items"]}
    assert (states["task"]["instances"], states["task"]["dead"], states["task"]["queue_depth"]) == (0, None, 0)
    assert states["media"]["dead"] == 1
