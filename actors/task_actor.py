"""The task actor: projects, who takes part in them, and their tasks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from actors.contracts.media import AttachmentsCounted, MediaAttached, MediaDeleted
from actors.contracts.task import (
    CreateProject,
    CreateTask,
    DeleteTask,
    GetTask,
    ListProjects,
    ListTasks,
    Member,
    MemberAdded,
    Project,
    ProjectRole,
    SetMember,
    Task,
    TaskAccess,
    TaskAssigned,
    TaskCompleted,
    TaskCreated,
    TaskDeleted,
    TaskUpdated,
    UpdateTask,
    VouchForTask,
)
from actors.contracts.user import Person, UserCreated, UserUpdated
from actors.contracts.values import Versions, rfc3339
from actors.pages import cursor, place
from actors.project_keys import candidates
from actors.records.project import ProjectRow
from actors.records.task import Entry, Seen, TaskRecords, TaskRow
from actors.records.task_list import order, page
from actors.task_fields import changed_task, new_task, position
from actors.task_mentions import Known, Mentions
from runtime.actor import Actor, handles
from runtime.context import Context, ManyContext
from runtime.errors import Conflict, Forbidden, NotFound, PreconditionFailed, Refusal, Unauthenticated
from runtime.message import Grant, Page, decoder, encode


class TaskActor(Actor[TaskRecords]):
    """Who must do what by when. Who may see what is decided here, in the transaction that does it."""

    name = "task"
    records = TaskRecords

    # ------------------------------------------------------------------------------------ people

    @handles
    async def keep_new_person(self, event: UserCreated, ctx: Context[TaskRecords]) -> None:
        """Keep a copy, to show names and to know whom a project can have."""
        await ctx.records.projects.keep_person(event.person)

    @handles
    async def keep_changed_person(self, event: UserUpdated, ctx: Context[TaskRecords]) -> None:
        """Likewise; an older copy never replaces a newer one."""
        await ctx.records.projects.keep_person(event.person)

    # ------------------------------------------------------------------------------------ attachments

    @handles
    async def vouch_for_task(self, query: VouchForTask, ctx: Context[TaskRecords]) -> Grant:
        """A grant on a task that the caller sees. Refuses `task.not_found`."""
        caller = _caller(ctx)
        seen = (await ctx.records.seen([(query.task_id, caller)])).get((query.task_id, caller))
        if seen is None:
            raise _no_task()
        task = seen.task
        access = TaskAccess(
            user_id=caller, project_id=task.project_id, role=seen.role, deleted=task.deleted_at is not None
        )
        return ctx.vouch("task", task.id, encode(access))

    @handles
    async def count_attached(self, event: MediaAttached, ctx: Context[TaskRecords]) -> None:
        """Keep the number of files, to show it."""
        await ctx.records.keep_attachments(event.attachments)

    @handles
    async def count_detached(self, event: MediaDeleted, ctx: Context[TaskRecords]) -> None:
        """Likewise; a file may have had no task."""
        if event.attachments is not None:
            await ctx.records.keep_attachments(event.attachments)

    @handles
    async def count_again(self, event: AttachmentsCounted, ctx: Context[TaskRecords]) -> None:
        """Likewise."""
        await ctx.records.keep_attachments(event.attachments)

    # ------------------------------------------------------------------------------------ projects

    @handles
    async def create_project(self, command: CreateProject, ctx: Context[TaskRecords]) -> Project:
        """Open a project; the caller is its owner. Refuses `project.key_taken`."""
        caller, projects = _caller(ctx), ctx.records.projects
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
        rows = await ctx.records.projects.page_of(_caller(ctx), limit=query.limit + 1, after=after)
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
        barred = _barred(await projects.role(command.id, _caller(ctx)), "owner")
        if barred is not None:
            raise barred
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
                    project_id=command.id,
                    user_id=person.id,
                    role=command.role,
                    actor_id=ctx.caller.id,
                    at=rfc3339(ctx.now),
                )
            )
        return Member(
            user_id=person.id, name=person.name, avatar_url=None, role=command.role, added_at=rfc3339(added_at)
        )

    # ------------------------------------------------------------------------------------ tasks

    @handles(many=True)
    async def create(self, commands: Sequence[CreateTask], ctx: ManyContext[TaskRecords]) -> list[Task | Refusal]:
        """Put tasks into projects, each last on its board, numbered without gaps.

        Refuses `project.not_found`, `auth.forbidden` and ids that the project does not have; emits TaskCreated,
        TaskAssigned and TaskCompleted.
        """
        refusals = await self._refusals_of(commands, ctx)
        counts = Counter(
            command.project_id for command, refusal in zip(commands, refusals, strict=True) if refusal is None
        )
        boards = await ctx.records.projects.reserve(counts)
        answers: list[Task | Refusal] = []
        tasks: list[TaskRow] = []
        entries: list[Entry] = []
        for command, refusal, each in zip(commands, refusals, ctx.each, strict=True):
            if refusal is not None:
                answers.append(refusal)
                continue
            board, behind = boards[command.project_id], counts[command.project_id] - 1
            counts[command.project_id] = behind
            task = new_task(
                command,
                id=ctx.new_id(),
                number=board.last_number - behind,
                position=position(board.last_place - behind),
                creator=each.caller.id,
                now=ctx.now,
            )
            tasks.append(task)
            view = task.view()
            answers.append(view)
            entries.append(_entry(each, view, "created_at", None, view.created_at))
            each.emit(TaskCreated(task=view, actor_id=each.caller.id, at=view.created_at))
            _emit_consequences(each, view, view.assignee_ids, completed=view.status == "done")
        await ctx.records.add(tasks)
        await ctx.records.add_entries(entries)
        return answers

    @handles(many=True)
    async def get(self, queries: Sequence[GetTask], ctx: ManyContext[TaskRecords]) -> list[Task | Refusal]:
        """Tasks that the callers may see, also from the trash. Refuses `task.not_found`."""
        wanted = [(query.id, each.caller.id or "") for query, each in zip(queries, ctx.each, strict=True)]
        found = await ctx.records.seen(wanted)
        return [found[pair].view() if pair in found else _no_task() for pair in wanted]

    @handles
    async def list_tasks(self, query: ListTasks, ctx: Context[TaskRecords]) -> Page[Task]:
        """Tasks of the caller's projects that meet all filters."""
        by = order(query.sort)
        seen = await page(ctx.records.session, query, _caller(ctx), place(query, query.cursor, by.key_type))
        items = [each.view() for each in seen[: query.limit]]
        if len(seen) <= query.limit:
            return Page(items)
        last = seen[query.limit - 1].task
        return Page(items, cursor(query, by.key(last), last.id))

    @handles
    async def update(self, command: UpdateTask, ctx: Context[TaskRecords]) -> Task:
        """Change fields of a task; without a difference nothing happens.

        Refuses `task.not_found`, `auth.forbidden`, `task.deleted`, `request.precondition_failed`,
        `task.parent_cycle` and ids that the project does not have; emits TaskUpdated, TaskAssigned, TaskCompleted.
        """
        while True:
            seen = await self._writable(command.id, ctx)
            before = seen.task
            if before.deleted_at is not None:
                raise Conflict("task.deleted", "the task is in the trash; restore it first")
            _match(command.if_match, before)
            after, changed = changed_task(command, before, ctx.now)
            if not changed:
                return seen.view()
            await self._check_change(command, before, changed, ctx.records)
            if await ctx.records.change(before, after):
                break
            # someone else was faster: look at what they made of it
        was, view = seen.view(), after.view(watching=seen.watching)
        await ctx.records.add_entries(
            [_entry(ctx, view, field, getattr(was, field), getattr(view, field)) for field in changed]
        )
        ctx.emit(TaskUpdated(task=view, changed=changed, actor_id=ctx.caller.id, at=view.updated_at))
        assigned = [each for each in view.assignee_ids if each not in was.assignee_ids]
        _emit_consequences(ctx, view, assigned, completed="status" in changed and view.status == "done")
        return view

    @handles
    async def delete(self, command: DeleteTask, ctx: Context[TaskRecords]) -> None:
        """Move a task and its subtasks to the trash; again is no error.

        Refuses `task.not_found`, `auth.forbidden` and `request.precondition_failed`; emits TaskDeleted for each.
        """
        seen = await self._writable(command.id, ctx)
        await ctx.records.projects.lock([seen.task.project_id])
        seen = await self._writable(command.id, ctx)  # as it is now that no subtask can be added
        if seen.task.deleted_at is not None:
            return
        _match(command.if_match, seen.task)
        views = [task.view() for task in await ctx.records.trash(command.id, ctx.now)]
        await ctx.records.add_entries([_entry(ctx, view, "deleted_at", None, view.deleted_at) for view in views])
        for view in views:
            ctx.emit(TaskDeleted(task=view, actor_id=ctx.caller.id, at=rfc3339(ctx.now)))

    # ------------------------------------------------------------------------------------ what they share

    async def _refusals_of(self, commands: Sequence[CreateTask], ctx: ManyContext[TaskRecords]) -> list[Refusal | None]:
        """For each new task, why it cannot be; None where it can."""
        callers = [each.caller.id or "" for each in ctx.each]
        asked = {(command.project_id, caller) for command, caller in zip(commands, callers, strict=True)}
        asked |= {(command.project_id, id) for command in commands for id in command.assignee_ids}
        roles = await ctx.records.projects.roles(asked)
        mentions = [
            Mentions(command.project_id, command.assignee_ids, command.label_ids, command.parent_id)
            for command in commands
        ]
        if any(each.parent_id for each in mentions):
            # no parent goes to the trash before its new subtask is there; all boards, to lock them in one order
            await ctx.records.projects.lock({project_id for project_id, _ in roles})
        known = await Known.look_up(ctx.records, mentions, roles)
        return [
            _barred(roles.get((command.project_id, caller)), "owner", "editor") or known.refusal(each)
            for command, caller, each in zip(commands, callers, mentions, strict=True)
        ]

    async def _writable(self, id: str, ctx: Context[TaskRecords]) -> Seen:
        """A task that the caller sees and may change."""
        caller = _caller(ctx)
        seen = (await ctx.records.seen([(id, caller)])).get((id, caller))
        if seen is None:
            raise _no_task()
        if seen.role == "viewer":
            raise _forbidden()
        return seen

    async def _check_change(
        self, command: UpdateTask, task: TaskRow, changed: Sequence[str], records: TaskRecords
    ) -> None:
        """What is newly mentioned must be there, and a parent must not be below the task."""

        def mentioned(field: str) -> Sequence[str]:
            ids = getattr(command, field)
            return ids if field in changed and ids else ()

        project, assignees = task.project_id, mentioned("assignee_ids")
        parent = command.parent_id if "parent_id" in changed and command.parent_id else None
        if parent:  # so that no two changes make a circle together
            await records.projects.lock([project])
        members = await records.projects.roles([(project, id) for id in assignees]) if assignees else {}
        mentions = Mentions(project, assignees, mentioned("label_ids"), parent)
        refusal = (await Known.look_up(records, [mentions], members)).refusal(mentions)
        if refusal is not None:
            raise refusal
        if parent and task.id in await records.ancestors(parent):
            raise Conflict("task.parent_cycle", "a task cannot be below itself")


