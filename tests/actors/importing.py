"""Somebody who imports: archives to order, and what becomes of them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from actors.contracts.task import ListTasks, Task
from actors.contracts.task_comment import ListComments
from actors.contracts.task_import import GetImport, Import, ImportFormat, OpenImport, StartImport
from actors.contracts.task_label import ListLabels
from actors.contracts.task_project import Project
from actors.contracts.values import Ticket, Upload
from edge.export_files import ExportedPiece
from edge.exports import pieces
from runtime.message import Grant
from runtime.ports import Blobs
from runtime.testing import Stage
from tests.actors.company import Company
from tests.sql import sql

DAY = "2021-10-15T09:46:01Z"


def issue(number: int, title: str = "Land", **fields: Any) -> dict[str, Any]:
    """An issue of an archive."""
    return {
        "number": number,
        "id": f"I_{number}",
        "title": title,
        "state": "OPEN",
        "author": "ada",
        "labels": [],
        "body": "",
        "createdAt": DAY,
        "updatedAt": DAY,
        "closedAt": None,
        "comments": [],
        **fields,
    }


def comment(body: str = "Yes", author: str | None = "bob", at: str = DAY) -> dict[str, Any]:
    return {"author": author, "body": body, "createdAt": at, "updatedAt": at}


def archive(*issues: Any, **members: Any) -> bytes:
    """A GitHub archive, on many lines; the issues begin on lines of their own."""
    whole = {"repo": "moon/apollo", "labels": [{"name": "bug", "color": "D73A4A"}], "issues": issues, "pulls": []}
    return json.dumps({**whole, **members}, indent=1).encode()


class Importers(Company):
    """A company with an object store for its imports."""

    def __init__(self, stage: Stage, blobs: Blobs) -> None:
        super().__init__(stage)
        self.blobs = blobs
        self._tickets: set[str] = set()

    async def ticket(self, content: bytes, caller: str | None = None) -> Ticket:
        """What the edge does before it tells the actor."""

        async def parts() -> AsyncIterator[bytes]:
            for start in range(0, len(content), 1000):
                yield content[start : start + 1000]

        ticket = await self.stage.ask(OpenImport(), caller=caller or self.ada)
        await self.blobs.put(ticket.key, parts(), content_type="application/octet-stream")
        self._tickets.add(ticket.id)
        return ticket

    async def start(
        self,
        content: bytes,
        project_id: str | None = None,
        *,
        caller: str | None = None,
        name: str = "issues.json",
        format: ImportFormat = "github-archive",
        mapping: Mapping[str, str] | None = None,
        dry_run: bool = False,
    ) -> Import:
        """Sent, and begun."""
        ticket = await self.ticket(content, caller)
        command = StartImport(
            upload=Upload(id=ticket.id, filename=name),
            format=format,
            project_id=project_id,
            mapping=dict(mapping or {}),
            dry_run=dry_run,
        )
        return await self.stage.ask(command, caller=caller or self.ada)

    async def imported(self, content: bytes, project_id: str | None = None, **how: Any) -> Import:
        """Likewise, and brought to its end."""
        begun = await self.start(content, project_id, **how)
        await self.stage.drain()
        return await self.how_far(begun, how.get("caller"))

    async def exported(self, project: Project) -> bytes:
        """The file that the edge would send to Ada, but for files of tasks."""

        async def ask(query: Any, *, grants: Sequence[Grant] = ()) -> Any:
            return await self.stage.ask(query, caller=self.ada, grants=grants)

        async def no_files(task_ids: Sequence[str]) -> AsyncIterator[ExportedPiece]:
            return
            yield

        return b"".join([piece async for piece in pieces(ask, no_files, project, "json")])

    async def how_far(self, begun: Import, caller: str | None = None) -> Import:
        return await self.stage.ask(GetImport(id=begun.id), caller=caller or self.ada)

    async def tasks_in(self, project_id: str | None, q: str | None = None) -> Sequence[Task]:
        """In the order of the board."""
        assert project_id is not None
        found: list[Task] = []
        cursor = None
        while True:
            query = ListTasks(project_id=[project_id], sort="position", limit=200, q=q, cursor=cursor)
            page = await self.stage.ask(query, caller=self.ada)
            found += page.items
            cursor = page.next_cursor
            if cursor is None:
                return found

    async def comments(self, task: Task) -> list[tuple[str, str]]:
        """Author and text, oldest first; none has an author of ours."""
        page = await self.stage.ask(ListComments(id=task.id, limit=200), caller=self.ada)
        assert {each.author_id for each in page.items} <= {None}
        return [(each.author_name, each.body) for each in page.items]

    async def labels(self, project_id: str) -> dict[str, str]:
        """Name → color."""
        page = await self.stage.ask(ListLabels(id=project_id, limit=200), caller=self.ada)
        return {each.name: each.color for each in page.items}

    async def objects(self) -> set[str]:
        """All of theirs that is in the object store."""
        return {blob.key async for blob in self.blobs.list("imports/") if blob.key.split("/")[1] in self._tickets}

    async def place(self, begun: Import) -> int:
        """How far it is, in bytes."""
        async with self.stage.dispatches["task"].store.transaction() as transaction:
            row = await sql(transaction).row("select place from import where id = $1", begun.id)
        return int(row["place"]) if row else 0
