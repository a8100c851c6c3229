"""Text messages: handed over once, no more to a number than a day's share; one test per outcome."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from actors.contracts.notify_text import ForgetText, SendText
from actors.records.texts import Texts
from runtime.errors import TexterAway
from runtime.message import Envelope, encode
from runtime.ports import Text
from runtime.verdict import Received
from tests.actors.town import Town

NUMBERS = iter(f"+49176{number}" for number in range(10_000_000, 99_999_999))


@pytest.fixture
def number() -> str:
    """One that no other test uses."""
    return next(NUMBERS)


def texts(town: Town, number: str) -> Sequence[str]:
    found = (msgspec.json.decode(path.read_bytes(), type=Text) for path in town.texts.glob("*.json"))
    return sorted(text.body for text in found if text.to == number)


async def test_a_text_message_is_handed_over(town: Town, number: str) -> None:
    await town.stage.given(SendText(number=number, body="Hi Ada"))
    assert texts(town, number) == ["Hi Ada"]


async def test_the_same_message_again_is_ignored(town: Town, number: str) -> None:
    dispatch = town.stage.dispatches["notify"]
    envelope = Envelope(town.stage._new_id(), "send_text", "notify", encode(SendText(number=number, body="Hi")))
    await dispatch([Received(envelope)])
    for path in town.texts.glob("*.json"):
        path.unlink()
    await dispatch([Received(envelope)])
    assert texts(town, number) == []


async def test_a_number_gets_ten_a_day_and_then_again_on_the_next(town: Town, number: str) -> None:
    for n in range(12):
        await town.stage.given(SendText(number=number, body=f"{n:02}"))
    assert texts(town, number) == [f"{n:02}" for n in range(10)]
    assert await town.stage.dispatches["notify"].store.dead(type="send_text") == []
    town.stage.advance(hours=24)
    await town.stage.given(SendText(number=number, body="tomorrow"))
    assert "tomorrow" in texts(town, number)


async def test_an_attempt_again_counts_no_second_time(town: Town, number: str) -> None:
    async with town.stage.dispatches["notify"].store.transaction() as transaction:
        kept = Texts(transaction)
        assert [await kept.begin("m1" + number, number, town.stage.now, per_day=1) for _ in range(3)] == [True] * 3
        assert not await kept.begin("m2" + number, number, town.stage.now, per_day=1)


async def test_while_the_provider_is_away_it_waits(town: Town, number: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = town.texts
    away = town.texts.with_name("sms-away")
    await town.stage.given(SendText(number=number, body="first"))
    folder.rename(away)
    folder.write_bytes(b"no folder")
    envelope = Envelope(town.stage._new_id(), "send_text", "notify", encode(SendText(number=number, body="second")))
    dispatch = town.stage.dispatches["notify"]
    await dispatch([Received(envelope)])
    row = await dispatch.store.parked(envelope.id)
    assert row is not None
    assert TexterAway.__name__ in row.reason
    assert number.encode() not in row.envelope, "sealed"
    folder.unlink()
    away.rename(folder)
    await dispatch([dispatch.parking.received(row)])
    assert texts(town, number) == ["first", "second"]


async def test_what_is_kept_of_a_number_can_be_forgotten(town: Town, number: str) -> None:
    await town.stage.given(SendText(number=number, body="Hi"), ForgetText(number=number))
    assert texts(town, number) == []
