"""Comments: the part of the task actor that decides about them."""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec
from msgspec import UNSET

from actors.contracts.task import Task
from actors.contracts.task_comment import (
    AddComment,
    Comment,
    CommentAdded,
    DeleteComment,
    ListComments,
    Mentioned,
    UpdateComment,
)
from actors.contracts.values import rfc3339
from actors.pages import paged, place
from actors.records.comment import CommentRow, SeenComment
from actors.records.task import TaskRecords
from actors.requests import caller_of, check_match
from actors.task_feed import note_changes
from actors.task_quotas import Limited
from actors.task_rights import EVERYONE, WRITERS, forbidden, in_trash, task_for
from runtime.actor import handles
from runtime.context import Context
from runtime.errors import NotFound
from runtime.message import Page

_MENTION = re.compile(r"@\[[^\]\n]{1,200}\]\(user:([0-9a-f-]{36})\)")


class Comments(Limited):
    """Handlers of comments."""

    @handles
    async def add_comment(self, command: AddComment, ctx: Context[TaskRecords]) -> Comment:
        """Say something about a task.

        Refuses `task.not_found`, `auth.forbidden`, `task.deleted` and `quota.exceeded`; emits CommentAdded and
        Mentioned.
        """
        caller = caller_of(ctx)
        seen = await task_for(command.id, ctx, *WRITERS)
        task = await ctx.records.count_comments(command.id, 1)
        if task is None:
            raise in_trash()
        self._quotas.check_comments(task.comment_count)
        author = await ctx.records.projects.person(caller)
        row = CommentRow(
            id=ctx.new_id(),
            task_id=task.id,
            author_id=caller,
            author_name=author.name if author else "",
            body=command.body,
            created_at=ctx.now,
            updated_at=ctx.now,
        )
        await ctx.records.comments.add([row])
        comment, view = row.view(), task.view(watching=seen.watching)
        audience = (await ctx.records.audience.of([task.id]))[task.id]
        ctx.emit(
            CommentAdded(comment=comment, task=view, actor_id=caller, at=comment.created_at, audience_ids=audience)
        )
        await _tell_mentioned(_mentioned(row.body), comment, view, ctx)
        return comment

    @handles
    async def list_comments(self, query: ListComments, ctx: Context[TaskRecords]) -> Page[Comment]:
        """What was said about a task, oldest first. Refuses `task.not_found`."""
        await task_for(query.id, ctx, *EVERYONE)
        after = place(query, query.cursor)
        rows = await ctx.records.comments.page_of(query.id, limit=query.limit + 1, after=after)
        return paged(query, query.limit, rows, CommentRow.view, lambda row: (row.created_at, row.id))

    @handles
    async def update_comment(self, command: UpdateComment, ctx: Context[TaskRecords]) -> Comment:
        """Let its author say it otherwise; without a difference nothing happens.

        Refuses `comment.not_found`, `auth.forbidden`, `task.deleted` and `request.precondition_failed`; emits Mentioned
        for those who were not mentioned before.
        """
        while True:
            seen = await _comment_for(command.id, ctx)
            before = seen.comment
            if before.author_id != ctx.caller.id or seen.role not in WRITERS:
                raise forbidden()
            if seen.deleted:
                raise in_trash()
            check_match(command.if_match, before.version, "comment")
            if command.body is UNSET or command.body == before.body:
                return before.view()
            after = msgspec.structs.replace(before, body=command.body, updated_at=ctx.now, version=before.version + 1)
            if await ctx.records.comments.change(after):
                break
            # someone else was faster: look at what they made of it
        task = (await task_for(after.task_id, ctx, *EVERYONE)).task
        await _tell_mentioned(_mentioned(after.body) - _mentioned(before.body), after.view(), task.view(), ctx)
        await note_changes([task], ctx.records, ctx.now)
        return after.view()

    @handles
    async def delete_comment(self, command: DeleteComment, ctx: Context[TaskRecords]) -> None:
        """Remove what someone said.

        Refuses `comment.not_found`, `auth.forbidden`, `task.deleted` and `request.precondition_failed`.
        """
        while True:
            seen = await _comment_for(command.id, ctx)
            own = seen.comment.author_id == ctx.caller.id and seen.role in WRITERS
            if not own and seen.role != "owner":
                raise forbidden()
            if seen.deleted:
                raise in_trash()
            check_match(command.if_match, seen.comment.version, "comment")
            if await ctx.records.comments.delete(seen.comment):
                break
            # someone else was faster: look at what they made of it
        task = await ctx.records.count_comments(seen.comment.task_id, -1)
        if task is None:
            raise in_trash()
        await note_changes([task], ctx.records, ctx.now)


async def _comment_for(id: str, ctx: Context[TaskRecords]) -> SeenComment:
    seen = await ctx.records.comments.seen(id, caller_of(ctx))
    if seen is None:
        raise NotFound("comment.not_found", "there is no such comment")
    return seen


def _mentioned(body: str) -> set[str]:
    """The ids in `@[Name](user:ID)`."""
    return set(_MENTION.findall(body))


async def _tell_mentioned(mentioned: Iterable[str], comment: Comment, task: Task, ctx: Context[TaskRecords]) -> None:
    """Emits Mentioned for those who take part in the task's project."""
    wanted = [(task.project_id, user_id) for user_id in sorted(mentioned)]
    members = await ctx.records.projects.roles(wanted) if wanted else {}
    for pair in wanted:
        if pair in members:
            ctx.emit(
                Mentioned(comment=comment, task=task, user_id=pair[1], actor_id=ctx.caller.id, at=rfc3339(ctx.now))
            )
