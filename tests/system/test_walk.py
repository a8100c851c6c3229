"""One walk over HTTP, the same in every topology."""

from __future__ import annotations

from collections.abc import Callable

from tests.system.world import PASSWORD, Api, World

MakeClient = Callable[[str], Api]
SEARCHES = 6
LIMITED = {"RATE_LIMITS": f"search={SEARCHES}/60"}


async def walk(anyone: Api) -> None:
    """Two people, a project, its tasks: every call of the stage, with its outcomes."""
    ada, bob = await anyone.person("Ada"), await anyone.person("Bob")
    await accounts(anyone, ada)
    project = await projects(ada, bob)
    await tasks(ada, bob, project)
    await lists(ada, project)
    await idempotency(ada, bob, project)
    await limits(anyone)
    await operations(anyone)


async def accounts(anyone: Api, ada: Api) -> None:
    me = await ada("GET", "/v1/me")
    assert (me.status, me.json) == (200, ada.user)
    assert me.headers["ETag"] == '"1"'
    assert (await ada("GET", "/v1/me", if_none_match='"1"')).status == 304
    taken = await anyone("POST", "/v1/users", {"email": ada.user["email"], "password": PASSWORD, "name": "Eve"})
    assert (taken.status, taken.problem()) == (409, "user.email_taken")
    wrong = await anyone("POST", "/v1/sessions", {"email": ada.user["email"], "password": "not this one"})
    assert (wrong.status, wrong.problem()) == (401, "auth.invalid_credentials")
    nobody = await anyone("GET", "/v1/me")
    assert (nobody.status, nobody.problem()) == (401, "auth.required")
    assert nobody.headers["WWW-Authenticate"].startswith("Bearer")


async def projects(ada: Api, bob: Api) -> str:
    made = await ada("POST", "/v1/projects", {"name": "Analytical Engine"})
    assert made.status == 201
    project: str = made.json["id"]
    assert made.headers["Location"] == f"/v1/projects/{project}"
    assert made.json["role"] == "owner"
    path = f"/v1/projects/{project}/members/{bob.user['id']}"
    hidden = await bob("PUT", path, {"role": "editor"})
    assert (hidden.status, hidden.problem()) == (404, "project.not_found")
    # Bob registered a moment ago: the grant makes him known where his event may not have arrived yet
    member = await ada("PUT", path, {"role": "viewer"})
    assert (member.status, member.json["role"], member.json["name"]) == (200, "viewer", "Bob")
    unknown = await ada("PUT", f"/v1/projects/{project}/members/{project}", {"role": "viewer"})
    assert (unknown.status, unknown.problem()) == (404, "user.not_found")
    last = await ada("PUT", f"/v1/projects/{project}/members/{ada.user['id']}", {"role": "viewer"})
    assert (last.status, last.problem()) == (409, "project.last_owner")
    assert [each["id"] for each in (await bob("GET", "/v1/projects")).json["items"]] == [project]
    return project


async def tasks(ada: Api, bob: Api, project: str) -> None:
    made = await ada(
        "POST", "/v1/tasks", {"project_id": project, "title": "Order brass", "due_at": "2026-12-01T10:00:00+02:00"}
    )
    assert made.status == 201
    task = made.json
    assert (task["number"], task["status"], task["due_at"]) == (1, "todo", "2026-12-01T08:00:00.000Z")
    path = f"/v1/tasks/{task['id']}"
    assert made.headers["Location"] == path
    assert (await bob("GET", path)).json == task
    stranger = await ada.person("Eve")
    for method, body in (("GET", None), ("PATCH", {"title": "Mine"}), ("DELETE", None)):
        hidden = await stranger(method, path, body)
        assert (hidden.status, hidden.problem()) == (404, "task.not_found")
    forbidden = await bob("PATCH", path, {"title": "Mine"})
    assert (forbidden.status, forbidden.problem()) == (403, "auth.forbidden")
    changed = await ada("PATCH", path, {"status": "done", "assignee_ids": [bob.user["id"]]}, if_match='"1"')
    assert (changed.status, changed.json["version"], changed.headers["ETag"]) == (200, 2, '"2"')
    assert changed.json["completed_at"] is not None
    stale = await ada("PATCH", path, {"title": "Again"}, if_match='"1"')
    assert (stale.status, stale.problem()) == (412, "request.precondition_failed")
    cleared = await ada("PATCH", path, {"due_at": None, "status": None})
    assert (cleared.json["due_at"], cleared.json["status"], cleared.json["completed_at"]) == (None, "todo", None)
    stranger = await ada.person("Eve")
    for method, body in (("GET", None), ("PATCH", {"title": "x"}), ("DELETE", None)):
        hidden = await stranger(method, path, body)
        assert (hidden.status, hidden.problem()) == (404, "task.not_found")
    assert (await ada("DELETE", path)).status == 204
    assert (await ada("DELETE", path)).status == 204
    assert (await ada("GET", path)).json["deleted_at"] is not None
    trashed = await ada("PATCH", path, {"title": "x"})
    assert (trashed.status, trashed.problem()) == (409, "task.deleted")


