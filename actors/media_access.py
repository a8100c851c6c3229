"""Who may do what with a file, and how that is refused: what all parts of the media actor ask."""

from __future__ import annotations

from actors.contracts.task import TaskAccess
from actors.records.media import MediaRecords, MediaRow
from actors.requests import caller_of
from runtime.context import Context
from runtime.errors import Conflict, Fault, Forbidden, Invalid, NotFound, Refusal
from runtime.message import decoder


async def seen(id: str, ctx: Context[MediaRecords]) -> tuple[MediaRow, TaskAccess | None]:
    """A file that the caller may see, and what they may do with its task, where they see that.

    :raises NotFound: there is none, or not for them.
    """
    media = await ctx.records.media(id)
    if media is None:
        raise no_media()
    access = None if media.task_id is None else task_access(media.task_id, ctx)
    private = access is not None if media.task_id is not None else media.owner_id == caller_of(ctx)
    if media.visibility == "private" and not private:
        raise no_media()
    return media, access


def task_access(task_id: str, ctx: Context[MediaRecords]) -> TaskAccess | None:
    """The task actor's word on what the caller may do with a task; None: they do not see it."""
    granted = ctx.granted("task", "task", task_id)
    if granted is None:
        return None
    access: TaskAccess = decoder(TaskAccess).decode(granted)
    return access if access.user_id == ctx.caller.id else None


def no_attaching(task_id: str | None, ctx: Context[MediaRecords], *, keep: bool = False) -> Refusal | None:
    """Why the caller cannot attach files to a task; None when they can, or want not to."""
    if task_id is None:
        return None
    access = task_access(task_id, ctx)
    if access is None:
        return no_task(keep=keep)
    if access.role == "viewer":
        return Forbidden("auth.forbidden", "your role in this project does not allow this", keep=keep)
    return in_trash(keep=keep) if access.deleted else None


def no_media() -> NotFound:
    """There is no such file, or not for this caller."""
    return NotFound("media.not_found", "there is no such file")


def not_ready(what: str) -> Conflict:
    """It has no bytes to show, or not yet."""
    return Conflict("media.not_ready", what)


def no_task(*, keep: bool = False) -> Invalid:
    """There is no such task, or not for this caller."""
    fault = Fault("/task_id", "must be a task that you can see")
    return Invalid("request.invalid", "the task is unknown", faults=(fault,), keep=keep)


def in_trash(*, keep: bool = False) -> Conflict:
    """Its task cannot be changed."""
    return Conflict("task.deleted", "the task is in the trash; restore it first", keep=keep)
