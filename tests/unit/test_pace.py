"""How much may be under way: what an actor does in time."""

from __future__ import annotations

import pytest

from runtime.errors import Overloaded
from runtime.pace import FREE_S, LEAST, QUIET_S, Pace
from runtime.telemetry import Metrics

BUDGET_S = 12.0


class Edge:
    """Asks at times that a test makes up."""

    def __init__(self) -> None:
        self.pace = Pace(Metrics())
        self.now = 100.0
        self.begin(1)
        self.end(1, 0.1)
        self.now += QUIET_S  # no interruption yet

    def begin(self, times: int, kind: str = "add") -> int:
        """How many were let in."""
        for n in range(times):
            try:
                self.pace.begin("counter", kind, self.now)
            except Overloaded:
                return n
        return times

    def end(self, times: int, took_s: float, kind: str = "add", *, answered: bool = True) -> None:
        for _ in range(times):
            self.pace.end("counter", kind, self.now, took_s, BUDGET_S, answered=answered)


@pytest.fixture
def edge() -> Edge:
    return Edge()


def test_f22_before_anything_was_slow_there_is_no_limit(edge: Edge) -> None:
    assert edge.begin(5000) == 5000
    edge.end(5000, 0.9)
    assert edge.begin(5000) == 5000


def test_f22_after_a_slow_answer_as_many_as_were_answered_in_a_quarter_of_the_budget(edge: Edge) -> None:
    edge.begin(100)
    edge.end(40, 1.6)
    assert edge.begin(5000) == 120 - 60
    edge.end(10, 0.5)
    assert edge.begin(5000) == 10 + 10, "each quick answer makes room for one more"


def test_f02_after_an_interruption_a_backlog_is_worked_off_before_anything_is_refused(edge: Edge) -> None:
    edge.begin(100)
    edge.now += 3
    edge.end(50, 2.9)
    assert edge.begin(100) == 100
    edge.now += 1
    edge.end(1, 2.0)
    assert edge.begin(1000) == 150 - 149


def test_f22_only_its_own_type_is_limited(edge: Edge) -> None:
    edge.begin(100)
    edge.end(1, 1.6)
    assert edge.begin(1) == 0
    assert edge.begin(100, "get_total") == 100


def test_f22_where_nothing_is_answered_a_few_are_let_in_and_all_once_that_is_long_ago(edge: Edge) -> None:
    edge.begin(100)
    edge.end(100, BUDGET_S, answered=False)
    assert edge.begin(100) == LEAST
    edge.now += FREE_S
    assert edge.begin(100) == 100


def test_whoever_leaves_before_an_answer_says_nothing_about_the_actor(edge: Edge) -> None:
    edge.begin(100)
    edge.end(50, 2.0, answered=False)
    assert edge.begin(100) == 100
