"""What can be asked of the task actor by whoever wants to measure it."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from actors.contracts.values import Id
from runtime.message import Command, Progress

SOMEBODY = "00000000-0000-7000-8000-000000000001"
"""Who takes part in all projects that are made for measuring, unless it is somebody else."""


class Seed(Command[Progress], frozen=True, kw_only=True):
    """Make projects and tasks to measure with, the same ones every time. Nobody is told of them.

    A part of them a time: see `Progress`. Refuses `project.key_taken` when its owner has them already.

    :param largest: tasks of the largest project; the others have equally many each.
    :param owner: who takes part in all projects; also an id that no account has.
    :param done: tasks that are there already, of a seed that was cut short.
    """

    verb: ClassVar[str] = "seed --tasks --projects --largest --owner --done"

    tasks: Annotated[int, Meta(ge=1, le=100_000_000)]
    projects: Annotated[int, Meta(ge=1, le=100_000)] = 10
    largest: Annotated[int, Meta(ge=0)] = 0
    owner: Id = SOMEBODY
    done: Annotated[int, Meta(ge=0)] = 0
