"""Imports: a file goes into the object store, is converted to a line a task, and then taken a few lines at a time.

Each step is a message that the actor tells itself in the transaction of the step before, which also says how far the
import is: killed at any moment, it goes on where it was, and what comes twice is done once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from itertools import count
from pathlib import PurePosixPath
from typing import Final, Protocol

import msgspec

from actors.contracts.media import ImportedFileRefused
from actors.contracts.task_import import (
    CancelImport,
    GetImport,
    Import,
    ImportDone,
    ImportFault,
    ImportTasks,
    OpenImport,
    ReadImport,
    RemoveImportFiles,
    StartImport,
)
from actors.contracts.task_project import CreateProject
from actors.contracts.values import Ticket, rfc3339
from actors.file_names import cleaned
from actors.imports import FORMATS
from actors.imports.conversion import FAULTS, Conversion, Keep, read_line
from actors.imports.item import ImportedProject, Line, Unreadable
from actors.records.imports import ImportRow
from actors.records.task import TaskRecords
from actors.requests import caller_of
from actors.task_arrivals import bring, count_new, foresee, tasks_in
from actors.task_projects import open_project
from actors.task_quotas import Limited
from actors.task_rights import WRITERS, barred
from runtime.actor import every, handles
from runtime.context import Context, OutsideContext
from runtime.errors import Conflict, NotFound
from runtime.message import Tick
from runtime.policy import PATIENT
from runtime.ports import Blobs

TASKS: Final = 50
"""Of one step, at most."""

BYTES: Final = 128 << 10
"""Of one step, unless a single task has more."""

READ_S: Final = 5
"""Seconds that reading them may take."""

HEAD: Final = 4096
"""Bytes in which a source may name itself."""

HOUR_MS: Final = 3600 * 1000
STUCK_MS: Final = 72 * HOUR_MS
"""Longer than any step is tried again."""

LATE_MS: Final = 7 * 24 * HOUR_MS
"""Longer than anything waits in the object store: an import, or the files of its tasks for the media actor."""

GONE: Final = ImportFault(line=1, detail="the file is gone; send it again")


class ImportSettings(Protocol):
    """What imports read of the settings."""

    @property
    def import_limit(self) -> int:
        """Bytes of a file, at most."""
        ...


class Imports(Limited):
    """The part of the task actor that takes tasks from elsewhere. It tells nobody of them but who sent the file."""

    def __init__(self, *, blobs: Blobs, settings: ImportSettings) -> None:
        self._blobs = blobs
        self._import_limit = settings.import_limit

    @handles
    async def open_import(self, command: OpenImport, ctx: Context[TaskRecords]) -> Ticket:
        """Leave to put a file into the object store."""
        id = ctx.new_id()
        row = ImportRow(id=id, user_id=caller_of(ctx), created_at=ctx.now, changed_at=ctx.now)
        await ctx.records.imports.add(row)
        return Ticket(id=id, key=_file(id), limit=self._import_limit)

    @handles
    async def cancel_import(self, command: CancelImport, ctx: Context[TaskRecords]) -> None:
        """Forget a ticket of the caller's that was not used."""
        if await ctx.records.imports.drop_open(command.id, ctx.caller.id):
            ctx.tell(RemoveImportFiles(ids=[command.id]))

    @handles(outside=True)
    async def start_import(self, command: StartImport, ctx: OutsideContext[TaskRecords]) -> Import:
        """Begin; without a project one is made, unless it is a dry run.

        Refuses `project.not_found`, `auth.forbidden` and `quota.exceeded`.
        """
        caller, format = caller_of(ctx), FORMATS[command.format]
        file = cleaned(command.upload.filename)
        try:
            head = b"".join([piece async for piece in self._blobs.get(_file(command.upload.id), end=HEAD)])
        except KeyError:
            raise _no_import() from None
        async with ctx.finish() as records:
            row = await records.imports.locked(command.upload.id, "open")
            if row is None or row.user_id != caller:
                raise _no_import()
            project_id = command.project_id
            if project_id is not None:
                refusal = barred(await records.projects.role(project_id, caller), *WRITERS)
                if refusal is not None:
                    raise refusal
            elif not command.dry_run:
                name = format.title(head) or PurePosixPath(file).stem[:200]
                project_id = (await open_project(CreateProject(name=name), records.projects, ctx, self._quotas)).id
            row = msgspec.structs.replace(
                row,
                status="queued",
                changed_at=ctx.now,
                name=file,
                format=command.format,
                project_id=project_id,
                dry_run=command.dry_run,
                mapping=msgspec.json.encode(command.mapping).decode(),
            )
            await records.imports.save(row)
            ctx.tell(ReadImport(id=row.id))
        return row.view()

    @handles
    async def get_import(self, query: GetImport, ctx: Context[TaskRecords]) -> Import:
        """How far it is. Refuses `import.not_found`."""
        row = await ctx.records.imports.row(query.id)
        if row is None or row.user_id != caller_of(ctx) or row.status == "open":
            raise _no_import()
        return row.view()

    # ------------------------------------------------------------------------------------ the steps

    @handles(outside=True, retry=PATIENT)
    async def read_import(self, command: ReadImport, ctx: OutsideContext[TaskRecords]) -> None:
        """Convert the file. What cannot be read ends the import before anything is made."""
        async with ctx.step() as records:
            row = await records.imports.locked(command.id, "queued", "running")
            if row is None:
                return
            await records.imports.save(msgspec.structs.replace(row, status="running", changed_at=ctx.now))
        conversion = Conversion(
            FORMATS[row.format],
            msgspec.json.decode(row.mapping),
            comments=self._quotas.comments_per_task,
            keep=None if row.dry_run else self._keep(row.id),
        )
        unreadable = None
        try:
            pieces = conversion.lines(lambda: self._blobs.get(_file(command.id)))
            await self._blobs.put(_lines(row.id), pieces, content_type="application/jsonl")
        except Unreadable as error:
            unreadable = error.fault
        except KeyError:
            unreadable = GONE
        async with ctx.finish() as records:
            row = await records.imports.locked(command.id, "running")
            if row is None:
                return
            if unreadable is not None:
                await _end(row, records, ctx, unreadable)
                ctx.tell(RemoveImportFiles(ids=[row.id], untold=True))
                return
            row = msgspec.structs.replace(
                row,
                changed_at=ctx.now,
                total=conversion.total,
                done=conversion.broken + conversion.twice,
                skipped=conversion.twice,
                highest=conversion.highest,
                errors=msgspec.json.encode(conversion.faults).decode(),
            )
            await records.imports.save(row)
            ctx.tell(ImportTasks(id=row.id, place=0))

    @handles(retry=PATIENT)
    async def import_tasks(self, command: ImportTasks, ctx: Context[TaskRecords]) -> None:
        """Take the next tasks, while who began it may still write to the project; at the end emits ImportDone.

        Its few lines are read inside the transaction, before anything is locked: what holds no lease is taken up at
        once when its process is killed.
        """
        failure: ImportFault | None = None
        lines: Sequence[Line] = ()
        place = command.place
        try:
            async with asyncio.timeout(READ_S):
                lines, place = await self._next(command)
        except KeyError:
            failure = GONE
        records = ctx.records
        row = await records.imports.locked(command.id, "running")
        if row is None or row.place != command.place:
            return
        if row.project_id is not None:
            if any(isinstance(line, ImportedProject) for line in lines):
                await records.projects.hold(row.project_id)  # before its board, as everybody does
            refusal = barred(await records.projects.role(row.project_id, row.user_id), *WRITERS)
            failure = failure if refusal is None else ImportFault(line=1, detail=refusal.detail)
        if failure is None and (refusal := await self._full(lines, row, records)) is not None:
            failure = ImportFault(line=tasks_in(lines)[0].line, detail=refusal.detail)
        if failure is not None or not lines:
            await _end(row, records, ctx, failure)
            return
        if row.dry_run or row.project_id is None:
            brought = await foresee(lines, row.project_id, records, self._quotas)
        else:
            brought = await bring(lines, row, row.project_id, records, ctx, self._quotas)
        tasks = len(tasks_in(lines))
        faults = [*row.view().errors, *brought.faults][:FAULTS]
        row = msgspec.structs.replace(
            row,
            changed_at=ctx.now,
            place=place,
            spot=brought.spot,
            done=row.done + tasks,
            created=row.created + brought.created,
            skipped=row.skipped + tasks - brought.created,
            errors=msgspec.json.encode(faults).decode(),
        )
        await records.imports.save(row)
        ctx.tell(ImportTasks(id=row.id, place=place))

    @handles
    async def tell_of_refused_file(self, event: ImportedFileRefused, ctx: Context[TaskRecords]) -> None:
        """What the media actor does not take is one more error of its import, as far as there is room for it."""
        row = await ctx.records.imports.locked(event.import_id, "running", "done", "failed")
        if row is not None and len(row.view().errors) < FAULTS:
            fault = ImportFault(line=event.line, detail=f"the file {event.filename!r} is left out: {event.detail}")
            errors = msgspec.json.encode([*row.view().errors, fault]).decode()
            await ctx.records.imports.save(msgspec.structs.replace(row, errors=errors))

    @handles(outside=True, retry=PATIENT)
    async def remove_import_files(self, command: RemoveImportFiles, ctx: OutsideContext[TaskRecords]) -> None:
        """Delete what is not needed any more."""
        keys = [key(id) for id in command.ids for key in (_file, _lines)]
        for prefix in map(_files, command.ids if command.untold else ()):
            keys += [blob.key async for blob in self._blobs.list(prefix)]
        if command.late:
            keys += [blob.key async for blob in self._blobs.list("imports/") if blob.modified_at < ctx.now - LATE_MS]
        await self._blobs.delete(keys)

    @every(minutes=10)
    async def sweep_imports(self, tick: Tick, ctx: Context[TaskRecords]) -> None:
        """Give up files that nobody began with, and imports that stand still although every try was made."""
        imports = ctx.records.imports
        ctx.tell(RemoveImportFiles(ids=await imports.drop_stale(ctx.now - HOUR_MS), late=True))
        for id in await imports.stuck(ctx.now - STUCK_MS):
            row = await imports.locked(id, "queued", "running")
            if row is not None:
                await _end(row, ctx.records, ctx, ImportFault(line=1, detail="it could not go on; send the file again"))

    async def _full(self, lines: Sequence[Line], row: ImportRow, records: TaskRecords) -> Conflict | None:
        """Why the tasks of these find no room, if so; the project's board is locked."""
        room, coming = self._quotas.tasks_per_project, len(tasks_in(lines))
        if row.project_id is not None:
            board = (await records.projects.reserve({row.project_id: 0}))[row.project_id]
            room = await self._quotas.room(row.project_id, board, 0, records.projects)
        if row.dry_run:  # what it would have made is not there
            room -= row.created
        if coming <= room or await count_new(lines, row.project_id, records) <= room:
            return None
        return self._quotas.no_more_tasks()

    def _keep(self, id: str) -> Keep:
        """Puts files of tasks beside their import's; an attempt that comes again puts the same ones there."""
        number = count()

        async def keep(content: AsyncIterator[bytes]) -> str:
            key = f"{_files(id)}{next(number)}"
            await self._blobs.put(key, content, content_type="application/octet-stream")
            return key

        return keep

    async def _next(self, command: ImportTasks) -> tuple[Sequence[Line], int]:
        """The lines from that place on, as many as one step takes, and the place behind them.

        :raises KeyError: there is no such file.
        """
        size, key = BYTES, _lines(command.id)
        while True:
            pieces = self._blobs.get(key, start=command.place, end=command.place + size)
            content = b"".join([piece async for piece in pieces])
            lines = content.split(b"\n", TASKS)[:-1]
            if lines or len(content) < size:
                return [read_line(line) for line in lines], command.place + sum(len(line) + 1 for line in lines)
            size *= 4


async def _end(
    row: ImportRow, records: TaskRecords, ctx: Context[TaskRecords], failure: ImportFault | None = None
) -> None:
    """Say how it went, and clean up; emits ImportDone."""
    row = msgspec.structs.replace(row, status="done" if failure is None else "failed", changed_at=ctx.now)
    if failure is not None:
        errors = [failure, *row.view().errors]
        row = msgspec.structs.replace(row, errors=msgspec.json.encode(errors).decode())
    await records.imports.save(row)
    ctx.emit(ImportDone(result=row.view(), name=row.name, user_id=row.user_id, at=rfc3339(ctx.now)))
    ctx.tell(RemoveImportFiles(ids=[row.id]))


def _file(id: str) -> str:
    """Of the object that holds a file as it came; nothing that a client chose is in it."""
    return f"imports/{id}/file"


def _lines(id: str) -> str:
    """Of the object that holds what has been made of it, a `Line` a line."""
    return f"imports/{id}/lines"


def _files(id: str) -> str:
    """How keys of objects begin that hold files of its tasks, until the media actor takes them."""
    return f"imports/{id}/files/"


def _no_import() -> NotFound:
    return NotFound("import.not_found", "there is no such import")
