"""People: the part of the task actor that keeps copies of them, vouches for what they share, and lets go of them."""

from __future__ import annotations

from typing import Final

from actors.contracts.task_people import ForgetMember, VouchForCompanion, VouchForDeparture
from actors.contracts.task_project import EraseProject
from actors.contracts.user import Person, UserCreated, UserDeleted, UserUpdated
from actors.records.calendar import remove_feed
from actors.records.people import eldest, forget_author, is_needed, projects_of, share_a_project
from actors.records.task import TaskRecords
from actors.requests import caller_of
from actors.task_changes import unlink_everywhere
from actors.task_feed import note_changes
from runtime.actor import handles
from runtime.context import Context
from runtime.errors import Conflict, NotFound
from runtime.message import Grant

DELETED: Final = "deleted user"
"""In place of the name of a person who was erased: what they wrote stays."""


class People:
    """Handlers of people."""

    @handles
    async def keep_new_person(self, event: UserCreated, ctx: Context[TaskRecords]) -> None:
        """Keep a copy, to show names and to know whom a project can have."""
        await ctx.records.projects.keep_person(event.person)

    @handles
    async def keep_changed_person(self, event: UserUpdated, ctx: Context[TaskRecords]) -> None:
        """Likewise; an older copy never replaces a newer one."""
        await ctx.records.projects.keep_person(event.person)

    @handles
    async def forget_person(self, event: UserDeleted, ctx: Context[TaskRecords]) -> None:
        """Keep a tombstone in place of the copy, and end their part in each project in a transaction of its own."""
        tombstone = Person(id=event.user_id, name=DELETED, active=False, version=event.version)
        await ctx.records.projects.keep_person(tombstone)
        await forget_author(ctx.records.session, event.user_id)
        await remove_feed(ctx.records.session, event.user_id)
        for project_id in await projects_of(ctx.records.session, event.user_id):
            ctx.tell(ForgetMember(project_id=project_id, user_id=event.user_id))

    @handles
    async def forget_member(self, command: ForgetMember, ctx: Context[TaskRecords]) -> None:
        """Nobody stays assigned or watching who is erased; a project that nobody is left in goes, too.

        Emits TaskUpdated for each task that they were assigned to.
        """
        projects, id = ctx.records.projects, command.project_id
        await projects.hold(id)
        await projects.lock([id])
        await projects.remove_member(id, command.user_id)
        watched = await ctx.records.audience.unwatch_all(id, command.user_id)
        await unlink_everywhere("assignee_ids", command.user_id, id, ctx)
        heir = await eldest(ctx.records.session, id)
        if heir is None:
            await projects.close(id)
            ctx.tell(EraseProject(id=id))
        elif not heir[1]:  # the only owner for the moment between the task actor's word and the deletion
            await projects.put_member(id, heir[0], "owner", ctx.now)
        await note_changes(await ctx.records.rows(watched), ctx.records, ctx.now)

    @handles
    async def vouch_for_companion(self, query: VouchForCompanion, ctx: Context[TaskRecords]) -> Grant:
        """A grant on a person who shares a project with the caller. Refuses `user.not_found`."""
        if not await share_a_project(ctx.records.session, caller_of(ctx), query.user_id):
            raise NotFound("user.not_found", "there is no such user")
        return ctx.vouch("companion", query.user_id, b"")

    @handles
    async def vouch_for_departure(self, query: VouchForDeparture, ctx: Context[TaskRecords]) -> Grant:
        """A grant on the caller, if no project with other members needs them as its owner.

        Refuses `project.last_owner`.
        """
        caller = caller_of(ctx)
        if await is_needed(ctx.records.session, caller):
            raise Conflict("project.last_owner", "a project keeps at least one owner")
        return ctx.vouch("departure", caller, b"")
