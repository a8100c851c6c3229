"""Any sequence of calls about projects and tasks, beside a model, to a house on each kind of store.

Both must answer the same, and what the model says. `TASK_MACHINE_EXAMPLES` is how many sequences are tried.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final, get_args

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from actors.contracts.task import Sort, TaskStatus
from runtime.testing import NOON
from tests.edge.task_machine import Machine
from tests.edge.task_model import Json
from tests.edge.twin_houses import Twins, twin_houses

EXAMPLES: Final = int(os.environ.get("TASK_MACHINE_EXAMPLES", "10"))
WORDS: Final = ("land", "launch", "café", "land launch")
TIMES: Final = tuple(f"2027-01-0{day}T09:30:00.000Z" for day in (1, 2, 3))
STATUSES: Final = get_args(TaskStatus)

some = st.integers(0, 9)
words = st.sampled_from(WORDS)
who = st.sampled_from([0, 0, 0, 1, 1, 2, 3])  # the first may do most
match = st.sampled_from([None, None, None, "right", "stale", "any"])
fields = st.fixed_dictionaries(
    {},
    optional={
        "title": words,
        "description": st.none() | words,
        "status": st.none() | st.sampled_from(STATUSES),
        "priority": st.none() | st.integers(0, 4),
        "assignee_ids": st.lists(st.integers(0, 3), max_size=2, unique=True),
        "label_ids": st.lists(some, max_size=2, unique=True),
        "start_at": st.none() | st.sampled_from(TIMES),
        "due_at": st.none() | st.sampled_from(TIMES),
        "remind_at": st.none() | st.lists(st.sampled_from(TIMES), unique=True).map(sorted),
        "parent_id": st.none() | some,
        "estimate_minutes": st.none() | st.integers(0, 9),
    },
)
new_fields = st.tuples(words, fields).map(lambda pair: {"title": pair[0], **pair[1]})
query = st.fixed_dictionaries(
    {"sort": st.sampled_from(get_args(Sort))},
    optional={
        "project_id": st.lists(some, min_size=1, max_size=2),
        "status": st.lists(st.sampled_from(STATUSES), min_size=1, max_size=2),
        "priority": st.lists(st.integers(0, 4), min_size=1, max_size=2),
        "assignee_id": st.lists(st.sampled_from(["me", "none", 0, 1, 2]), min_size=1, max_size=2),
        "label_id": st.lists(some, min_size=1, max_size=2),
        "parent_id": st.lists(st.just("none") | some, min_size=1, max_size=2),
        "due_before": st.sampled_from(TIMES),
        "due_after": st.sampled_from(TIMES),
        "q": st.sampled_from(["land", "la*", "cafe", "land launch", "sky"]),
        "deleted": st.just("true"),
    },
)
operation = st.one_of(
    st.builds(lambda project, fields: {"op": "create", "project_id": project, **fields}, some, new_fields),
    st.builds(lambda task, fields: {"op": "update", "id": task, **fields}, some, fields),
    st.builds(lambda task: {"op": "delete", "id": task}, some),
)


def step(name: str, /, **arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[str, Json]]:
    return st.tuples(st.just(name), st.fixed_dictionaries(arguments))


STEPS: Final = (
    step("wait", seconds=some),
    step("new_project", who=who, key=st.sampled_from(["AA", "BB", "CC"])),
    step("change_project", who=who, project=some, match=match, fields=st.fixed_dictionaries(
        {}, optional={"name": words, "description": words, "key": st.sampled_from(["AA", "BB", "CC"])})),
    step("drop_project", who=who, project=some, match=match),
    step("join", who=who, project=some, other=who, role=st.sampled_from(["owner", "editor", "viewer"])),
    step("leave", who=who, project=some, other=who),
    step("new_label", who=who, project=some, name=words),
    step("change_label", who=who, label=some, name=words, match=match),
    step("drop_label", who=who, label=some, match=match),
    *[step("new_task", who=who, project=some, fields=new_fields)] * 4,
    *[step("change_task", who=who, task=some, fields=fields, match=match)] * 3,
    *[step("drop_task", who=who, task=some, match=match)] * 2,
    step("restore", who=who, task=some),
    step("assign", who=who, task=some, other=who, on=st.booleans(), match=match),
    step("mark", who=who, task=some, label=some, on=st.booleans(), match=match),
    step("watch", who=who, task=some, on=st.booleans(), match=match),
    step("say", who=who, task=some, body=words),
    step("say_otherwise", who=who, comment=some, body=words, match=match),
    step("unsay", who=who, comment=some, match=match),
    *[step("relate", who=who, task=some, other=some, kind=st.sampled_from(["blocks", "relates", "duplicates"]),
           on=st.sampled_from([True, True, False]), match=match)] * 2,
    *[step("move", who=who, task=some, status=st.none() | st.sampled_from(STATUSES), project=st.none() | some,
           side=st.sampled_from([None, "before_id", "after_id"]), other=some)] * 3,
    *[step("undo", who=who, task=some, number=some)] * 3,
    step("batch", who=who, operations=st.lists(operation, min_size=1, max_size=5)),
    step("again", number=some, otherwise=st.booleans()),
    *[step("look", who=who, query=query, limit=st.integers(1, 4))] * 6,
    *[step("look_on", number=some, limit=st.integers(1, 4))] * 2,
    step("follow", who=who, number=some),
)  # fmt: skip


@pytest.fixture(scope="module")
async def twins(postgres_url: str, run_id: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Twins]:
    async with twin_houses(tmp_path_factory.mktemp("twins"), postgres_url, run_id, NOON) as twins:
        yield twins


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(history=st.lists(st.one_of(STEPS), min_size=20, max_size=60))
async def test_whatever_is_called_both_stores_answer_what_the_model_says(
    twins: Twins, history: Sequence[tuple[str, Json]]
) -> None:
    machine = Machine(twins)
    await machine.begin()
    for name, arguments in history:
        await getattr(machine, name)(**arguments)
    await machine.end()
