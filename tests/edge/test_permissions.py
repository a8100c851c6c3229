"""Every served route against the reviewed table: each call as six clients that differ in who they are alone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any, get_args
from uuid import uuid4

import pytest

from actors.contracts.user_token import Scope
from edge.route import Route
from edge.routes import ROUTES
from tests.edge.permission_table import ARCHIVE, FILE, PUBLIC, SESSION, TABLE, Form, Row
from tests.edge.whole_house import BOUNDARY, House, dead_letter, form, house_of
from tests.system.world import PASSWORD, Answer, Api

ADMIN = {"admin_email": "root@example.org", "admin_password": PASSWORD}
CLIENTS = ("anonymous", "other", "suspended", "admin", "unscoped", "member")
"""In the order in which they call: the one who may is last."""

COLUMNS = ("anonymous", "member", "other", "suspended", "admin", "unscoped")


def called(route: Route) -> str:
    return f"{route.method} {route.path}"


def test_every_served_route_is_in_the_table_with_its_scope_and_nothing_else_is() -> None:
    served = {called(route): PUBLIC if route.public else route.scope or SESSION for route in ROUTES}
    reviewed = {row.call: row.scope for row in TABLE}
    assert served == reviewed, "review who may call it, and say so in tests/edge/permission_table.py"
    assert len(TABLE) == len(reviewed)


def test_every_scope_is_needed_somewhere() -> None:
    assert {row.scope for row in TABLE} - {PUBLIC, SESSION} == set(get_args(Scope))


class Street:
    """A house, and those clients that all calls share."""

    def __init__(self, house: House, suspended: Api) -> None:
        self.house = house
        self.suspended = suspended

    async def admin(self) -> Api:
        """Somebody new who is an admin."""
        person = await self.house.anyone.person("Root")
        root = await self.signed_in(ADMIN["admin_email"])
        assert (await root("PATCH", f"/v1/users/{person.user['id']}", {"role": "admin"})).status == 200
        return person

    async def signed_in(self, email: str) -> Api:
        opened = await self.house.anyone("POST", "/v1/sessions", {"email": email, "password": PASSWORD})
        assert opened.status == 201, opened
        return self.house.anyone.with_token(opened.json["access_token"])


@pytest.fixture(scope="module")
async def street(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Street]:
    async with house_of(tmp_path_factory.mktemp("street"), **ADMIN) as house:
        street = Street(house, await house.anyone.person("Mallory"))
        admin = await street.admin()
        path = f"/v1/users/{street.suspended.user['id']}"
        assert (await admin("PATCH", path, {"status": "suspended"})).status == 200
        async with asyncio.timeout(1):
            while (await street.suspended("GET", "/v1/me")).status == 200:
                await asyncio.sleep(0.01)
        yield street


class Member:
    """Somebody new, with whatever a call names of theirs."""

    def __init__(self, api: Api, street: Street) -> None:
        self.api = api
        self._street = street
        self._made: dict[str, str] = {"user": api.user["id"]}

    async def thing(self, kind: str) -> str:
        """The id of theirs of that kind, made when it is asked for first."""
        if kind not in self._made:
            self._made[kind] = await getattr(self, f"_{kind}")()
        return self._made[kind]

    async def _make(self, path: str, fields: Mapping[str, Any]) -> Any:
        made = await self.api("POST", path, fields)
        assert made.status == 201, made
        return made.json["id"]

    async def _project(self) -> Any:
        return await self._make("/v1/projects", {"name": "Apollo"})

    async def _label(self) -> Any:
        return await self._make(f"/v1/projects/{await self.thing('project')}/labels", {"name": "urgent"})

    async def _task(self) -> Any:
        return await self._make("/v1/tasks", {"project_id": await self.thing("project"), "title": "Land"})

    async def _route(self) -> str:
        """A kind of relation."""
        return "relates"

    async def _activity(self) -> Any:
        listed = await self.api("GET", f"/v1/tasks/{await self.thing('task')}/activity")
        return listed.json["items"][0]["id"]

    async def _comment(self) -> Any:
        return await self._make(f"/v1/tasks/{await self.thing('task')}/comments", {"body": "Mind the dust"})

    async def _token(self) -> Any:
        return await self._make("/v1/me/tokens", {"name": "CI", "scopes": ["tasks:read"]})

    async def _session(self) -> Any:
        other = await self._street.signed_in(self.api.user["email"])
        (current,) = [each for each in (await other("GET", "/v1/sessions")).json["items"] if each["current"]]
        return current["id"]

    async def _media(self) -> Any:
        return (await send(self.api, "POST", "/v1/media", FILE)).json["id"]

    async def _dead_letter(self) -> str:
        """Of no account: only admins may see it."""
        return await dead_letter(self._street.house.app, "notify")

    async def _import(self) -> Any:
        return (await send(self.api, "POST", "/v1/imports", ARCHIVE)).json["id"]

    async def _webhook(self) -> Any:
        return await self._make("/v1/webhooks", {"url": "http://receiver.example/", "events": ["task_created"]})

    async def _delivery(self) -> Any:
        path = f"/v1/webhooks/{await self.thing('webhook')}/deliveries"
        await self.thing("task")
        async with asyncio.timeout(5):
            while not (found := (await self.api("GET", path)).json["items"]):
                await asyncio.sleep(0.02)
        return found[0]["id"]

    async def unscoped(self, scope: str) -> Api:
        """Their API token with all scopes but that."""
        scopes = [each for each in get_args(Scope) if each != scope]
        made = await self.api("POST", "/v1/me/tokens", {"name": "narrow", "scopes": scopes})
        assert made.status == 201, made
        return self.api.with_token(made.json["token"])


async def send(api: Api, method: str, path: str, body: Any) -> Answer:
    if isinstance(body, Form):
        kind = f"multipart/form-data; boundary={BOUNDARY}"
        fields = [(name, None, value.encode()) for name, value in body.fields]
        return await api(method, path, body=form([*fields, ("file", body.name, body.content)]), content_type=kind)
    return await api(method, path, body)


async def filled(text: str, route: Route, member: Member) -> str:
    """A path or a body with the ids of the member's things."""
    for name, kind in {**route.parameters, "project": "project"}.items():
        if f"{{{name}}}" in text:
            text = text.replace(f"{{{name}}}", await member.thing(kind))
    return text.replace("{unique}", uuid4().hex)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.call)
