"""Reminders: the part of the task actor that speaks up when the time of a task has come."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from actors.contracts.task_reminder import Remind, TaskDue
from actors.contracts.values import rfc3339
from actors.records.task import TaskRecords
from actors.records.task_row import TaskRow, times
from runtime.actor import every, handles
from runtime.context import Context, ManyContext
from runtime.message import Tick

AT_ONCE: Final = 200
"""Reminders of one transaction; while there are more, the next one follows at once."""


class Reminders:
    """The timer of reminders."""

    @every(seconds=5)
    async def remind(self, tick: Tick, ctx: Context[TaskRecords]) -> None:
        """What has come since, also while nothing ran; emits TaskDue."""
        await _remind(ctx)

    @handles
    async def remind_more(self, command: Remind, ctx: Context[TaskRecords]) -> None:
        """Likewise, the next ones."""
        await _remind(ctx)


async def _remind(ctx: Context[TaskRecords]) -> None:
    due = await ctx.records.reminders.take(ctx.now, AT_ONCE)
    if not due:
        return
    ids = sorted({id for id, _ in due})
    tasks, audiences = await ctx.records.kept(ids), await ctx.records.audience.to_remind(ids)
    for id, at in due:
        if id in tasks:  # and not in the trash
            ctx.emit(
                TaskDue(
                    task=tasks[id].view(),
                    remind_at=rfc3339(at),
                    actor_id=None,
                    at=rfc3339(ctx.now),
                    audience_ids=audiences[id],
                )
            )
    if len(due) == AT_ONCE:
        ctx.tell(Remind())


async def set_reminders(tasks: Iterable[TaskRow], ctx: Context[TaskRecords] | ManyContext[TaskRecords]) -> None:
    """Of new tasks. Nobody is reminded of a time that has passed when it is set."""
    await ctx.records.reminders.add([(task.id, at) for task in tasks for at in times(task.remind_at) if at > ctx.now])


async def change_reminders(changes: Iterable[tuple[TaskRow, TaskRow]], ctx: Context[TaskRecords]) -> None:
    """Of tasks that have changed; what stays is reminded of as it would have been.

    :param changes: how each was, and is now.
    """
    changed = [now for was, now in changes if was.remind_at != now.remind_at]
    if not changed:
        return
    had = await ctx.records.reminders.drop([task.id for task in changed])
    wanted = [(task.id, at) for task in changed for at in times(task.remind_at)]
    await ctx.records.reminders.add([each for each in wanted if each[1] > ctx.now or each in had])
