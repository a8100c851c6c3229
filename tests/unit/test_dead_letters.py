"""Dead letters over messages: one test per outcome, on both stores."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from runtime.errors import Invalid
from runtime.letters import (
    ActorState,
    DeadLetter,
    DeadLetterDiscarded,
    DeadLetterReplayed,
    Describe,
    DiscardDead,
    GetDead,
    ListDead,
    ReplayDead,
    ReplayDeadOf,
)
from runtime.message import Caller, Failed, Ok, decoder
from runtime.parked import ParkedLoop
from tests.unit.counter import Added, Issue, Keep
from tests.unit.house import House, answer, code, codes, envelope

ADMIN = Caller("a0", "admin", "s0", "127.0.0.0/24", "curl", "127.0.0.1")


async def die(house: House, *messages: Added | Keep, trace: str | None = None) -> list[DeadLetter]:
    """Let these be refused; their letters, newest first."""

    async def during(name: str) -> None:
        raise Invalid("counter.no", "not today")

    usual, house.actor.during = house.actor.during, during
    for message in messages:
        await house.one(envelope(message, reply=False, trace=trace))
    house.actor.during = usual
    return await letters(house)


async def letters(house: House, **which: Any) -> list[DeadLetter]:
    found: list[DeadLetter] = answer(await house.one(ListDead(**which), caller=ADMIN), list[DeadLetter])
    return found


async def go_on(house: House) -> None:
    while await ParkedLoop(house.dispatch).step():
        pass


def told(house: House, kind: type[DeadLetterReplayed | DeadLetterDiscarded]) -> list[DeadLetterReplayed]:
    name = {DeadLetterReplayed: "dead_letter_replayed", DeadLetterDiscarded: "dead_letter_discarded"}[kind]
    return [decoder(kind).decode(each.body) for each in house.sent() if each.type == name]


async def test_a_dead_letter_says_what_it_was_and_why(house: House) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    (letter,) = await die(house, Added(name="a", value=1), trace=trace)
    assert letter.body == {"name": "a", "value": 1}
    assert (letter.type, letter.reason, letter.attempts) == ("added", "counter.no not today", 1)
    assert (letter.caller_id, letter.trace_id) == (None, "0af7651916cd43dd8448eb211c80319c")
    assert 1_700_000_000_000 < letter.first_failed_at <= letter.last_failed_at
    assert letter.id != letter.message_id
    assert answer(await house.one(GetDead(id=letter.id), caller=ADMIN), DeadLetter) == letter


async def test_they_are_listed_newest_first_by_type_and_in_pages(house: House) -> None:
    found = await die(house, Added(name="a", value=1), Added(name="b", value=1), Keep(token="t"))
    assert [letter.type for letter in found] == ["keep", "added", "added"]
    assert await letters(house, type="added") == found[1:]
    assert await letters(house, type="nothing") == []
    assert await letters(house, before=found[0].id, limit=1) == found[1:2]


async def test_a_replayed_letter_is_handled_and_gone_and_told(house: House) -> None:
    (letter,) = await die(house, Added(name="a", value=1))
    assert await house.one(ReplayDead(id=letter.id), caller=ADMIN) == Ok(b"\xc0", "n")
    await go_on(house)
    assert await house.total("added a") == 1
    assert await letters(house) == []
    (event,) = told(house, DeadLetterReplayed)
    assert (event.actor, event.type, event.letter, event.count) == ("counter", "added", letter.id, 1)
    assert (event.by, event.address, event.agent) == ("a0", "127.0.0.1", "curl")


async def test_f42_a_letter_replayed_twice_has_one_effect(house: House) -> None:
    (letter,) = await die(house, Added(name="a", value=1))
    first = envelope(ReplayDead(id=letter.id), caller=ADMIN)
    assert codes([await house.one(first), await house.one(first)]) == ["ok", "ok"]
    assert code(await house.one(ReplayDead(id=letter.id), caller=ADMIN)) == "dead_letter.not_found"
    await go_on(house)
    assert code(await house.one(ReplayDead(id=letter.id), caller=ADMIN)) == "dead_letter.not_found"
    assert await house.total("added a") == 1
    assert len(told(house, DeadLetterReplayed)) == 1


async def test_an_edited_letter_is_handled_as_edited(house: House) -> None:
    (letter,) = await die(house, Added(name="a", value=1))
    await house.one(ReplayDead(id=letter.id, body={"name": "b", "value": 2}), caller=ADMIN)
    await go_on(house)
    assert (await house.total("added a"), await house.total("added b")) == (0, 1)
    assert [event.note for event in told(house, DeadLetterReplayed)] == ["edited"]


async def test_a_body_that_does_not_fit_is_refused_where_it_is_wrong_and_the_letter_stays(house: House) -> None:
    (letter,) = await die(house, Added(name="a", value=1))
    verdict = await house.one(ReplayDead(id=letter.id, body={"name": "a", "value": "one"}), caller=ADMIN)
    assert isinstance(verdict, Failed)
    assert (verdict.code, [fault.pointer for fault in verdict.faults]) == ("request.invalid", ["/body/value"])
    assert await letters(house) == [letter]
    assert told(house, DeadLetterReplayed) == []


async def test_secrets_are_hidden_and_stay_when_the_rest_is_edited(house: House) -> None:
    """B111"""
    (letter,) = await die(house, Keep(token="canary-7fe2"))
    assert letter.body == {"token": "***"}
    await house.one(ReplayDead(id=letter.id, body=letter.body), caller=ADMIN)
    row = await house.row(letter.message_id)
    assert b"canary" not in row.envelope
    assert b"canary-7fe2" in house.dispatch.parking.received(row).envelope.body


async def test_all_of_a_type_are_replayed(house: House) -> None:
    await die(house, Added(name="a", value=1), Added(name="a", value=2), Keep(token="t"))
    assert answer(await house.one(ReplayDeadOf(type="added"), caller=ADMIN), int) == 2
    assert answer(await house.one(ReplayDeadOf(type="added"), caller=ADMIN), int) == 0
    await go_on(house)
    assert await house.total("added a") == 2
    assert [letter.type for letter in await letters(house)] == ["keep"]
    assert [(event.letter, event.count) for event in told(house, DeadLetterReplayed)] == [(None, 2)]


async def test_a_discarded_letter_is_gone_and_told_with_the_reason(house: House) -> None:
    (letter,) = await die(house, Added(name="a", value=1))
    await house.one(DiscardDead(id=letter.id, reason="a test"), caller=ADMIN)
    assert code(await house.one(DiscardDead(id=letter.id), caller=ADMIN)) == "dead_letter.not_found"
    assert await letters(house) == []
    assert [event.note for event in told(house, DeadLetterDiscarded)] == ["a test"]
    await go_on(house)
    assert await house.total("added a") == 0


async def test_a_replayed_request_is_answered_to_nobody_and_counts_for_nobody(house: House) -> None:
    request = envelope(Issue(token="t"), caller=ADMIN)
    await house.dispatch.parking.bury(request, "it took its process down 3 times", attempt=3)
    (letter,) = await letters(house)
    assert letter.caller_id == "a0"
    await house.one(ReplayDead(id=letter.id), caller=ADMIN)
    again = house.dispatch.parking.received(await house.row(request.id))
    assert (again.envelope.reply_to, again.trusted) == (None, False)


async def test_what_cannot_be_read_is_listed_without_its_body(house: House) -> None:
    await house.one(msgspec.structs.replace(envelope(Added(name="a", value=1)), type="unheard_of"))
    (letter,) = await letters(house)
    assert (letter.type, letter.body) == ("unheard_of", None)
    assert "no handler" in letter.reason
    assert code(await house.one(ReplayDead(id=letter.id, body={}), caller=ADMIN)) == "request.invalid"


@pytest.mark.parametrize("caller", [None, Caller("m", "member", "s"), Caller("a0", "admin", None)])
@pytest.mark.parametrize(
    "message",
    [ListDead(), GetDead(id="x"), ReplayDead(id="x"), ReplayDeadOf(type="x"), DiscardDead(id="x"), Describe()],
    ids=lambda message: type(message).__name__,
)
async def test_only_admins_with_a_session_may(house: House, message: ListDead, caller: Caller | None) -> None:
    assert code(await house.one(message, caller=caller)) == "auth.forbidden"


async def test_a_forged_admin_is_nobody(house: House) -> None:
    """B110"""
    (verdict,) = await house.handle(envelope(ListDead(), caller=ADMIN), trusted=False)
    assert code(verdict) == "auth.forbidden"


async def test_an_actor_says_how_it_is(house: House) -> None:
    await die(house, Added(name="a", value=1))
    await house.store.beat("one", in_flight=3)
    state = answer(await house.one(Describe(), caller=ADMIN), ActorState)
    assert (state.instances, state.in_flight, state.parked, state.dead) == (1, 3, 0, 1)
