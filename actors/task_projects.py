"""Projects, and who takes part in them: the part of the task actor that decides about both."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import UNSET

from actors.contracts.task import TasksErased
from actors.contracts.task_project import (
    CreateProject,
    DeleteProject,
    EraseProject,
    GetProject,
    ListMembers,
    ListProjects,
    Member,
    MemberAdded,
    MemberRemoved,
    MembersListed,
    Project,
    ProjectRole,
    ProjectUpdated,
    RemoveMember,
    SetMember,
    UpdateProject,
    VouchForProject,
)
from actors.contracts.user import Person
from actors.contracts.values import rfc3339
from actors.pages import paged, place
from actors.project_keys import candidates
from actors.records.project import ProjectRecords, ProjectRow
from actors.records.task import TaskRecords
from actors.requests import caller_of, check_match
from actors.task_changes import unlink_everywhere
from actors.task_feed import note_changes
from actors.task_quotas import Limited, Quotas
from actors.task_relations import forget_relations
from actors.task_rights import EVERYONE, forbidden, project_for
from runtime.actor import handles
from runtime.context import Context
from runtime.errors import Conflict, NotFound
from runtime.message import Grant, Page, decoder
from runtime.ports import Duplicate

ERASED_AT_ONCE: Final = 500
"""Tasks that are removed in one transaction."""

RESYNC: Final = 200
"""Projects whose members are told again in one transaction."""

UNSETTLED_MS: Final = 60_000
"""A change of members that began less than this ago may not be committed yet, on a host whose clock differs."""


class Projects(Limited):
    """Handlers of projects and members."""

    @handles
    async def create_project(self, command: CreateProject, ctx: Context[TaskRecords]) -> Project:
        """Open a project; the caller is its owner. Refuses `project.key_taken` and `quota.exceeded`."""
        return await open_project(command, ctx.records.projects, ctx, self._quotas)

    @handles
    async def list_projects(self, query: ListProjects, ctx: Context[TaskRecords]) -> Page[Project]:
        """The projects that the caller takes part in, newest first."""
        after = place(query, query.cursor)
        rows = await ctx.records.projects.page_of(caller_of(ctx), limit=query.limit + 1, after=after)
        return paged(
            query, query.limit, rows, lambda row: row[0].view(row[1]), lambda row: (row[0].created_at, row[0].id)
        )

    @handles
    async def get_project(self, query: GetProject, ctx: Context[TaskRecords]) -> Project:
        """One that the caller takes part in. Refuses `project.not_found`."""
        project, role = await project_for(query.id, ctx, *EVERYONE)
        return project.view(role)

    @handles
    async def update_project(self, command: UpdateProject, ctx: Context[TaskRecords]) -> Project:
        """Change fields of a project; without a difference nothing happens.

        Refuses `project.not_found`, `auth.forbidden`, `request.precondition_failed` and `project.key_taken`; emits
        ProjectUpdated.
        """
        projects = ctx.records.projects
        await projects.hold(command.id)
        before, role = await project_for(command.id, ctx, "owner")
        check_match(command.if_match, before.version, "project")
        name = before.name if command.name is UNSET else command.name
        description = before.description if command.description is UNSET else command.description or ""
        key = before.key if command.key is UNSET else command.key
        if key != before.key:
            taken = await projects.keys_of(before.created_by) - {before.key}
            key = key or next(each for each in candidates(name) if each not in taken)
            if key in taken:
                raise _key_taken()
        after = msgspec.structs.replace(before, name=name, description=description, key=key)
        changed = [field for field in ("name", "description", "key") if getattr(after, field) != getattr(before, field)]
        if not changed:
            return before.view(role)
        after = msgspec.structs.replace(after, updated_at=ctx.now, version=before.version + 1)
        try:
            await projects.change(after)
        except Duplicate:  # another project took the key at the same moment
            raise _key_taken() from None
        view = after.view(role)
        ctx.emit(ProjectUpdated(project=view, changed=changed, actor_id=ctx.caller.id, at=view.updated_at))
        return view

    @handles
    async def delete_project(self, command: DeleteProject, ctx: Context[TaskRecords]) -> None:
        """Let nobody see a project any more, and have it erased.

        Refuses `project.not_found`, `auth.forbidden` and `request.precondition_failed`; emits MemberRemoved for each.
        """
        projects = ctx.records.projects
        await projects.hold(command.id)
        project, _ = await project_for(command.id, ctx, "owner")
        check_match(command.if_match, project.version, "project")
        for user_id in await projects.close(project.id):
            ctx.emit(_removed(project, user_id, ctx))
        ctx.tell(EraseProject(id=project.id))

    @handles
    async def erase_project(self, command: EraseProject, ctx: Context[TaskRecords]) -> None:
        """Remove the next tasks of a deleted project, in transactions of bounded size; emits TasksErased."""
        gone = await ctx.records.erase(command.id, ERASED_AT_ONCE)
        if gone:
            await forget_relations(gone, ctx)
            ctx.emit(TasksErased(task_ids=gone))
            ctx.tell(command)
        else:
            await ctx.records.projects.erase(command.id)

    @handles
    async def vouch_for_project(self, query: VouchForProject, ctx: Context[TaskRecords]) -> Grant:
        """A grant on a project that the caller takes part in. Refuses `project.not_found`."""
        project, role = await project_for(query.project_id, ctx, *EVERYONE)
        return ctx.vouch("project", project.id, role.encode())

    # ------------------------------------------------------------------------------------ members

    async def resync(self, ctx: Context[TaskRecords], after: str | None) -> str | None:
        """Tell the next projects' members again; emits MembersListed for each."""
        found = await ctx.records.projects.parts_after(after or "", RESYNC)
        for project_id, members in found.items():
            ctx.emit(MembersListed(project_id=project_id, members=members, as_of=rfc3339(ctx.now - UNSETTLED_MS)))
        return max(found) if len(found) == RESYNC else None

    @handles
    async def list_members(self, query: ListMembers, ctx: Context[TaskRecords]) -> Page[Member]:
        """Who takes part in a project, newest first. Refuses `project.not_found`."""
        await project_for(query.id, ctx, *EVERYONE)
        after = place(query, query.cursor)
        found = await ctx.records.projects.members_of(query.id, limit=query.limit + 1, after=after)
        return paged(query, query.limit, found, lambda row: row[1], lambda row: (row[0], row[1].user_id))

    @handles
    async def set_member(self, command: SetMember, ctx: Context[TaskRecords]) -> Member:
        """Let someone take part, or change their role.

        Refuses `project.not_found`, `user.not_found`, `auth.forbidden` and `project.last_owner`; emits MemberAdded.
        """
        projects = ctx.records.projects
        await projects.hold(command.id)
        project, _ = await project_for(command.id, ctx, "owner")
        granted = ctx.granted("user", "person", command.user_id)
        if granted is not None:
            person: Person | None = decoder(Person).decode(granted)
        else:
            person = await projects.person(command.user_id)
        if person is None or not person.active:
            raise NotFound("user.not_found", "there is no such user")
        await projects.keep_person(person)
        present = await projects.role(command.id, person.id)
        steps_down = present == "owner" and command.role != "owner"
        if steps_down and not await projects.has_other_owner(command.id, person.id):
            raise _last_owner()
        added_at = await projects.put_member(command.id, person.id, command.role, ctx.now)
        if present is None:
            ctx.emit(_added(project, person.id, command.role, ctx))
        return Member(
            user_id=person.id, name=person.name, avatar_url=None, role=command.role, added_at=rfc3339(added_at)
        )

    @handles
    async def remove_member(self, command: RemoveMember, ctx: Context[TaskRecords]) -> None:
        """End someone's part in a project, and what they have to do with its tasks.

        Refuses `project.not_found`, `auth.forbidden`, `member.not_found` and `project.last_owner`; emits MemberRemoved,
        and TaskUpdated for each task that they were assigned to.
        """
        projects, leaver = ctx.records.projects, command.user_id
        await projects.hold(command.id)
        project, role = await project_for(command.id, ctx, *EVERYONE)
        if leaver != ctx.caller.id and role != "owner":
            raise forbidden()
        present = await projects.role(project.id, leaver)
        if present is None:
            raise NotFound("member.not_found", "there is no such member")
        if present == "owner" and not await projects.has_other_owner(project.id, leaver):
            raise _last_owner()
        await projects.lock([project.id])  # nobody assigns them meanwhile
        await projects.remove_member(project.id, leaver)
        watched = await ctx.records.audience.unwatch_all(project.id, leaver)
        await unlink_everywhere("assignee_ids", leaver, project.id, ctx)
        ctx.emit(_removed(project, leaver, ctx))
        await note_changes(await ctx.records.rows(watched), ctx.records, ctx.now)


