"""Rows B51 to B61 and B66 over HTTP: tokens forged with the very key of a running installation.

What each part of a token may be is tested at the verifier; here, that nothing gets around it.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import sqlite3
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_private_key

from runtime.keys import Keys, Sealer
from tests.system.world import PASSWORD, SECRET_KEY, Answer, Api, World


class Forger:
    """Ada's token, and the key that signed it, taken out of the user actor's store with the master secret."""

    def __init__(self, ada: Api, store: Path) -> None:
        self.ada = ada
        with closing(sqlite3.connect(store)) as database:
            ((sealed,),) = database.execute("select sealed from signing_key").fetchall()
        key = load_der_private_key(Sealer(Keys(SECRET_KEY.encode()).of("user")).unseal(sealed), password=None)
        assert isinstance(key, EllipticCurvePrivateKey)
        self.key = key
        self.header: dict[str, Any] = jwt.get_unverified_header(ada.token)
        self.claims: dict[str, Any] = jwt.decode(ada.token, options={"verify_signature": False})

    def token(self, *, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """Ada's, but for what is given; a claim that is None is left out. Signed with the right key."""
        changed = {name: value for name, value in {**self.claims, **claims}.items() if value is not None}
        return jwt.encode(changed, self.key, algorithm="ES256", headers={**self.header, **(header or {})})

    def parts(self, **header: Any) -> str:
        """Header and claims, not signed."""
        return f"{_base64url({**self.header, **header})}.{_base64url(self.claims)}"

    async def refused(self, token: str, *statuses: int) -> None:
        """The token opens nothing, the answer says why it does not, and the real one goes on working."""
        answer = await self.ask(token)
        assert answer.status in (statuses or (401,)), answer
        if answer.status == 401:
            assert answer.problem() == "auth.token_invalid"
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert (await self.ask(self.ada.token)).status == 200

    async def ask(self, token: str) -> Answer:
        """Who am I?"""
        return await self.ada("GET", "/v1/me", authorization=f"Bearer {token}")


@pytest.fixture(scope="module")
async def forger(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Forger]:
    async with World(tmp_path_factory.mktemp("forged"), {"RATE_LIMITS": "off"}) as world:
        running = await world.start()
        async with aiohttp.ClientSession() as session:
            yield Forger(await Api(session, running.address).person("Ada"), world.directory / "var" / "user.db")
        assert await running.stop() == 0


async def test_a_token_that_is_made_like_this_works_when_nothing_is_wrong_with_it(forger: Forger) -> None:
    assert (await forger.ask(forger.token(jti=str(uuid.uuid4())))).status == 200


async def test_b51_two_authorization_headers(forger: Forger) -> None:
    host, _, port = forger.ada.address.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    line = f"Authorization: Bearer {forger.ada.token}\r\n"
    writer.write(f"GET /v1/me HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{line}{line}\r\n".encode())
    assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
    writer.close()


@pytest.mark.parametrize("algorithm", ["none", "nOnE"])
async def test_b52_no_algorithm(forger: Forger, algorithm: str) -> None:
    await forger.refused(f"{forger.parts(alg=algorithm)}.")
    await forger.refused(f"{forger.parts(alg=algorithm)}.{forger.ada.token.rpartition('.')[2]}")


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
async def test_b53_the_public_key_as_a_shared_secret(forger: Forger, encoding: Encoding) -> None:
    secret = forger.key.public_key().public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)
    parts = forger.parts(alg="HS256")
    await forger.refused(f"{parts}.{_base64url(hmac.digest(secret, parts.encode(), hashlib.sha256))}")


async def test_b54_signature_stripped_or_one_bit_changed(forger: Forger) -> None:
    head, _, signature = forger.ada.token.rpartition(".")
    raw = bytearray(base64.urlsafe_b64decode(signature + "=="))
    raw[7] ^= 1
    for token in (head, f"{head}.", f"{head}.{_base64url(bytes(raw))}"):
        await forger.refused(token)


async def test_b55_expired_or_from_the_future(forger: Forger) -> None:
    now = int(time.time())
    await forger.refused(forger.token(exp=now - 31))
    await forger.refused(forger.token(nbf=now + 3600))
    await forger.refused(forger.token(iat=now + 3600, exp=now + 7200))


@pytest.mark.parametrize("exp", [None, "9999999999", 1e308])
async def test_b56_an_expiry_that_is_none(forger: Forger, exp: object) -> None:
    await forger.refused(forger.token(exp=exp))


@pytest.mark.parametrize(
    "claims", [{"aud": "http://other.test"}, {"iss": "http://other.test"}, {"iss": "http://troupe.tes"}], ids=str
)
async def test_b57_for_others_or_by_others(forger: Forger, claims: dict[str, Any]) -> None:
    await forger.refused(forger.token(**claims))


async def test_b58_another_kind_of_token(forger: Forger) -> None:
    opened = await forger.ada("POST", "/v1/sessions", {"email": forger.ada.user["email"], "password": PASSWORD})
    await forger.refused(opened.json["refresh_token"])
    await forger.refused(forger.token(header={"typ": "JWT"}))


async def test_b59_header_that_names_keys_or_demands_extensions(forger: Forger) -> None:
    asked: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readline()).decode())
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/keys"
        for header in ({"jku": url}, {"x5u": url}, {"jwk": {"kty": "EC"}}, {"crit": ["exp"]}):
            await forger.refused(forger.token(header=header))
    assert not asked


async def test_b60_key_ids_that_are_none(forger: Forger) -> None:
    for kid in ("../../etc/passwd", "' or 1=1 --", ""):
        await forger.refused(forger.token(header={"kid": kid}))
    # the HTTP parser may refuse a head of this size before us
    await forger.refused(forger.token(header={"kid": "x" * 10_000}), 400, 401, 431)
    # were each of these looked up, they would take far longer
    began = time.monotonic()
    for number in range(200):
        answer = await forger.ask(forger.token(header={"kid": f"random{number}"}))
        assert answer.problem() == "auth.token_invalid"
    assert time.monotonic() - began < 5
    assert (await forger.ask(forger.ada.token)).status == 200


async def test_b61_header_nested_deep_and_a_token_of_a_megabyte(forger: Forger) -> None:
    for depth in (3_000, 50_000):
        nested = base64.urlsafe_b64encode(b"[" * depth).rstrip(b"=").decode()
        await forger.refused(f"{nested}.e30.AAAA", 400, 401, 431)
    host, _, port = forger.ada.address.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET /v1/me HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer ")
    writer.write(b"a" * 1_000_000)
    assert (await reader.readline()).split()[1] in (b"400", b"431")
    writer.close()
    await forger.refused(f"{forger.parts()}.AAAA")


async def test_b66_an_edited_role(forger: Forger) -> None:
    header, _, signature = forger.ada.token.split(".")
    await forger.refused(f"{header}.{_base64url({**forger.claims, 'role': 'admin'})}.{signature}")


def _base64url(value: bytes | dict[str, Any]) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
