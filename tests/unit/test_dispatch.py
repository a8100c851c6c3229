"""What becomes of one message: done, refused, ignored, later, retried, dead; and of the store being away."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
import pytest
from structlog.contextvars import get_contextvars

from runtime.dispatch import RACES
from runtime.errors import Conflict, ConnectionLost, Invalid, Kind, Later, MessageError, StoreAway, Throttled
from runtime.keys import Keys
from runtime.message import Caller, Envelope, Failed, Grant, Ok, encode
from runtime.parked import ParkedLoop
from runtime.ports import Parked, Raced
from runtime.telemetry import trace_id
from runtime.verdict import Received, Settle
from tests.unit.counter import Add, AddEach, Added, AddSlowly, GetTotal, Keep, Total, Vouch, WhoAmI
from tests.unit.house import KEY, House, answer, code, envelope

During = Callable[[str], Awaitable[None]]


def raising(error: BaseException, *, times: int = 1_000) -> During:
    """Something that goes wrong in a handler, the first `times` times."""
    left = times

    async def during(name: str) -> None:
        nonlocal left
        left -= 1
        if left >= 0:
            raise error

    return during


# ------------------------------------------------------------------------------------------------ requests


async def test_done_writes_replies_and_sends_in_one_transaction(house: House) -> None:
    assert answer(await house.one(Add(name="a", amount=2)), Total) == Total(name="a", value=2)
    assert (await house.total("a"), await house.inbox()) == (2, 1)
    assert [each.type for each in house.sent()] == ["added"]
    assert (await house.store.counts())["outbox"] == 1


async def test_refused_undoes_what_was_written_and_sends_nothing(house: House) -> None:
    assert code(await house.one(Add(name="a", amount=-1))) == "counter.negative"
    assert await house.total("a") == 0
    assert house.sent() == []
    assert (await house.store.counts())["outbox"] == 0


async def test_before_a_commit_the_actor_is_told_what_goes_out(house: House) -> None:
    await house.one(Add(name="a", amount=2))
    await house.one(AddSlowly(name="a", amount=2))
    await house.one(Add(name="a", amount=-1))  # refused: nothing goes out
    await house.handle(*(envelope(AddEach(name="a", amount=amount)) for amount in (1, -1, 1)))
    assert house.actor.committing == [[2], [4], [5, 6]]


async def test_what_fails_before_a_commit_undoes_it(house: House) -> None:
    house.actor.last = raising(Conflict("counter.late"))
    assert code(await house.one(Add(name="a"))) == "counter.late"
    assert (await house.total("a"), house.sent()) == (0, [])


async def test_a_refusal_is_saved_and_replayed_identically(house: House) -> None:
    first = envelope(Add(name="a", amount=-1), nonce="first", request_id="r1")
    again = envelope(Add(name="a", amount=-1), id=first.id, nonce="second", request_id="r2")
    made, replayed = await house.one(first), await house.one(again)
    assert isinstance(made, Failed)
    assert (made.by, made.request_id, made.kind) == ("first", "r1", Kind.INVALID)
    assert encode(made) == encode(replayed)


async def test_a_kept_refusal_commits_what_was_written_and_sent(house: House) -> None:
    house.actor.during = raising(Conflict("counter.full", keep=True), times=1)
    request = envelope(Add(name="a"))
    assert code(await house.one(request)) == "counter.full"
    assert code(await house.one(request)) == "counter.full"
    assert await house.total("a") == 1
    assert [each.type for each in house.sent()] == ["added"]


async def test_the_same_id_again_is_ignored_and_gets_the_same_bytes(house: House) -> None:
    first = envelope(Add(name="a"), nonce="first")
    made = await house.one(first)
    replayed = await house.replica().one(envelope(Add(name="a"), id=first.id, nonce="second"))
    assert isinstance(replayed, Ok)
    assert replayed.by == "first"
    assert encode(made) == encode(replayed)
    assert await house.total("a") == 1


async def test_a_key_for_another_request_is_refused(house: House) -> None:
    await house.one(Add(name="a"), id="k", hash=b"1")
    assert code(await house.one(Add(name="a", amount=2), id="k", hash=b"2")) == "idempotency.key_reused"
    assert isinstance(await house.one(Add(name="a"), id="k", hash=b"1"), Ok)
    assert await house.total("a") == 1


async def test_f38_a_request_whose_twin_still_runs_is_in_progress_and_a_copy_is_silent(house: House) -> None:
    """A copy is of the same asking, however it came to be; a twin is asked for by somebody else, with the same key."""
    if "concurrent_transactions" in house.store.lacks:
        pytest.skip("this store runs one transaction at a time: the second waits and is replayed")
    running, finish = asyncio.Event(), asyncio.Event()

    async def during(name: str) -> None:
        running.set()
        await finish.wait()

    house.actor.during = during
    first = asyncio.ensure_future(house.one(Add(name="a"), id="k", nonce="first"))
    await running.wait()
    for attempt in (0, 1):
        assert await house.replica().one(Add(name="a"), id="k", nonce="first", attempt=attempt) is Settle.DONE
        twin = await house.replica().one(Add(name="a"), id="k", nonce="second", attempt=attempt)
        assert code(twin) == "idempotency.in_progress"
    finish.set()
    assert isinstance(await first, Ok)
    assert await house.total("a") == 1


async def test_later_is_answered_with_503_and_saves_nothing(house: House) -> None:
    house.actor.during = raising(Later(7, "warming up"), times=1)
    request = envelope(Add(name="a"))
    verdict = await house.one(request)
    assert isinstance(verdict, Failed)
    assert (verdict.kind, verdict.retry_after, verdict.detail) == (Kind.UNAVAILABLE, 7, "warming up")
    assert (await house.total("a"), await house.inbox()) == (0, 0)
    assert isinstance(await house.one(request), Ok)


async def test_throttled_is_never_saved(house: House) -> None:
    house.actor.during = raising(Throttled("counter.fast", retry_after=3), times=1)
    request = envelope(Add(name="a"))
    verdict = await house.one(request)
    assert isinstance(verdict, Failed)
    assert (verdict.code, verdict.retry_after, await house.inbox()) == ("counter.fast", 3, 0)
    assert isinstance(await house.one(request), Ok)


async def test_a_throttled_that_keeps_commits_what_it_wrote_and_may_be_tried_again(house: House) -> None:
    house.actor.during = raising(Throttled("counter.fast", retry_after=3, keep=True), times=1)
    request = envelope(Add(name="a"))
    assert code(await house.one(request)) == "counter.fast"
    assert (await house.total("a"), await house.inbox()) == (1, 0)
    assert isinstance(await house.one(request), Ok)


async def test_an_unexpected_error_is_answered_with_500_reported_and_saves_nothing(house: House) -> None:
    house.actor.during = raising(error := ZeroDivisionError("oh"), times=1)
    request = envelope(Add(name="a"))
    verdict = await house.one(request)
    assert isinstance(verdict, Failed)
    assert (verdict.kind, verdict.detail, await house.inbox()) == (Kind.INTERNAL, "", 0)
    assert house.failures == [error]
    assert isinstance(await house.one(request), Ok)


async def test_a_request_that_loses_races_is_tried_again_while_somebody_waits_for_it(house: House) -> None:
    house.actor.during = raising(Raced(), times=3)
    deadline = asyncio.get_running_loop().time() + 10
    (verdict,) = await house.dispatch([Received(envelope(Add(name="a")), deadline=deadline)])
    assert (answer(verdict, Total).value, await house.total("a")) == (1, 1)


async def test_a_request_that_only_loses_races_ends_with_its_deadline(house: House) -> None:
    house.actor.during = raising(Raced(), times=1_000_000)
    deadline = asyncio.get_running_loop().time() + 0.3
    assert await house.dispatch([Received(envelope(Add(name="a")), deadline=deadline)]) == [Settle.DONE]
    assert await house.total("a") == 0
    assert house.metrics.registry.get_sample_value("troupe_shed_total", {"actor": "counter", "why": "expired"}) == 1


async def test_an_event_that_only_loses_races_is_parked_and_that_is_one_attempt(house: House) -> None:
    house.actor.during = raising(Raced(), times=RACES)
    event = envelope(Added(name="a", value=1))
    assert await house.one(event) is Settle.DONE
    assert (await house.row(event.id)).attempt == 1
    await until_due(house)
    assert await house.total("added a") == 1


async def test_a_connection_that_is_lost_in_a_transaction_is_worth_a_second_try(house: House) -> None:
    house.actor.during = raising(ConnectionLost(), times=1)
    assert answer(await house.one(Add(name="a")), Total).value == 1
    house.actor.during = raising(ConnectionLost(), times=1)
    verdicts = await house.handle(envelope(AddEach(name="b")), envelope(AddEach(name="c")))
    assert [answer(each, Total).value for each in verdicts] == [1, 1]
    assert [await house.total(name) for name in "abc"] == [1, 1, 1]


async def test_a_connection_that_is_lost_again_is_the_store_being_away(house: House) -> None:
    house.actor.during = raising(ConnectionLost(), times=2)
    verdict = await house.one(Add(name="a"))
    assert isinstance(verdict, Failed)
    assert (verdict.kind, await house.total("a")) == (Kind.UNAVAILABLE, 0)


async def test_a_query_leaves_no_trace_in_the_inbox(house: House) -> None:
    await house.one(Add(name="a"))
    assert answer(await house.one(GetTotal(name="a")), Total).value == 1
    assert await house.inbox() == 1


async def test_what_a_query_raises_is_answered_alone(house: House) -> None:
    async def during(name: str) -> None:
        if name == "bad":
            raise Invalid("counter.bad")
        if name == "worse":
            raise ZeroDivisionError

    house.actor.during = during
    verdicts = await house.handle(*(envelope(GetTotal(name=name)) for name in ("good", "bad", "worse", "fine")))
    assert [getattr(each, "code", "ok") for each in verdicts] == ["ok", "counter.bad", "internal", "ok"]
    assert len(house.failures) == 1


async def test_an_expired_request_never_runs(house: House) -> None:
    past = asyncio.get_running_loop().time() - 0.001
    assert await house.dispatch([Received(envelope(Add(name="a")), deadline=past)]) == [Settle.DONE]
    assert await house.total("a") == 0


async def test_an_unreadable_or_unknown_request_is_answered_with_500(house: House) -> None:
    for body, kind in ((b"\xc1", "add"), (encode({"name": 5}), "add"), (b"\x91" * 5000, "add"), (b"\x80", "subtract")):
        assert code(await house.one(envelope_with(body, kind))) == "internal"


def envelope_with(body: bytes, type: str, *, reply: bool = True) -> Envelope:
    return msgspec.structs.replace(envelope(Add(name="a"), reply=reply), body=body, type=type)


# ----------------------------------------------------------------------------------- who asks, and what goes along


async def test_only_a_signed_frame_is_trusted(house: House) -> None:
    grant = Grant("other", "fact", "subject", b"yes", 5000)
    request = envelope(WhoAmI(), caller=Caller(id="ada"), grants=(grant,))
    (trusted,), (forged,) = await house.handle(request), await house.handle(request, trusted=False)
    assert (answer(trusted, str), answer(forged, str)) == ("ada/yes", "None/None")


async def test_f43_a_grant_counts_until_it_has_waited_here_for_as_long_as_it_is_good(house: House) -> None:
    """No clock but the loop's is looked at: hosts may disagree about the time."""
    grant = Grant("other", "fact", "subject", b"yes", 5_000)
    now = asyncio.get_running_loop().time()
    asked = envelope(WhoAmI(), caller=Caller(id="ada"), grants=(grant,))
    batch = [Received(asked, trusted=True, arrived=now - waited_s) for waited_s in (0.0, 4.0, 5.1)]
    assert [answer(verdict, str) for verdict in await house.dispatch(batch)] == ["ada/yes", "ada/yes", "ada/None"]