def _added(project: ProjectRow, user_id: str, role: ProjectRole, ctx: Context[TaskRecords]) -> MemberAdded:
    return MemberAdded(
        project_id=project.id,
        project_name=project.name,
        user_id=user_id,
        role=role,
        actor_id=ctx.caller.id,
        at=rfc3339(ctx.now),
    )


def _removed(project: ProjectRow, user_id: str, ctx: Context[TaskRecords]) -> MemberRemoved:
    return MemberRemoved(
        project_id=project.id,
        project_name=project.name,
        user_id=user_id,
        actor_id=ctx.caller.id,
        at=rfc3339(ctx.now),
    )


def _key_taken() -> Conflict:
    return Conflict("project.key_taken", "you have a project with this key already")


def _last_owner() -> Conflict:
    return Conflict("project.last_owner", "a project keeps at least one owner")


async def open_project(
    command: CreateProject, projects: ProjectRecords, ctx: Context[TaskRecords], quotas: Quotas
) -> Project:
    """A new project of the caller's. Refuses `project.key_taken` and `quota.exceeded`; emits MemberAdded."""
    caller = caller_of(ctx)
    await quotas.check_projects(caller, projects)
    taken = await projects.keys_of(caller)
    for key in [command.key] if command.key else candidates(command.name):
        project = ProjectRow(ctx.new_id(), command.name, command.description, key, caller, ctx.now, ctx.now)
        # two at once can both find a key free; only one of them can add it
        if key not in taken and await projects.add(project):
            await projects.put_member(project.id, caller, "owner", ctx.now)
            ctx.emit(_added(project, caller, "owner", ctx))
            return project.view("owner")
    raise _key_taken()
