"""What imported tasks are to each other, once all of them are there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from actors.contracts.task import Relation
from actors.imports.item import ImportedLink
from actors.records.imports import Counterpart
from actors.records.task import TaskRecords
from actors.records.task_row import TaskRow
from actors.task_feed import note_changes
from actors.task_relations import INVERSE
from runtime.context import Context


class _Wish(msgspec.Struct):
    """How a task is to be linked."""

    parent_id: str | None = None
    relations: list[Relation] = []


async def link(
    links: Sequence[ImportedLink],
    here: Mapping[str, Counterpart],
    import_id: str,
    records: TaskRecords,
    ctx: Context[TaskRecords],
) -> None:
    """Let tasks be below others or related to them, where this import brought the first or, of relations, either.

    What was there before keeps its parent. The board is locked.
    """
    pairs = [(each, here[each.of], here[each.other]) for each in links if each.of in here and each.other in here]
    rows = {row.id: row for row in await records.rows(sorted({task.task_id for _, *both in pairs for task in both}))}
    wishes: dict[str, _Wish] = {}
    for each, one, other in pairs:
        if each.kind == "parent":
            free = one.import_id == import_id and rows[one.task_id].parent_id is None
            if free and one.task_id not in await records.above([other.task_id]):
                wishes.setdefault(one.task_id, _Wish()).parent_id = other.task_id
        elif import_id in (one.import_id, other.import_id):
            await _relate(each, one.task_id, other.task_id, rows, wishes, records)
    await _write(wishes, records, ctx)


async def _relate(
    link: ImportedLink,
    id: str,
    other_id: str,
    rows: Mapping[str, TaskRow],
    wishes: dict[str, _Wish],
    records: TaskRecords,
) -> None:
    assert link.kind != "parent"  # noqa: S101 # these are parted before
    one, other = Relation(type=link.kind, task_id=other_id), Relation(type=INVERSE[link.kind], task_id=id)
    mine, theirs = wishes.setdefault(id, _Wish()), wishes.setdefault(other_id, _Wish())
    if one in mine.relations or one in rows[id].view().relations:
        return
    if link.kind == "blocks":
        await records.relations.lock_blocks()
        if id in await records.relations.blocked_by(other_id):  # by way of what was there before
            return
    await records.relations.add([(id, one.type, other_id), (other_id, other.type, id)])
    mine.relations = [*mine.relations, one]
    theirs.relations = [*theirs.relations, other]


async def _write(wishes: dict[str, _Wish], records: TaskRecords, ctx: Context[TaskRecords]) -> None:
    waiting = {id for id, wish in wishes.items() if wish.parent_id is not None or wish.relations}
    while waiting:
        changes = [(row, _with(row, wishes[row.id])) for row in await records.rows(sorted(waiting))]
        written = await records.change(changes)
        await note_changes([now for _, now in changes if now.id in written], records, ctx.now)
        waiting &= {row.id for row, _ in changes} - written  # someone else has changed them since they were read


def _with(row: TaskRow, wish: _Wish) -> TaskRow:
    relations = msgspec.json.encode([*row.view().relations, *wish.relations]).decode()
    parent_id = row.parent_id if wish.parent_id is None else wish.parent_id
    return msgspec.structs.replace(row, parent_id=parent_id, relations=relations, version=row.version + 1)
