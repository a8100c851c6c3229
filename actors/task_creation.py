"""How tasks come to be: what is checked, what is written down, and what is told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from actors.contracts.task import CreateTask, Task
from actors.records.activity import Entry
from actors.records.project import Board
from actors.records.task import TaskRecords
from actors.records.task_row import TaskRow
from actors.task_changes import Following, add_followers, tell_of_new
from actors.task_fields import new_task, refusal_of
from actors.task_mentions import Known, Mentions
from actors.task_places import position
from actors.task_quotas import Quotas
from actors.task_reminders import set_reminders
from actors.task_rights import WRITERS, barred
from actors.task_series import followed, in_zones
from runtime.context import ManyContext
from runtime.errors import Refusal


async def create_tasks(
    commands: Sequence[CreateTask], quotas: Quotas, ctx: ManyContext[TaskRecords]
) -> list[Task | Refusal]:
    """Put tasks into projects; see `TaskActor.create`."""
    commands = await in_zones(commands, [each.caller.id for each in ctx.each], ctx.records)
    refusals = await _refusals_of(commands, ctx)
    boards = await ctx.records.projects.reserve(_coming(commands, refusals))
    boards = await _check_room(commands, refusals, boards, quotas, ctx)
    counts = _coming(commands, refusals)
    answers: list[Task | Refusal] = []
    tasks: list[TaskRow] = []
    entries: list[Entry] = []
    followers = []
    for command, refusal, each in zip(commands, refusals, ctx.each, strict=True):
        if refusal is not None:
            answers.append(refusal)
            continue
        board, behind = boards[command.project_id], counts[command.project_id] - 1
        counts[command.project_id] = behind
        task = new_task(
            command,
            id=ctx.new_id(),
            number=board.last_number - behind,
            position=position(board.last_place - behind),
            creator=each.caller.id,
            now=ctx.now,
        )
        task, follower = followed(task, ctx.now) if task.status == "done" else (task, None)
        if follower is not None:
            followers.append(Following(task, follower, each))
        tasks.append(task)
        view = task.view()
        answers.append(view)
        entries.append(tell_of_new(view, each))
    await ctx.records.add(tasks)
    await set_reminders(tasks, ctx)
    await ctx.records.activity.add(entries)
    await add_followers(followers, ctx.records)
    return answers


def _coming(commands: Sequence[CreateTask], refusals: Sequence[Refusal | None]) -> Counter[str]:
    """Project → how many of these tasks it gets."""
    return Counter(each.project_id for each, refusal in zip(commands, refusals, strict=True) if refusal is None)


async def _refusals_of(commands: Sequence[CreateTask], ctx: ManyContext[TaskRecords]) -> list[Refusal | None]:
    """For each new task, why it cannot be; None where it can."""
    callers = [each.caller.id or "" for each in ctx.each]
    asked = {(command.project_id, caller) for command, caller in zip(commands, callers, strict=True)}
    asked |= {(command.project_id, id) for command in commands for id in command.assignee_ids}
    roles = await ctx.records.projects.roles(asked)
    mentions = [
        Mentions(command.project_id, command.assignee_ids, command.label_ids, command.parent_id) for command in commands
    ]
    if any(mentions):
        # what is mentioned stays until the tasks are there; all boards, to lock them in one order
        await ctx.records.projects.lock({project_id for project_id, _ in roles})
        roles = await ctx.records.projects.roles(asked)
    known = await Known.look_up(ctx.records, mentions, roles)
    return [
        barred(roles.get((command.project_id, caller)), *WRITERS)
        or known.refusal(each)
        or (refusal_of(command) if command.recurrence else None)
        for command, caller, each in zip(commands, callers, mentions, strict=True)
    ]


async def _check_room(
    commands: Sequence[CreateTask],
    refusals: list[Refusal | None],
    boards: Mapping[str, Board],
    quotas: Quotas,
    ctx: ManyContext[TaskRecords],
) -> Mapping[str, Board]:
    """Refuse the last of those that are too many, and put their numbers back; the boards as they are then."""
    projects, kept = ctx.records.projects, dict(boards)
    for id, board in boards.items():
        coming = [n for n, each in enumerate(commands) if each.project_id == id and refusals[n] is None]
        surplus = len(coming) - await quotas.room(id, board, len(coming), projects)
        if surplus <= 0:
            continue
        for n in coming[-surplus:]:
            refusals[n] = quotas.no_more_tasks()
        kept[id] = Board(board.last_number - surplus, board.last_place - surplus)
        await projects.set_board(id, kept[id])
    return kept
