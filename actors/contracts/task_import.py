"""Imports: tasks that come in files from elsewhere."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from actors.contracts.values import Id, Ticket, Time, Upload
from runtime.message import Command, Event, Query

ImportFormat = Literal["github-archive", "trello", "todoist-csv", "vikunja", "csv", "troupe-json"]
ImportStatus = Literal["queued", "running", "done", "failed"]

_Short = Annotated[str, Meta(max_length=500, pattern=r"^[^\x00]*$")]
Mapping = Annotated[
    dict[_Short, _Short], Meta(max_length=1000, description="a JSON object of at most 1000 texts of 500 characters")
]
"""Names of the source → what they are here; what may stand there depends on the format."""


class ImportFault(msgspec.Struct, frozen=True, kw_only=True):
    """What could not be read; `line` is the line of the file, from 1, where it begins."""

    line: int
    detail: str


class Import(msgspec.Struct, frozen=True, kw_only=True):
    """A file on its way to become tasks; the counts are tasks.

    `total` is known once the file has been read; `skipped` were there already, or twice in the file. A dry run
    counts as the real one would. `errors` has the first 100. `project_id` is null for a dry run without one.
    """

    id: Id
    format: ImportFormat
    project_id: Id | None
    dry_run: bool
    status: ImportStatus
    done: int
    total: int
    created: int
    skipped: int
    errors: list[ImportFault]
    created_at: Time


class OpenImport(Command[Ticket], frozen=True, kw_only=True):
    """Leave to put a file into the object store. What nobody starts is swept away."""


class CancelImport(Command[None], frozen=True, kw_only=True):
    """Nothing comes of a ticket: forget it, and what was put there."""

    id: Id


class StartImport(Command[Import], frozen=True, kw_only=True):
    """Make tasks of a file of another task manager; it goes on after the answer.

    Without `project_id` a project is made, named after the source. The same source again in the same project
    creates nothing twice: what is there already stays as it is, and only what is new in the file is added.
    Numbers are kept where they are free. It fails where a project would have more tasks than it may. People are found
    among the members by their names; whoever is none stays as the author of comments alone, and nobody becomes one.
    A project without tasks gets the key of one that comes as `troupe-json`, if it is free. `mapping` says what names
    of the file are here: columns of `csv` and `todoist-csv`, lists of `trello` and buckets of `vikunja` (→ a status).
    Files of tasks come a little later than these. Refuses `project.not_found`, `auth.forbidden` and `quota.exceeded`.
    """

    upload: Upload
    format: ImportFormat
    project_id: Id | None = None
    mapping: Mapping = {}
    dry_run: bool = False


class GetImport(Query[Import], frozen=True, kw_only=True):
    """How far an import of the caller's is. Refuses `import.not_found`."""

    id: Id


class ReadImport(Command[None], frozen=True, kw_only=True):
    """Read the file and count its tasks; what the task actor tells itself."""

    id: Id


class ImportTasks(Command[None], frozen=True, kw_only=True):
    """Take the next few tasks; what the task actor tells itself. `place` is how far the import must be, in bytes."""

    id: Id
    place: int


class RemoveImportFiles(Command[None], frozen=True, kw_only=True):
    """Delete what imports that have ended have left in the object store; what the task actor tells itself.

    :param untold: also the files of their tasks, which nobody has been told of.
    :param late: also whatever has been there for so long that nobody will ask for it.
    """

    ids: list[Id]
    untold: bool = False
    late: bool = False


class FileImported(Event, frozen=True, kw_only=True):
    """A file of a task has come with an import, and waits in the object store to be taken from there.

    :param key: of the object. :param source: what tells it from other files of that task, the same in every import.
    :param user_id: who started the import, and owns it.
    """

    consumers: ClassVar[tuple[str, ...]] = ("media",)

    import_id: Id
    line: int
    task_id: Id
    user_id: Id
    source: str
    filename: str
    public: bool
    created_at: Time
    key: str


class ImportDone(Event, frozen=True, kw_only=True):
    """An import has ended: it is `done`, or has `failed`.

    :param name: of its file.
    :param user_id: who started it.
    """

    consumers: ClassVar[tuple[str, ...]] = ("notify",)

    result: Import
    name: str
    user_id: Id
    at: Time
