"""What a team makes of tasks beyond their fields, beside `TaskModel`: comments, moves, undoing, batches; and what it
reads."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, Final

from actors.contracts.values import rfc3339
from tests.edge.task_model import DEFAULTS, WRITERS, Json, Refused, TaskModel, check_match

MOVED: Final = ("project_id", "number", "parent_id", "status", "assignee_ids", "label_ids", "position")
"""What a move can change, in the order in which the history tells it."""

Place = tuple[Any, ...]
"""Where something stands in a list: it sorts."""


class TeamModel(TaskModel):
    """Likewise."""

    # ------------------------------------------------------------------------------------------ comments

    def add_comment(self, who: str, task_id: str, body: Json, given: Json) -> Json:
        task = self.task_for(task_id, who, *WRITERS)
        at = rfc3339(self.now)
        comment = {
            "id": given["id"], "task_id": task_id, "author_id": who, "author_name": self.names[who],
            "created_at": at, "updated_at": at, "version": 1, **body,
        }  # fmt: skip
        self.comments[given["id"]] = comment
        task["comment_count"] += 1
        self._touch(task, "comment_added")
        return comment

    def update_comment(self, who: str, id: str, body: Json, match: int | None) -> Json:
        comment, task = self._comment_for(who, id)
        if comment["author_id"] != who or self.role(task["project_id"], who) not in WRITERS:
            raise Refused(403, "auth.forbidden")
        self.task_for(task["id"], who)
        check_match(match, comment)
        if comment | body != comment:
            comment.update(body, updated_at=rfc3339(self.now), version=comment["version"] + 1)
            self._tell("task_updated", task["project_id"], task)
        return comment

    def delete_comment(self, who: str, id: str, match: int | None) -> None:
        comment, task = self._comment_for(who, id)
        role = self.role(task["project_id"], who)
        if role != "owner" and (comment["author_id"] != who or role not in WRITERS):
            raise Refused(403, "auth.forbidden")
        self.task_for(task["id"], who)
        check_match(match, comment)
        del self.comments[id]
        task["comment_count"] -= 1
        self._touch(task)

    def _comment_for(self, who: str, id: str) -> tuple[Json, Json]:
        comment = self.comments.get(id)
        task = self.tasks.get(comment["task_id"]) if comment else None
        self._check(self.role(task["project_id"], who) if task else None, "comment", ())
        assert comment is not None
        assert task is not None
        return comment, task

    # ------------------------------------------------------------------------------------------ moves

    def move(self, who: str, id: str, body: Json, places: Mapping[str, str]) -> Json:
        """:param places: where the task stands then, and what came along with it."""
        task = self.task_for(id, who, *WRITERS, kept=False)
        project_id: str = (task | body)["project_id"]
        self.project_for(project_id, who, *WRITERS)
        self.task_for(id, who, *WRITERS)
        neighbour: str | None = body.get("before_id") or body.get("after_id")
        row = [each for each in self.board(project_id) if each != id]
        if neighbour and neighbour not in row:
            raise Refused(422, "request.invalid")
        fields = {field: body[field] for field in ("status",) if field in body}
        at = row.index(neighbour) + ("after_id" in body) if neighbour else len(row)
        leaves = project_id != task["project_id"]
        if leaves:
            row += [each for each in self.below(id) if not self.tasks[each]["deleted_at"]]
            self._emigrate(who, task, project_id, fields, places)
        else:
            self._change(who, task, fields | ({"position": places[id]} if neighbour else {}))
        row.insert(at, id)
        assert not (neighbour or leaves) or self.board(project_id) == row
        return self.seen(id, who)

    def _emigrate(self, who: str, root: Json, project_id: str, fields: Json, places: Mapping[str, str]) -> None:
        there = self.projects[project_id]
        names = {label["name"]: id for id, label in there.labels.items()}
        labels = self.projects[root["project_id"]].labels
        tree = [root["id"], *self.below(root["id"])]
        for id in tree:
            task = self.tasks[id]
            there.last_number += 1
            self.watchers[id] &= there.members.keys()
            known = [names.get(labels[each]["name"]) for each in task["label_ids"]]
            wanted = {
                "project_id": project_id,
                "number": there.last_number,
                "parent_id": None if task is root else task["parent_id"],
                "assignee_ids": [each for each in task["assignee_ids"] if each in there.members],
                "label_ids": [each for each in known if each],
                "position": places[id],
            } | (fields if task is root else {})
            self._change(who, task, {field: wanted[field] for field in MOVED if field in wanted})

    # ------------------------------------------------------------------------------------------ undoing

    def undo(self, who: str, entry: Json | None, places: Mapping[str, str]) -> Json:
        task = self.tasks.get(entry["task_id"]) if entry else None
        self._check(self.role(task["project_id"], who) if task else None, "activity", WRITERS)
        assert entry is not None
        assert task is not None
        id, field, was = task["id"], entry["field"], entry["from"]
        self.task_for(id, who)
        if field not in {*DEFAULTS, "relations", "position", "project_id"} or not _alike(task[field], entry["to"]):
            raise _not_undoable()
        before = copy.deepcopy(vars(self))
        try:
            if field in DEFAULTS:
                return self.update_task(who, id, {field: was})
            if field == "project_id":
                return self.move(who, id, {"project_id": was}, places)
            if field == "position":
                self._check_free(task["project_id"], was)
                self._change(who, task, {"position": was})
            else:
                for each in [*entry["to"], *was]:
                    if (each in was) != (each in entry["to"]):
                        self.relate(who, id, each["type"], each["task_id"], on=each in was)
        except Refused:
            vars(self).update(before)
            raise _not_undoable() from None
        return self.seen(id, who)

    def _check_free(self, project_id: str, place: str) -> None:
        if any((each["project_id"], each["position"]) == (project_id, place) for each in self.tasks.values()):
            raise _not_undoable()

    # ------------------------------------------------------------------------------------------ batches

    def batch(self, who: str, operations: Sequence[Json], given: Json) -> list[tuple[int, Any]]:
        """Of each operation the status, and the task or the code of the problem."""
        answers = given.get("results", [{}] * len(operations))
        results: list[tuple[int, Any]] = []
        for operation, answer in zip(operations, answers, strict=True):
            fields = {name: value for name, value in operation.items() if name not in ("op", "id")}
            try:
                match operation["op"]:
                    case "create":
                        results.append((201, dict(self.create_task(who, fields, answer.get("task", {})))))
                    case "update":
                        results.append((200, dict(self.update_task(who, operation["id"], fields))))
                    case _:
                        self.delete_task(who, operation["id"])
                        results.append((204, None))
            except Refused as refusal:
                results.append((refusal.status, refusal.code))
        return results

    # ------------------------------------------------------------------------------------------ reading

    def page(self, who: str, query: Mapping[str, Any], after: Place | None) -> list[tuple[Place, Json]]:
        """All that a list finds behind a place in it, in order, each with its place; ids sort as things were made."""
        column, descending = query["sort"].lstrip("-"), query["sort"].startswith("-")

        def ascending(place: Place) -> Place:
            missing, *rest = place
            return (missing != descending, *rest)  # what has no value comes last either way

        found = []
        for made, (id, task) in enumerate(self.tasks.items()):
            place = (task[column] is None, "" if task[column] is None else task[column], made)
            beyond = after is None or ((ascending(place) > ascending(after)) == (not descending) and place != after)
            if beyond and self.role(task["project_id"], who) and self._meets(task, query, who):
                found.append((place, self.seen(id, who)))
        return sorted(found, key=lambda each: ascending(each[0]), reverse=descending)

    def _meets(self, task: Json, query: Mapping[str, Any], who: str) -> bool:
        def among(name: str, values: Sequence[Any]) -> bool:
            return name not in query or any(each in query[name] for each in values)

        people = ["me" if each == who else each for each in task["assignee_ids"]]
        return (
            bool(task["deleted_at"]) == ("deleted" in query)
            and among("project_id", [task["project_id"]])
            and among("status", [task["status"]])
            and among("priority", [task["priority"]])
            and among("parent_id", [task["parent_id"] or "none"])
            and among("label_id", task["label_ids"])
            and among("assignee_id", [*people, *task["assignee_ids"]] or ["none"])
            and ("due_before" not in query or (task["due_at"] or "9") < query["due_before"])
            and ("due_after" not in query or (task["due_at"] or "") > query["due_after"])
            and ("updated_after" not in query or task["updated_at"] > query["updated_after"])
            and ("q" not in query or self._says(task, query["q"]))
        )

    def _says(self, task: Json, q: str) -> bool:
        said = [comment["body"] for comment in self.comments.values() if comment["task_id"] == task["id"]]
        words = " ".join([task["title"], task["description"], *said]).replace("é", "e").split()
        return all(
            any(word == each or (each.endswith("*") and word.startswith(each[:-1])) for word in words)
            for each in q.split()
        )


def _alike(one: Any, other: Any) -> bool:
    return bool(sorted(one, key=str) == sorted(other, key=str) if isinstance(one, list) else one == other)


def _not_undoable() -> Refused:
    return Refused(409, "activity.not_undoable")
