"""Batches: the part of the task actor that does many things in one transaction, each as if it were alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from http import HTTPStatus
from itertools import islice
from typing import Any, Final

import msgspec

from actors.contracts.task import CreateTask, DeleteTask, Task, UpdateTask
from actors.contracts.task_batch import (
    OPERATIONS,
    BatchResult,
    BatchResults,
    BatchTasks,
    OperationFault,
    OperationProblem,
)
from actors.records.task import TaskRecords
from actors.requests import caller_of
from actors.task_changes import Wish, change_tasks
from actors.task_creation import create_tasks
from actors.task_deletion import delete_tasks
from actors.task_quotas import Limited, Quotas
from runtime.actor import handles
from runtime.context import Context, ManyContext
from runtime.errors import STATUS, Fault, Invalid, Refusal
from runtime.faults import MAX_FAULTS, fields_of, in_object

Single = CreateTask | UpdateTask | DeleteTask

_SINGLE: Final[dict[str, type[Single]]] = dict(zip(OPERATIONS, (CreateTask, UpdateTask, DeleteTask), strict=True))
_FIELDS: Final = {
    op: {name: field for name, field in fields_of(single).items() if name != "if_match"}
    for op, single in _SINGLE.items()
}
"""What an operation can have beside `op`."""


class Batches(Limited):
    """Handler of batches."""

    @handles
    async def batch(self, command: BatchTasks, ctx: Context[TaskRecords]) -> BatchResults:
        """Create, update and delete tasks, one after the other. What is refused stops none of the others.

        Refuses an unknown `op` and a missing `id` as a whole; emits what the calls for one task do.
        """
        _check(command.operations)
        read = [_read(operation) for operation in command.operations]
        await _lock(read, ctx)
        results: dict[int, BatchResult] = {}
        for stretch in _stretches(read, await _doomed(read, ctx)):
            for kind in (*_SINGLE.values(), Refusal):
                run = {n: each for n, each in stretch.items() if isinstance(each, kind)}
                results |= zip(run, await _done(list(run.values()), self._quotas, ctx), strict=True)
        return BatchResults(results=[results[n] for n in range(len(read))])


def _check(operations: Sequence[dict[str, Any]]) -> None:
    """Refuses `request.invalid` when what is wanted of some task is not known, or of which one."""
    faults = list(islice(_faults(operations), MAX_FAULTS))
    if faults:
        raise Invalid("request.invalid", "The request breaks a rule.", faults=tuple(faults))


def _faults(operations: Sequence[dict[str, Any]]) -> Iterator[Fault]:
    for n, operation in enumerate(operations):
        if "op" not in operation:
            yield Fault(f"/operations/{n}/op", "is missing")
        elif operation["op"] not in OPERATIONS:
            yield Fault(f"/operations/{n}/op", f"must be one of {', '.join(OPERATIONS)}")
        elif operation["op"] != "create" and operation.get("id") is None:
            yield Fault(f"/operations/{n}/id", "is missing")


def _read(operation: dict[str, Any]) -> Single | Refusal:
    """What the call for one task would be."""
    op = operation["op"]
    fields, creates = _FIELDS[op], op == "create"
    values = {name: value for name, value in operation.items() if name != "op"}
    faults = tuple(islice(in_object(values, fields, null_is_default=creates), MAX_FAULTS))
    if faults:
        return Invalid("request.invalid", "The operation breaks a rule.", faults=faults)
    if creates:
        values = {name: value for name, value in values.items() if value is not None}
    return msgspec.convert(values, _SINGLE[op])


async def _lock(read: Sequence[Single | Refusal], ctx: Context[TaskRecords]) -> None:
    """Lock the boards of all that is named and seen: all at once, lest two batches wait for each other's."""
    caller = caller_of(ctx)
    ids = {each.id for each in read if isinstance(each, UpdateTask | DeleteTask)}
    seen = await ctx.records.seen({(id, caller) for id in ids}) if ids else {}
    named = {each.project_id for each in read if isinstance(each, CreateTask)}
    roles = await ctx.records.projects.roles({(id, caller) for id in named}) if named else {}
    projects = {each.task.project_id for each in seen.values()} | {project_id for project_id, _ in roles}
    await ctx.records.projects.lock(projects)


async def _doomed(read: Sequence[Single | Refusal], ctx: Context[TaskRecords]) -> set[str]:
    """What would go to the trash, with all below it."""
    return await ctx.records.below([each.id for each in read if isinstance(each, DeleteTask)])


def _stretches(read: Sequence[Single | Refusal], doomed: set[str]) -> Iterator[dict[int, Single | Refusal]]:
    """Operations, by their number, of which those that create can be done first, then changes, and then deletions.

    It is another order than theirs only where nobody can tell: nothing is changed, or put below something, that a
    deletion before it may have taken away.
    """
    stretch: dict[int, Single | Refusal] = {}
    deletes = moves = False
    for n, each in enumerate(read):
        parent = getattr(each, "parent_id", None)
        if deletes and isinstance(each, CreateTask | UpdateTask):
            touched = {parent} if isinstance(each, CreateTask) else {parent, each.id}
            if moves or not doomed.isdisjoint(touched):
                yield stretch
                stretch, deletes, moves = {}, False, False
        stretch[n] = each
        deletes = deletes or isinstance(each, DeleteTask)
        moves = moves or (isinstance(each, UpdateTask) and isinstance(parent, str))  # then more is below the doomed
    yield stretch


async def _done(run: Sequence[Single | Refusal], quotas: Quotas, ctx: Context[TaskRecords]) -> list[BatchResult]:
    """:param run: all of one type."""
    creations = [each for each in run if isinstance(each, CreateTask)]
    if creations:
        many = ManyContext(ctx.records, [ctx] * len(creations), now=ctx.now, new_id=ctx.new_id)
        return [_result(each, 201) for each in await create_tasks(creations, quotas, many)]
    changes = [each for each in run if isinstance(each, UpdateTask)]
    if changes:
        wishes = [Wish.of(each, ctx) for each in changes]
        return [_result(each, 200) for each in await change_tasks(wishes, ctx.records)]
    deletions = [each for each in run if isinstance(each, DeleteTask)]
    if deletions:
        return [_result(each, 204) for each in await delete_tasks(deletions, ctx)]
    return [_result(each, 0) for each in run if isinstance(each, Refusal)]


def _result(answer: Task | Refusal | None, status: int) -> BatchResult:
    """:param status: of success."""
    if isinstance(answer, Task):
        return BatchResult(status=status, task=answer)
    if answer is None:
        return BatchResult(status=status)
    status = STATUS[answer.kind]
    problem = OperationProblem(title=HTTPStatus(status).phrase, status=status, detail=answer.detail, code=answer.code)
    if answer.faults:
        errors = [OperationFault(pointer=fault.pointer, detail=fault.detail) for fault in answer.faults]
        problem = msgspec.structs.replace(problem, errors=errors)
    return BatchResult(status=status, problem=problem)
