"""Canaries: what is secret, or about somebody who was erased, is looked for in all that a real run has left behind."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from email import message_from_bytes, policy
from pathlib import Path
from uuid import uuid4

from tests.system.test_access import Client, sign_in
from tests.system.traces import Spy, holds, kept
from tests.system.world import PASSWORD, Api, World

PREFERENCES = "/v1/me/notification-preferences"


@contextlib.asynccontextmanager
async def spied_on(world: World) -> AsyncIterator[Spy | None]:
    """Nobody reads along inside a process."""
    if "BROKER_URL" not in world.settings:
        yield None
        return
    async with Spy(world) as spy:
        yield spy


async def test_b111_no_secret_gets_into_logs_stores_queues_or_events(anywhere: World, client: Client) -> None:
    running = await anywhere.start(LOG_LEVEL="debug", RATE_LIMITS="off")
    async with spied_on(anywhere) as spy:
        secrets = await tell_secrets(client(running.address))
        events = await spy.seen() if spy else []
    await running.stop()
    found = [(where, content) async for where, content in kept(anywhere) if "mail" not in where.split("/")]
    assert any(holds(content, "ada@example.org") for _, content in found), "what is no secret is found"
    assert any(b"user_created" in event for event in events) or spy is None
    for where, content in [*found, *(("an event", event) for event in events)]:
        for secret in secrets:
            assert not holds(content, secret), where


async def tell_secrets(edge: Api) -> list[str]:
    """Send some wherever one might, and be told others; all of them."""
    canary = f"canary-{uuid4().hex}"
    email, password = "ada@example.org", f"{canary} of a password"
    fields = {"email": email, "password": password, "name": "Ada"}
    assert (await edge("POST", "/v1/users", fields)).status == 201
    tokens = await sign_in(edge, email, password)
    ada = edge.with_token(tokens["access_token"])
    wrong = {"email": email, "password": f"{canary} wrong"}
    for method, path, body in (
        ("POST", "/v1/sessions", wrong),
        ("POST", "/v1/sessions", {"email": canary, "password": canary}),  # people type it into the wrong field
        ("POST", "/v1/sessions", {**wrong, "password": password, "totp": canary}),
        ("POST", "/v1/sessions/refresh", {"refresh_token": canary}),
        ("POST", "/v1/email-verifications", {"token": canary}),
        ("POST", "/v1/password-resets", {"email": canary}),
        ("PUT", "/v1/password-resets", {"token": canary, "password": f"{canary} new"}),
        ("POST", "/v1/me/password", {"current_password": canary, "new_password": f"{canary} new"}),
        ("PUT", "/v1/me/totp", {"code": canary}),
        ("DELETE", "/v1/me", {"password": canary}),
        ("GET", f"/v1/me?token={canary}", None),
        ("GET", f"/{canary}", None),
    ):
        answer = await ada(method, path, body)
        assert canary not in answer.body.decode(), path
    for header in (f"Bearer {canary}", f"Bearer trp_{canary}", f"Basic {canary}"):
        assert (await edge("GET", "/v1/me", authorization=header)).status == 401
    made = await ada("POST", "/v1/me/tokens", {"name": "CI", "scopes": ["tasks:read"]})
    begun = await ada("POST", "/v1/me/totp")
    secrets = [canary, *(tokens[name] for name in ("access_token", "refresh_token"))]
    secrets += [made.json["token"], begun.json["secret"]]
    return secrets


async def test_nothing_of_an_erased_person_is_left_in_a_real_run(anywhere: World, client: Client) -> None:
    """A canary in every field that is about them; what they wrote stays and is not looked for."""
    running = await anywhere.start(LOG_LEVEL="debug", RATE_LIMITS="off")
    edge = client(running.address)
    canary = f"canary-{uuid4().hex}"
    email = f"{canary}@example.org"
    made = await edge("POST", "/v1/users", {"email": email, "password": PASSWORD, "name": f"Ada {canary}"})
    assert made.status == 201
    session = await sign_in(edge, email)
    ada = edge.with_token(session["access_token"])
    mails, texts = (anywhere.directory / "var" / folder for folder in ("mail", "sms"))
    await prove(ada, mails, email)
    agent = f"{canary}/1.0"
    phone = "+441234567890"
    for method, path, body, status in (
        ("PATCH", "/v1/me", {"name": f"Ada the {canary}", "phone": phone}, 200),
        ("POST", "/v1/password-resets", {"email": email}, 202),
        ("POST", "/v1/me/email-verification", None, 202),
        ("POST", "/v1/me/tokens", {"name": canary, "scopes": ["tasks:read"]}, 201),
        ("POST", "/v1/me/totp", None, 201),
        ("POST", "/v1/webhooks", {"url": f"https://{canary}.example.org/{canary}", "events": ["task_created"]}, 201),
        ("POST", "/v1/sessions", {"email": email, "password": PASSWORD}, 201),
        ("POST", "/v1/sessions", {"email": email, "password": canary}, 401),
        ("POST", "/v1/me/password", {"current_password": PASSWORD, "new_password": PASSWORD}, 204),
    ):
        answer = await ada(method, path, body, idempotency_key=f"{canary}-{path}", user_agent=agent)
        assert answer.status == status, answer
    bob = await edge.person("Bob")
    project = await ada.project("Shared")
    assert (await ada("PUT", f"/v1/projects/{project}/members/{bob.user['id']}", {"role": "owner"})).status == 200
    task = (await ada.task(project, "Land"))["id"]
    assert (await ada("PUT", f"/v1/tasks/{task}/assignees/{bob.user['id']}")).status == 200
    comment = await ada("POST", f"/v1/tasks/{task}/comments", {"body": "Mind the dust"}, idempotency_key="c")
    assert canary in comment.json["author_name"]
    await until_notified(bob, 3)
    assert about(mails, email)
    chosen = (await ada("GET", PREFERENCES)).json
    events = {**chosen["events"], "member_added": ["sms"]}
    assert (await ada("PUT", PREFERENCES, {**chosen, "events": events})).status == 200
    path = f"/v1/projects/{await bob.project()}/members/{made.json['id']}"
    assert (await bob("PUT", path, {"role": "viewer"})).status == 200
    async with asyncio.timeout(10):
        while not about(texts, phone):
            await asyncio.sleep(0.05)

    assert (await ada("DELETE", "/v1/me", {"password": PASSWORD}, user_agent=agent)).status == 204
    async with asyncio.timeout(10):
        while about(mails, email) or about(texts, phone):
            await asyncio.sleep(0.05)
        while canary in (await bob("GET", f"/v1/tasks/{task}/comments")).body.decode():
            await asyncio.sleep(0.05)
    (comment_left,) = (await bob("GET", f"/v1/tasks/{task}/comments")).json["items"]
    assert (comment_left["author_name"], comment_left["body"]) == ("deleted user", "Mind the dust")
    await running.stop()
    found = [each async for each in kept(anywhere)]
    assert any(holds(content, bob.user["email"]) for _, content in found), "who was not erased is found"
    for where, content in found:
        for trace in (canary, phone):
            assert not holds(content, trace), where


def about(folder: Path, trace: str) -> list[bytes]:
    """The contents of the files in which this stands."""
    found = []
    for path in folder.iterdir() if folder.exists() else ():
        with contextlib.suppress(FileNotFoundError):  # it was forgotten meanwhile
            found.append(path.read_bytes())
    return [content for content in found if trace.encode() in content]


async def prove(person: Api, mails: Path, email: str) -> None:
    """Prove an address by the mail that it got."""
    async with asyncio.timeout(10):
        while not (found := about(mails, email)):
            await asyncio.sleep(0.05)
    text = message_from_bytes(found[0], policy=policy.default).get_body(("plain",))
    assert text is not None
    (token,) = re.findall(r"\?token=([\w-]+)", text.get_content())
    assert (await person("POST", "/v1/email-verifications", {"token": token})).status == 204


async def until_notified(api: Api, count: int) -> None:
    async with asyncio.timeout(10):
        while len((await api("GET", "/v1/notifications")).json["items"]) < count:
            await asyncio.sleep(0.05)
