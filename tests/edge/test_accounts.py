"""Accounts, sessions and tokens over HTTP: what headers, status codes and pointers say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.edge.whole_house import House, house_of
from tests.system.world import PASSWORD, Answer, Api


@pytest.fixture(scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    async with house_of(tmp_path_factory.mktemp("accounts")) as house:
        yield house


@pytest.fixture
async def ada(house: House) -> Api:
    return await house.anyone.person("Ada")


async def sign_in(house: House, ada: Api) -> Any:
    opened = await house.anyone("POST", "/v1/sessions", {"email": ada.user["email"], "password": PASSWORD})
    assert opened.status == 201, opened
    return opened.json


def pointers(answer: Answer) -> list[str]:
    assert (answer.status, answer.problem()) == (422, "request.invalid"), answer
    return [each["pointer"] for each in answer.json["errors"]]


# ------------------------------------------------------------------------------------------------ sessions


async def test_a_sign_in_answers_with_tokens_and_where_the_session_is(house: House, ada: Api) -> None:
    opened = await house.anyone(
        "POST", "/v1/sessions", {"email": ada.user["email"], "password": PASSWORD}, user_agent="curl/8"
    )
    assert opened.json.keys() == {"access_token", "token_type", "expires_in", "refresh_token", "session_id"}
    assert opened.headers["Location"] == f"/v1/sessions/{opened.json['session_id']}"
    assert opened.headers["Cache-Control"] == "no-store"
    listed = await ada.with_token(opened.json["access_token"])("GET", "/v1/sessions")
    assert listed.json["next_cursor"] is None
    session, other = listed.json["items"]
    assert session.keys() == {"id", "created_at", "last_seen_at", "user_agent", "ip", "current"}
    assert (session["user_agent"], session["ip"], session["current"]) == ("curl/8", "127.0.0.1", True)
    assert other["current"] is False


async def test_b64_refreshing_with_one_key_at_once_gives_one_and_the_same(house: House, ada: Api) -> None:
    body = {"refresh_token": (await sign_in(house, ada))["refresh_token"]}
    answers = await asyncio.gather(
        *(house.anyone("POST", "/v1/sessions/refresh", body, idempotency_key="one") for _ in range(20))
    )
    done = [each for each in answers if each.status == 200]
    assert {each.problem() for each in answers if each.status != 200} <= {"idempotency.in_progress"}
    assert len({each.body for each in done}) == 1
    again = await house.anyone("POST", "/v1/sessions/refresh", body, idempotency_key="one")
    assert (again.body, again.headers["Idempotency-Replayed"]) == (done[0].body, "true")
    successor = {"refresh_token": done[0].json["refresh_token"]}
    assert (await house.anyone("POST", "/v1/sessions/refresh", successor)).status == 200


async def test_b64_refreshing_without_a_key_at_once_has_one_successor_at_most(house: House, ada: Api) -> None:
    body = {"refresh_token": (await sign_in(house, ada))["refresh_token"]}
    answers = await asyncio.gather(*(house.anyone("POST", "/v1/sessions/refresh", body) for _ in range(20)))
    assert [each.status for each in answers].count(200) == 1
    assert {each.problem() for each in answers if each.status != 200} == {"auth.token_reused"}
    assert all("WWW-Authenticate" in each.headers for each in answers if each.status == 401)


async def test_b62_the_edge_that_ended_a_session_refuses_it_at_once(house: House, ada: Api) -> None:
    assert (await ada("DELETE", "/v1/sessions/current")).status == 204
    assert (await ada("GET", "/v1/me")).problem() == "auth.token_invalid"


async def test_a_session_id_that_is_none_is_not_found(ada: Api) -> None:
    for id in ("x", "0", "01a20bcc-acb5-7000-971e-45359f8ce9c4"):
        answer = await ada("DELETE", f"/v1/sessions/{id}")
        assert (answer.status, answer.problem()) == (404, "session.not_found")


# ------------------------------------------------------------------------------------------------ accounts


async def test_an_account_has_an_etag_and_is_changed_only_as_it_was_seen(ada: Api) -> None:
    read = await ada("GET", "/v1/me")
    assert (read.headers["ETag"], read.json) == ('"1"', ada.user)
    assert (await ada("GET", "/v1/me", if_none_match='"1"')).status == 304
    changed = await ada("PATCH", "/v1/me", {"name": "Ada L."}, if_match='"1"')
    assert (changed.status, changed.headers["ETag"], changed.json["name"]) == (200, '"2"', "Ada L.")
    assert (await ada("PATCH", "/v1/me", {"name": "x"}, if_match='"1"')).problem() == "request.precondition_failed"


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({"name": None}, ["/name"]),
        ({"name": ""}, ["/name"]),
        ({"name": "x" * 201}, ["/name"]),
        ({"name": "a\r\nBcc: x"}, ["/name"]),
        ({"phone": "030 123"}, ["/phone"]),
        ({"timezone": "Mars/Olympus"}, ["/timezone"]),
        ({"locale": "English"}, ["/locale"]),
        ({"avatar_media_id": "x"}, ["/avatar_media_id"]),
        ({"avatar_media_id": "01a20bcc-acb5-7000-971e-45359f8ce9c4"}, ["/avatar_media_id"]),
        ({"role": "admin"}, ["/role"]),
        ({"status": "active", "email": "x@example.org", "id": "x"}, ["/status", "/email", "/id"]),
    ],
    ids=str,
)
async def test_b36_b80_what_cannot_be_changed_is_refused_where_it_stands(
    ada: Api, body: dict[str, Any], found: list[str]
) -> None:
    assert sorted(pointers(await ada("PATCH", "/v1/me", body))) == sorted(found)
    assert (await ada("GET", "/v1/me")).json == ada.user


async def test_b81_people_who_share_a_project_see_three_fields_of_each_other_and_others_nothing(
    house: House, ada: Api
) -> None:
    bob, eve = await house.anyone.person("Bob"), await house.anyone.person("Eve")
    project = await ada.project()
    joined = await ada("PUT", f"/v1/projects/{project}/members/{bob.user['id']}", {"role": "viewer"})
    assert joined.status == 200
    seen = await bob("GET", f"/v1/users/{ada.user['id']}")
    assert (seen.status, seen.json) == (200, {"id": ada.user["id"], "name": "Ada", "avatar_url": None})
    assert "ETag" not in seen.headers
    own = await ada("GET", f"/v1/users/{ada.user['id']}")
    assert (own.headers["ETag"], own.json) == ('"1"', ada.user)
    for path in (f"/v1/users/{ada.user['id']}", "/v1/users/01a20bcc-acb5-7000-971e-45359f8ce9c4", "/v1/users/x"):
        assert (await eve("GET", path)).problem() == "user.not_found"


async def test_the_password_of_an_erasure_comes_in_a_body(ada: Api) -> None:
    assert (await ada("DELETE", "/v1/me")).status in (400, 415)
    assert pointers(await ada("DELETE", "/v1/me", {})) == ["/password"]
    assert pointers(await ada("DELETE", "/v1/me?password=x", {"password": "x"})) == ["?password"]
    wrong = await ada("DELETE", "/v1/me", {"password": "wrong"})
    assert (wrong.status, wrong.problem()) == (403, "auth.invalid_credentials")


async def test_the_only_owner_of_a_project_with_others_is_not_erased(house: House, ada: Api) -> None:
    bob = await house.anyone.person("Bob")
    project = await ada.project()
    members = f"/v1/projects/{project}/members/{bob.user['id']}"
    await ada("PUT", members, {"role": "editor"})
    answer = await ada("DELETE", "/v1/me", {"password": PASSWORD})
    assert (answer.status, answer.problem()) == (409, "project.last_owner")
    await ada("PUT", members, {"role": "owner"})
    assert (await ada("DELETE", "/v1/me", {"password": PASSWORD})).status == 204
    form = {"email": ada.user["email"], "password": PASSWORD, "name": "Ada again"}
    assert (await house.anyone("POST", "/v1/users", form)).status == 201


# -------------------------------------------------------------------------------------------- credentials


async def test_a_faulty_new_password_is_refused_where_it_stands(house: House, ada: Api) -> None:
    for password in ("short", "password", "x" * 257):
        body = {"current_password": PASSWORD, "new_password": password}
        assert pointers(await ada("POST", "/v1/me/password", body)) == ["/new_password"]
        assert pointers(await house.anyone("PUT", "/v1/password-resets", {"token": "x", "password": password})) == [
            "/password"
        ]


async def test_b71_a_reset_is_accepted_without_a_word(house: House, ada: Api) -> None:
    for email in (ada.user["email"], "nobody@example.org"):
        answer = await house.anyone("POST", "/v1/password-resets", {"email": email})
        assert (answer.status, answer.body) == (202, b"")


async def test_a_second_factor_is_set_up_with_a_code(ada: Api) -> None:
    assert (await ada("PUT", "/v1/me/totp", {"code": "123456"})).problem() == "user.totp_not_started"
    begun = await ada("POST", "/v1/me/totp")
    assert (begun.status, begun.json.keys()) == (201, {"secret", "otpauth_uri"})
    wrong = await ada("PUT", "/v1/me/totp", {"code": "x"})
    assert (wrong.status, wrong.problem()) == (422, "user.totp_invalid")
    assert (await ada("DELETE", "/v1/me/totp", {"password": PASSWORD})).status == 204


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({"name": "CI"}, ["/scopes"]),
        ({"name": "CI", "scopes": []}, ["/scopes"]),
        ({"name": "CI", "scopes": ["tasks:admin"]}, ["/scopes/0"]),
        ({"name": "", "scopes": ["tasks:read"]}, ["/name"]),
        ({"name": "CI", "scopes": ["tasks:read"], "expires_at": "2020-01-01T00:00:00Z"}, ["/expires_at"]),
        ({"name": "CI", "scopes": ["tasks:read"], "token": "x"}, ["/token"]),
    ],
    ids=str,
)
async def test_a_token_that_cannot_be_is_refused_where_it_is_wrong(
    ada: Api, body: dict[str, Any], found: list[str]
) -> None:
    assert pointers(await ada("POST", "/v1/me/tokens", body)) == found


async def test_an_api_token_is_shown_once_and_works_within_its_scopes(ada: Api) -> None:
    made = await ada("POST", "/v1/me/tokens", {"name": "CI", "scopes": ["tasks:write"]}, idempotency_key="t")
    assert (made.status, made.headers["Location"]) == (201, f"/v1/me/tokens/{made.json['id']}")
    assert (
        await ada("POST", "/v1/me/tokens", {"name": "CI", "scopes": ["tasks:write"]}, idempotency_key="t")
    ).body == (made.body)
    program = ada.with_token(made.json["token"])
    assert (await program("POST", "/v1/projects", {"name": "From CI"})).status == 201
    assert (await program("GET", "/v1/projects")).problem() == "auth.scope_missing"  # write does not include read
    assert (await program("GET", "/v1/sessions")).problem() == "auth.session_required"
    (listed,) = (await ada("GET", "/v1/me/tokens")).json["items"]
    assert listed.keys() == {"id", "name", "scopes", "created_at", "expires_at", "last_used_at"}
    assert listed["last_used_at"] is not None


async def test_admins_list_accounts_with_filters_that_are_checked(house: House, ada: Api) -> None:
    assert pointers(await ada("GET", "/v1/users?role=owner&limit=0")) == ["?role", "?limit"]
    assert (await ada("GET", "/v1/users?role=admin")).problem() == "auth.forbidden"


async def test_the_public_keys_are_for_everyone(house: House) -> None:
    answer = await house.anyone("GET", "/.well-known/jwks.json")
    (key,) = answer.json["keys"]
    assert key.keys() == {"kid", "x", "y", "kty", "crv", "use", "alg"}
