"""Who has just written asks the database itself, not its replica."""

from __future__ import annotations

from runtime.message import Caller
from runtime.writers import FRESH_S, MOST, Writers
from tests.unit.counter import Add, GetTotal

ADA, BOB = Caller(id="ada"), Caller(id="bob")


def test_queries_of_who_has_just_written_are_fresh() -> None:
    writers = Writers()
    assert not writers.have_written(GetTotal(name="x"), "counter", ADA, 0.0)
    assert not writers.have_written(Add(name="x"), "counter", ADA, 1.0)
    assert writers.have_written(GetTotal(name="x"), "counter", ADA, FRESH_S)
    assert not writers.have_written(GetTotal(name="x"), "counter", BOB, FRESH_S)
    assert not writers.have_written(GetTotal(name="x"), "another", ADA, FRESH_S)
    assert not writers.have_written(GetTotal(name="x"), "counter", ADA, FRESH_S + 1.1)


def test_nobody_is_no_caller() -> None:
    writers = Writers()
    writers.have_written(Add(name="x"), "counter", Caller(), 0.0)
    assert not writers.have_written(GetTotal(name="x"), "counter", Caller(), 0.0)


def test_not_more_than_so_many_are_remembered() -> None:
    writers = Writers()
    for number in range(MOST + 1):
        writers.have_written(Add(name="x"), "counter", Caller(id=str(number)), 0.0)
    assert not writers.have_written(GetTotal(name="x"), "counter", Caller(id="0"), 0.0)
    assert writers.have_written(GetTotal(name="x"), "counter", Caller(id="1"), 0.0)
