"""How tasks go to the trash: what is checked, what is written down, and what is told."""

from __future__ import annotations

from collections.abc import Sequence

from actors.contracts.task import DeleteTask, TaskDeleted
from actors.contracts.values import rfc3339
from actors.records.task import TaskRecords
from actors.requests import caller_of, check_match
from actors.task_changes import entry
from actors.task_rights import WRITERS, forbidden, no_task
from runtime.context import Context
from runtime.errors import PreconditionFailed, Refusal


async def delete_tasks(commands: Sequence[DeleteTask], ctx: Context[TaskRecords]) -> list[Refusal | None]:
    """Move tasks and all below them to the trash, one after the other; again is no error.

    Refuses `task.not_found`, `auth.forbidden` and `request.precondition_failed`; emits TaskDeleted for each.

    :returns: for each, why it cannot be; None where it can.
    """
    caller = caller_of(ctx)
    wanted = {(command.id, caller) for command in commands}
    locked = set[str]()
    while True:
        seen = await ctx.records.seen(wanted)
        projects = {each.task.project_id for each in seen.values()}
        if projects <= locked:
            break
        await ctx.records.projects.lock(projects)  # nobody adds to what is below them
        locked |= projects
    refusals: list[Refusal | None] = []
    roots: dict[str, None] = {}
    for command in commands:
        found = seen.get((command.id, caller))
        refusal: Refusal | None = None
        if found is None:
            refusal = no_task()
        elif found.role not in WRITERS:
            refusal = forbidden()
        elif found.task.deleted_at is None:
            try:
                check_match(command.if_match, found.task.version, "task")
                roots[command.id] = None
            except PreconditionFailed as stale:
                refusal = stale
        refusals.append(refusal)
    if roots:
        await _trash(list(roots), ctx)
    return refusals


async def _trash(roots: Sequence[str], ctx: Context[TaskRecords]) -> None:
    views = [task.view() for task in await ctx.records.trash(roots, ctx.now)]
    await ctx.records.activity.add([entry(ctx, view, "deleted_at", None, view.deleted_at) for view in views])
    audiences = await ctx.records.audience.of([view.id for view in views])
    for view in views:
        ctx.emit(TaskDeleted(task=view, actor_id=ctx.caller.id, at=rfc3339(ctx.now), audience_ids=audiences[view.id]))
