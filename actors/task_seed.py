"""Data to measure with: the part of the task actor that makes much of it at once, alike every time."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cache
from typing import Final

from actors.contracts.task import TaskStatus
from actors.contracts.task_label import GREY, Label
from actors.contracts.task_seed import Seed
from actors.contracts.values import DAY_MS
from actors.records.comment import CommentRow
from actors.records.project import ProjectRow
from actors.records.seed import SeedRecords, Watching
from actors.records.task import TaskRecords
from actors.records.task_row import TaskRow, list_text
from actors.task_places import position
from runtime.actor import handles
from runtime.context import Context
from runtime.errors import Conflict
from runtime.message import Progress

AT_ONCE: Final = 500
"""Tasks of one transaction."""

PEOPLE: Final = 20
"""Others than the owner who take part in each project, and are assigned to its tasks."""

LABELS: Final = 8
"""Of each project."""

SPAN_MS: Final = 1000 * DAY_MS
"""Before now, in which tasks were made; as long after it they are due."""

_STATUSES: Final[Sequence[TaskStatus]] = ("todo", "in_progress", "in_review", "done", "cancelled")
_SYLLABLES: Final = ("ba", "ce", "di", "fo", "gu", "ha", "je", "ki", "lo", "mu", "na", "pe", "ri", "so", "tu", "va")


class Seeding:
    """The handler of seeds."""

    @handles
    async def seed(self, command: Seed, ctx: Context[TaskRecords]) -> Progress:
        """Make the next of them; the projects with the first ones. Refuses `project.key_taken`."""
        records = SeedRecords(ctx.records.session)
        if command.done == 0:
            await _open(command, records, ctx)
        chance = random.Random(command.done)
        left = min(AT_ONCE, command.tasks - command.done)
        done = command.done
        while left > 0:
            index, place, room = _project_at(command, done)
            count = min(left, room)
            await _fill(command, records, index, place, count, chance, ctx)
            done, left = done + count, left - count
        return Progress(done, command.tasks, f"{command.tasks} tasks in {command.projects} projects of {command.owner}")


def _project_at(seed: Seed, done: int) -> tuple[int, int, int]:
    """The project of the task that comes after so many; how many it has by then, and how many it gets yet."""
    others = seed.projects - 1
    first = seed.tasks if not others else max(seed.largest, seed.tasks // seed.projects)
    first = min(first, seed.tasks)
    if done < first:
        return 0, done, first - done
    rest, behind = seed.tasks - first, done - first
    each = -(-rest // others)
    return 1 + behind // each, behind % each, each - behind % each


async def _open(seed: Seed, records: SeedRecords, ctx: Context[TaskRecords]) -> None:
    if await records.project_of(seed.owner, 0):
        raise Conflict("project.key_taken", f"{seed.owner} has such projects already")
    start = ctx.now - SPAN_MS
    step = SPAN_MS // seed.projects
    projects = [
        ProjectRow(ctx.new_id(), f"Seeded {n}", "", SeedRecords.key(n), seed.owner, start + n * step, start + n * step)
        for n in range(seed.projects)
    ]
    await records.add_projects(projects, _people(seed), ctx.now)
    labels = [
        Label(id=ctx.new_id(), project_id=project.id, name=f"label {n}", color=GREY, version=1)
        for project in projects
        for n in range(LABELS)
    ]
    await records.add_labels(labels)


def _people(seed: Seed) -> list[str]:
    return [seed.owner, *(f"00000000-0000-7000-9000-{n:012d}" for n in range(PEOPLE))]


async def _fill(
    seed: Seed,
    records: SeedRecords,
    index: int,
    place: int,
    count: int,
    chance: random.Random,
    ctx: Context[TaskRecords],
) -> None:
    """The next tasks of a project, and what belongs to them. :param place: how many it has."""
    project_id = await records.project_of(seed.owner, index)
    assert project_id is not None  # noqa: S101 # made with the first tasks
    labels, people = await records.labels_of(project_id), _people(seed)
    tasks: list[TaskRow] = []
    comments: list[CommentRow] = []
    watching: list[Watching] = []
    for n in range(place + 1, place + count + 1):
        parent = chance.choice(tasks).id if tasks and chance.random() < 0.1 else None
        id = ctx.new_id()
        said = int(chance.random() < 0.1)
        watched = chance.random() < 0.05
        task = _task(id, project_id, n, parent, labels, people, said, int(watched), chance, ctx.now)
        tasks.append(task)
        if said:
            comments.append(_comment(ctx.new_id(), task, chance))
        if watched:
            watching.append((id, seed.owner))
    await ctx.records.projects.reserve({project_id: count})
    await records.add(tasks, watching)
    await ctx.records.comments.add(comments)


def _task(
    id: str,
    project_id: str,
    number: int,
    parent_id: str | None,
    labels: Sequence[str],
    people: Sequence[str],
    comments: int,
    watchers: int,
    chance: random.Random,
    now: int,
) -> TaskRow:
    made = now - chance.randrange(SPAN_MS)
    status = chance.choices(_STATUSES, (40, 10, 5, 40, 5))[0]
    trashed = chance.random() < 0.01
    return TaskRow(
        id=id,
        project_id=project_id,
        number=number,
        title=_text(chance, 5).capitalize(),
        description=_text(chance, 15),
        status=status,
        priority=chance.choices(range(5), (60, 10, 15, 10, 5))[0],
        assignee_ids=list_text(chance.sample(people, chance.choice((0, 1, 1, 2)))),
        label_ids=list_text(chance.sample(labels, chance.choice((0, 0, 1, 2)))),
        watcher_count=watchers,
        start_at=None,
        due_at=now + chance.randrange(-SPAN_MS, SPAN_MS) if chance.random() < 0.5 else None,
        remind_at=list_text([]),
        parent_id=parent_id,
        relations=list_text([]),
        estimate_minutes=chance.choice((None, 15, 60)),
        position=position(number),
        comment_count=comments,
        attachment_count=0,
        created_by=chance.choice(people),
        created_at=made,
        updated_at=min(now, made + chance.randrange(30 * DAY_MS)),
        completed_at=now if status == "done" else None,
        deleted_at=now if trashed else None,
        deleted_with=id if trashed else None,
        version=1,
    )


def _comment(id: str, task: TaskRow, chance: random.Random) -> CommentRow:
    return CommentRow(
        id=id,
        task_id=task.id,
        author_id=task.created_by,
        author_name="",
        body=_text(chance, 10),
        created_at=task.updated_at,
        updated_at=task.updated_at,
    )


def _text(chance: random.Random, words: int) -> str:
    """Few words stand everywhere, most are rare, as in any language (Zipf)."""
    known = _words()
    return " ".join(known[int(len(known) ** chance.random()) - 1] for _ in range(words))


@cache
def _words() -> list[str]:
    parts = _SYLLABLES
    return [a + b + c for a in parts for b in parts for c in parts]
