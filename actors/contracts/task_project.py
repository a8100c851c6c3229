"""What can be asked of the task actor about projects and who takes part in them, and what it tells of them."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from actors.contracts.values import Cursor, Id, Limit, Name, Text, Time, Versions
from runtime.message import Command, Event, Grant, Page, Private, Query

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
    name: Private
    avatar_url: str | None
    role: ProjectRole
    added_at: Time


class CreateProject(Command[Project], frozen=True, kw_only=True):
    """Open a project; the caller is its owner. Refuses `project.key_taken` and `quota.exceeded`."""

    name: Name
    description: Text = ""
    key: Key | None = None


class ListProjects(Query[Page[Project]], frozen=True, kw_only=True):
    """The projects that the caller takes part in, newest first."""

    limit: Limit = 50
    cursor: Cursor | None = None


class GetProject(Query[Project], frozen=True, kw_only=True):
    """One project. Refuses `project.not_found`."""

    id: Id


class UpdateProject(Command[Project], frozen=True, kw_only=True):
    """Change fields of a project; null gives an optional one its default: the key is then made from the name.

    Refuses `project.not_found`, `auth.forbidden`, `project.key_taken` and `request.precondition_failed`.
    """

    id: Id
    name: Name | UnsetType = UNSET
    description: Text | UnsetType | None = UNSET
    key: Key | UnsetType | None = UNSET
    if_match: Versions = None


class DeleteProject(Command[None], frozen=True, kw_only=True):
    """Delete a project for good, with its tasks, their comments and attachments.

    Refuses `project.not_found`, `auth.forbidden` and `request.precondition_failed`.
    """

    id: Id
    if_match: Versions = None


class EraseProject(Command[None], frozen=True, kw_only=True):
    """Remove the next of a deleted project's tasks, and in the end the project; what the task actor tells itself."""

    id: Id


class VouchForProject(Query[Grant], frozen=True, kw_only=True):
    """A grant `project` on a project that the caller takes part in: its value is their role.

    Refuses `project.not_found`.
    """

    project_id: Id


class ListMembers(Query[Page[Member]], frozen=True, kw_only=True):
    """Who takes part in a project, the newest first. Refuses `project.not_found`."""

    id: Id
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


class RemoveMember(Command[None], frozen=True, kw_only=True):
    """End someone's part in a project; they are unassigned from its tasks and watch them no longer.

    Anyone may leave, owners may remove others. Refuses `project.not_found`, `auth.forbidden`, `member.not_found` and
    `project.last_owner`.
    """

    id: Id
    user_id: Id


class ProjectUpdated(Event, frozen=True, kw_only=True):
    """Fields of a project changed; `changed` names them. The role in it is that of whoever changed it."""

    consumers: ClassVar[tuple[str, ...]] = ("notify",)

    project: Project
    changed: list[str]
    actor_id: Id | None
    at: Time


class MemberAdded(Event, frozen=True, kw_only=True):
    """Someone takes part in a project now."""

    consumers: ClassVar[tuple[str, ...]] = ("notify",)

    project_id: Id
    project_name: str = ""
    user_id: Id
    role: ProjectRole
    actor_id: Id | None
    at: Time


class MemberRemoved(Event, frozen=True, kw_only=True):
    """Someone takes no part in a project any more: they left, were removed, or it was deleted."""

    consumers: ClassVar[tuple[str, ...]] = ("notify",)

    project_id: Id
    project_name: str
    user_id: Id
    actor_id: Id | None
    at: Time


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """Someone's part in a project."""

    user_id: Id
    role: ProjectRole
    added_at: Time


class MembersListed(Event, frozen=True, kw_only=True):
    """All who take part in a project, told again for copies that were lost or missed something.

    :ivar as_of: whoever is not among them took no part at that time, unless they were added after it.
    """

    consumers: ClassVar[tuple[str, ...]] = ("notify",)

    project_id: Id
    members: list[Part]
    as_of: Time
