"""HTTP from outside: framing, limits of size and time, headers, idempotency, stopping. Against a listening edge."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from edge.answer import Answer
from edge.app import Edge
from edge.body import read_body
from edge.listener import Listener
from edge.problems import Problem
from runtime.errors import StartError
from tests.edge.key_keeper import KeyKeeper
from tests.edge.stand import edge_of

ID = "01a20bcc-aec9-7000-b6e8-a84670feea08"
JSON = {"Content-Type": "application/json"}
ADA = {"email": "ada@example.org", "name": "Ada", "password": "correct horse battery"}


class House:
    """An edge with a user actor behind it and no task actor, and a client in front."""

    def __init__(self, edge: Edge, address: str, keeper: KeyKeeper, session: aiohttp.ClientSession) -> None:
        self.edge = edge
        self.address = address
        self.keeper = keeper
        self._session = session

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[aiohttp.ClientResponse, Any]:
        """The answer and its body, decoded where it is JSON."""
        sent = {**({} if body is None or isinstance(body, bytes) else JSON), **(headers or {})}
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        async with self._session.request(method, self.address + path, data=data, headers=sent) as answer:
            raw = await answer.read()
            return answer, json.loads(raw) if raw and "json" in answer.content_type else raw

    async def raw(self, *pieces: bytes, end: bool = False) -> bytes:
        """What comes back for these bytes, until the edge closes; empty when it says nothing."""
        host, _, port = self.address.removeprefix("http://").rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(0)
        if end:
            writer.write_eof()
        try:
            async with asyncio.timeout(10):
                return await reader.read()
        finally:
            writer.close()


def problem(answer: aiohttp.ClientResponse, body: Any, status: int, code: str) -> None:
    """It is a complete problem document."""
    assert answer.content_type == "application/problem+json"
    assert (answer.status, body["status"], body["code"]) == (status, status, code)
    assert body["request_id"] == answer.headers["X-Request-Id"]
    assert body["title"]
    assert body["detail"]
    assert "Traceback" not in str(body)


@pytest.fixture
async def open_house(tmp_path: Path) -> AsyncIterator[Callable[..., Awaitable[House]]]:
    """Opens houses with settings of the test's choice."""
    async with asyncio.timeout(60):
        stack: list[Any] = []

        async def make(**settings: Any) -> House:
            keeper = KeyKeeper()
            folder = tmp_path / str(len(stack))
            folder.mkdir()
            context = edge_of(folder, keeper, **settings)
            edge, address = await context.__aenter__()
            session = aiohttp.ClientSession()
            stack.append((context, session))
            return House(edge, address, keeper, session)

        yield make
        for context, session in reversed(stack):
            await session.close()
            await context.__aexit__(None, None, None)


@pytest.fixture
async def house(open_house: Callable[..., Awaitable[House]]) -> House:
    return await open_house(body_limit=4096)


# ------------------------------------------------------------------------------------- the ordinary way


async def test_answer_carries_version_limits_and_request_id(open_house: Callable[..., Awaitable[House]]) -> None:
    house = await open_house(rate_limits="read=5/60")
    answer, body = await house.ask("GET", "/v1/me", token=house.keeper.token(), headers={"X-Request-Id": "mine"})
    assert (answer.status, answer.content_type, body["name"]) == (200, "application/json", "Ada")
    assert answer.headers["ETag"] == '"3"'
    assert answer.headers["X-Request-Id"] == "mine"
    assert answer.headers["RateLimit-Policy"] == '"read";q=5;w=60'
    assert answer.headers["RateLimit"].startswith('"read";r=4;t=')
    assert answer.headers["Server"] == "troupe"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_client_that_has_the_version_is_not_sent_it_again(house: House) -> None:
    token = house.keeper.token()
    answer, body = await house.ask("GET", "/v1/me", token=token, headers={"If-None-Match": '"3"'})
    assert (answer.status, answer.headers["ETag"], body) == (304, '"3"', b"")


