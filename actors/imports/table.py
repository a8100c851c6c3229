"""Tables (CSV, RFC 4180): a line a task, under a header of names of Task's fields, or of those that a mapping names.

Labels and assignees are names, joined with `;`; a `parent_id` is the `id` of another line. The separator is whichever
of comma, semicolon and tab the header has most of.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from actors.contracts.task import Priority, TaskStatus
from actors.contracts.task_import import ImportFault
from actors.contracts.values import TimeIn
from actors.imports.cleaning import known_by, one_line, plain_text, when, words
from actors.imports.csv_lines import cells, lines, plain
from actors.imports.item import Found, ImportedTask, Pieces, Unreadable


class _Row(msgspec.Struct, frozen=True):
    """The cells that say something, by field."""

    title: str
    id: str | None = None
    number: Annotated[int, Meta(ge=1, le=1_000_000_000)] | None = None
    description: str = ""
    status: TaskStatus = "todo"
    priority: Priority = 0
    labels: str = ""
    assignees: str = ""
    parent_id: str | None = None
    start_at: TimeIn | None = None
    due_at: TimeIn | None = None
    estimate_minutes: Annotated[int, Meta(ge=0, le=100_000)] | None = None
    created_at: TimeIn | None = None
    updated_at: TimeIn | None = None
    completed_at: TimeIn | None = None


FIELDS: Final = _Row.__struct_fields__


def title(head: bytes) -> str | None:
    """A table has no name."""
    return None


async def read(pieces: Pieces, mapping: Mapping[str, str]) -> AsyncIterator[Found]:
    """:param mapping: column → field. :raises Unreadable: no table, or one without titles."""
    columns: Sequence[str | None] | None = None
    delimiter = ","
    same: Counter[str] = Counter()
    async for line, text in lines(pieces()):
        if columns is None:
            delimiter = max(",;\t", key=text.count)
            columns = _columns(cells(text, delimiter, line), mapping)
        else:
            yield _read(line, text, delimiter, columns, same)
    if columns is None:
        raise Unreadable(1, "there is no header in this file")


def _columns(header: Sequence[str], mapping: Mapping[str, str]) -> Sequence[str | None]:
    """The field of each column; None for those that are none of ours."""
    if unknown := [field for field in mapping.values() if field not in FIELDS]:
        raise Unreadable(1, f"the mapping names {unknown[0]!r}, which is no field; there are: {', '.join(FIELDS)}")
    if missing := [column for column in mapping if column not in header]:
        raise Unreadable(1, f"there is no column {missing[0]!r}, which the mapping names")
    mapped = set(mapping.values())
    own = ((column, column.strip().lower()) for column in header)
    columns = [mapping.get(column, name if name in FIELDS and name not in mapped else None) for column, name in own]
    if "title" not in columns:
        raise Unreadable(1, "there is no column 'title' in this file")
    if twice := [name for name, count in Counter(filter(None, columns)).items() if count > 1]:
        raise Unreadable(1, f"there is more than one column for {twice[0]!r}")
    return columns


def _read(
    line: int, text: str, delimiter: str, columns: Sequence[str | None], same: Counter[str]
) -> ImportedTask | ImportFault:
    """The task, or what keeps the line from being one. :param same: how often each title has come."""
    try:
        row = cells(text, delimiter, line)
        if len(row) > len(columns):
            return ImportFault(line=line, detail=f"there are {len(row)} cells, but {len(columns)} columns")
        fields = {name: plain(cell) for name, cell in zip(columns, row, strict=False) if name and cell.strip()}
        task = _task(msgspec.convert(fields, _Row, strict=False), same)
        return msgspec.structs.replace(task, line=line)
    except Unreadable as error:
        return error.fault
    except ValueError as error:  # msgspec.ValidationError is one
        return ImportFault(line=line, detail=one_line(str(error).replace("`", "'").replace("$.", ""), 300))


def _task(row: _Row, same: Counter[str]) -> ImportedTask:
    title = one_line(row.title, 500)
    if not title:
        raise ValueError("the title says nothing")
    same[title] += 1
    times: dict[str, Any] = {
        name: when(getattr(row, name)) for name in ("start_at", "due_at", "created_at", "updated_at", "completed_at")
    }
    return ImportedTask(
        source=_source(row, title, same[title]),
        number=row.number,
        title=title,
        description=plain_text(row.description),
        status=row.status,
        priority=row.priority,
        estimate_minutes=row.estimate_minutes,
        labels=words(row.labels.split(";")),
        assignees=[(name,) for each in row.assignees.split(";") if (name := one_line(each.strip(), 200))],
        parent=None if row.parent_id is None else _known(row.parent_id),
        **times,
    )


def _source(row: _Row, title: str, nth: int) -> str:
    """By its id or number; else it is the n-th with this title, also when the file has grown."""
    if row.id is not None:
        return _known(row.id)
    return known_by("csv", "number", row.number) if row.number is not None else known_by("csv", title, nth)


def _known(id: str) -> str:
    return known_by("csv", "id", id)
