"""Messages of yesterday are understood today: the committed examples decode, and nothing in them is lost."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from runtime.errors import MessageError
from runtime.message import Envelope, Event, Failed, Ok, decode_any, encode, frame, owner, unframe, wire_name
from tests.unit import message_examples as examples

KEY = b"k" * 32


def test_every_message_has_a_committed_example() -> None:
    missing = set(examples.kinds()) - set(examples.stored())
    assert not missing, "run `python -m tests.unit.message_examples` and commit the file"


@pytest.mark.parametrize("name", sorted(examples.stored()))
def test_an_example_of_yesterday_says_the_same_today(name: str) -> None:
    kinds = examples.kinds()
    assert name in kinds, "a message that was sent must stay readable: keep its type"
    encoded = examples.stored()[name]
    value = msgspec.msgpack.decode(encoded, type=kinds[name])
    _holds(decode_any(encode(value)), decode_any(encoded))


def _holds(today: Any, yesterday: Any) -> None:
    """Everything that was said is still there; there may be more."""
    if isinstance(yesterday, dict):
        for key, value in yesterday.items():
            _holds(today[key], value)
    elif isinstance(yesterday, list):
        assert len(today) >= len(yesterday)
        for now, then in zip(today, yesterday, strict=False):
            _holds(now, then)
    else:
        assert today == yesterday


class Old(Event, frozen=True, kw_only=True):
    """As an older process knows it."""

    a: int


class New(Event, frozen=True, kw_only=True):
    """As a newer process knows it."""

    a: int
    b: str = "default"


def test_unknown_fields_are_ignored_and_new_ones_have_defaults() -> None:
    assert msgspec.msgpack.decode(encode(New(a=1, b="x")), type=Old) == Old(a=1)
    assert msgspec.msgpack.decode(encode(Old(a=1)), type=New) == New(a=1, b="default")


def test_an_incompatible_change_fails() -> None:
    class Broken(Event, frozen=True, kw_only=True):
        a: str

    with pytest.raises(msgspec.ValidationError):
        msgspec.msgpack.decode(encode(Old(a=1)), type=Broken)
    with pytest.raises(KeyError):
        _holds(decode_any(encode(msgspec.msgpack.decode(encode(New(a=1)), type=Old))), decode_any(encode(New(a=1))))


def test_names_on_the_wire() -> None:
    assert wire_name(New) == "new"
    assert owner(New) == "test"


def test_a_signed_frame_is_taken_by_the_holder_of_the_key_alone() -> None:
    envelope = Envelope("1", "new", "task", b"\x80")
    assert unframe(frame([envelope], KEY), KEY) == ([envelope], True)
    assert unframe(frame([envelope]), KEY) == ([envelope], False)
    with pytest.raises(MessageError, match="signature"):
        unframe(frame([envelope], KEY), b"x" * 32)
    changed = bytearray(frame([envelope], KEY))
    changed[-1] ^= 1
    with pytest.raises(MessageError, match="signature"):
        unframe(bytes(changed), KEY)


@pytest.mark.parametrize(
    "body", [b"", b"\x07", b"\x00", b"\x00\xc1", b"\x00" + b"\x91" * 5000, b"\x00\x91\x91\xa1\xff"]
)
def test_what_is_no_frame_is_refused(body: bytes) -> None:
    with pytest.raises(MessageError):
        unframe(body, KEY)


def test_replies_are_told_apart() -> None:
    for reply in (Ok(b"\x01", "n"), Failed("conflict", "a.b")):
        assert msgspec.msgpack.decode(encode(reply), type=Ok | Failed) == reply
