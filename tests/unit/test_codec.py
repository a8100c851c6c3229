"""The codec: names, frames, replies, and errors that cross the wire."""

from __future__ import annotations

from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import (
    Conflict,
    ContractError,
    DeadlinePassed,
    Fault,
    Forbidden,
    Gone,
    Invalid,
    MessageError,
    NotFound,
    Overloaded,
    PreconditionFailed,
    Throttled,
    TroupeError,
    Unauthenticated,
    Unavailable,
)
from runtime.message import (
    Answer,
    Command,
    Envelope,
    Event,
    Failed,
    Ok,
    Page,
    Query,
    Request,
    encode,
    failed,
    frame,
    frame_answers,
    owner,
    raised,
    read_envelope,
    reply_type,
    unframe,
    unframe_answers,
    wire_name,
)
from tests.unit.counter import Add, GetTotal, Total


def test_unknown_fields_are_ignored() -> None:
    newer = encode({"name": "a", "amount": 2, "mood": {"of": ["tomorrow"]}})
    assert msgspec.msgpack.decode(newer, type=Add) == Add(name="a", amount=2)
    envelope = Envelope("id", "add", "counter", b"")
    longer = encode([*msgspec.msgpack.decode(encode(envelope)), "a field of tomorrow"])
    assert read_envelope(longer) == envelope


# ------------------------------------------------------------------------------------------------ names


class HTTPAnswerV2(Event, frozen=True, kw_only=True): ...


def test_a_wire_name_is_the_type_s_name_in_snake_case() -> None:
    assert [wire_name(each) for each in (Add, GetTotal, HTTPAnswerV2)] == ["add", "get_total", "http_answer_v2"]


def test_a_message_belongs_to_the_actor_that_its_module_is_named_after() -> None:
    assert owner(Add) == "counter"


class Pages(Query[Page[Total]], frozen=True, kw_only=True): ...


class Silent(Command[None], frozen=True, kw_only=True): ...


class Speechless(Request, frozen=True, kw_only=True): ...  # type: ignore[type-arg] # what the test is about


def test_a_request_names_its_reply() -> None:
    assert reply_type(Add) is Total
    assert reply_type(Pages) == Page[Total]
    assert reply_type(Silent) is type(None)
    with pytest.raises(ContractError, match=r"Speechless must say what answers it"):
        reply_type(Speechless)


# ----------------------------------------------------------------------------------------------- frames

envelopes = st.builds(
    Envelope,
    id=st.text(max_size=40),
    type=st.text(max_size=40),
    to=st.text(max_size=10),
    body=st.binary(max_size=100),
    budget_ms=st.none() | st.integers(0, 2**40),
    request_hash=st.none() | st.binary(max_size=32),
    attempt=st.integers(0, 100),
)


@given(st.lists(envelopes, max_size=5), st.none() | st.binary(min_size=1, max_size=32))
def test_a_frame_is_read_as_it_was_written(batch: list[Envelope], key: bytes | None) -> None:
    assert unframe(frame(batch, key), key or b"key") == (batch, key is not None)


@given(st.binary(max_size=200))
def test_no_bytes_do_more_than_raise(body: bytes) -> None:
    for read in (lambda: unframe(body, b"key"), lambda: read_envelope(body), lambda: unframe_answers(body)):
        with suppress(MessageError):
            read()


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_changed_signed_frame_is_refused(position: int, difference: int) -> None:
    body = bytearray(frame([Envelope("id", "add", "counter", b"body")], b"key"))
    body[1 + position % (len(body) - 1)] ^= difference
    with pytest.raises(MessageError):
        unframe(bytes(body), b"key")


def test_a_frame_signed_for_one_actor_is_none_of_another_s() -> None:
    with pytest.raises(MessageError, match="signature"):
        unframe(frame([], b"a"), b"b")


def test_deep_input_is_refused() -> None:
    for deep in (b"\x00" + b"\x91" * 100_000, b"\x00" + b"\x81\xa1a" * 100_000):
        with pytest.raises(MessageError):
            unframe(deep, b"")


def test_replies_are_read_as_they_were_written() -> None:
    answers = [Answer("1", Ok(b"body", "1")), Answer("2", Failed("invalid", "x.y", "no", (Fault("/a", "b"),), 1.5))]
    assert unframe_answers(frame_answers(answers)) == answers


# ----------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    "error",
    [
        *(
            kind("x.y", "no", faults=(Fault("/a", "b"),))
            for kind in (Invalid, Unauthenticated, Forbidden, NotFound, Gone, Conflict, PreconditionFailed)
        ),
        Throttled("x.y", "no", retry_after=2.5),
        Overloaded("full", retry_after=2.5),
        Unavailable("away", retry_after=2.5),
        DeadlinePassed("late"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_arrives_as_what_it_was(error: TroupeError) -> None:
    arrived = raised(failed(error))
    assert type(arrived) is type(error)
    assert vars(arrived) == vars(error)


def test_a_fault_of_ours_says_nothing_of_itself() -> None:
    assert failed(TroupeError("secret")) == Failed("internal", "internal")
    assert isinstance(raised(Failed("internal", "internal")), Unavailable)


def test_a_kind_of_tomorrow_is_unavailable_today() -> None:
    assert isinstance(raised(Failed("of_tomorrow", "x")), Unavailable)
