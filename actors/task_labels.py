"""Labels: the part of the task actor that decides about them."""

from __future__ import annotations

import msgspec
from msgspec import UNSET

from actors.contracts.task_label import GREY, CreateLabel, DeleteLabel, Label, ListLabels, UpdateLabel
from actors.contracts.task_project import ProjectRole
from actors.pages import paged, place
from actors.records.task import TaskRecords
from actors.requests import caller_of, check_match
from actors.task_changes import unlink_everywhere
from actors.task_rights import EVERYONE, WRITERS, forbidden, project_for
from runtime.actor import handles
from runtime.context import Context
from runtime.errors import Conflict, NotFound
from runtime.message import Page
from runtime.ports import Duplicate


class Labels:
    """Handlers of labels."""

    @handles
    async def create_label(self, command: CreateLabel, ctx: Context[TaskRecords]) -> Label:
        """Add a label to a project. Refuses `project.not_found`, `auth.forbidden` and `label.name_taken`."""
        project, _ = await project_for(command.id, ctx, *WRITERS)
        label = Label(id=ctx.new_id(), project_id=project.id, name=command.name, color=command.color, version=1)
        if not await ctx.records.labels.add(label):
            raise _name_taken()
        return label

    @handles
    async def list_labels(self, query: ListLabels, ctx: Context[TaskRecords]) -> Page[Label]:
        """Those of a project, newest first. Refuses `project.not_found`."""
        await project_for(query.id, ctx, *EVERYONE)
        after = place(query, query.cursor, str)
        labels = await ctx.records.labels.page_of(query.id, limit=query.limit + 1, after=after[1] if after else None)
        return paged(query, query.limit, labels, lambda label: label, lambda label: ("", label.id))

    @handles
    async def update_label(self, command: UpdateLabel, ctx: Context[TaskRecords]) -> Label:
        """Change a label; without a difference nothing happens.

        Refuses `label.not_found`, `auth.forbidden`, `request.precondition_failed` and `label.name_taken`.
        """
        while True:
            label = await _label_for(command.id, ctx, *WRITERS)
            check_match(command.if_match, label.version, "label")
            name = label.name if command.name is UNSET else command.name
            color = label.color if command.color is UNSET else command.color or GREY
            if (name, color) == (label.name, label.color):
                return label
            changed = msgspec.structs.replace(label, name=name, color=color, version=label.version + 1)
            try:
                if await ctx.records.labels.change(changed):
                    return changed
            except Duplicate:
                raise _name_taken() from None
            # someone else was faster: look at what they made of it

    @handles
    async def delete_label(self, command: DeleteLabel, ctx: Context[TaskRecords]) -> None:
        """Delete a label and take it off the tasks.

        Refuses `label.not_found`, `auth.forbidden` and `request.precondition_failed`; emits TaskUpdated for each task
        that had it.
        """
        label = await _label_for(command.id, ctx, *WRITERS)
        await ctx.records.projects.lock([label.project_id])
        label = await _label_for(command.id, ctx, *WRITERS)  # as it is now that nobody puts it on a task
        check_match(command.if_match, label.version, "label")
        await unlink_everywhere("label_ids", label.id, label.project_id, ctx)
        await ctx.records.labels.delete(label.id)


async def _label_for(id: str, ctx: Context[TaskRecords], *allowed: ProjectRole) -> Label:
    found = await ctx.records.labels.seen(id, caller_of(ctx))
    if found is None:
        raise NotFound("label.not_found", "there is no such label")
    if found[1] not in allowed:
        raise forbidden()
    return found[0]


def _name_taken() -> Conflict:
    return Conflict("label.name_taken", "the project has a label of this name already")
