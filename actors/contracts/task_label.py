"""What can be asked of the task actor about labels."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from actors.contracts.values import Cursor, Id, LabelName, Limit, Versions
from runtime.message import Command, Page, Query

Color = Annotated[str, Meta(pattern=r"^#[0-9A-Fa-f]{6}$(?!\n)", description="a colour as #rrggbb")]

GREY: Final = "#808080"
"""The colour of a label whose maker has chosen none."""


class Label(msgspec.Struct, frozen=True, kw_only=True):
    """A word that tasks of a project can be marked with."""

    id: Id
    project_id: Id
    name: str
    color: str
    version: int


class CreateLabel(Command[Label], frozen=True, kw_only=True):
    """Add a label to a project. Refuses `project.not_found`, `auth.forbidden` and `label.name_taken`."""

    id: Id
    name: LabelName
    color: Color = GREY


class ListLabels(Query[Page[Label]], frozen=True, kw_only=True):
    """The labels of a project, the newest first. Refuses `project.not_found`."""

    id: Id
    limit: Limit = 50
    cursor: Cursor | None = None


class UpdateLabel(Command[Label], frozen=True, kw_only=True):
    """Change a label; null gives the colour its default.

    Refuses `label.not_found`, `auth.forbidden`, `label.name_taken` and `request.precondition_failed`.
    """

    id: Id
    name: LabelName | UnsetType = UNSET
    color: Color | UnsetType | None = UNSET
    if_match: Versions = None


class DeleteLabel(Command[None], frozen=True, kw_only=True):
    """Delete a label and take it off all tasks.

    Refuses `label.not_found`, `auth.forbidden` and `request.precondition_failed`.
    """

    id: Id
    if_match: Versions = None
