"""What the edge reads from headers, and from where a request seems to come."""

from __future__ import annotations

import pytest
from multidict import CIMultiDict

from edge import headers
from edge.cors import Origins
from edge.network import Proxies, network_of
from edge.problems import Problem

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_request_id_and_trace_are_continued() -> None:
    request_id, trace = headers.identity(CIMultiDict({"X-Request-Id": "a.B-9_", "traceparent": PARENT}))
    assert request_id == "a.B-9_"
    assert trace[:36] == PARENT[:36]
    assert trace[36:52] != PARENT[36:52]
    assert trace[52:] == "-01"


@pytest.mark.parametrize("bad", ["", "x" * 129, "a b", "a\n", "ü", "<script>"])
def test_malformed_request_id_is_replaced(bad: str) -> None:
    request_id, _ = headers.identity(CIMultiDict({"X-Request-Id": bad}))
    assert len(request_id) == 32


@pytest.mark.parametrize(
    "bad",
    [
        "",
        PARENT.upper(),
        PARENT[:-1],
        "01" + PARENT[2:],
        PARENT.replace("4bf9", "xxxx"),
        "00-" + "0" * 32 + PARENT[35:],
    ],
)
def test_malformed_trace_is_replaced(bad: str) -> None:
    request_id, trace = headers.identity(CIMultiDict({"traceparent": bad}))
    assert trace[3:35] == request_id


def test_fresh_ids_differ() -> None:
    assert len({headers.identity(CIMultiDict()) for _ in range(1000)}) == 1000


@pytest.mark.parametrize("key", ["k", "x" * 255, "!~", '"quoted"'])
def test_idempotency_key(key: str) -> None:
    assert headers.idempotency_key(CIMultiDict({"Idempotency-Key": key})) == key
    assert headers.idempotency_key(CIMultiDict()) is None


@pytest.mark.parametrize(
    "keys", [[""], ["x" * 256], ["x" * 10_000], ["a b"], ["a\tb"], ["a\x00"], ["ü"], ["a\n"], ["a", "a"], ["a", "b"]]
)
def test_b88_idempotency_key_that_is_none(keys: list[str]) -> None:
    with pytest.raises(Problem) as caught:
        headers.idempotency_key(CIMultiDict([("Idempotency-Key", key) for key in keys]))
    assert caught.value.status == 422
    assert [fault.pointer for fault in caught.value.faults] == ["Idempotency-Key"]


@pytest.mark.parametrize(
    ("prefer", "ms"),
    [
        (None, 10_000),
        ("wait=5", 5_000),
        ("wait=0.25", 250),
        ("respond-async, wait=3", 3_000),
        ("Wait = 2; x=1", 2_000),
        ("wait=20", 20_000),
        ("wait=999", 30_000),
        ("wait=0", 1),
        ("wait=-1", 10_000),
        ("wait=x", 10_000),
        ("nowait=5", 10_000),
        ("", 10_000),
    ],
)
def test_deadline_follows_prefer_wait(prefer: str | None, ms: int) -> None:
    given = CIMultiDict({} if prefer is None else {"Prefer": prefer})
    assert headers.budget_ms(given, default_s=10, longest_s=30) == ms


@pytest.mark.parametrize(
    ("header", "same"),
    [
        (None, False),
        ("*", True),
        ('"3"', True),
        ('W/"3"', True),
        ('"1", "3"', True),
        ('"33"', False),
        ("3", False),
        ("", False),
    ],
)
def test_if_none_match_compares_weakly(header: str | None, same: bool) -> None:
    given = CIMultiDict({} if header is None else {"If-None-Match": header})
    assert headers.none_match(given, 3) is same


# ------------------------------------------------------------------------------------- addresses


def test_b23_forwarded_for_counts_from_trusted_proxies_only() -> None:
    direct, behind = Proxies(""), Proxies("10.0.0.0/8, ::1/128")
    for number in range(9):
        assert direct.client("198.51.100.7", [f"203.0.113.{number}"]) == "198.51.100.7"
        assert behind.client("198.51.100.7", [f"203.0.113.{number}"]) == "198.51.100.7"
        assert behind.client("10.0.0.1", [f"203.0.113.{number}, 198.51.100.7"]) == "198.51.100.7"


@pytest.mark.parametrize(
    ("peer", "lines", "client"),
    [
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["198.51.100.7, 10.0.0.2"], "198.51.100.7"),
        ("10.0.0.1", ["1.1.1.1", "198.51.100.7, 10.0.0.2"], "198.51.100.7"),
        ("10.0.0.1", ["198.51.100.7:4711"], "198.51.100.7"),
        ("::1", ["[2001:db8::1]:4711"], "2001:db8::1"),
        ("::ffff:10.0.0.1", ["198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["198.51.100.7, unknown"], "10.0.0.1"),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("10.0.0.1", [""], "10.0.0.1"),
        (None, ["198.51.100.7"], "0.0.0.0"),
    ],
)
def test_client_is_the_rightmost_address_that_is_no_trusted_proxy(
    peer: str | None, lines: list[str], client: str
) -> None:
    assert Proxies("10.0.0.0/8,::1/128").client(peer, lines) == client


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("198.51.100.7", "198.51.100.0/24"),
        ("::ffff:198.51.100.7", "198.51.100.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("nonsense", "0.0.0.0/24"),
    ],
)
def test_network_is_a_24_or_a_64(address: str, network: str) -> None:
    assert network_of(address) == network


# ------------------------------------------------------------------------------------- other origins


def test_b107_foreign_origin_gets_no_permission() -> None:
    request = CIMultiDict({"Origin": "https://evil.test", "Access-Control-Request-Method": "POST"})
    for origins in (Origins(""), Origins("https://app.test")):
        said = dict(origins.headers(request)) | dict(origins.preflight(request, ["POST"]))
        assert not [name for name in said if name.startswith("Access-Control")]


def test_named_origin_may_call_but_never_with_cookies() -> None:
    origins = Origins("https://app.test, https://other.test")
    request = CIMultiDict({"Origin": "https://app.test", "Access-Control-Request-Method": "PATCH"})
    said = dict(origins.headers(request)) | dict(origins.preflight(request, ["GET", "PATCH"]))
    assert said["Access-Control-Allow-Origin"] == "https://app.test"
    assert said["Access-Control-Allow-Methods"] == "GET, PATCH"
    assert said["Vary"] == "Origin"
    assert "Access-Control-Allow-Credentials" not in said
