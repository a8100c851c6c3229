"""The public test vectors of project Wycheproof that concern our algorithm, where they lie beside the repository."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jwt
import msgspec
import pytest
from jwt import PyJWS

from actors.contracts.user import TOKEN_ALGORITHM, Jwk, PublicKey
from edge.auth import public_key, signed_payload

FOLDER = Path(__file__).parents[3] / "shared" / "data" / "wycheproof"


def groups(name: str) -> list[dict[str, Any]]:
    path = FOLDER / name
    found: list[dict[str, Any]] = json.loads(path.read_text())["testGroups"] if path.is_file() else []
    return found


def keys(group: dict[str, Any]) -> list[dict[str, Any]]:
    """Of a group: one, or those of a set."""
    public = group.get("public") or {}
    listed: list[dict[str, Any]] = public.get("keys", [public])
    return listed


def on_a_curve(key: dict[str, Any]) -> bool:
    """Keys that could pass for one of ours; the tokens of P-521 are good ones of another algorithm."""
    return "x" in key and key["crv"] != "P-521"


def accepts(key: dict[str, Any], token: str) -> bool:
    """Whether a token is taken that names this key."""
    try:
        ours = msgspec.convert(key, Jwk)  # what a key of ours must say of itself
        public = public_key(PublicKey(kid=ours.kid, x=ours.x, y=ours.y))
        signed_payload(PyJWS(algorithms=[TOKEN_ALGORITHM]), token, public)
    except (msgspec.ValidationError, jwt.PyJWTError, ValueError):
        return False
    return True


SIGNATURES = [
    pytest.param(key, test, id=f"{test['tcId']} {test['comment']}")
    for group in groups("json_web_signature_test.json")
    for key in keys(group)
    if on_a_curve(key)
    for test in group["tests"]
]
KEYS = [
    pytest.param(key, test, id=f"{test['tcId']} {test['comment']}")
    for group in groups("json_web_key_test.json")
    for key in keys(group)
    if on_a_curve(key)
    for test in group["tests"]
]

pytestmark = pytest.mark.skipif(not SIGNATURES, reason=f"the vectors are not at {FOLDER}")


@pytest.mark.parametrize(("key", "test"), SIGNATURES)
def test_b54_signatures(key: dict[str, Any], test: dict[str, Any]) -> None:
    token = test["jws"]
    # JSON serialization is none of ours; what is no text cannot come in a header
    taken = isinstance(token, str) and accepts(key, token)
    assert taken == (test["result"] == "valid")


@pytest.mark.parametrize(("key", "test"), KEYS)
def test_b53_keys(key: dict[str, Any], test: dict[str, Any]) -> None:
    assert accepts(key, test["jws"]) == (test["result"] == "valid")
