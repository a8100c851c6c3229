"""An actor that is written wrongly is refused at boot, with what would be right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import pytest

from runtime.actor import Actor, every, handles
from runtime.context import Context, Ids, ManyContext
from runtime.errors import ContractError, Refusal
from runtime.message import Command, Event, Query, Tick
from runtime.policy import PATIENT, QUICK
from runtime.ports import Session
from tests.unit.counter import Add, CounterActor


class Ask(Command[int], frozen=True, kw_only=True):
    """Its actor's name is that of this file."""


class Look(Query[int | None], frozen=True, kw_only=True): ...


class Happened(Event, frozen=True, kw_only=True):
    consumers: ClassVar[tuple[str, ...]] = ("test",)


class Elsewhere(Event, frozen=True, kw_only=True): ...


Ctx = Context[Any]


class NoRecords:
    def __init__(self, session: Session) -> None: ...


class Right(Actor[Any]):
    name = "test"
    records = NoRecords

    @handles
    async def ask(self, command: Ask, ctx: Ctx) -> int | Refusal:
        return 1

    @handles(many=True)
    async def look(self, queries: Sequence[Look], ctx: ManyContext[Any]) -> list[int | Refusal | None]:
        return []

    @handles(outside=True, retry=PATIENT)
    async def happened(self, event: Happened, ctx: Ctx) -> None: ...

    @every(minutes=1.5)
    async def tidy(self, tick: Tick, ctx: Ctx) -> None: ...

    @every(seconds=1)
    async def look_around(self, tick: Tick, ctx: Ctx) -> None: ...


def test_a_table_says_what_the_methods_say() -> None:
    table = Right.table()
    assert set(table) == {"ask", "look", "happened", "tick:tidy", "tick:look_around", "refuse"}
    assert [name for name, row in table.items() if row.is_query] == ["look"]
    assert {name for name, row in table.items() if row.is_request} == {"ask", "look", "refuse"}
    assert (table["look"].many, table["happened"].outside, table["tick:tidy"].every_ms) == (True, True, 90_000)
    assert (table["happened"].retry, table["ask"].retry) == (PATIENT, QUICK)


def test_a_subclass_has_the_handlers_of_its_base() -> None:
    class Both(CounterActor):
        pass

    assert Both.table().keys() == CounterActor.table().keys()
    assert CounterActor.table()["add"].message is Add


def wrong(name: str = "test", **methods: Callable[..., Any]) -> type[Actor[Any]]:
    return type("Wrong", (Actor,), {"name": name, "records": object, **methods})


async def no_message(self: Any, command: int, ctx: Ctx) -> int: ...  # type: ignore[empty-body] # never called, like all here
async def no_hint(self: Any, command, ctx: Ctx) -> int: ...  # type: ignore[no-untyped-def, empty-body] # what the test is about
async def no_context(self: Any, command: Ask) -> int: ...  # type: ignore[empty-body]
def not_async(self: Any, command: Ask, ctx: Ctx) -> int: ...  # type: ignore[empty-body]
async def ask(self: Any, command: Ask, ctx: Ctx) -> int: ...  # type: ignore[empty-body]
async def again(self: Any, command: Ask, ctx: Ctx) -> int: ...  # type: ignore[empty-body]
async def answers_text(self: Any, command: Ask, ctx: Ctx) -> str: ...  # type: ignore[empty-body]
async def answers_nothing(self: Any, command: Ask, ctx: Ctx) -> None: ...
async def elsewhere(self: Any, event: Elsewhere, ctx: Ctx) -> None: ...
async def no_list(self: Any, command: Ask, ctx: Ctx) -> list[int]: ...  # type: ignore[empty-body]
async def many_events(self: Any, events: Sequence[Happened], ctx: Ctx) -> None: ...
async def many_alone(self: Any, commands: Sequence[Ask], ctx: Ctx) -> int: ...  # type: ignore[empty-body]
async def look(self: Any, query: Look, ctx: Ctx) -> int | None: ...
async def no_tick(self: Any, event: Happened, ctx: Ctx) -> None: ...


@pytest.mark.parametrize(
    ("cls", "says"),
    [
        (wrong(no_message=handles(no_message)), r"Wrong.no_message must say which message it handles"),
        (wrong(no_hint=handles(no_hint)), r"must say which message it handles"),
        (wrong(no_context=handles(no_context)), r"must be `async def no_context\(self, message, ctx\)`"),
        (wrong(not_async=handles(not_async)), r"must be `async def not_async"),
        (wrong(ask=handles(ask), again=handles(again)), r"Wrong: ask is handled by again and ask"),
        (wrong("other", ask=handles(ask)), r"handles Ask, which belongs to the actor 'test'"),
        (wrong(f=handles(answers_text)), r"returns .*str.*, but Ask is answered with .*int"),
        (wrong(f=handles(answers_nothing)), r"returns .*None.*, but Ask is answered with .*int"),
        (wrong(f=handles(elsewhere)), r"does not name 'test' among its consumers"),
        (wrong(f=handles(many=True)(many_events)), r"many=True is for commands and queries"),
        (wrong(f=handles(many=True)(no_list)), r"must be a Sequence of a message type"),
        (wrong(f=handles(many=True)(many_alone)), r"has many=True, so it must return a list"),
        (wrong(f=handles(outside=True)(look)), r"a query holds no transaction"),
        (wrong(f=every(seconds=1)(no_tick)), r"is a timer, so its parameter must be a Tick"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_handler_is_refused(cls: type[Actor[Any]], says: str) -> None:
    with pytest.raises(ContractError, match=says):
        cls.table()


def test_a_timer_needs_a_period() -> None:
    with pytest.raises(ContractError, match=r"at least 0\.1 s"):
        every(seconds=0.05)


# -------------------------------------------------------------------------------------------------- ids


def test_ids_are_uuid_7_and_keep_their_order_when_the_clock_jumps_back() -> None:
    """F44"""
    times = iter([1000, 1000, 5000, 400, 400, 6000])
    new_id = Ids(lambda: next(times))
    ids = [new_id() for _ in range(6)]
    assert ids == sorted(set(ids))
    for each in ids:
        assert len(each) == 36
        assert each[14] == "7"
        assert each[19] in "89ab"
    assert int(ids[0].replace("-", "")[:12], 16) == 1000, "ms since the epoch"


def test_more_ids_within_a_ms_than_its_counter_holds_keep_their_order() -> None:
    new_id = Ids(lambda: 1000)
    ids = [new_id() for _ in range(10_000)]
    assert ids == sorted(set(ids))