async def lists(ada: Api, project: str) -> None:
    made = [await ada.task(project, f"Part {n}", priority=n % 5) for n in range(7)]
    seen: list[str] = []
    query = f"/v1/tasks?project_id={project}&limit=3"
    cursor = ""
    while True:
        page = (await ada("GET", query + cursor)).json
        seen += [task["id"] for task in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == [task["id"] for task in reversed(made)]
    urgent = (await ada("GET", f"/v1/tasks?project_id={project}&priority=3&priority=4&sort=-priority")).json["items"]
    assert [task["priority"] for task in urgent] == [4, 3]
    found = (await ada("GET", f'/v1/tasks?project_id={project}&q="part 5"')).json["items"]
    assert [task["title"] for task in found] == ["Part 5"]
    foreign = await ada("GET", f"/v1/tasks?project_id={project}&sort=priority{cursor}")
    assert (foreign.status, foreign.problem(), foreign.json["errors"][0]["pointer"]) == (
        422,
        "request.invalid",
        "?cursor",
    )


async def idempotency(ada: Api, bob: Api, project: str) -> None:
    body = {"project_id": project, "title": "Once"}
    first = await ada("POST", "/v1/tasks", body, idempotency_key="k1")
    again = await ada("POST", "/v1/tasks", body, idempotency_key="k1")
    assert (again.status, again.body, again.headers["Idempotency-Replayed"]) == (201, first.body, "true")
    assert "Idempotency-Replayed" not in first.headers
    other = await ada("POST", "/v1/tasks", {**body, "title": "Twice"}, idempotency_key="k1")
    assert (other.status, other.problem()) == (422, "idempotency.key_reused")
    refused = [await bob("POST", "/v1/tasks", body, idempotency_key="k1") for _ in range(2)]
    assert [each.problem() for each in refused] == ["auth.forbidden"] * 2
    assert refused[1].body == refused[0].body
    assert refused[1].headers["Idempotency-Replayed"] == "true"
    count = (await ada("GET", f"/v1/tasks?project_id={project}&q=once")).json["items"]
    assert len(count) == 1


async def limits(anyone: Api) -> None:
    """`search` is the class with the smallest limit that no other step of the walk comes near."""
    cyd = await anyone.person("Cyd")
    for left in reversed(range(SEARCHES)):
        found = await cyd("GET", "/v1/tasks?q=engine")
        assert (found.status, found.headers["RateLimit-Policy"]) == (200, f'"search";q={SEARCHES};w=60')
        assert f";r={left};" in found.headers["RateLimit"]
    beyond = await cyd("GET", "/v1/tasks?q=engine")
    assert (beyond.status, beyond.problem()) == (429, "rate.limited")
    assert 1 <= int(beyond.headers["Retry-After"]) <= 70
    assert (await cyd("GET", "/v1/tasks")).status == 200


async def operations(anyone: Api) -> None:
    assert (await anyone("GET", "/healthz")).status == 200
    ready = await anyone("GET", "/readyz")
    assert (ready.status, ready.json["dependencies"]["broker"]) == (200, "ok")
    metrics = (await anyone("GET", "/metrics")).body.decode()
    assert 'troupe_http_seconds_count{method="POST",route="/v1/tasks",status="201"}' in metrics
    document = (await anyone("GET", "/openapi.json")).json
    assert document["openapi"].startswith("3.1")
    assert {"/v1/users", "/v1/sessions", "/v1/me", "/v1/projects", "/v1/tasks", "/v1/tasks/{id}"} <= set(
        document["paths"]
    )
    nowhere = await anyone("GET", "/v1/nowhere")
    assert (nowhere.status, nowhere.problem()) == (404, "route.not_found")
    verb = await anyone("PUT", "/v1/me", {})
    assert (verb.status, verb.problem()) == (405, "route.method_not_allowed")
    assert "GET" in verb.headers["Allow"]
    limited = await anyone("GET", "/v1/me", x_request_id="my-own-id")
    assert limited.headers["X-Request-Id"] == "my-own-id"
    assert limited.headers["RateLimit-Policy"]


async def test_walk_embedded_and_everything_is_there_after_a_restart(embedded: World, client: MakeClient) -> None:
    running = await embedded.start(**LIMITED)
    await walk(client(running.address))
    ada = await client(running.address).person("Ada")
    task = await ada.task(await ada.project())
    assert await running.stop() == 0
    again = await embedded.start()
    # the address of a free port is another one, the origin in the tokens is not: PUBLIC_URL
    assert (await ada.at(again.address)("GET", f"/v1/tasks/{task['id']}")).json == task
    assert await again.stop() == 0


async def test_walk_in_one_process_on_real_servers(real: World, client: MakeClient) -> None:
    running = await real.start(**LIMITED)
    await walk(client(running.address))
    assert await running.stop() == 0


async def test_walk_with_one_process_per_actor_and_two_task_replicas(real: World, client: MakeClient) -> None:
    await real.start("--actors", "user")
    replicas = [await real.start("--actors", "task") for _ in range(2)]
    edge = await real.start("--actors", "edge", **LIMITED)
    await walk(client(edge.address))
    for each in (*replicas, edge):
        assert await each.stop() == 0


async def test_walk_under_a_parent_of_processes(real: World, client: MakeClient, free_port: Callable[[], int]) -> None:
    port = free_port()
    parent = await real.launch("--processes", "--replicas", "task=2", EDGE_PORT=str(port), **LIMITED)
    anyone = client(f"http://127.0.0.1:{port}")
    await anyone.until_ready()
    await walk(anyone)
    assert await parent.stop() == 0
