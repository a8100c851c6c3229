"""What can be asked of the task actor about projects and who takes part in them, and what it tells of them."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from actors.contracts.values import Cursor, Id, Limit, Name, Text, Time
from runtime.message import Command, Event, Page, Query

ProjectRole = Literal["owner", "editor", "viewer"]
Key = Annotated[str, Meta(pattern=r"^[A-Z0-9]{2,10}$(?!\n)", description="2 to 10 of A–Z and 0–9")]


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """A project as one of its members sees it; `role` is the caller's."""

    id: Id
    name: str
    description: str
    key: str
    role: ProjectRole
    created_by: Id | None
    created_at: Time
    updated_at: Time
    version: int


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """Someone who takes part in a project."""

    user_id: Id
    name: str
    avatar_url: str | None
    role: ProjectRole
    added_at: Time


class CreateProject(Command[Project], frozen=True, kw_only=True):
    """Open a project; the caller is its owner. Refuses `project.key_taken`."""

    name: Name
    description: Text = ""
    key: Key | None = None


class ListProjects(Query[Page[Project]], frozen=True, kw_only=True):
    """The projects that the caller takes part in, newest first."""

    limit: Limit = 50
    cursor: Cursor | None = None


class SetMember(Command[Member], frozen=True, kw_only=True):
    """Let someone take part in a project, or change their role.

    Refuses `project.not_found`, `user.not_found`, `auth.forbidden` and `project.last_owner`.
    Reads the grant `person` on `user_id`.
    """

    id: Id
    user_id: Id
    role: ProjectRole


class MemberAdded(Event, frozen=True, kw_only=True):
    """Someone takes part in a project now."""

    consumers: ClassVar[tuple[str, ...]] = ("notify",)

    project_id: Id
    project_name: str = ""
    user_id: Id
    role: ProjectRole
    actor_id: Id | None
    at: Time