async def test_head_is_get_without_the_body(house: House) -> None:
    token = house.keeper.token()
    got, _ = await house.ask("GET", "/v1/me", token=token)
    head, body = await house.ask("HEAD", "/v1/me", token=token)
    assert (head.status, body) == (200, b"")
    assert head.headers["Content-Length"] == got.headers["Content-Length"]


async def test_what_was_made_says_where_it_is(house: House) -> None:
    answer, body = await house.ask("POST", "/v1/users", ADA)
    assert (answer.status, answer.headers["Location"]) == (201, f"/v1/users/{body['id']}")


async def test_unknown_paths_and_methods(house: House) -> None:
    problem(*await house.ask("GET", "/v1/nothing"), 404, "route.not_found")
    answer, body = await house.ask("PUT", "/v1/tasks")
    problem(answer, body, 405, "route.method_not_allowed")
    assert answer.headers["Allow"] == "GET, HEAD, OPTIONS, POST"
    answer, _ = await house.ask("OPTIONS", "/v1/tasks")
    assert (answer.status, answer.headers["Allow"]) == (204, "GET, HEAD, OPTIONS, POST")


async def test_actor_that_does_not_answer_is_named(house: House) -> None:
    headers = {"Prefer": "wait=0.2"}
    answer, body = await house.ask("GET", f"/v1/tasks/{ID}", token=house.keeper.token(), headers=headers)
    problem(answer, body, 504, "edge.timeout")
    assert "task actor" in body["detail"]
    assert "same Idempotency-Key" in body["detail"]


async def test_what_the_actor_puts_off_is_unavailable(house: House) -> None:
    answer, body = await house.ask("POST", "/v1/users", {**ADA, "name": "Slow"})
    problem(answer, body, 503, "edge.unavailable")
    assert answer.headers["Retry-After"] == "7"
    assert "user actor" in body["detail"]


async def test_missing_and_wrong_scope(house: House) -> None:
    problem(*await house.ask("GET", "/v1/me", token=house.keeper.token(scope="tasks:read")), 403, "auth.scope_missing")
    answer, _ = await house.ask("GET", "/v1/me", token=house.keeper.token(scope="profile:read"))
    assert answer.status == 200


async def test_b51_no_basic_empty_or_two_authorizations(house: House) -> None:
    for headers in ({}, {"Authorization": "Basic dTpw"}, {"Authorization": "Bearer"}, {"Authorization": "Bearer "}):
        answer, body = await house.ask("GET", "/v1/me", headers=headers)
        problem(answer, body, 401, "auth.required")
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    problem(*await house.ask("GET", "/v1/me", token="x"), 401, "auth.token_invalid")
    two = b"GET /v1/me HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + b"Authorization: Bearer a\r\n" * 2 + b"\r\n"
    assert (await house.raw(two)).startswith(b"HTTP/1.1 400 ")


async def test_other_bytes_in_the_user_agent_do_no_harm(house: House) -> None:
    head = f"GET /v1/me HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {house.keeper.token()}\r\n"
    assert (await house.raw(head.encode() + b"User-Agent: \xff\xfe\r\n\r\n")).startswith(b"HTTP/1.1 200 ")


# ------------------------------------------------------------------------------------- the same request again


async def test_same_key_gives_the_same_answer_once_done(house: House) -> None:
    headers = {"Idempotency-Key": "one"}
    first, made = await house.ask("POST", "/v1/users", ADA, headers=headers)
    again, same = await house.ask("POST", "/v1/users", ADA, headers=headers)
    assert (first.status, again.status, made) == (201, 201, same)
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert first.headers["Location"] == again.headers["Location"]
    assert first.headers["X-Request-Id"] != again.headers["X-Request-Id"]
    assert house.keeper.registered == 1


