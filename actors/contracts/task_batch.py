"""What can be asked of the task actor about many tasks at once."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from actors.contracts.task import Task
from runtime.message import Command

OPERATIONS: Final = ("create", "update", "delete")

# its fields depend on `op`, and what is wrong with one operation is no fault of the others: the actor looks at each
Operation = Annotated[
    dict[str, Any],
    Meta(
        description="an object with `op`; `id`, but for `create`; and the fields of CreateTask or UpdateTask",
        extra_json_schema={
            "properties": {"op": {"enum": list(OPERATIONS)}, "id": {"type": "string", "format": "uuid"}},
            "required": ["op"],
        },
    ),
]


class OperationFault(msgspec.Struct, frozen=True, kw_only=True):
    """One thing wrong with an operation; `pointer` is a JSON pointer into it."""

    pointer: str
    detail: str


class OperationProblem(msgspec.Struct, frozen=True, kw_only=True, rename={"kind": "type"}):
    """Why an operation was refused, as a call of its own would say it (RFC 9457)."""

    kind: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str
    errors: list[OperationFault] | UnsetType = UNSET


class BatchResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one operation: `status` and task or problem are those that a call of its own would have."""

    status: int
    task: Task | UnsetType = UNSET
    problem: OperationProblem | UnsetType = UNSET


class BatchResults(msgspec.Struct, frozen=True, kw_only=True):
    """What became of each operation, in their order."""

    results: list[BatchResult]


class BatchTasks(Command[BatchResults], frozen=True, kw_only=True):
    """Create, update and delete tasks, 1 to 100 at once, one after the other; what is refused stops none of the others.

    Refuses as a whole, with `request.invalid`, an unknown `op` and a missing `id`.
    """

    operations: Annotated[list[Operation], Meta(min_length=1, max_length=100, description="1 to 100 operations")]
