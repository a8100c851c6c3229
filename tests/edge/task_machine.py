"""What does a sequence of steps, to two houses and to the model of what they should answer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, Final
from urllib.parse import urlencode

from hypothesis import note

from tests.edge.task_model import Json, Refused
from tests.edge.team_model import Place, TeamModel
from tests.edge.twin_houses import MISSING, Told, Twins

NAMES: Final = ("Ada", "Bob", "Eve", "Dan")


def pick(things: Sequence[str] | Mapping[str, Any], number: int) -> str:
    """One of them; for 0, and where there are none, none."""
    return [*things][(number - 1) % len(things)] if number and things else MISSING


class Machine:
    """Does what a sequence says, to houses and model. Its methods are the steps."""

    def __init__(self, twins: Twins) -> None:
        self.twins = twins
        self.model = TeamModel(twins.now)
        self.people: list[str] = []
        self.written: list[tuple[str, str, str, Any, dict[str, str], Told]] = []
        self.begun: list[tuple[str, Json, str, Place]] = []

    async def begin(self) -> None:
        """Two projects: in the first everybody but the last has another role."""
        self.twins.begin()
        for name in NAMES:
            person = await self.twins.arrives(name)
            self.people.append(person["id"])
            self.model.names[person["id"]] = name
        for owner, key in ((0, "AA"), (1, "BB")):
            await self.new_project(owner, key)
            await self.new_label(owner, owner + 1, "both")
            await self.new_label(owner, owner + 1, key)
        for owner, project, other, role in (
            (0, 1, 1, "editor"), (0, 1, 2, "viewer"), (0, 1, 3, "viewer"), (1, 2, 0, "editor"),
        ):  # fmt: skip
            await self.join(owner, project, other, role)
        await self.leave(3, 1, 3)
        for n in (1, 1, 2):
            await self.new_task(0, n, {"title": "land"})

    async def ask(self, who: str, method: str, path: str, body: Any = None, **headers: str) -> Told:
        """Both houses. What is written can be written again."""
        if method != "GET":
            headers["idempotency_key"] = f"key-{len(self.written)}"
        answer = await self.twins.ask(who, method, path, body, **headers)
        note(f"{self.people.index(who)} {method} {path} {body} {headers} → {answer.status}")
        if method != "GET":
            self.written.append((who, method, path, body, headers, answer))
        return answer

    def check(self, answer: Told, status: int, expected: Callable[[Any], Any]) -> None:
        """:param expected: what the model says, of what was answered."""
        try:
            wanted = expected(answer.json or {})
        except Refused as refusal:
            told, wanted = (answer.json or {}).get("code"), refusal.code
            status = refusal.status
        else:
            told = answer.json
            if isinstance(wanted, dict) and "version" in wanted:
                assert answer.headers["ETag"] == f'"{wanted["version"]}"'
        assert (answer.status, told) == (status, wanted)

    def matching(self, choice: str | None, shown: Json | None) -> tuple[dict[str, str], int | None]:
        """`If-Match`, and the version that it asks for."""
        version = (shown or {}).get("version", 1) + (choice == "stale")
        match choice:
            case None:
                return {}, None
            case "any":
                return {"if_match": "*"}, None
        return {"if_match": f'"{version}"'}, version

    def meant(self, fields: Json) -> Json:
        """Ids in place of numbers."""
        things: dict[str, Callable[[int], str]] = {
            "id": lambda n: pick(self.model.tasks, n),
            "project_id": lambda n: pick(self.model.projects, n),
            "assignee_ids": self.people.__getitem__,
            "assignee_id": self.people.__getitem__,
            "label_ids": self.label_of,
            "label_id": self.label_of,
            "parent_id": lambda n: pick(self.model.tasks, n),
        }

        def meant(name: str, value: Any) -> Any:
            if isinstance(value, list):
                return list(dict.fromkeys(meant(name, each) for each in value))
            return things[name](value) if name in things and isinstance(value, int) else value

        return {name: meant(name, value) for name, value in fields.items()}

    def label_of(self, number: int) -> str:
        return pick([id for project in self.model.projects.values() for id in project.labels], number)

    # ------------------------------------------------------------------------------------------ steps

    async def wait(self, seconds: int) -> None:
        self.twins.now += seconds * 1000
        self.model.now = self.twins.now

    async def new_project(self, who: int, key: str) -> None:
        me, body = self.people[who], {"name": "Apollo", "key": key}
        answer = await self.ask(me, "POST", "/v1/projects", body)
        self.check(answer, 201, lambda given: self.model.create_project(me, body, given))

    async def change_project(self, who: int, project: int, match: str | None, fields: Json) -> None:
        me, id = self.people[who], pick(self.model.projects, project)
        shown = self.model.projects[id].shown if id != MISSING else None
        headers, version = self.matching(match, shown)
        answer = await self.ask(me, "PATCH", f"/v1/projects/{id}", fields, **headers)
        self.check(answer, 200, lambda given: self.model.update_project(me, id, fields, version))

    async def drop_project(self, who: int, project: int, match: str | None) -> None:
        me, id = self.people[who], pick(self.model.projects, project)
        inside = {task["id"] for task in self.model.tasks.values() if task["project_id"] == id}
        related = {each["task_id"] for one in inside for each in self.model.tasks[one]["relations"]}
        if related <= inside:  # others would lose their relations some time later
            headers, version = self.matching(match, self.model.projects[id].shown if id != MISSING else None)
            answer = await self.ask(me, "DELETE", f"/v1/projects/{id}", **headers)
            self.check(answer, 204, lambda given: self.model.delete_project(me, id, version))

    async def join(self, who: int, project: int, other: int, role: str) -> None:
        me, id, they = self.people[who], pick(self.model.projects, project), self.people[other]
        answer = await self.ask(me, "PUT", f"/v1/projects/{id}/members/{they}", {"role": role})
        self.check(answer, 200, lambda given: self.model.set_member(me, id, they, role))

    async def leave(self, who: int, project: int, other: int) -> None:
        me, id, they = self.people[who], pick(self.model.projects, project), self.people[other]
        answer = await self.ask(me, "DELETE", f"/v1/projects/{id}/members/{they}")
        self.check(answer, 204, lambda given: self.model.remove_member(me, id, they))

    async def new_label(self, who: int, project: int, name: str) -> None:
        me, id, body = self.people[who], pick(self.model.projects, project), {"name": name}
        answer = await self.ask(me, "POST", f"/v1/projects/{id}/labels", body)
        self.check(answer, 201, lambda given: self.model.create_label(me, id, body, given))

    def _label(self, id: str) -> Json | None:
        return next((each.labels[id] for each in self.model.projects.values() if id in each.labels), None)

    async def change_label(self, who: int, label: int, name: str, match: str | None) -> None:
        me, id, body = self.people[who], self.label_of(label), {"name": name}
        headers, version = self.matching(match, self._label(id))
        answer = await self.ask(me, "PATCH", f"/v1/labels/{id}", body, **headers)
        self.check(answer, 200, lambda given: self.model.update_label(me, id, body, version))

    async def drop_label(self, who: int, label: int, match: str | None) -> None:
        me, id = self.people[who], self.label_of(label)
        headers, version = self.matching(match, self._label(id))
        answer = await self.ask(me, "DELETE", f"/v1/labels/{id}", **headers)
        self.check(answer, 204, lambda given: self.model.delete_label(me, id, version))

    async def new_task(self, who: int, project: int, fields: Json) -> None:
        me, body = self.people[who], self.meant({"project_id": project, **fields})
        answer = await self.ask(me, "POST", "/v1/tasks", body)
        self.check(answer, 201, lambda given: self.model.create_task(me, body, given))

    async def change_task(self, who: int, task: int, fields: Json, match: str | None) -> None:
        me, id, body = self.people[who], pick(self.model.tasks, task), self.meant(fields)
        headers, version = self.matching(match, self.model.tasks.get(id))
        answer = await self.ask(me, "PATCH", f"/v1/tasks/{id}", body, **headers)
        self.check(answer, 200, lambda given: self.model.update_task(me, id, body, version))

    async def drop_task(self, who: int, task: int, match: str | None) -> None:
        me, id = self.people[who], pick(self.model.tasks, task)
        headers, version = self.matching(match, self.model.tasks.get(id))
        answer = await self.ask(me, "DELETE", f"/v1/tasks/{id}", **headers)
        self.check(answer, 204, lambda given: self.model.delete_task(me, id, version))

    async def restore(self, who: int, task: int) -> None:
        me, id = self.people[who], pick(self.model.tasks, task)
        answer = await self.ask(me, "POST", f"/v1/tasks/{id}/restore")
        self.check(answer, 200, lambda given: self.model.restore_task(me, id))

    async def hang(
        self, me: str, id: str, below: str, on: bool, match: str | None, expected: Callable[[int | None], Any]
    ) -> None:
        """Something on a task, or take it off; only that asks for a version."""
        headers, version = self.matching(None if on else match, self.model.tasks.get(id))
        answer = await self.ask(me, "PUT" if on else "DELETE", f"/v1/tasks/{id}/{below}", **headers)
        self.check(answer, 200, lambda given: expected(version))

    async def assign(self, who: int, task: int, other: int, on: bool, match: str | None) -> None:
        me, id, they = self.people[who], pick(self.model.tasks, task), self.people[other]
        await self.hang(me, id, f"assignees/{they}", on, match,
                        lambda version: self.model.link(me, id, "assignee_ids", they, on, version))  # fmt: skip

    async def mark(self, who: int, task: int, label: int, on: bool, match: str | None) -> None:
        me, id, what = self.people[who], pick(self.model.tasks, task), self.label_of(label)
        await self.hang(me, id, f"labels/{what}", on, match,
                        lambda version: self.model.link(me, id, "label_ids", what, on, version))  # fmt: skip

    async def watch(self, who: int, task: int, on: bool, match: str | None) -> None:
        me, id = self.people[who], pick(self.model.tasks, task)
        await self.hang(me, id, "watchers/me", on, match, lambda version: self.model.watch(me, id, on, version))

    async def relate(self, who: int, task: int, other: int, kind: str, on: bool, match: str | None) -> None:
        me, id, other_id = self.people[who], pick(self.model.tasks, task), pick(self.model.tasks, other)
        await self.hang(me, id, f"relations/{kind}/{other_id}", on, match,
                        lambda version: self.model.relate(me, id, kind, other_id, on, version))  # fmt: skip

    async def say(self, who: int, task: int, body: str) -> None:
        me, id = self.people[who], pick(self.model.tasks, task)
        answer = await self.ask(me, "POST", f"/v1/tasks/{id}/comments", {"body": body})
        self.check(answer, 201, lambda given: self.model.add_comment(me, id, {"body": body}, given))

    async def say_otherwise(self, who: int, comment: int, body: str, match: str | None) -> None:
        me, id = self.people[who], pick(self.model.comments, comment)
        headers, version = self.matching(match, self.model.comments.get(id))
        answer = await self.ask(me, "PATCH", f"/v1/comments/{id}", {"body": body}, **headers)
        self.check(answer, 200, lambda given: self.model.update_comment(me, id, {"body": body}, version))

    async def unsay(self, who: int, comment: int, match: str | None) -> None:
        me, id = self.people[who], pick(self.model.comments, comment)
        headers, version = self.matching(match, self.model.comments.get(id))
        answer = await self.ask(me, "DELETE", f"/v1/comments/{id}", **headers)
        self.check(answer, 204, lambda given: self.model.delete_comment(me, id, version))

    async def move(
        self, who: int, task: int, status: str | None, project: int | None, side: str | None, other: int
    ) -> None:
        me, id = self.people[who], pick(self.model.tasks, task)
        wishes = {
            "status": status,
            "project_id": None if project is None else pick(self.model.projects, project),
            **({side: pick(self.model.tasks, other)} if side else {}),
        }
        body = {name: value for name, value in wishes.items() if value is not None}
        if body:
            answer = await self.ask(me, "POST", f"/v1/tasks/{id}/move", body)
            places = await self.places(me, id, answer)
            self.check(answer, 200, lambda given: self.model.move(me, id, body, places))

    async def places(self, me: str, id: str, answer: Told) -> Mapping[str, str]:
        """Where a task stands and all below it."""
        if answer.status != 200:
            return defaultdict(str)
        below = [(await self.ask(me, "GET", f"/v1/tasks/{each}")).json for each in self.model.below(id)]
        return {each["id"]: each["position"] for each in [answer.json, *below]}

    async def undo(self, who: int, task: int, number: int) -> None:
        """What some member finds in a task's history."""
        me, id, entry, entry_id = self.people[who], pick(self.model.tasks, task), None, MISSING
        if id != MISSING:
            reader = next(iter(self.model.projects[self.model.tasks[id]["project_id"]].members))
            listed = (await self.ask(reader, "GET", f"/v1/tasks/{id}/activity?limit=200")).json["items"]
            ids = [each.pop("id") for each in listed]
            assert listed == self.model.history[id][::-1]
            entry, entry_id = listed[number % len(listed)], ids[number % len(ids)]
        answer = await self.ask(me, "POST", f"/v1/activity/{entry_id}/undo")
        places = await self.places(me, id, answer)
        self.check(answer, 200, lambda given: self.model.undo(me, entry, places))

    async def batch(self, who: int, operations: Sequence[Json]) -> None:
        me, wanted = self.people[who], [self.meant(each) for each in operations]
        answer = await self.ask(me, "POST", "/v1/tasks/batch", {"operations": wanted})
        results = [
            (each["status"], each["problem"]["code"] if "problem" in each else each.get("task"))
            for each in answer.json["results"]
        ]
        assert results == self.model.batch(me, wanted, answer.json)

    async def again(self, number: int, otherwise: bool) -> None:
        """The same key, for the same request or for another one."""
        me, method, path, body, headers, first = self.written[-1 - number]
        if otherwise:
            other = await self.twins.ask(me, "POST", "/v1/projects", {"name": "Other"}, **headers)
            assert (other.status, other.json["code"]) == (422, "idempotency.key_reused")
        else:
            repeated = await self.twins.ask(me, method, path, body, **headers)
            assert repeated.headers == {**first.headers, "Idempotency-Replayed": "true"}
            assert (repeated.status, repeated.json) == (first.status, first.json)

    async def look(self, who: int, query: Json, limit: int) -> None:
        await self._page(self.people[who], self.meant(query), limit, None, None)

    async def look_on(self, number: int, limit: int) -> None:
        """The next page of some list that was begun, whatever has happened since."""
        if self.begun:
            me, query, cursor, place = self.begun.pop(number % len(self.begun))
            await self._page(me, query, limit, cursor, place)

    async def _page(self, me: str, query: Json, limit: int, cursor: str | None, after: Place | None) -> None:
        behind = {"cursor": cursor} if cursor else {}
        path = f"/v1/tasks?{urlencode({**query, 'limit': limit, **behind}, doseq=True)}"
        answer = await self.ask(me, "GET", path)
        found = self.model.page(me, query, after)
        items = [task for _, task in found[:limit]]
        assert (answer.status, answer.json["items"]) == (200, items)
        assert (answer.json["next_cursor"] is not None) == (len(found) > limit)
        if len(found) > limit:
            self.begun.append((me, query, answer.json["next_cursor"], found[limit - 1][0]))

    async def follow(self, who: int, number: int) -> None:
        """All changes, and those since some of them."""
        me, told = self.people[who], itemgetter("at", "type", "project_id", "task_id", "version")
        items = (await self.ask(me, "GET", "/v1/changes?limit=200")).json["items"]
        if items:
            n = number % len(items)
            since = await self.ask(me, "GET", f"/v1/changes?since={items[n]['cursor']}&limit=2")
            assert since.json["items"] == items[n + 1 : n + 3]
            assert since.json["next_cursor"] == (items[n + 2]["cursor"] if len(items) > n + 3 else None)
        seen = [each for each in self.model.feed if self.model.role(each["project_id"], me)][:200]
        here, there = (
            {at: sorted(map(told, rows), key=str) for at, rows in groupby(each, itemgetter("at"))}
            for each in (items, seen)
        )
        assert here == there  # in what order one call changes several tasks, the model does not know

    async def end(self) -> None:
        """Everybody sees all that they should, and nothing else."""
        model = self.model
        for who, me in enumerate(self.people):
            mine = {id: each for id, each in model.projects.items() if me in each.members}
            listed = (await self.ask(me, "GET", "/v1/projects")).json["items"]
            assert listed == [each.shown | {"role": each.members[me]["role"]} for each in [*mine.values()][::-1]]
            for id, project in mine.items():
                labels = (await self.ask(me, "GET", f"/v1/projects/{id}/labels")).json["items"]
                assert labels == [*project.labels.values()][::-1]
                members = (await self.ask(me, "GET", f"/v1/projects/{id}/members")).json["items"]
                assert sorted(members, key=str) == sorted(project.members.values(), key=str)
            for query in ({}, {"deleted": "true"}, *({"project_id": id} for id in mine)):
                await self._page(me, {"sort": "position", **query}, 200, None, None)
            await self.follow(who, 0)
        for id, task in model.tasks.items():
            reader = next(iter(model.projects[task["project_id"]].members))
            said = (await self.ask(reader, "GET", f"/v1/tasks/{id}/comments")).json["items"]
            assert said == [each for each in model.comments.values() if each["task_id"] == id]
