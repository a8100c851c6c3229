"""What a task refers to by id must be there for it: members, labels and a parent of its own project."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence

import msgspec

from actors.records.task import TaskRecords
from runtime.errors import Fault, Invalid


class Mentions(msgspec.Struct, frozen=True):
    """The ids in a message's body, in the order in which they stand there."""

    project_id: str
    assignee_ids: Sequence[str] = ()
    label_ids: Sequence[str] = ()
    parent_id: str | None = None

    def __bool__(self) -> bool:
        return bool(self.assignee_ids or self.label_ids or self.parent_id)


class Known(msgspec.Struct, frozen=True):
    """What the store says of the ids that some messages mention.

    :param members: (project, user).
    :param labels: label → its project.
    :param parents: task → its project, but for those in the trash.
    """

    members: Container[tuple[str, str]]
    labels: Mapping[str, str]
    parents: Mapping[str, str]

    @classmethod
    async def look_up(
        cls, records: TaskRecords, mentions: Sequence[Mentions], members: Container[tuple[str, str]]
    ) -> Known:
        """At most two statements, for all of them together."""
        labels = {id for each in mentions for id in each.label_ids}
        parents = {each.parent_id for each in mentions if each.parent_id}
        return cls(
            members,
            await records.labels.projects_of(sorted(labels)) if labels else {},
            await records.projects_of_tasks(sorted(parents)) if parents else {},
        )

    def refusal(self, mentions: Mentions) -> Invalid | None:
        """Each id of a message that is not known where it should be; None when all are."""
        project = mentions.project_id
        strangers = [
            Fault(f"/assignee_ids/{index}", "must be a member of the project")
            for index, id in enumerate(mentions.assignee_ids)
            if (project, id) not in self.members
        ]
        others = [
            Fault(f"/label_ids/{index}", "must be a label of the project")
            for index, id in enumerate(mentions.label_ids)
            if self.labels.get(id) != project
        ]
        if mentions.parent_id and self.parents.get(mentions.parent_id) != project:
            others.append(Fault("/parent_id", "must be a task of the same project"))
        if strangers and not others:
            return Invalid(
                "task.assignee_not_member", "an assignee must be a member of the project", faults=tuple(strangers)
            )
        if others:
            return Invalid("request.invalid", "the task cannot be like this", faults=(*strangers, *others))
        return None
