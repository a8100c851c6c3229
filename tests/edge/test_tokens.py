"""Access tokens that must not work (rows B51 to B61, B66), and those that must."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from multidict import CIMultiDict

from edge.auth import AHEAD_S, LEEWAY_S, AccessTokens, Identity
from edge.headers import bearer_token
from edge.problems import Problem
from runtime.client import Client
from runtime.context import system_clock
from runtime.errors import Unavailable
from tests.edge.key_keeper import ORIGIN, SESSION, USER, KeyKeeper, unsigned
from tests.edge.stand import client_of


class Bench:
    """Tokens under test, with a clock that can be moved."""

    def __init__(self, client: Client, keeper: KeyKeeper) -> None:
        self.ahead_ms = 0
        self.keeper = keeper
        self.tokens = AccessTokens(client, issuer=ORIGIN, clock=lambda: system_clock() + self.ahead_ms)

    async def refuses(self, token: str) -> None:
        with pytest.raises(Problem) as caught:
            await self.tokens.verify(token)
        assert (caught.value.status, caught.value.code) == (401, "auth.token_invalid")
        assert dict(caught.value.headers)["WWW-Authenticate"].startswith("Bearer ")

    async def takes(self, token: str) -> Identity:
        return await self.tokens.verify(token)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    keeper = KeyKeeper()
    async with client_of(tmp_path, keeper) as client:
        yield Bench(client, keeper)


async def test_good_token_names_user_session_and_role(bench: Bench) -> None:
    identity = await bench.takes(bench.keeper.token())
    assert identity == Identity(USER, "member", SESSION, None)


async def test_scope_claim_bounds_what_a_token_is_good_for(bench: Bench) -> None:
    identity = await bench.takes(bench.keeper.token(scope="tasks:read tasks:write"))
    assert identity.scopes == frozenset({"tasks:read", "tasks:write"})


async def test_remembered_token_ends_with_its_time(bench: Bench) -> None:
    token = bench.keeper.token()
    await bench.takes(token)
    bench.ahead_ms = (600 + LEEWAY_S - 2) * 1000
    await bench.takes(token)
    bench.ahead_ms = (600 + LEEWAY_S + 2) * 1000
    await bench.refuses(token)


@pytest.mark.parametrize("value", [None, "", "Basic dTpw", "Bearer", "Bearer ", "bearer   "])
def test_b51_without_bearer_token_there_is_none(value: str | None) -> None:
    headers = CIMultiDict({} if value is None else {"Authorization": value})
    assert bearer_token(headers) is None


def test_b51_two_authorization_headers_are_malformed() -> None:
    headers = CIMultiDict([("Authorization", "Bearer a"), ("Authorization", "Bearer b")])
    with pytest.raises(Problem) as caught:
        bearer_token(headers)
    assert caught.value.status == 400


@pytest.mark.parametrize("algorithm", ["none", "nOnE", "", "ES384", "HS256", "RS256"])
async def test_b52_no_other_algorithm(bench: Bench, algorithm: str) -> None:
    parts = unsigned({"alg": algorithm, "typ": "at+jwt", "kid": "first"}, bench.keeper.claims())
    await bench.refuses(f"{parts}.")
    await bench.refuses(f"{parts}.AAAA")
    await bench.refuses(f"{parts}.{bench.keeper.token().rpartition('.')[2]}")


@pytest.mark.parametrize("form", ["pem", "der", "jwk"])
async def test_b53_public_key_is_no_shared_secret(bench: Bench, form: str) -> None:
    public = bench.keeper.keys["first"].public_key()
    numbers = public.public_numbers()
    secrets = {
        "pem": public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "der": public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "jwk": json.dumps({"kty": "EC", "crv": "P-256", "x": numbers.x, "y": numbers.y}).encode(),
    }
    for algorithm in ("HS256", "ES256"):
        parts = unsigned({"alg": algorithm, "typ": "at+jwt", "kid": "first"}, bench.keeper.claims())
        mac = hmac.digest(secrets[form], parts.encode(), hashlib.sha256)
        await bench.refuses(f"{parts}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}")


async def test_b54_stripped_or_changed_signature(bench: Bench) -> None:
    token = bench.keeper.token()
    head, _, signature = token.rpartition(".")
    await bench.refuses(head)
    await bench.refuses(f"{head}.")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for place in (0, 40, len(signature) - 1):
        for bit in range(6):
            other = alphabet[alphabet.index(signature[place]) ^ 1 << bit]
            await bench.refuses(f"{head}.{signature[:place]}{other}{signature[place + 1 :]}")
    await bench.takes(token)


async def test_b55_expired_or_from_the_future(bench: Bench) -> None:
    now = int(time.time())
    await bench.refuses(bench.keeper.token(exp=now - LEEWAY_S - 1))
    await bench.refuses(bench.keeper.token(nbf=now + 3600))
    await bench.refuses(bench.keeper.token(iat=now + 3600, exp=now + 7200))
    await bench.takes(bench.keeper.token(iat=now + AHEAD_S // 2))


@pytest.mark.parametrize("exp", [None, "9999999999", 1e308, True, [9999999999], 9999999999.0])
async def test_b56_expiry_must_be_a_number_of_seconds(bench: Bench, exp: Any) -> None:
    await bench.refuses(bench.keeper.token(exp=exp))


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "http://other.test"},
        {"aud": [ORIGIN, "http://other.test"]},
        {"aud": None},
        {"iss": "http://other.test"},
        {"iss": ORIGIN[:-1]},
        {"iss": ORIGIN + "/"},
        {"iss": None},
        {"sub": None},
        {"sub": "nobody"},
        {"sid": None},
        {"jti": None},
        {"iat": None},
        {"role": "owner"},
    ],
    ids=str,
)
async def test_b57_wrong_audience_issuer_or_missing_claims(bench: Bench, claims: dict[str, Any]) -> None:
    await bench.refuses(bench.keeper.token(**claims))


async def test_b58_other_kinds_of_token(bench: Bench) -> None:
    await bench.refuses("5YnIx2pdCt52aKPht3olRavJqq9YJBYwjdH07AWsPC4")
    await bench.refuses("trp_5YnIx2pdCt52aKPht3olRavJqq9YJBYwjdH07AWsPC4")
    for typ in ("JWT", "rt+jwt", "AT+JWT", "application/at+jwt", ""):
        await bench.refuses(bench.keeper.token(headers={"typ": typ}))


@pytest.mark.parametrize(
    "header",
    [
        {"crit": ["exp"]},
        {"crit": ["b64"], "b64": True},
        {"jku": "http://127.0.0.1:9/keys"},
        {"x5u": "http://127.0.0.1:9/cert"},
        {"jwk": {"kty": "EC"}},
        {"zip": "DEF"},
    ],
    ids=str,
)
async def test_b59_header_holds_nothing_else(bench: Bench, header: dict[str, Any]) -> None:
    await bench.refuses(bench.keeper.token(headers=header))


@pytest.mark.parametrize("kid", ["../../etc/passwd", "' or 1=1 --", "x" * 10_000, "", "\0"])
async def test_b60_key_id_is_only_looked_up(bench: Bench, kid: str) -> None:
    await bench.refuses(bench.keeper.token(kid=kid))


async def test_b60_no_storm_of_look_ups(bench: Bench) -> None:
    token = bench.keeper.token()
    await bench.takes(token)
    for number in range(200):
        await bench.refuses(bench.keeper.token(kid=f"random{number}"))
    assert bench.keeper.asked <= 2
    await bench.takes(token)


async def test_new_key_is_fetched_when_a_token_names_it(bench: Bench) -> None:
    bench.keeper.keys["second"] = type(bench.keeper)().keys["first"]
    await bench.takes(bench.keeper.token(kid="second"))
    assert bench.keeper.asked == 1


async def test_keys_that_cannot_be_had_are_no_bad_token(tmp_path: Path) -> None:
    async with client_of(tmp_path) as client:
        tokens = AccessTokens(client, issuer=ORIGIN, clock=system_clock)
        with pytest.raises(Unavailable):
            await tokens.fetch_keys(budget_ms=100)


async def test_b61_deeply_nested_or_endless(bench: Bench) -> None:
    for depth in (3_000, 50_000):
        nested = base64.urlsafe_b64encode(b"[" * depth).rstrip(b"=").decode()
        await bench.refuses(f"{nested}.e30.AAAA")
        await bench.refuses(f"{bench.keeper.token().split('.')[0]}.{nested}.AAAA")
    await bench.refuses("a" * 1_000_000)
    for token in ("", ".", "..", "...", "a.b.c", "é.é.é", "\ud800.a.b", "a.b.c\n"):
        await bench.refuses(token)


async def test_b66_edited_role(bench: Bench) -> None:
    header, _, signature = bench.keeper.token().split(".")
    payload = json.dumps(bench.keeper.claims(role="admin")).encode()
    await bench.refuses(f"{header}.{base64.urlsafe_b64encode(payload).rstrip(b'=').decode()}.{signature}")