async def test_an_actor_signs_what_it_vouches_for(house: House) -> None:
    grant = answer(await house.one(Vouch(subject="ada")), Grant)
    keys = Keys(None, {"counter": KEY})
    keys.check(grant)
    assert (grant.issuer, grant.subject, grant.value, grant.expires_in) == ("counter", "ada", b"yes", 5000)
    with pytest.raises(MessageError, match="not signed"):
        keys.check(Grant("counter", "fact", "eve", b"yes", 5000, grant.mac))


async def test_trace_request_id_and_cause_go_along_with_what_is_emitted(house: House) -> None:
    trace = f"00-{'a' * 32}-{'b' * 16}-01"
    seen: list[dict[str, object]] = []

    async def during(name: str) -> None:
        seen.append(dict(get_contextvars()))

    house.actor.during = during
    request = envelope(Add(name="a"), trace=trace, request_id="r1")
    await house.one(request)
    (event,) = house.sent()
    assert (event.cause, event.request_id) == (request.id, "r1")
    assert event.trace is not None
    assert trace_id(event.trace) == "a" * 32
    assert event.trace != trace
    assert seen == [{"request_id": "r1", "trace_id": "a" * 32}]
    await house.one(event)
    assert (house.actor.contexts[-1].cause, house.actor.contexts[-1].request_id) == (event.id, "r1")


