"""Imports and how far they are, and which task each thing of a source has become."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from actors.contracts.task_import import Import, ImportFault, ImportFormat
from actors.contracts.values import rfc3339
from runtime.ports import Session

NOTHING = "[]"


class ImportRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `import`; times are ms since the epoch. `open`: its file may still be on its way, of whatever format.

    :param name: of the file.
    :param mapping: JSON text.
    :param place: bytes of the converted file that are done.
    :param spot: the place on the board that is shared by those tasks of the file that say how they are sorted.
    :param highest: of the numbers in the file.
    :param errors: JSON text, a list of `ImportFault`.
    """

    id: str
    user_id: str
    status: Literal["open", "queued", "running", "done", "failed"] = "open"
    created_at: int
    changed_at: int
    name: str = ""
    format: ImportFormat = "troupe-json"
    project_id: str | None = None
    dry_run: bool = False
    mapping: str = "{}"
    place: int = 0
    spot: int | None = None
    highest: int = 0
    done: int = 0
    total: int = 0
    created: int = 0
    skipped: int = 0
    errors: str = NOTHING

    def view(self) -> Import:
        """As who started it sees it."""
        assert self.status != "open"  # noqa: S101 # nobody sees it before it begins
        return Import(
            id=self.id,
            format=self.format,
            project_id=self.project_id,
            dry_run=self.dry_run,
            status=self.status,
            done=self.done,
            total=self.total,
            created=self.created,
            skipped=self.skipped,
            errors=_faults(self.errors),
            created_at=rfc3339(self.created_at),
        )


_COLUMNS = ImportRow.__struct_fields__


class Counterpart(msgspec.Struct, frozen=True):
    """What something of a source has become.

    :param task_id: the task, which may be in the trash, or in another project by now.
    :param import_id: what brought it; None: it was here before all imports, or nobody has written it down.
    """

    task_id: str
    import_id: str | None


_FIXED = {"id", "user_id", "created_at"}
_CHANGING = tuple(column for column in _COLUMNS if column not in _FIXED)
_faults = msgspec.json.Decoder(list[ImportFault]).decode


class ImportRecords:
    """Imports, and the counterparts of what they brought."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def add(self, row: ImportRow) -> None:
        await self._session.insert("import", _COLUMNS, [_values(row)])

    async def row(self, id: str) -> ImportRow | None:
        rows = await self._session.fetch(f"select {', '.join(_COLUMNS)} from import where id = $1", id)  # noqa: S608 # constants
        return _row(rows[0].values()) if rows else None

    async def locked(self, id: str, *statuses: str) -> ImportRow | None:
        """The row, if it is in one of these; nobody else changes it until the transaction ends."""
        rows = await self._session.fetch(
            "update import set changed_at = changed_at where id = $1 and status = any($2)"  # noqa: S608 # constants
            f" returning {', '.join(_COLUMNS)}",
            id,
            statuses,
        )
        return _row(rows[0].values()) if rows else None

    async def save(self, row: ImportRow) -> None:
        """What has changed of a row that is locked."""
        places = ", ".join(f"{column} = ${n}" for n, column in enumerate(_CHANGING, 2))
        values = (getattr(row, column) for column in _CHANGING)
        sql = f"update import set {places} where id = $1"  # noqa: S608 # constants
        await self._session.execute(sql, row.id, *(int(each) if isinstance(each, bool) else each for each in values))

    async def drop_open(self, id: str, user_id: str | None) -> bool:
        """False: there is none whose file may still come, or it is another's."""
        sql = "delete from import where id = $1 and user_id = $2 and status = 'open'"
        return await self._session.execute(sql, id, user_id) == 1

    async def drop_stale(self, before: int) -> list[str]:
        """Those that were opened before and never started; their ids."""
        sql = "delete from import where status = 'open' and changed_at < $1 returning id"
        return [row["id"] for row in await self._session.fetch(sql, before)]

    async def stuck(self, before: int) -> list[str]:
        """Those that have not ended and stand still since then."""
        sql = "select id from import where status in ('queued', 'running') and changed_at < $1"
        return [row["id"] for row in await self._session.fetch(sql, before)]

    # ------------------------------------------------------------------------------------ counterparts

    async def counterparts(self, project_id: str, sources: Sequence[str]) -> Mapping[str, Counterpart]:
        """Of sources, those that have become something. A task of this project is its own: so an export of it is known
        here, whatever has happened to it since."""
        rows = await self._session.fetch(
            "select id as source, id as task_id, null as import_id from task where id = any($2) and project_id = $1"
            " union all select source, task_id, import_id from imported where project_id = $1 and source = any($2)",
            project_id,
            sources,
        )
        return {row["source"]: Counterpart(row["task_id"], row["import_id"]) for row in rows}

    async def add_counterparts(self, project_id: str, import_id: str, tasks: Sequence[tuple[str, str]]) -> None:
        """:param tasks: source and task."""
        rows = [(project_id, source, task_id, import_id) for source, task_id in tasks]
        await self._session.insert("imported", ("project_id", "source", "task_id", "import_id"), rows)

    async def numbers_taken(self, project_id: str, numbers: Sequence[int]) -> set[int]:
        """Which of these a task of the project has."""
        sql = "select number from task where project_id = $1 and number = any($2)"
        return {row["number"] for row in await self._session.fetch(sql, project_id, numbers)}


def _row(values: object) -> ImportRow:
    return msgspec.convert(dict(zip(_COLUMNS, values, strict=True)), ImportRow, strict=False)  # type: ignore[call-overload]


def _values(row: ImportRow) -> tuple[str | int | None, ...]:
    return tuple(int(each) if isinstance(each, bool) else each for each in msgspec.structs.astuple(row))