async def test_replayed_no_has_the_first_body_unchanged(house: House) -> None:
    headers, taken = {"Idempotency-Key": "two"}, {**ADA, "name": "Taken"}
    first, no = await house.ask("POST", "/v1/users", taken, headers=headers)
    again, same = await house.ask("POST", "/v1/users", taken, headers=headers)
    assert (first.status, again.status, no) == (409, 409, same)
    assert no["request_id"] == first.headers["X-Request-Id"] != again.headers["X-Request-Id"]
    assert again.headers["Idempotency-Replayed"] == "true"


async def test_what_was_put_off_is_tried_again_with_the_same_key(house: House) -> None:
    headers, slow = {"Idempotency-Key": "three"}, {**ADA, "name": "Slow"}
    for _ in range(2):
        answer, _ = await house.ask("POST", "/v1/users", slow, headers=headers)
        assert (answer.status, answer.headers.get("Idempotency-Replayed")) == (503, None)
    assert house.keeper.registered == 2


async def test_anonymous_key_goes_with_the_body_and_without_key_each_call_is_its_own(house: House) -> None:
    await house.ask("POST", "/v1/users", ADA, headers={"Idempotency-Key": "four"})
    answer, _ = await house.ask("POST", "/v1/users", {**ADA, "name": "Bob"}, headers={"Idempotency-Key": "four"})
    assert answer.status == 201
    for _ in range(2):
        await house.ask("POST", "/v1/users", ADA)
    assert house.keeper.registered == 4


async def test_b88_bad_key(house: House) -> None:
    problem(*await house.ask("POST", "/v1/users", ADA, headers={"Idempotency-Key": "a b"}), 422, "request.invalid")
    assert house.keeper.registered == 0


# ------------------------------------------------------------------------------------- framing

HOST = b"Host: x\r\n"