async def test_what_an_actor_writes_and_emits_at_its_start_commits_together(house: House) -> None:
    await house.dispatch.start()
    assert await house.total("started") == 1
    (row,) = await house.store.lease_outgoing(limit=10, lease_ms=1000)
    assert row.route == "added"


async def test_resync_emits_the_present_state_step_by_step(house: House) -> None:
    assert await house.dispatch.resync(None) == "more"
    assert await house.dispatch.resync("more") is None
    assert (await house.store.counts())["outbox"] == 2
    assert len(await house.store.lease_outgoing(limit=10, lease_ms=1000)) == 2, "any relay may take them at once"


# -------------------------------------------------------------------------------------------- events and tells


async def test_an_event_is_handled_once_however_often_it_comes(house: House) -> None:
    event = envelope(Added(name="a", value=1))
    assert [await house.one(event) for _ in range(3)] == [Settle.DONE] * 3
    assert await house.total("added a") == 1


async def test_a_failed_event_is_parked_and_retried_as_its_policy_says_and_then_dead(house: House) -> None:
    house.actor.during = raising(ZeroDivisionError("oh"))
    event = envelope(Added(name="a", value=1))
    assert await house.one(event) is Settle.DONE
    attempts = []
    while (row := await house.row(event.id)).due_at is not None:
        attempts.append(row.attempt)
        await until_due(house)
    assert (attempts, row.attempt, len(house.failures)) == ([1, 2], 3, 3)
    assert row.reason == "ZeroDivisionError: oh"
    assert await house.total("added a") == 0


