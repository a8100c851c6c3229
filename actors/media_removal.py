"""How files go: one by one, with their task, or with their owner."""

from __future__ import annotations

from typing import Final

from actors.contracts.media import Attachments, DeleteMedia, MediaDeleted, RemoveFiles, RemoveObjects
from actors.contracts.task import TasksErased
from actors.contracts.user import UserDeleted
from actors.contracts.values import rfc3339
from actors.media_access import in_trash, no_media, seen
from actors.media_uploads import incoming_key, original_key
from actors.records.media import MediaRecords, MediaRow, folder_of
from actors.requests import check_match
from runtime.actor import Actor, handles
from runtime.context import Context
from runtime.errors import Forbidden

AT_ONCE: Final = 100
"""Files that are removed in one transaction."""


class MediaRemoval(Actor[MediaRecords]):
    """What the media actor does at the end of a file."""

    @handles
    async def delete(self, command: DeleteMedia, ctx: Context[MediaRecords]) -> None:
        """Remove a file.

        Refuses `media.not_found`, `auth.forbidden`, `task.deleted` and `request.precondition_failed`; emits
        MediaDeleted.
        """
        media, access = await seen(command.id, ctx)
        if ctx.caller.id != media.owner_id and (access is None or access.role != "owner"):
            raise Forbidden("auth.forbidden", "its uploader or an owner of its project can remove this file")
        if access is not None and access.deleted:
            raise in_trash()
        check_match(command.if_match, media.version, "file")
        if not await self._delete(media, ctx):
            raise no_media()

    async def _delete(self, media: MediaRow, ctx: Context[MediaRecords]) -> bool:
        """Remove it, and its bytes when no other file has the same. False: it is gone already."""
        if not await ctx.records.delete(media.id):
            return False
        attachments: Attachments | None = None
        if media.status != "rejected":
            await ctx.records.refund(media.owner_id, media.size)
        if media.object_key is None:
            ctx.tell(RemoveObjects(folders=[folder_of(original_key(media.id))], keys=[incoming_key(media.id)]))
        elif await ctx.records.leave_object(media.object_key):
            ctx.tell(RemoveObjects(folders=[folder_of(media.object_key)]))
        if media.status == "ready" and media.task_id is not None:
            attachments = await ctx.records.count(media.task_id, -1)
        at = rfc3339(ctx.now)
        ctx.emit(MediaDeleted(media=media.view(), attachments=attachments, actor_id=ctx.caller.id, at=at))
        return True

    @handles
    async def drop_with_tasks(self, event: TasksErased, ctx: Context[MediaRecords]) -> None:
        """Remove the files of tasks that are gone for good."""
        ctx.tell(RemoveFiles(task_ids=event.task_ids))

    @handles
    async def drop_with_owner(self, event: UserDeleted, ctx: Context[MediaRecords]) -> None:
        """Remove the files that were an erased person's alone; those of tasks stay there, and are nobody's."""
        ctx.tell(RemoveFiles(owner_id=event.user_id))

    @handles
    async def remove_files(self, command: RemoveFiles, ctx: Context[MediaRecords]) -> None:
        """Remove the next files of what is gone for good, and tell itself to go on; emits MediaDeleted.

        Nothing is attached to these tasks or kept for this owner from here on, not even by an upload under way. What an
        owner has attached to tasks stays there, and is nobody's.
        """
        await ctx.records.close_tasks(command.task_ids)
        files = await ctx.records.some_of_tasks(command.task_ids, AT_ONCE)
        if command.owner_id is not None:
            await ctx.records.close_account(command.owner_id)
            files += await ctx.records.some_of_owner(command.owner_id, AT_ONCE)
        for media in files:
            await self._delete(media, ctx)
        if files:
            ctx.tell(command)
        elif command.owner_id is not None:
            await ctx.records.forget_owner(command.owner_id)
