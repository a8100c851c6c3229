"""What projects and tasks should be after any sequence of calls: as the API shows them, kept in dictionaries.

It says of each call what it should answer, refusals too. What only the actor can know, new ids and places on a board,
is taken from the answer; the machine looks whether that can be.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, Final

from actors.contracts.values import rfc3339

Json = dict[str, Any]

DEFAULTS: Final[Json] = {
    "title": "", "description": "", "status": "todo", "priority": 0, "assignee_ids": [], "label_ids": [],
    "start_at": None, "due_at": None, "remind_at": [], "parent_id": None, "estimate_minutes": None,
}  # fmt: skip
INVERSE: Final = {"blocks": "blocked_by", "duplicates": "duplicated_by", "relates": "relates"}
INVERSE_OF: Final = INVERSE | {there: here for here, there in INVERSE.items()}
WRITERS: Final = ("owner", "editor")


class Refused(Exception):
    """The call is answered with a problem."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(status, code)
        self.status = status
        self.code = code


class Project:
    """:ivar shown: without the role. :ivar members: user → Member. :ivar labels: id → Label."""

    def __init__(self, shown: Json) -> None:
        self.shown = shown
        self.members: dict[str, Json] = {}
        self.labels: dict[str, Json] = {}
        self.last_number = 0