async def until_due(house: House) -> None:
    """One parked message is tried."""
    async with asyncio.timeout(5):
        while not await ParkedLoop(house.dispatch).step():
            await asyncio.sleep(0.005)


async def test_a_parked_event_that_works_at_last_is_done_once_and_no_longer_parked(house: House) -> None:
    house.actor.during = raising(ZeroDivisionError("oh"), times=2)
    event = envelope(Added(name="a", value=1))
    await house.one(event)
    await until_due(house)
    await until_due(house)
    assert await house.store.parked(event.id) is None
    assert await house.total("added a") == 1
    assert await house.one(event) is Settle.DONE
    assert await house.total("added a") == 1


async def test_later_parks_an_event_for_that_long(house: House) -> None:
    house.actor.during = raising(Later(3600))
    event = envelope(Added(name="a", value=1))
    assert await house.one(event) is Settle.DONE
    row = await house.row(event.id)
    assert row.due_at is not None
    assert 3_590_000 < row.due_at - row.last_failed_at <= 3_600_000
    assert house.failures == [], "that is no fault"


async def test_later_is_counted_too_so_that_it_ends(house: House) -> None:
    house.actor.during = raising(Later(0.001))
    event = envelope(Added(name="a", value=1))
    await house.one(event)
    await until_due(house)
    await until_due(house)
    assert (await house.row(event.id)).due_at is None


