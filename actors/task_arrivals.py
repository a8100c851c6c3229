"""What tasks of a foreign source become in a project: which are new, which number each has, and what comes along."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from actors.contracts.task import CreateTask
from actors.contracts.task_label import GREY, Label
from actors.contracts.values import rfc3339
from actors.imports.item import ImportedComment, ImportedTask
from actors.records.activity import Entry
from actors.records.comment import CommentRow
from actors.records.imports import ImportRow
from actors.records.project import Board
from actors.records.task import TaskRecords
from actors.records.task_row import TaskRow
from actors.task_feed import note_changes
from actors.task_fields import new_task
from actors.task_places import position
from runtime.context import Context


async def count_new(items: Sequence[ImportedTask], project_id: str | None, records: TaskRecords) -> int:
    """How many of them `bring` would make."""
    if project_id is None:
        return len(items)
    known = await records.imports.counterparts(project_id, [item.source for item in items])
    return sum(item.source not in known for item in items)


async def bring(
    items: Sequence[ImportedTask], arriving: ImportRow, project_id: str, records: TaskRecords, ctx: Context[TaskRecords]
) -> int:
    """Make those that are not there yet, and the comments that are not there yet; how many tasks are new.

    Numbers are kept where they are free; else a task gets one behind all that the whole source would like to keep.
    """
    board = (await records.projects.reserve({project_id: 0}))[project_id]  # and is locked from here on
    known = await records.imports.counterparts(project_id, [item.source for item in items])
    new = [item for item in items if item.source not in known]
    if new:
        labels = await _labels(new, project_id, records, ctx)
        numbers = await _numbers(new, project_id, max(board.last_number, arriving.highest), records)
        tasks = [
            _task(item, number, board.last_place + n, labels, arriving, project_id, ctx)
            for n, (item, number) in enumerate(zip(new, numbers, strict=True), 1)
        ]
        last_number = max(board.last_number, arriving.highest, *numbers)
        await records.projects.set_board(project_id, Board(last_number, board.last_place + len(new)))
        await records.add(tasks)
        await records.activity.add([_entry(task, ctx) for task in tasks])
        pairs = list(zip(new, tasks, strict=True))
        await records.imports.add_counterparts(project_id, [(item.source, task.id) for item, task in pairs])
        comments = [_comment(each, task.id, ctx) for item, task in pairs for each in item.comments]
        await records.comments.add(comments)
        await records.count_first_comments(sorted({each.task_id for each in comments}))
    if known:
        homes = await records.projects_of_tasks(list(known.values()))
        old = ((item, known[item.source]) for item in items if item.source in known)
        await _bring_later_comments([(item, id) for item, id in old if homes.get(id) == project_id], records, ctx)
    if new:
        await note_changes(tasks, records, ctx.now, type="task_created")
    return len(new)


async def _numbers(
    items: Sequence[ImportedTask], project_id: str, last_number: int, records: TaskRecords
) -> Sequence[int]:
    """Which number each of them gets. :param last_number: behind which those are that nobody else would like."""
    wanted = [item.number for item in items if item.number is not None]
    taken = await records.imports.numbers_taken(project_id, wanted)
    numbers = []
    for item in items:
        number = item.number
        if number is None or number in taken:
            number = last_number = last_number + 1
        taken.add(number)
        numbers.append(number)
    return numbers


def _task(
    item: ImportedTask,
    number: int,
    place: int,
    labels: Mapping[str, str],
    arriving: ImportRow,
    project_id: str,
    ctx: Context[TaskRecords],
) -> TaskRow:
    """:param place: on the board. :param labels: name → id."""
    command = CreateTask(
        project_id=project_id,
        title=item.title,
        description=item.description,
        status=item.status,
        priority=item.priority,
        estimate_minutes=item.estimate_minutes,
        label_ids=[labels[label.name] for label in item.labels],
    )
    id, creator = ctx.new_id(), arriving.user_id
    created_at = ctx.now if item.created_at is None else item.created_at
    updated_at = created_at if item.updated_at is None else max(created_at, item.updated_at)
    task = new_task(command, id=id, number=number, position=position(place), creator=creator, now=created_at)
    given = {"start_at": item.start_at, "due_at": item.due_at, "updated_at": updated_at}
    if item.status == "done":
        given["completed_at"] = item.completed_at
    return msgspec.structs.replace(task, **{name: value for name, value in given.items() if value is not None})


async def _labels(
    items: Sequence[ImportedTask], project_id: str, records: TaskRecords, ctx: Context[TaskRecords]
) -> Mapping[str, str]:
    """Name → id of each label that they carry; those that the project lacks are made."""
    wanted = {label.name: label.color for item in items for label in item.labels}
    names = sorted(wanted)
    found = await records.labels.named(project_id, names)
    missing = [name for name in names if name not in found]
    for name in missing:
        label = Label(id=ctx.new_id(), project_id=project_id, name=name, color=wanted[name] or GREY, version=1)
        await records.labels.add(label)
    return await records.labels.named(project_id, names) if missing else found


async def _bring_later_comments(
    present: Sequence[tuple[ImportedTask, str]], records: TaskRecords, ctx: Context[TaskRecords]
) -> None:
    """What has been said since about tasks that are there already, in this project and not in its trash.

    :param present: with their ids.
    """
    known = await records.comments.sources([task_id for _, task_id in present])
    changed = []
    for item, task_id in present:
        later = [_comment(each, task_id, ctx) for each in item.comments if (task_id, each.source) not in known]
        task = await records.count_comments(task_id, len(later)) if later else None
        if task is not None:
            await records.comments.add(later)
            changed.append(task)
    await note_changes(changed, records, ctx.now)


def _comment(comment: ImportedComment, task_id: str, ctx: Context[TaskRecords]) -> CommentRow:
    return CommentRow(
        id=ctx.new_id(),
        task_id=task_id,
        author_id=None,
        author_name=comment.author,
        body=comment.body,
        source=comment.source,
        created_at=comment.created_at,
        updated_at=comment.updated_at,
    )


def _entry(task: TaskRow, ctx: Context[TaskRecords]) -> Entry:
    """That it came to be, for its history."""
    became = msgspec.json.encode(rfc3339(task.created_at)).decode()
    return Entry(ctx.new_id(), task.id, task.created_by, "created_at", "null", became, ctx.now)