class TaskModel:
    """:ivar now: ms since the epoch. :ivar names: user → name. All orders are those in which things were made."""

    def __init__(self, now: int) -> None:
        self.now = now
        self.names: dict[str, str] = {}
        self.projects: dict[str, Project] = {}
        self.tasks: dict[str, Json] = {}
        self.comments: dict[str, Json] = {}
        self.history: dict[str, list[Json]] = defaultdict(list)
        self.feed: list[Json] = []
        self.watchers: dict[str, set[str]] = defaultdict(set)
        self.gone_with: dict[str, str] = {}

    # ------------------------------------------------------------------------------------------ who may what

    def role(self, project_id: str, who: str) -> str | None:
        project = self.projects.get(project_id)
        return project.members[who]["role"] if project and who in project.members else None

    def project_for(self, id: str, who: str, *roles: str) -> Project:
        self._check(self.role(id, who), "project", roles)
        return self.projects[id]

    def task_for(self, id: str, who: str, *roles: str, kept: bool = True, match: int | None = None) -> Json:
        """:param kept: it must not be in the trash. :param match: the version it must have."""
        role = self.role(self.tasks[id]["project_id"], who) if id in self.tasks else None
        self._check(role, "task", roles)
        task = self.tasks[id]
        if kept and task["deleted_at"]:
            raise Refused(409, "task.deleted")
        check_match(match, task)
        return task

    @staticmethod
    def _check(role: str | None, kind: str, roles: Sequence[str]) -> None:
        if role is None:
            raise Refused(404, f"{kind}.not_found")
        if roles and role not in roles:
            raise Refused(403, "auth.forbidden")

    def seen(self, id: str, who: str) -> Json:
        """A task as somebody sees it."""
        watchers = self.watchers[id]
        return self.tasks[id] | {"watching": who in watchers, "watcher_count": len(watchers)}

    # ------------------------------------------------------------------------------------------ how things change

    def _tell(self, type: str, project_id: str, task: Json | None = None, version: int | None = None) -> None:
        id, version = (task["id"], task["version"]) if task else (None, version)
        at = rfc3339(self.now)
        self.feed.append({"type": type, "project_id": project_id, "task_id": id, "version": version, "at": at})

    def _note(self, who: str, task: Json, field: str, was: Any) -> None:
        entry = {"task_id": task["id"], "actor_id": who, "field": field, "from": was, "to": task[field]}
        self.history[task["id"]].append(copy.deepcopy(entry) | {"created_at": rfc3339(self.now)})

    def _change(self, who: str, task: Json, fields: Json) -> None:
        """Give fields of a task other values; the same ones are no change."""
        fields = {field: value for field, value in fields.items() if not same(field, value, task[field])}
        if not fields:
            return
        was = {field: task[field] for field in fields} | {"project_id": task["project_id"]}
        old = task["assignee_ids"]
        if "status" in fields:
            task["completed_at"] = rfc3339(self.now) if fields["status"] == "done" else None
        task.update(fields, updated_at=rfc3339(self.now), version=task["version"] + 1)
        for field in fields:
            self._note(who, task, field, was[field])
        if was["project_id"] != task["project_id"]:
            self._tell("task_updated", was["project_id"], task)
        self._tell("task_updated", task["project_id"], task)
        self._tell_consequences(task, [each for each in task["assignee_ids"] if each not in old], "status" in fields)

    def _tell_consequences(self, task: Json, assigned: Sequence[str], completed: bool) -> None:
        for _ in assigned:
            self._tell("task_assigned", task["project_id"], task)
        if completed and task["status"] == "done":
            self._tell("task_completed", task["project_id"], task)

    def _touch(self, task: Json, type: str = "task_updated") -> None:
        """What is shown with a task has changed."""
        task["version"] += 1
        self._tell(type, task["project_id"], task)

    def _check_ids(self, project_id: str, fields: Json) -> None:
        """What a task refers to is there."""
        project = self.projects[project_id]
        parent = fields.get("parent_id")
        there = self.tasks.get(parent or "", {"project_id": "", "deleted_at": None})
        bad_parent = parent is not None and (there["project_id"] != project_id or there["deleted_at"] is not None)
        if bad_parent or any(each not in project.labels for each in fields.get("label_ids", ())):
            raise Refused(422, "request.invalid")
        if any(each not in project.members for each in fields.get("assignee_ids", ())):
            raise Refused(422, "task.assignee_not_member")

    def above(self, id: str | None) -> Iterator[str]:
        """A task, its parent, and so on."""
        while id is not None:
            yield id
            id = self.tasks[id]["parent_id"]

    def below(self, id: str) -> list[str]:
        """All below a task, as they stand on the board."""
        tree = [each for each in self.tasks if each != id and id in self.above(each)]
        return sorted(tree, key=lambda each: str(self.tasks[each]["position"]))

    def board(self, project_id: str) -> list[str]:
        """The tasks of a project as they stand, without those in the trash."""
        there = [task for task in self.tasks.values() if task["project_id"] == project_id and not task["deleted_at"]]
        return [task["id"] for task in sorted(there, key=lambda task: str(task["position"]))]

    # ------------------------------------------------------------------------------------------ projects

    def create_project(self, who: str, body: Json, given: Json) -> Json:
        if any(each.shown["created_by"] == who and each.shown["key"] == body["key"] for each in self.projects.values()):
            raise Refused(409, "project.key_taken")
        at = rfc3339(self.now)
        shown = {"description": "", **body, "created_by": who, "created_at": at, "updated_at": at, "version": 1}
        project = self.projects[given["id"]] = Project({"id": given["id"], **shown})
        self._join(project, who, "owner")
        return project.shown | {"role": "owner"}

    def _join(self, project: Project, who: str, role: str) -> Json:
        if who not in project.members:
            self._tell("member_added", project.shown["id"])
            member = {"user_id": who, "name": self.names[who], "avatar_url": None, "added_at": rfc3339(self.now)}
            project.members[who] = member
        project.members[who]["role"] = role
        return project.members[who]

    def update_project(self, who: str, id: str, body: Json, match: int | None) -> Json:
        project = self.project_for(id, who, "owner")
        shown = project.shown
        check_match(match, shown)
        others = [each.shown for each in self.projects.values() if each.shown["created_by"] == shown["created_by"]]
        if any(each["key"] == body.get("key") and each["id"] != id for each in others):
            raise Refused(409, "project.key_taken")
        if shown | body != shown:
            shown.update(body, updated_at=rfc3339(self.now), version=shown["version"] + 1)
            self._tell("project_updated", id, version=shown["version"])
        return shown | {"role": "owner"}

    def delete_project(self, who: str, id: str, match: int | None) -> None:
        check_match(match, self.project_for(id, who, "owner").shown)
        del self.projects[id]
        self.tasks = {key: task for key, task in self.tasks.items() if task["project_id"] != id}

    def set_member(self, who: str, id: str, other: str, role: str) -> Json:
        project = self.project_for(id, who, "owner")
        if role != "owner":
            self._check_owner(project, other)
        return self._join(project, other, role)

    def _check_owner(self, project: Project, leaver: str) -> None:
        owners = [each for each, member in project.members.items() if member["role"] == "owner"]
        if owners == [leaver]:
            raise Refused(409, "project.last_owner")

    def remove_member(self, who: str, id: str, leaver: str) -> None:
        project = self.project_for(id, who, *(() if leaver == who else ("owner",)))
        if leaver not in project.members:
            raise Refused(404, "member.not_found")
        self._check_owner(project, leaver)
        del project.members[leaver]
        there = [task for task in self.tasks.values() if task["project_id"] == id]
        watched = [task for task in there if leaver in self.watchers[task["id"]]]
        for task in watched:
            self.watchers[task["id"]].remove(leaver)
            task["version"] += 1
        self._unlink(who, there, "assignee_ids", leaver)
        self._tell("member_removed", id)
        for task in watched:
            self._tell("task_updated", id, task)

    def _unlink(self, who: str, tasks: Sequence[Json], link: str, id: str) -> None:
        for task in tasks:
            if id in task[link]:
                rest = [each for each in task[link] if each != id]
                task[link] = [*rest, id]  # the history has it at the end
                self._change(who, task, {link: rest})

    # ------------------------------------------------------------------------------------------ labels

    def create_label(self, who: str, project_id: str, body: Json, given: Json) -> Json:
        project = self.project_for(project_id, who, *WRITERS)
        self._check_name(project, body["name"])
        label = {"id": given["id"], "project_id": project_id, "color": "#808080", **body, "version": 1}
        project.labels[label["id"]] = label
        return label

    def _check_name(self, project: Project, name: str, of: str | None = None) -> None:
        if any(each["name"] == name and id != of for id, each in project.labels.items()):
            raise Refused(409, "label.name_taken")

    def _label_for(self, who: str, id: str, match: int | None) -> tuple[Project, Json]:
        project = next((each for each in self.projects.values() if id in each.labels), None)
        self._check(self.role(project.shown["id"], who) if project else None, "label", WRITERS)
        assert project is not None
        check_match(match, project.labels[id])
        return project, project.labels[id]

    def update_label(self, who: str, id: str, body: Json, match: int | None) -> Json:
        project, label = self._label_for(who, id, match)
        self._check_name(project, (label | body)["name"], of=id)
        if label | body != label:
            label.update(body, version=label["version"] + 1)
        return label

    def delete_label(self, who: str, id: str, match: int | None) -> None:
        project, label = self._label_for(who, id, match)
        there = [task for task in self.tasks.values() if task["project_id"] == label["project_id"]]
        self._unlink(who, there, "label_ids", id)
        del project.labels[id]

    # ------------------------------------------------------------------------------------------ tasks

    def create_task(self, who: str, body: Json, given: Json) -> Json:
        project = self.project_for(body["project_id"], who, *WRITERS)
        self._check_ids(body["project_id"], body)
        project.last_number += 1
        at, id = rfc3339(self.now), given["id"]
        task = self.tasks[id] = {
            "id": id, "number": project.last_number, "recurrence": None, "relations": [],
            "position": given["position"], "comment_count": 0, "attachment_count": 0, "created_by": who,
            "created_at": at, "updated_at": at, "completed_at": at if body.get("status") == "done" else None,
            "deleted_at": None, "version": 1,
        } | DEFAULTS | {field: value for field, value in body.items() if value is not None}  # fmt: skip
        assert self.board(body["project_id"])[-1] == id
        self._note(who, task, "created_at", None)
        self._tell("task_created", task["project_id"], task)
        self._tell_consequences(task, task["assignee_ids"], completed=True)
        return self.seen(id, who)

    def update_task(self, who: str, id: str, body: Json, match: int | None = None) -> Json:
        task = self.task_for(id, who, *WRITERS, match=match)
        wanted = {field: DEFAULTS[field] if body[field] is None else body[field] for field in DEFAULTS if field in body}
        changed = {field: value for field, value in wanted.items() if not same(field, value, task[field])}
        self._check_ids(task["project_id"], changed)
        if id in self.above(changed.get("parent_id")):
            raise Refused(409, "task.parent_cycle")
        self._change(who, task, changed)
        return self.seen(id, who)

    def delete_task(self, who: str, id: str, match: int | None = None) -> None:
        if self.task_for(id, who, *WRITERS, kept=False)["deleted_at"]:
            return
        check_match(match, self.tasks[id])
        for each in [id, *self.below(id)]:
            task = self.tasks[each]
            if not task["deleted_at"]:
                self.gone_with[each] = id
                self._set_deleted(who, task, rfc3339(self.now), "task_deleted")

    def _set_deleted(self, who: str, task: Json, value: str | None, type: str) -> None:
        was, at = task["deleted_at"], rfc3339(self.now)
        task.update(deleted_at=value, updated_at=at, version=task["version"] + 1)
        self._note(who, task, "deleted_at", was)
        self._tell(type, task["project_id"], task)

    def restore_task(self, who: str, id: str) -> Json:
        task = self.task_for(id, who, *WRITERS, kept=False)
        if task["deleted_at"]:
            root, parent = self.gone_with[id], task["parent_id"]
            together = [id, *(each for each in self.below(id) if self.gone_with.get(each) == root)]
            for each in together:
                self._set_deleted(who, self.tasks[each], None, "task_updated")
                del self.gone_with[each]
            if parent and self.tasks[parent]["deleted_at"]:
                task["parent_id"] = None
                self._note(who, task, "parent_id", parent)
        return self.seen(id, who)

    def link(self, who: str, id: str, field: str, other: str, on: bool, match: int | None) -> Json:
        """Assignees and labels."""
        task = self.task_for(id, who, *WRITERS, match=match)
        rest = [each for each in task[field] if each != other]
        if on and field == "label_ids" and other not in self.projects[task["project_id"]].labels:
            raise Refused(404, "label.not_found")
        return self.update_task(who, id, {field: [*rest, other] if on else rest})

    def watch(self, who: str, id: str, on: bool, match: int | None) -> Json:
        task = self.task_for(id, who, match=match)
        if on != (who in self.watchers[id]):
            self.watchers[id] ^= {who}
            self._touch(task)
        return self.seen(id, who)

    # ------------------------------------------------------------------------------------------ relations

    def relate(self, who: str, id: str, kind: str, other_id: str, on: bool, match: int | None = None) -> Json:
        for each in (id, other_id):
            self.task_for(each, who, *WRITERS, kept=False)
        for each in (id, other_id):
            self.task_for(each, who, *WRITERS)
        check_match(match, self.tasks[id])
        if on and id == other_id:
            raise Refused(409, "task.relation_cycle")
        if on != ({"type": kind, "task_id": other_id} in self.tasks[id]["relations"]):
            if on and kind in ("blocks", "blocked_by"):
                first, second = (id, other_id) if kind == "blocks" else (other_id, id)
                if first in self._blocked_by(second):
                    raise Refused(409, "task.relation_cycle")
            for one, type, another in ((id, kind, other_id), (other_id, INVERSE_OF[kind], id)):
                relation = {"type": type, "task_id": another}
                rest = [each for each in self.tasks[one]["relations"] if each != relation]
                self._change(who, self.tasks[one], {"relations": [*rest, relation] if on else rest})
        return self.seen(id, who)

    def _blocked_by(self, id: str) -> set[str]:
        blocked = [each["task_id"] for each in self.tasks[id]["relations"] if each["type"] == "blocks"]
        return {*blocked, *(far for each in blocked for far in self._blocked_by(each))}


def check_match(match: int | None, shown: Json) -> None:
    if match is not None and match != shown["version"]:
        raise Refused(412, "request.precondition_failed")


def same(field: str, one: Any, other: Any) -> bool:
    """The order of ids says nothing."""
    return sorted(one) == sorted(other) if field.endswith("_ids") else bool(one == other)