async def test_a_refused_event_is_dead_at_once(house: House) -> None:
    house.actor.during = raising(Invalid("counter.no", "for good"))
    event = envelope(Added(name="a", value=1))
    assert await house.one(event) is Settle.DONE
    row = await house.row(event.id)
    assert (row.due_at, row.reason, row.attempt) == (None, "counter.no for good", 1)
    assert (await house.total("added a"), await house.inbox()) == (0, 0)


async def test_an_event_refused_with_keep_is_dead_and_its_writes_stay(house: House) -> None:
    house.actor.during = raising(Invalid("counter.no", "for good", keep=True))
    event = envelope(Added(name="a", value=1))
    assert await house.one(event) is Settle.DONE
    row = await house.row(event.id)
    assert (row.due_at, row.reason) == (None, "counter.no for good")
    assert await house.total("added a") == 1


async def test_a_parked_event_refused_with_keep_is_dead(house: House) -> None:
    house.actor.during = raising(ZeroDivisionError(), times=1)
    event = envelope(Added(name="a", value=1))
    await house.one(event)
    house.actor.during = raising(Invalid("counter.no", keep=True))
    await until_due(house)
    row = await house.row(event.id)
    assert (row.due_at, row.attempt, await house.total("added a")) == (None, 2, 1)


async def test_an_unreadable_or_unknown_event_is_dead_at_once(house: House) -> None:
    unreadable = envelope_with(b"\xc1", "added", reply=False)
    unknown = envelope_with(b"\x80", "subtracted", reply=False)
    assert await house.one(unreadable) is Settle.DONE
    assert await house.one(unknown) is Settle.DONE
    assert "cannot be read" in (await house.row(unreadable.id)).reason
    assert "no handler for 'subtracted'" in (await house.row(unknown.id)).reason
    assert len(await house.store.dead()) == 2
    counted = house.metrics.registry.get_sample_value
    assert counted("troupe_dead_letters_total", {"actor": "counter", "type": "added"}) == 1


async def test_a_reason_that_no_database_holds_does_not_keep_an_event_from_being_parked(house: House) -> None:
    house.actor.during = raising(ValueError("NUL \0, surrogate \ud800, " + "long" * 1000))
    event = envelope(Added(name="a", value=1))
    assert await house.one(event) is Settle.DONE
    assert len((await house.row(event.id)).reason) == 1000


async def test_a_told_command_is_handled_as_an_event_is(house: House) -> None:
    house.actor.during = raising(ZeroDivisionError(), times=1)
    told = envelope(Keep(token="t"), reply=False)
    assert await house.one(told) is Settle.DONE
    await until_due(house)
    assert await house.total("kept") == 1


async def test_a_dead_letter_replayed_twice_has_one_effect(house: House) -> None:
    """F42"""
    house.actor.during = raising(Invalid("counter.no"), times=1)
    event = envelope(Added(name="a", value=1))
    await house.one(event)
    for replayed in (True, False):
        assert await house.store.revive(event.id) is replayed
        while await ParkedLoop(house.dispatch).step():
            pass
    assert await house.total("added a") == 1
    assert await house.store.parked(event.id) is None
    # the row from a backup, say: the inbox knows it
    await house.store.park([house.dispatch.parking.form(event, 1, 0, "again")])
    await until_due(house)
    assert await house.total("added a") == 1
    assert await house.store.parked(event.id) is None


