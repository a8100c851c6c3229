"""Webhooks over HTTP, to a real receiver."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook as Verifier

from tests.actors.receiver import Receiver, receiving
from tests.edge.whole_house import House, house_of

HOOK = {"url": "https://receiver.example/hook", "events": ["task_created"]}


@pytest.fixture(scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    async with house_of(tmp_path_factory.mktemp("house"), webhook_allowed_networks="127.0.0.1/32") as house:
        yield house


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


async def test_a_webhook_from_its_making_to_its_end(house: House, receiver: Receiver) -> None:
    ada = await house.anyone.person("Ada")
    project = await ada.project()
    made = await ada("POST", "/v1/webhooks", {"url": receiver.url, "events": ["task_created"], "project_id": project})
    assert made.status == 201
    path, secret = f"/v1/webhooks/{made.json['id']}", made.json["secret"]
    assert (made.headers["Location"], made.headers["ETag"]) == (path, '"1"')
    shown = {name: value for name, value in made.json.items() if name != "secret"}
    assert set(shown) == {"id", "url", "events", "project_id", "active", "created_at", "version"}
    assert (await ada("GET", path)).json == shown
    assert (await ada("GET", "/v1/webhooks")).json == {"items": [shown], "next_cursor": None}
    task = await ada.task(project)

    async with asyncio.timeout(5):
        while not receiver.received:
            await asyncio.sleep(0.01)
        while (listed := (await ada("GET", f"{path}/deliveries")).json["items"])[0]["status"] == "pending":
            await asyncio.sleep(0.01)
    ((headers, body),) = receiver.received
    told = Verifier(secret).verify(body, headers)
    assert (told["type"], told["timestamp"], told["data"]["task_id"]) == (
        "task_created",
        task["created_at"],
        task["id"],
    )
    (delivery,) = listed
    assert delivery == {
        "id": headers["webhook-id"], "event": "task_created", "status": "delivered", "attempts": 1,
        "response_status": 204, "created_at": delivery["created_at"], "next_attempt_at": None,
    }  # fmt: skip

    again = await ada("POST", f"{path}/deliveries/{delivery['id']}/redeliver")
    assert again.status == 202
    async with asyncio.timeout(5):
        while len(receiver.received) < 2:
            await asyncio.sleep(0.01)
    assert receiver.received[1][0]["webhook-id"] == delivery["id"]

    rotated = await ada("POST", f"{path}/rotate-secret")
    assert (rotated.status, rotated.json["secret"] != secret) == (200, True)
    await ada.task(project)
    async with asyncio.timeout(5):
        while len(receiver.received) < 3:
            await asyncio.sleep(0.01)
    headers, body = receiver.received[2]
    for each in (secret, rotated.json["secret"]):
        Verifier(each).verify(body, headers)

    changed = await ada("PATCH", path, {"active": False}, if_match='"1"')
    assert (changed.json["active"], changed.headers["ETag"]) == (False, '"2"')
    assert (await ada("PATCH", path, {"active": True}, if_match='"1"')).status == 412
    assert (await ada("DELETE", path)).status == 204
    assert (await ada("GET", path)).problem() == "webhook.not_found"
    assert (await ada("POST", f"{path}/deliveries/{delivery['id']}/redeliver")).problem() == "webhook.not_found"


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.1/", "http://169.254.169.254/", "http://metadata.google.internal/", "http://[::1]/",
        "http://0xa000001/", "http://[::ffff:10.0.0.1]/", "http://[64:ff9b::a00:1]/", "http://user@example.org/",
        "http://user:x@example.org/", "file:///etc/passwd", "gopher://example.org/", "ftp://example.org", "example.org",
        "http://exa mple.org/", "http://example.org\\@10.0.0.1/", "http://example.org/\r\nX: y", "",
        "http://example.org/" + "x" * 2048, None, 7,
    ],
)  # fmt: skip
async def test_b102_b103_b105_where_nothing_may_be_sent_is_refused_at_url(house: House, url: Any) -> None:
    ada = await house.anyone.person("Ada")
    refused = await ada("POST", "/v1/webhooks", {**HOOK, "url": url})
    assert (refused.status, refused.problem()) == (422, "request.invalid")
    assert [fault["pointer"] for fault in refused.json["errors"]] == ["/url"]
    made = await ada("POST", "/v1/webhooks", HOOK)
    assert made.status == 201
    refused = await ada("PATCH", f"/v1/webhooks/{made.json['id']}", {"url": url})
    assert (refused.status, [fault["pointer"] for fault in refused.json["errors"]]) == (422, ["/url"])


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"events": []}, "/events"), ({"events": ["task_burnt"]}, "/events/0"), ({"events": None}, "/events"),
        ({"active": True}, "/active"), ({"project_id": "x"}, "/project_id"), ({"secret": "x"}, "/secret"),
    ],
)  # fmt: skip
async def test_wrong_webhooks_are_refused_where_they_are_wrong(house: House, change: Any, pointer: str) -> None:
    ada = await house.anyone.person("Ada")
    refused = await ada("POST", "/v1/webhooks", {**HOOK, **change})
    assert (refused.status, [fault["pointer"] for fault in refused.json["errors"]]) == (422, [pointer])


async def test_b78_a_foreign_project_is_not_there(house: House) -> None:
    ada, eve = await house.anyone.person("Ada"), await house.anyone.person("Eve")
    refused = await eve("POST", "/v1/webhooks", {**HOOK, "project_id": await ada.project()})
    assert (refused.status, refused.problem()) == (404, "project.not_found")
    made = await ada("POST", "/v1/webhooks", HOOK)
    missing = await ada("POST", f"/v1/webhooks/{made.json['id']}/deliveries/{made.json['id']}/redeliver")
    assert missing.problem() == "delivery.not_found"
    assert (
        await ada("POST", f"/v1/webhooks/{made.json['id']}/deliveries/x/redeliver")
    ).problem() == "delivery.not_found"


async def test_b85_one_key_makes_one_webhook_and_shows_the_same_secret(house: House) -> None:
    ada = await house.anyone.person("Ada")
    first, second = [await ada("POST", "/v1/webhooks", HOOK, idempotency_key="one") for _ in range(2)]
    assert first.json == second.json
    assert second.headers["Idempotency-Replayed"] == "true"
    assert len((await ada("GET", "/v1/webhooks")).json["items"]) == 1
