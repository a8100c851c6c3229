"""Projects, and who takes part in them: the part of the task actor that decides about both."""

from __future__ import annotations

from actors.contracts.task_project import (
    CreateProject,
    ListProjects,
    Member,
    MemberAdded,
    Project,
    SetMember,
)
from actors.contracts.user import Person
from actors.contracts.values import rfc3339
from actors.pages import cursor, place
from actors.project_keys import candidates
from actors.records.project import ProjectRow
from actors.records.task import TaskRecords
from actors.task_rights import caller_of, project_for
from runtime.actor import handles
from runtime.context import Context
from runtime.errors import Conflict, NotFound
from runtime.message import Page, decoder


class Projects:
    """Handlers of projects and members."""

    @handles
    async def create_project(self, command: CreateProject, ctx: Context[TaskRecords]) -> Project:
        """Open a project; the caller is its owner. Refuses `project.key_taken`."""
        caller, projects = caller_of(ctx), ctx.records.projects
        taken = await projects.keys_of(caller)
        for key in [command.key] if command.key else candidates(command.name):
            project = ProjectRow(ctx.new_id(), command.name, command.description, key, caller, ctx.now, ctx.now)
            # two at once can both find a key free; only one of them can add it
            if key not in taken and await projects.add(project):
                await projects.put_member(project.id, caller, "owner", ctx.now)
                return project.view("owner")
        raise Conflict("project.key_taken", "you have a project with this key already")

    @handles
    async def list_projects(self, query: ListProjects, ctx: Context[TaskRecords]) -> Page[Project]:
        """The projects that the caller takes part in, newest first."""
        after = place(query, query.cursor)
        rows = await ctx.records.projects.page_of(caller_of(ctx), limit=query.limit + 1, after=after)
        items = [project.view(role) for project, role in rows[: query.limit]]
        if len(rows) <= query.limit:
            return Page(items)
        last, _ = rows[query.limit - 1]
        return Page(items, cursor(query, last.created_at, last.id))

    @handles
    async def set_member(self, command: SetMember, ctx: Context[TaskRecords]) -> Member:
        """Let someone take part, or change their role.

        Refuses `project.not_found`, `user.not_found`, `auth.forbidden` and `project.last_owner`; emits MemberAdded.
        """
        projects = ctx.records.projects
        await projects.lock_members(command.id)
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
            raise Conflict("project.last_owner", "a project keeps at least one owner")
        added_at = await projects.put_member(command.id, person.id, command.role, ctx.now)
        if present is None:
            ctx.emit(
                MemberAdded(
                    project_id=project.id,
                    project_name=project.name,
                    user_id=person.id,
                    role=command.role,
                    actor_id=ctx.caller.id,
                    at=rfc3339(ctx.now),
                )
            )
        return Member(
            user_id=person.id, name=person.name, avatar_url=None, role=command.role, added_at=rfc3339(added_at)
        )