async def test_b79_each_client_is_answered_as_the_table_says(street: Street, row: Row) -> None:
    (route,) = [route for route in ROUTES if called(route) == row.call]
    member = Member(await street.house.anyone.person("Ada"), street)
    clients = {
        "anonymous": street.house.anyone,
        "member": member.api,
        "other": await street.house.anyone.person("Eve"),
        "suspended": street.suspended,
        "admin": await street.admin(),
        "unscoped": await member.unscoped(row.scope),
    }
    path = await filled(route.path, route, member) + row.query
    found = {}
    for name in CLIENTS:
        body = row.body
        if isinstance(body, dict):
            body = json.loads(await filled(json.dumps(row.body), route, member))
        answer = await send(clients[name], route.method, path, body)
        if answer.status >= 400:
            answer.problem()  # fails when it is none
        found[name] = str(answer.status)
    assert " ".join(found[name] for name in COLUMNS) == row.answers


@pytest.mark.parametrize("row", [row for row in TABLE if row.scope not in (PUBLIC, SESSION)], ids=lambda row: row.call)
async def test_a_token_with_the_scope_alone_is_as_good_as_a_session(street: Street, row: Row) -> None:
    (route,) = [route for route in ROUTES if called(route) == row.call]
    member = Member(await street.house.anyone.person("Ada"), street)
    made = await member.api("POST", "/v1/me/tokens", {"name": "one", "scopes": [row.scope]})
    path = await filled(route.path, route, member) + row.query
    body = row.body
    if isinstance(body, dict):
        body = json.loads(await filled(json.dumps(row.body), route, member))
    answer = await send(member.api.with_token(made.json["token"]), route.method, path, body)
    assert str(answer.status) == row.answers.split()[COLUMNS.index("member")]
