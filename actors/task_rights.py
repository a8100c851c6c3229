"""Who may do what: the role in a project decides, and what someone may not see does not exist for them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from actors.contracts.task_project import ProjectRole
from actors.records.project import ProjectRow
from actors.records.task import TaskRecords
from actors.records.task_row import Seen
from actors.requests import caller_of
from runtime.context import Context
from runtime.errors import Conflict, Forbidden, NotFound, Refusal

EVERYONE: Final[tuple[ProjectRole, ...]] = ("owner", "editor", "viewer")
WRITERS: Final[tuple[ProjectRole, ...]] = ("owner", "editor")


async def project_for(id: str, ctx: Context[TaskRecords], *allowed: ProjectRole) -> tuple[ProjectRow, ProjectRole]:
    """A project and the caller's role in it. Refuses `project.not_found` and `auth.forbidden`."""
    found = await ctx.records.projects.seen(id, caller_of(ctx))
    refusal = barred(found[1] if found else None, *allowed)
    if refusal is not None:
        raise refusal
    assert found is not None  # noqa: S101 # who has no role is barred
    return found


async def task_for(id: str, ctx: Context[TaskRecords], *allowed: ProjectRole) -> Seen:
    """A task, also from the trash, as the caller sees it. Refuses `task.not_found` and `auth.forbidden`."""
    caller = caller_of(ctx)
    seen = (await ctx.records.seen([(id, caller)])).get((id, caller))
    if seen is None:
        raise no_task()
    if seen.role not in allowed:
        raise forbidden()
    return seen


async def locked_task_for(id: str, ctx: Context[TaskRecords], *allowed: ProjectRole) -> Seen:
    """Likewise; until the transaction ends nobody adds, deletes or re-parents tasks of its project, or lets go of what
    they mention."""
    (seen,) = await locked_tasks_for([id], ctx, *allowed)
    return seen


async def locked_tasks_for(
    ids: Sequence[str], ctx: Context[TaskRecords], *allowed: ProjectRole, projects: Iterable[str] = ()
) -> list[Seen]:
    """Likewise, of several. :param projects: others that are locked too."""
    locked, others = set[str](), set(projects)
    while True:
        seen = [await task_for(id, ctx, *allowed) for id in ids]
        needed = {each.task.project_id for each in seen} | others
        if needed <= locked:
            return seen
        await ctx.records.projects.lock(needed)  # a task can be moved to another project before that
        locked |= needed


def barred(role: ProjectRole | None, *allowed: ProjectRole) -> Refusal | None:
    """Why someone with that role in a project may not do what these roles may."""
    if role is None:
        return NotFound("project.not_found", "there is no such project")
    return None if role in allowed else forbidden()


def forbidden() -> Forbidden:
    return Forbidden("auth.forbidden", "your role in this project does not allow this")


def no_task() -> NotFound:
    return NotFound("task.not_found", "there is no such task")


def check_kept(seen: Seen) -> None:
    """Refuses `task.deleted`."""
    if seen.task.deleted_at is not None:
        raise in_trash()


def in_trash() -> Conflict:
    return Conflict("task.deleted", "the task is in the trash; restore it first")
