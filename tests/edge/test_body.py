"""Bodies that are no JSON that we take, each refused for what it is."""

from __future__ import annotations

from typing import Any

import pytest

from edge.body import DEPTH, decode_json
from edge.headers import media_type_is_json
from edge.problems import Problem


def refused(body: bytes) -> str:
    with pytest.raises(Problem) as caught:
        decode_json(body)
    assert (caught.value.status, caught.value.code) == (400, "request.malformed")
    return caught.value.detail


def test_values_arrive_as_they_were_sent() -> None:
    assert decode_json('{"a": [1, "ü\\n", null, true, 0.5], "b": {}}'.encode()) == {
        "a": [1, "ü\n", None, True, 0.5],
        "b": {},
    }


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'{"unknown":[', b'[{"a":'])
def test_b28_endless_nesting(opening: bytes) -> None:
    refused(opening * 100_000)


@pytest.mark.parametrize(
    ("depth", "taken"), [(1, True), (DEPTH, True), (DEPTH + 1, False), (200, False), (5_000, False)]
)
def test_b28_nesting_up_to_the_limit(depth: int, taken: bool) -> None:
    for body in (b"[" * depth + b"]" * depth, b'{"a":' * depth + b"1" + b"}" * depth):
        if taken:
            decode_json(body)
        else:
            assert f"{DEPTH} deep" in refused(body)


def test_b28_breadth_and_brackets_in_texts_are_no_depth() -> None:
    assert len(decode_json(b"[" + b"[]," * 1000 + b"[]]")) == 1001
    assert decode_json(b'"' + b"[{" * 1000 + b'"') == "[{" * 1000


@pytest.mark.parametrize(
    "body", [b'{"a": "\xff"}', b'{"a": "\xc0\x80"}', b'{"a": "\xed\xa0\x80"}', "{}".encode("utf-16")]
)
def test_b29_bad_utf8(body: bytes) -> None:
    refused(body)


def test_b29_byte_order_mark() -> None:
    assert "byte order mark" in refused(b"\xef\xbb\xbf{}")


@pytest.mark.parametrize("body", [rb'{"a": "\ud800"}', rb'{"a": ["\uDFFF\uD800"]}', rb'{"\udc00": 1}'])
def test_b30_lone_surrogate(body: bytes) -> None:
    assert "surrogate" in refused(body)


def test_b30_pair_of_surrogates_is_a_character() -> None:
    assert decode_json(rb'{"a": "\ud83d\ude00"}') == {"a": "\U0001f600"}


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity", b"1e400", b"-1e999"])
def test_b32_not_a_finite_number(number: bytes) -> None:
    refused(b'{"a": ' + number + b"}")


@pytest.mark.parametrize("number", [b"1" * 5000, b"01", b"+1", b".5", b"1.", b"0x1"])
def test_b33_numbers_that_are_too_long_or_none(number: bytes) -> None:
    refused(b'{"a": ' + number + b"}")


@pytest.mark.parametrize("body", [b'{"a": 1, "a": 1}', b'{"b": {"a": 1, "\\u0061": 2}}', b'[{"": 1, "": 2}]'])
def test_b35_duplicate_keys(body: bytes) -> None:
    assert "duplicate" in refused(body)


@pytest.mark.parametrize(
    "body", [b"", b" ", b"{} {}", b"{}x", b"{", b"{'a': 1}", b"// {}", b"{,}", b'{"a": "\n"}', b"\0"]
)
def test_b37_trailing_data_empty_or_no_json(body: bytes) -> None:
    refused(body)


@pytest.mark.parametrize(
    ("value", "taken"),
    [
        ("application/json", True),
        ("Application/JSON", True),
        ("application/json; charset=utf-8", True),
        ('application/json;charset="UTF-8"', True),
        ("application/json; charset=utf-16", False),
        ("application/json; charset=latin-1", False),
        ("application/json; boundary=x", False),
        ("application/problem+json", False),
        ("text/json", False),
        ("text/plain", False),
        ("application/x-www-form-urlencoded", False),
        ("", False),
        (None, False),
    ],
)
def test_b38_media_type(value: str | None, taken: Any) -> None:
    assert media_type_is_json(value) is taken
