"""Rows of bad input over HTTP, by id: never a 5xx, always a problem document, and the next good request is answered."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.system.world import PASSWORD, Answer, Api, World


@pytest.fixture(scope="module")
async def ada(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    """Somebody with an account on an embedded installation; `ada.project_id` is theirs."""
    async with World(tmp_path_factory.mktemp("bad"), {"SECRET_KEY": "", "RATE_LIMITS": "off"}) as world:
        running = await world.start()
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
            yield await Api(session, running.address).person("Ada")
        assert await running.stop() == 0


@pytest.fixture(scope="module")
async def project(ada: Api) -> str:
    return await ada.project()


async def refused(ada: Api, answer: Answer, *statuses: int) -> str:
    """The answer is one of these problems, and the process is well."""
    assert answer.status in statuses, answer
    code = answer.problem()
    assert (await ada("GET", "/v1/me")).status == 200
    return code


async def post(ada: Api, project: str, **fields: Any) -> Answer:
    return await ada("POST", "/v1/tasks", {"project_id": project, "title": "x", **fields})


async def raw(ada: Api, body: bytes, **headers: str) -> Answer:
    return await ada("POST", "/v1/tasks", body=body, **headers)


@pytest.mark.parametrize("path", ["/%2e%2e/etc", "//", "/v1/..;/me", "/v1/tasks/%00", "/v1/%2e%2e/me"])
async def test_b25_strange_paths(ada: Api, path: str) -> None:
    host, _, port = ada.address.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    status = int((await reader.readline()).split()[1])
    writer.close()
    assert status in (400, 401, 404)


async def test_b26_too_large_by_length_and_in_chunks(ada: Api) -> None:
    big = b'{"title": "' + b"x" * (8 * 1024 * 1024) + b'"}'
    assert await refused(ada, await raw(ada, big), 413) == "request.too_large"

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(9):
            yield b"x" * 1024 * 1024

    assert await refused(ada, await ada("POST", "/v1/tasks", body=chunks()), 413) == "request.too_large"  # type: ignore[arg-type] # aiohttp sends it in chunks


async def test_b27_compressed(ada: Api) -> None:
    assert await refused(ada, await raw(ada, b"\x1f\x8b", content_encoding="gzip"), 415) == "request.media_type"


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"unknown": ' + b"[" * 100_000])
async def test_b28_deep(ada: Api, body: bytes) -> None:
    assert await refused(ada, await raw(ada, body), 400) == "request.malformed"


@pytest.mark.parametrize("body", [b'{"title": "\xff"}', b"\xef\xbb\xbf{}"])
async def test_b29_bad_utf8_and_bom(ada: Api, body: bytes) -> None:
    assert await refused(ada, await raw(ada, body), 400) == "request.malformed"


async def test_b30_lone_surrogate(ada: Api) -> None:
    await refused(ada, await raw(ada, b'{"title": "\\ud800"}'), 400, 422)


async def test_b31_nul_in_a_text(ada: Api, project: str) -> None:
    assert await refused(ada, await post(ada, project, description="a\0b"), 422) == "request.invalid"


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e400", "-Infinity"])
async def test_b32_no_numbers(ada: Api, number: str) -> None:
    await refused(ada, await raw(ada, b'{"priority": %s}' % number.encode()), 400, 422)


@pytest.mark.parametrize("number", [2**31, 2**63, -(2**63) - 1, "9" * 5000])
async def test_b33_large_numbers(ada: Api, number: int | str) -> None:
    await refused(ada, await raw(ada, f'{{"priority": {number}, "estimate_minutes": {number}}}'.encode()), 400, 422)


@pytest.mark.parametrize("value", [1.0, "1", True])
async def test_b34_not_an_integer(ada: Api, project: str, value: object) -> None:
    answer = await post(ada, project, priority=value)
    assert await refused(ada, answer, 422) == "request.invalid"
    assert [each["pointer"] for each in answer.json["errors"]] == ["/priority"]


async def test_b35_duplicate_keys(ada: Api) -> None:
    assert await refused(ada, await raw(ada, b'{"title": "a", "title": "b"}'), 400) == "request.malformed"


@pytest.mark.parametrize("field", ["role", "owner_id", "id", "created_at", "number", "version"])
async def test_b36_b80_unknown_fields(ada: Api, project: str, field: str) -> None:
    answer = await post(ada, project, **{field: "x"})
    assert await refused(ada, answer, 422) == "request.invalid"
    assert [each["pointer"] for each in answer.json["errors"]] == [f"/{field}"]


@pytest.mark.parametrize("body", [b"{} {}", b"", b"null", b"[]", b'"x"'])
async def test_b37_not_one_object(ada: Api, body: bytes) -> None:
    await refused(ada, await raw(ada, body), 400, 422)


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/json; charset=utf-16", "application/x-www-form-urlencoded"]
)
async def test_b38_media_types(ada: Api, kind: str) -> None:
    assert await refused(ada, await raw(ada, b"{}", content_type=kind), 415) == "request.media_type"


async def test_b39_large_arrays_and_texts(ada: Api, project: str) -> None:
    await refused(ada, await post(ada, project, assignee_ids=["x"] * 1_000_000), 413, 422)
    await refused(ada, await post(ada, project, title="x" * 1_000_000), 413, 422)


@pytest.mark.parametrize("title", ["\u202egnp.exe", "a\u200bb", "🪿🧮", "e\u0301", "é"])
async def test_b40_unicode_is_stored_exactly(ada: Api, project: str, title: str) -> None:
    made = await post(ada, project, title=title)
    assert (made.status, made.json["title"]) == (201, title)


async def test_b40_twin_addresses(ada: Api) -> None:
    name = uuid.uuid4().hex
    body = {"email": f"{name}@example.org", "password": PASSWORD, "name": "x"}
    assert (await ada("POST", "/v1/users", body)).status == 201
    twin = await ada("POST", "/v1/users", {**body, "email": f"{name.upper()}@EXAMPLE.org"})
    assert await refused(ada, twin, 409) == "user.email_taken"


@pytest.mark.parametrize(
    "time", ["0000-01-01T00:00:00Z", "99999-01-01T00:00:00Z", "2026-02-30T00:00:00Z", "2026-01-01T00:00:00+99:00",
             "2026-01-01T00:00:00", "2026-01-01",
             "0001-01-01T00:00:00+10:00", "9999-12-31T23:59:59-10:00"]
)  # fmt: skip
async def test_b41_times(ada: Api, project: str, time: str) -> None:
    answer = await post(ada, project, due_at=time)
    assert await refused(ada, answer, 422) == "request.invalid"
    assert answer.json["errors"][0]["pointer"] == "/due_at"


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00%2B10:00", "9999-12-31T23:59:59-10:00"])
async def test_b41_times_that_utc_does_not_know(ada: Api, project: str, time: str) -> None:
    listed = await ada("GET", f"/v1/tasks?due_before={time}")
    assert await refused(ada, listed, 422) == "request.invalid"
    assert listed.json["errors"][0]["pointer"] == "?due_before"
    made = await post(ada, project, remind_at=["2026-11-24T09:30:00Z", time.replace("%2B", "+")])
    assert await refused(ada, made, 422) == "request.invalid"
    assert [each["pointer"] for each in made.json["errors"]] == ["/remind_at/1"]


@pytest.mark.parametrize(
    "query", ["limit=-1", "limit=0", "limit=1000000000", "limit=%2B5", "limit=05", "cursor=forged", "cursor="]
)
async def test_b42_limits_and_cursors(ada: Api, query: str) -> None:
    assert await refused(ada, await ada("GET", f"/v1/tasks?{query}"), 422) == "request.invalid"


async def test_b43_scalar_twice_and_unknown(ada: Api) -> None:
    twice = await ada("GET", "/v1/tasks?limit=1&limit=2")
    assert await refused(ada, twice, 422) == "request.invalid"
    assert twice.json["errors"][0]["pointer"] == "?limit"
    assert (await ada("GET", "/v1/tasks?colour=red")).json["errors"][0]["pointer"] == "?colour"


@pytest.mark.parametrize(
    "text", ["%27%20OR%201=1--", "%25", "_", "%22", "zz*%22b", "%22%22", "*", "-zz", "NEAR(zz)", "title:zz"]
)
async def test_b44_searches_are_literal(ada: Api, text: str) -> None:
    found = await ada("GET", f"/v1/tasks?q={text}")
    assert (found.status, found.json["items"]) == (200, [])


async def test_b45_unlisted_sort(ada: Api) -> None:
    assert await refused(ada, await ada("GET", "/v1/tasks?sort=title"), 422) == "request.invalid"


async def test_b46_an_address_made_for_regular_expressions(ada: Api) -> None:
    body = {"email": "a." * 25_000 + "@", "password": PASSWORD, "name": "x"}
    began = asyncio.get_running_loop().time()
    await refused(ada, await ada("POST", "/v1/users", body), 422)
    assert asyncio.get_running_loop().time() - began < 1  # linear: the bound of 100 ms, with room for a busy machine


@pytest.mark.parametrize("authorization", ["Basic eDp5", "Bearer ", "Bearer", "Bearer x.y.z", "Bearer a"])
async def test_b51_no_token_of_ours(ada: Api, authorization: str) -> None:
    answer = await ada("GET", "/v1/me", authorization=authorization)
    assert await refused(ada, answer, 401) in ("auth.required", "auth.token_invalid")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


async def test_b54_b66_a_changed_token(ada: Api) -> None:
    head, claims, signature = ada.token.split(".")
    for token in (f"{head}.{claims}.", f"{head}.{claims}.{signature[:-2]}AA", f"{head}.{claims[:-4]}AAAA.{signature}"):
        assert (
            await refused(ada, await ada("GET", "/v1/me", authorization=f"Bearer {token}"), 401) == "auth.token_invalid"
        )


async def test_b58_a_refresh_token_is_no_access_token(ada: Api) -> None:
    opened = await ada("POST", "/v1/sessions", {"email": ada.user["email"], "password": PASSWORD})
    token = opened.json["refresh_token"]
    assert await refused(ada, await ada("GET", "/v1/me", authorization=f"Bearer {token}"), 401) == "auth.token_invalid"


async def test_b67_the_sixth_bad_password(ada: Api) -> None:
    email = f"{uuid.uuid4().hex}@example.org"
    assert (await ada("POST", "/v1/users", {"email": email, "password": PASSWORD, "name": "x"})).status == 201
    wrong = {"email": email, "password": "not this one"}
    assert [(await ada("POST", "/v1/sessions", wrong)).status for _ in range(5)] == [401] * 5
    for password in ("not this one", PASSWORD):
        answer = await ada("POST", "/v1/sessions", {"email": email, "password": password})
        assert await refused(ada, answer, 429) == "auth.throttled"
        assert int(answer.headers["Retry-After"]) >= 1


async def test_b69_one_network_against_many_accounts(tmp_path: Path) -> None:
    async with World(tmp_path, {"SECRET_KEY": ""}) as world, aiohttp.ClientSession() as session:
        anyone = Api(session, (await world.start()).address)
        for n in range(21):
            answer = await anyone("POST", "/v1/sessions", {"email": f"a{n}@example.org", "password": "not this one"})
            if answer.status == 429:
                break
        assert (answer.status, answer.problem()) in ((429, "rate.limited"), (429, "auth.throttled"))
        assert int(answer.headers["Retry-After"]) >= 1
        assert (await anyone("GET", "/v1/me")).status == 401


async def test_b73_b74_passwords(ada: Api) -> None:
    for password in ("x" * 1_000_000, "short", "password123", "12345678"):
        body = {"email": f"{uuid.uuid4().hex}@example.org", "password": password, "name": "x"}
        answer = await ada("POST", "/v1/users", body)
        assert await refused(ada, answer, 422) == "request.invalid"
        assert answer.json["errors"][0]["pointer"] == "/password"


async def test_b77_b78_what_is_anothers_does_not_exist(ada: Api, project: str) -> None:
    eve = await ada.person("Eve")
    task = (await post(ada, project)).json
    for method, body in (("GET", None), ("PATCH", {"title": "x"}), ("DELETE", None)):
        hidden = await eve(method, f"/v1/tasks/{task['id']}", body)
        missing = await eve(method, f"/v1/tasks/{uuid.uuid4()}", body)
        assert (hidden.status, hidden.problem()) == (missing.status, missing.problem()) == (404, "task.not_found")
    assert (await post(eve, project)).problem() == "project.not_found"
    assert (await eve("GET", f"/v1/tasks?project_id={project}")).json["items"] == []
    own = await eve.project()
    foreign = await post(eve, own, parent_id=task["id"])
    assert (foreign.status, foreign.json["errors"][0]["pointer"]) == (422, "/parent_id")
    assert (await eve("GET", "/v1/tasks")).json["items"] == []


async def test_malformed_ids_in_a_path_are_not_found(ada: Api) -> None:
    assert await refused(ada, await ada("GET", "/v1/tasks/1"), 404) == "task.not_found"


async def test_b81_no_hashes_or_others_addresses(ada: Api) -> None:
    for path in ("/v1/me", "/v1/projects", "/v1/tasks"):
        text = (await ada("GET", path)).body.decode()
        assert "argon2" not in text
        assert "password" not in text


async def test_b82_a_role_taken_away_while_requests_are_under_way(ada: Api, project: str) -> None:
    """Whoever was an editor when the actor decided may have changed it; nobody may afterwards."""
    task = (await post(ada, project)).json
    path, bob = f"/v1/tasks/{task['id']}", await ada.person("Bob")
    membership = f"/v1/projects/{project}/members/{bob.user['id']}"
    assert (await ada("PUT", membership, {"role": "editor"})).status == 200
    changes = [asyncio.ensure_future(bob("PATCH", path, {"title": f"t{n}"})) for n in range(10)]
    assert (await ada("PUT", membership, {"role": "viewer"})).status == 200
    late = await bob("PATCH", path, {"title": "late"})
    assert (late.status, late.problem()) == (403, "auth.forbidden")
    answers = await asyncio.gather(*changes)
    assert {each.status for each in answers} <= {200, 403}
    assert (await ada("GET", path)).json["version"] == 1 + sum(each.status == 200 for each in answers)


async def test_b83_two_patches_with_one_tag(ada: Api, project: str) -> None:
    task = (await post(ada, project)).json
    patches = [
        ada("PATCH", f"/v1/tasks/{task['id']}", {"title": f"t{n}"}, if_match='"1"') for n in range(2)
    ]  # fmt: skip
    assert sorted(each.status for each in await asyncio.gather(*patches)) == [200, 412]


async def test_b85_one_key_fifty_at_once(ada: Api, project: str) -> None:
    body = {"project_id": project, "title": f"once {uuid.uuid4().hex}"}
    answers = await asyncio.gather(*(ada("POST", "/v1/tasks", body, idempotency_key="fifty") for _ in range(50)))
    assert {each.status for each in answers} <= {201, 409}
    assert len({each.json["id"] for each in answers if each.status == 201}) == 1
    assert {each.problem() for each in answers if each.status == 409} <= {"idempotency.in_progress"}


async def test_b86_b87_the_same_key_for_another_body_or_user(ada: Api, project: str) -> None:
    assert (await ada("POST", "/v1/projects", {"name": "a"}, idempotency_key="k")).status == 201
    other = await ada("POST", "/v1/projects", {"name": "b"}, idempotency_key="k")
    assert await refused(ada, other, 422) == "idempotency.key_reused"
    assert (await (await ada.person("Bob"))("POST", "/v1/projects", {"name": "b"}, idempotency_key="k")).status == 201


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("POST", "/v1/projects", b'{"name": 1, "x": 2}', 422, "request.invalid"),
        ("POST", "/v1/projects", b'{"name": "a"', 400, "request.malformed"),
        ("PATCH", "/v1/tasks/none", b'{"title": ""}', 404, "task.not_found"),
    ],
)
async def test_b86_what_the_edge_refuses_by_itself_is_replayed_and_binds_the_key(
    ada: Api, method: str, path: str, body: bytes, status: int, code: str
) -> None:
    ada = await ada.person("Eve")
    plain = await ada(method, path, body=body)
    first, again = [await ada(method, path, body=body, idempotency_key="k") for _ in range(2)]
    assert [await refused(ada, each, status) for each in (plain, first, again)] == [code] * 3
    assert {**first.json, "request_id": plain.json["request_id"]} == plain.json
    assert again.body == first.body
    assert [each.headers.get("Idempotency-Replayed") for each in (plain, first, again)] == [None, None, "true"]
    other = await ada(method, path, {"name": "b"}, idempotency_key="k")
    assert await refused(ada, other, 422) == "idempotency.key_reused"
    assert (await (await ada.person("Bob"))("POST", "/v1/projects", {"name": "b"}, idempotency_key="k")).status == 201


async def test_a_body_that_was_not_read_leaves_the_key_free(ada: Api) -> None:
    answer = await ada("POST", "/v1/projects", {"name": "a"}, idempotency_key="typed", content_type="text/plain")
    assert await refused(ada, answer, 415) == "request.media_type"
    answer = await ada("POST", "/v1/projects", {"name": "a"}, idempotency_key="typed")
    assert (answer.status, answer.headers.get("Idempotency-Replayed")) == (201, None)


@pytest.mark.parametrize("key", ["x" * 10_000, "", "a b", "é"])
async def test_b88_keys_that_are_none(ada: Api, key: str) -> None:
    answer = await ada("POST", "/v1/projects", {"name": "a"}, idempotency_key=key)
    if key == "x" * 10_000:  # the HTTP parser may refuse a head line of this length before us
        assert answer.status in (400, 422, 431)
    else:
        assert await refused(ada, answer, 422) == "request.invalid"
        assert json.loads(answer.body)["errors"][0]["pointer"] == "Idempotency-Key"
