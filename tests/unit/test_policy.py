"""When the failed are tried again: the formula, and the worst case that each policy promises."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime import policy
from runtime.policy import NONE, PATIENT, QUICK, Policy

policies = st.builds(
    Policy,
    attempts=st.integers(1, 100),
    first=st.floats(0.01, 100),
    factor=st.floats(1, 5),
    longest=st.floats(0.01, 10_000),
)


@given(policies, st.integers(1, 120))
def test_a_delay_is_the_formula_with_at_most_a_quarter_of_jitter(policy: Policy, attempt: int) -> None:
    delay = policy.delay_s(attempt)
    if attempt >= policy.attempts:
        assert delay is None
        return
    plain = min(policy.first * policy.factor ** (attempt - 1), policy.longest)
    assert delay is not None
    assert plain <= delay <= plain * 1.25


@given(policies)
def test_the_worst_case_is_never_exceeded(policy: Policy) -> None:
    delays = [policy.delay_s(n) or 0 for n in range(1, policy.attempts)]
    assert sum(delays) <= policy.worst_case_s * (1 + 1e-9)


@pytest.mark.parametrize(("name", "policy_", "unit"), [("QUICK", QUICK, 1), ("PATIENT", PATIENT, 3600)])
def test_each_policy_is_what_it_says_of_itself(name: str, policy_: Policy, unit: int) -> None:
    text = Path(policy.__file__).read_text()
    found = re.search(rf'^{name} = .*\n""".*?(\d+) tries in at most (\d+) (s|h)\.', text, re.MULTILINE)
    assert found is not None
    assert int(found[1]) == policy_.attempts
    assert policy_.worst_case_s <= int(found[2]) * unit < policy_.worst_case_s * 1.05


def test_none_is_one_try() -> None:
    assert (NONE.delay_s(1), NONE.worst_case_s) == (None, 0)


def test_what_failed_together_does_not_come_back_together() -> None:
    assert len({QUICK.delay_s(3) for _ in range(20)}) > 15