@pytest.mark.parametrize(
    "request_bytes",
    [
        pytest.param(b"POST /v1/users HTTP/1.1\r\n" + HOST + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}", id="b01"),
        pytest.param(b"POST /v1/users HTTP/1.1\r\n" + HOST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", id="b02"),
        pytest.param(b"GET /v1/me HTTP/1.1\r\n" + HOST + HOST + b"\r\n", id="b03"),
        pytest.param(b"GET /v1/me HTTP/1.1\r\n\r\n", id="b04"),
        pytest.param(b"GET /v1/me HTTP/1.1\nHost: x\n\n", id="b05"),
        pytest.param(b"GET /v1/me HTTP/1.1\r\n" + HOST + b"A: b\r\n c\r\n\r\n", id="b06"),
        pytest.param(b"GET /v1/me HTTP/1.1\r\n" + HOST + b"A: b\0c\r\n\r\n", id="b07"),
        pytest.param(b"GET /v1/me HTTP/1.1\r\n" + HOST + b"A: b\rc\r\n\r\n", id="b08-cr"),
        pytest.param(b"GET /v1/me HTTP/1.1\r\n" + HOST + b"A: b\nc\r\n\r\n", id="b08-lf"),
        pytest.param(b"POST /v1/users HTTP/1.1\r\n" + HOST + b"Content-Length: +5\r\n\r\n{}   ", id="b09"),
        pytest.param(b"POST /v1/users HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", id="b10"),
        pytest.param(b"POST /v1/users HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", id="b10-twice"),
        pytest.param(b"GET /" + b"x" * 9_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", id="b11"),
        pytest.param(b"GET /v1/me HTTP/1.1\r\n" + HOST + b"A: " + b"x" * 9_000 + b"\r\n\r\n", id="b12"),
        pytest.param(b"GET /v1/me HTTP/1.1\r\n" + HOST + b"".join(b"A%d: x\r\n" % n for n in range(200)) + b"\r\n", id="b12-many"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", id="tls"),
    ],
)  # fmt: skip
async def test_b01_to_b12_framing_that_is_refused(house: House, request_bytes: bytes) -> None:
    answer = await house.raw(request_bytes)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.split(b" ")[1] in (b"400", b"431", b"414", b"501")
    assert b"Connection: close" in head
    assert answer.count(b"HTTP/1.1") == 1
    assert json.loads(body)["code"] == "request.malformed"
    fine, _ = await house.ask("GET", "/healthz")
    assert fine.status == 200


async def test_b13_head_in_pieces(house: House) -> None:
    head = b"GET /healthz HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"
    pieces = [bytes([byte]) for byte in head]
    assert (await house.raw(*pieces)).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("method", ["TRACE", "FOO", "PROPFIND"])
async def test_b16_methods_that_nobody_serves(house: House, method: str) -> None:
    answer = await house.raw(f"{method} /v1/tasks HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    assert answer.split(b" ")[1] in (b"405", b"400")


async def test_b16_connect(house: House) -> None:
    answer = await house.raw(b"CONNECT example.org:443 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert answer.split(b" ")[1] in (b"404", b"405", b"400")


async def test_b18_thousand_pipelined_requests(house: House) -> None:
    one = b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n"
    last = b"GET /healthz HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"
    assert (await house.raw(one * 999 + last)).count(b"HTTP/1.1 200 OK") == 1000


async def test_b19_request_in_a_trailer_is_none(house: House) -> None:
    smuggled = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    for chunk in (
        b"2;x=" + smuggled[:-4].replace(b"\r\n", b" ") + b"\r\n{}\r\n0\r\n\r\n",
        b"2\r\n{}\r\n0\r\n" + b"X: y\r\n\r\n",
    ):
        head = b"POST /v1/users HTTP/1.1\r\n" + HOST + b"Connection: close\r\nContent-Type: application/json\r\n"
        answer = await house.raw(head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk)
        assert answer.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize(
    "path",
    [
        "/%2e%2e/",
        "//",
        "/..;/",
        "/%00",
        "/v1/%2e%2e/%2e%2e/etc/passwd",
        "/v1//tasks",
        "/v1/tasks/%ff",
        "/v1/tasks/%00",
        "/V1/tasks",
    ],
)
async def test_b25_odd_paths(house: House, path: str) -> None:
    head = (
        f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {house.keeper.token()}\r\n\r\n"
    )
    answer = await house.raw(head.encode())
    assert answer.split(b" ")[1] in (b"404", b"400")
    assert b"_not_found" in answer or b".not_found" in answer


# ------------------------------------------------------------------------------------- bodies


async def test_b26_body_over_the_limit(house: House) -> None:
    problem(*await house.ask("POST", "/v1/users", b"x" * 4097, headers=JSON), 413, "request.too_large")
    at_once = await house.raw(b"POST /v1/users HTTP/1.1\r\n" + HOST + b"Content-Length: 99999999999\r\n\r\n")
    assert at_once.startswith(b"HTTP/1.1 413 ")
    head = (
        b"POST /v1/users HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    chunked = await house.raw(head + b"1000\r\n" + b" " * 4096 + b"\r\n1\r\nx\r\n0\r\n\r\n")
    assert chunked.startswith(b"HTTP/1.1 413 ")
    assert (await house.ask("POST", "/v1/users", b" " * 4096, headers=JSON))[0].status == 400


async def test_b27_compressed_body(house: House) -> None:
    answer, body = await house.ask("POST", "/v1/users", b"\x1f\x8b", headers={**JSON, "Content-Encoding": "gzip"})
    problem(answer, body, 415, "request.media_type")


async def test_b38_other_or_no_media_type(house: House) -> None:
    for kind in ("text/plain", "application/json; charset=utf-16", "application/x-www-form-urlencoded"):
        problem(*await house.ask("POST", "/v1/users", b"{}", headers={"Content-Type": kind}), 415, "request.media_type")
    none = await house.raw(b"POST /v1/users HTTP/1.1\r\n" + HOST + b"Connection: close\r\nContent-Length: 2\r\n\r\n{}")
    assert none.startswith(b"HTTP/1.1 415 ")


async def test_client_that_waits_for_a_word_gets_it(house: House) -> None:
    body = json.dumps(ADA).encode()
    head = b"POST /v1/users HTTP/1.1\r\n" + HOST + b"Connection: close\r\nContent-Type: application/json\r\n"
    host, _, port = house.address.removeprefix("http://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(head + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body))
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(body)
    assert (await reader.read()).startswith(b"HTTP/1.1 201 ")
    writer.close()


async def test_body_that_ends_early_harms_nobody(house: House) -> None:
    head = b"POST /v1/users HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    await house.raw(head, end=True)
    assert (await house.ask("GET", "/healthz"))[0].status == 200
    assert house.keeper.registered == 0


# ------------------------------------------------------------------------------------- slow clients


@asynccontextmanager
async def listening(
    handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]], *, head_s: float
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to a listener that is less patient than the edge's."""
    runner = web.ServerRunner(Listener(handler, head_s=head_s))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    try:
        yield reader, writer
    finally:
        writer.close()
        await runner.cleanup()


async def say_ok(_: web.BaseRequest) -> web.StreamResponse:
    return Answer(200, b"{}")


@pytest.mark.parametrize(
    ("begin", "drop"), [(b"", b""), (b"GET /", b"x"), (b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /", b"x")]
)
async def test_b20_slow_head_is_cut(begin: bytes, drop: bytes) -> None:
    async def drip(writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(drop)
            await asyncio.sleep(0.02)

    async with listening(say_ok, head_s=0.3) as (reader, writer):
        writer.write(begin)
        if begin.count(b"GET") == 2:
            await reader.readuntil(b"{}")
        dripping = asyncio.create_task(drip(writer))
        async with asyncio.timeout(3):
            with suppress(ConnectionError):
                assert await reader.read() == b""
        dripping.cancel()


async def test_connection_that_is_kept_is_not_cut_between_requests() -> None:
    async with listening(say_ok, head_s=0.2) as (reader, writer):
        for _ in range(2):
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            await reader.readuntil(b"{}")
            await asyncio.sleep(0.3)  # longer than a head may take: time is the point
        assert not reader.at_eof()


async def test_b21_body_that_stalls() -> None:
    async def read(request: web.BaseRequest) -> web.StreamResponse:
        try:
            await read_body(request, 1000, stall_s=0.1)
        except Problem as stalled:
            return stalled.answer("x")
        return Answer(200)

    async with listening(read, head_s=5) as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        assert (await reader.readuntil(b"\r\n")) == b"HTTP/1.1 408 Request Timeout\r\n"


# ------------------------------------------------------------------------------------- running it


async def test_port_in_use_is_one_clear_sentence(open_house: Callable[..., Awaitable[House]]) -> None:
    house = await open_house()
    port = int(house.address.rpartition(":")[2])
    with pytest.raises(StartError, match=f"port is in use.*EDGE_PORT.*{port}"):
        await open_house(edge_port=port)


async def test_draining_edge_finishes_what_is_under_way(house: House) -> None:
    token = house.keeper.token()
    under_way = asyncio.create_task(house.ask("GET", f"/v1/tasks/{ID}", token=token, headers={"Prefer": "wait=0.4"}))
    await asyncio.sleep(0.1)  # it is waiting for the task actor now
    await house.edge.drain()
    answer, _ = await under_way
    assert (answer.status, answer.headers["Connection"]) == (504, "close")
    answer, ready = await house.ask("GET", "/readyz")
    assert (answer.status, ready["status"]) == (503, "draining")
    answer, _ = await house.ask("GET", "/v1/me", token=token)
    assert (answer.status, answer.headers["Connection"]) == (200, "close")


async def test_health_readiness_and_document(house: House) -> None:
    assert (await house.ask("GET", "/healthz"))[1] == {"status": "ok"}
    answer, ready = await house.ask("GET", "/readyz")
    assert (answer.status, ready) == (200, {"status": "ok", "dependencies": {"broker": "ok", "sessions": "ok"}})
    answer, document = await house.ask("GET", "/openapi.json")
    assert (answer.status, document["openapi"]) == (200, "3.1.0")


async def test_b108_metrics_closed_by_a_token(open_house: Callable[..., Awaitable[House]]) -> None:
    free, closed = await open_house(), await open_house(metrics_token="open sesame")
    await free.ask("GET", "/v1/nothing/%00secret")
    answer, text = await free.ask("GET", "/metrics")
    assert answer.status == 200
    assert b'troupe_http_seconds_count{method="other",route="unserved",status="404"} 1.0' in text
    assert b"secret" not in text
    problem(*await closed.ask("GET", "/metrics"), 401, "auth.required")
    problem(*await closed.ask("GET", "/metrics", token="open"), 401, "auth.required")
    assert (await closed.ask("GET", "/metrics", token="open sesame"))[0].status == 200


# ------------------------------------------------------------------------------------- how often


async def test_b89_over_the_limit_nothing_happens(open_house: Callable[..., Awaitable[House]]) -> None:
    house = await open_house(rate_limits="auth=2/60")
    for _ in range(2):
        assert (await house.ask("POST", "/v1/users", ADA))[0].status == 201
    answer, body = await house.ask("POST", "/v1/users", ADA)
    problem(answer, body, 429, "rate.limited")
    assert int(answer.headers["Retry-After"]) >= 1
    assert answer.headers["RateLimit"].startswith('"auth";r=0;')
    assert house.keeper.registered == 2


async def test_b90_one_bucket_whatever_path_and_verb_look_like(open_house: Callable[..., Awaitable[House]]) -> None:
    house = await open_house(rate_limits="read=8/60,search=1/60,write=2/60")
    for path in ("/v1/me", "/v1/me?x=1", "/v1/%6de", "/v1/me/", "/v1/ME", "/v1/nothing"):
        answer, _ = await house.ask("GET", path)
        assert answer.status in (401, 404)
        assert answer.headers["RateLimit"].startswith('"read";')
    for method in ("HEAD", "OPTIONS"):
        assert (await house.ask(method, "/v1/me"))[0].headers["RateLimit"].startswith('"read";')
    for method in ("PUT", "TRACE"):
        assert (await house.ask(method, "/v1/me"))[0].headers["RateLimit"].startswith('"write";')
    problem(*await house.ask("GET", "/v1/me"), 429, "rate.limited")
    assert (await house.ask("GET", "/v1/tasks?%71=x"))[0].headers["RateLimit"].startswith('"search";r=0')


async def test_b23_forwarded_addresses_share_a_bucket(open_house: Callable[..., Awaitable[House]]) -> None:
    house = await open_house(rate_limits="read=2/60")
    statuses = []
    for number in range(3):
        headers = {"X-Forwarded-For": f"203.0.{number}.1", "Forwarded": f"for=203.0.{number}.1"}
        statuses.append((await house.ask("GET", "/v1/me", headers=headers))[0].status)
    assert statuses == [401, 401, 429]


async def test_users_are_counted_by_account_not_by_network(open_house: Callable[..., Awaitable[House]]) -> None:
    house = await open_house(rate_limits="read=1/60")
    first = house.keeper.token()
    second = house.keeper.token(sub=ID)
    assert (await house.ask("GET", "/v1/me", token=first))[0].status == 200
    assert (await house.ask("GET", "/v1/me", token=second))[0].status == 200
    assert (await house.ask("GET", "/v1/me", token=first))[0].status == 429
    assert (await house.ask("GET", "/v1/me", token=house.keeper.token()))[0].status == 429
