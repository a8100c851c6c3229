"""Data to measure with."""

from __future__ import annotations

import uuid

import pytest

from actors.contracts.task import ListTasks
from actors.contracts.task_project import ListProjects
from actors.contracts.task_seed import Seed
from runtime.errors import Conflict
from runtime.testing import Stage


async def seeded(stage: Stage, owner: str, **sizes: int) -> list[int]:
    """How far it was after each message."""
    steps, done, total = [], 0, 1
    while done < total:
        progress = await stage.ask(Seed(owner=owner, done=done, **sizes))
        done, total = progress.done, progress.total
        steps.append(done)
    return steps


async def test_projects_and_tasks_are_made_in_parts_and_nobody_is_told(stage: Stage) -> None:
    owner, told = str(uuid.uuid4()), len(stage.events)
    assert await seeded(stage, owner, tasks=1203, projects=4, largest=900) == [500, 1000, 1203]
    assert len(stage.events) == told
    projects = (await stage.ask(ListProjects(), caller=owner)).items
    sizes = []
    for project in projects:
        numbers: set[int] = set()
        for deleted in (False, True):
            cursor: str | None = None
            while True:
                query = ListTasks(project_id=[project.id], deleted=deleted, limit=200, cursor=cursor)
                page = await stage.ask(query, caller=owner)
                numbers |= {task.number for task in page.items}
                cursor = page.next_cursor
                if cursor is None:
                    break
        assert numbers == set(range(1, len(numbers) + 1))
        sizes.append(len(numbers))
    assert sorted(sizes) == [101, 101, 101, 900]


async def test_what_is_there_is_not_made_again(stage: Stage) -> None:
    owner = str(uuid.uuid4())
    await seeded(stage, owner, tasks=10, projects=2)
    with pytest.raises(Conflict, match=r"project\.key_taken"):
        await seeded(stage, owner, tasks=10, projects=2)
