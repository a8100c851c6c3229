"""What hangs on a task, each piece set or taken off by itself: assignees, labels and the caller as a watcher."""

from __future__ import annotations

from actors.contracts.task import (
    AssignTask,
    LabelTask,
    Task,
    UnassignTask,
    UnlabelTask,
    UnwatchTask,
    UpdateTask,
    WatchTask,
)
from actors.records.task import TaskRecords
from actors.records.task_row import ids
from actors.requests import caller_of, check_match
from actors.task_changes import change_task
from actors.task_feed import note_changes
from actors.task_rights import EVERYONE, check_kept, locked_task_for, task_for
from runtime.actor import handles
from runtime.context import Context
from runtime.errors import Invalid, NotFound


class Links:
    """Handlers of assignees, labels and watchers of one task. What changes and is told is as in any other change."""

    @handles
    async def assign(self, command: AssignTask, ctx: Context[TaskRecords]) -> Task:
        """Add an assignee. Refuses `task.assignee_not_member` and what `change_task` does."""
        try:
            return await change_task(
                command.id,
                lambda task: UpdateTask(id=task.id, assignee_ids=[*ids(task.assignee_ids), command.user_id]),
                ctx,
            )
        except Invalid as refusal:  # the id stands in the path: there is no place in a body to point at
            raise Invalid(refusal.code, refusal.detail) from None

    @handles
    async def unassign(self, command: UnassignTask, ctx: Context[TaskRecords]) -> Task:
        """Take an assignee off. Refuses what `change_task` does."""
        return await change_task(
            command.id,
            lambda task: UpdateTask(id=task.id, assignee_ids=_without(command.user_id, task.assignee_ids)),
            ctx,
            if_match=command.if_match,
        )

    @handles
    async def label(self, command: LabelTask, ctx: Context[TaskRecords]) -> Task:
        """Put a label on. Refuses `label.not_found` and what `change_task` does."""
        try:
            return await change_task(
                command.id,
                lambda task: UpdateTask(id=task.id, label_ids=[*ids(task.label_ids), command.label_id]),
                ctx,
            )
        except Invalid:
            raise NotFound("label.not_found", "the project has no such label") from None

    @handles
    async def unlabel(self, command: UnlabelTask, ctx: Context[TaskRecords]) -> Task:
        """Take a label off. Refuses what `change_task` does."""
        return await change_task(
            command.id,
            lambda task: UpdateTask(id=task.id, label_ids=_without(command.label_id, task.label_ids)),
            ctx,
            if_match=command.if_match,
        )

    @handles
    async def watch(self, command: WatchTask, ctx: Context[TaskRecords]) -> Task:
        """Let the caller watch. Refuses `task.not_found` and `task.deleted`."""
        seen = await locked_task_for(command.id, ctx, *EVERYONE)
        check_kept(seen)
        if await ctx.records.audience.watch(command.id, caller_of(ctx)):
            seen = await task_for(command.id, ctx, *EVERYONE)
            await note_changes([seen.task], ctx.records, ctx.now)
        return seen.view()

    @handles
    async def unwatch(self, command: UnwatchTask, ctx: Context[TaskRecords]) -> Task:
        """Let them watch no longer. Refuses `task.not_found`, `task.deleted` and `request.precondition_failed`."""
        seen = await locked_task_for(command.id, ctx, *EVERYONE)
        check_kept(seen)
        check_match(command.if_match, seen.task.version, "task")
        if await ctx.records.audience.unwatch(command.id, caller_of(ctx)):
            seen = await task_for(command.id, ctx, *EVERYONE)
            await note_changes([seen.task], ctx.records, ctx.now)
        return seen.view()


def _without(id: str, listed: str) -> list[str]:
    return [each for each in ids(listed) if each != id]