# ---------------------------------------------------------------------------------------- the store is away


async def test_a_request_to_a_store_that_is_away_is_answered_as_unavailable(house: House) -> None:
    await house.store.close()
    verdict = await house.one(Add(name="a"))
    assert isinstance(verdict, Failed)
    assert (verdict.kind, verdict.detail) == (Kind.UNAVAILABLE, "the store of 'counter' is away")
    assert code(await house.one(GetTotal(name="a"))) == "edge.unavailable"


async def test_an_event_is_held_while_the_store_is_away_and_nothing_is_counted(house: House) -> None:
    house.actor.during = raising(StoreAway("unplugged"), times=1)
    event = envelope(Added(name="a", value=1))
    assert await house.one(event) is Settle.HOLD
    assert await house.store.parked(event.id) is None
    assert await house.one(event) is Settle.DONE
    await house.store.close()
    assert await house.one(envelope(Added(name="b", value=1))) is Settle.HOLD


async def test_an_event_that_cannot_be_parked_is_held(house: House) -> None:
    async def during(name: str) -> None:
        await house.store.close()
        raise ZeroDivisionError

    house.actor.during = during
    assert await house.one(envelope(Added(name="a", value=1))) is Settle.HOLD


# ------------------------------------------------------------------------------------------------ parked


async def test_a_process_that_dies_with_a_parked_message_costs_the_others_no_attempt(house: House) -> None:
    """F40: rows are leased, and so counted, one by one."""
    events = [envelope(Added(name=name, value=1)) for name in ("a", "poison", "b")]
    await house.store.park([house.dispatch.parking.form(each, 1, 0, "crashed") for each in events])
    poison = {events[1].id}

    class Died(BaseException):
        """Stands for SIGKILL: nothing after it runs."""

    async def during(name: str) -> None:
        if name == "poison":
            raise Died

    house.actor.during = during
    loop = ParkedLoop(house.dispatch)
    with pytest.raises(Died):
        while await loop.step():
            pass
    while await loop.step():
        pass
    assert (await house.total("added a"), await house.total("added b")) == (1, 1)
    assert {(await house.row(id)).attempt for id in poison} == {2}


async def test_a_message_that_keeps_taking_its_process_down_is_dead_after_the_last_attempt(house: House) -> None:
    event = envelope(Added(name="a", value=1))
    await house.store.park([house.dispatch.parking.form(event, 3, 0, "its consumer went away")])
    assert await ParkedLoop(house.dispatch).step() == 1
    row = await house.row(event.id)
    assert (row.due_at, row.reason, await house.total("added a")) == (None, "its consumer went away", 0)


async def test_a_parked_row_of_a_dead_process_is_taken_up_when_its_lease_lapses(house: House) -> None:
    event = envelope(Added(name="a", value=1))
    await house.store.park([house.dispatch.parking.form(event, 1, 0, "oh")])
    assert len(await house.store.lease_parked(limit=1, lease_ms=30)) == 1
    assert await ParkedLoop(house.replica().dispatch).step() == 0
    await until_due(house)
    assert await house.total("added a") == 1


async def test_a_parked_row_sealed_with_another_key_becomes_a_dead_letter(house: House) -> None:
    await house.store.park([Parked("x", "issued", b"\x01" + b"?" * 40, 1, 0, "oh")])
    assert await ParkedLoop(house.dispatch).step() == 1
    row = await house.row("x")
    assert row.due_at is None
    assert "another key" in row.reason


async def test_parked_waits_while_the_store_is_away(house: House) -> None:
    await house.store.close()
    assert await ParkedLoop(house.dispatch).step() == 0