def _caller(ctx: Context[TaskRecords]) -> str:
    if ctx.caller.id is None:
        raise Unauthenticated("auth.required", "sign in first")
    return ctx.caller.id


def _barred(role: ProjectRole | None, *allowed: ProjectRole) -> Refusal | None:
    """Why someone with that role in a project may not do what these roles may."""
    if role is None:
        return NotFound("project.not_found", "there is no such project")
    return None if role in allowed else _forbidden()


def _forbidden() -> Forbidden:
    return Forbidden("auth.forbidden", "your role in this project does not allow this")


def _no_task() -> NotFound:
    return NotFound("task.not_found", "there is no such task")


def _match(versions: Versions, task: TaskRow) -> None:
    """`If-Match` (RFC 9110 section 13.1.1)."""
    if versions is not None and task.version not in versions:
        raise PreconditionFailed("request.precondition_failed", "the task has changed since; read it again")


def _entry(ctx: Context[TaskRecords], task: Task, field: str, was: object, became: object) -> Entry:
    """What happened to a field, for the task's history."""
    return Entry(ctx.new_id(), task.id, ctx.caller.id, field, _json(was), _json(became), ctx.now)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _emit_consequences(ctx: Context[TaskRecords], task: Task, assigned: Iterable[str], *, completed: bool) -> None:
    for assignee in assigned:
        ctx.emit(TaskAssigned(task=task, assignee_id=assignee, actor_id=ctx.caller.id, at=task.updated_at))
    if completed:
        ctx.emit(TaskCompleted(task=task, actor_id=ctx.caller.id, at=task.updated_at))
