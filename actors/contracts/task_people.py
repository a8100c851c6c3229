"""What can be asked of the task actor about people: its word on who has to do with whom."""

from __future__ import annotations

from actors.contracts.values import Id
from runtime.message import Command, Grant, Query


class VouchForCompanion(Query[Grant], frozen=True, kw_only=True):
    """A grant `companion` on a person who shares a project with the caller; its value is empty.

    Refuses `user.not_found`.
    """

    user_id: Id


class VouchForDeparture(Query[Grant], frozen=True, kw_only=True):
    """A grant `departure` on the caller, if no project with other members would be without an owner; its value is
    empty. Refuses `project.last_owner`.
    """


class ForgetMember(Command[None], frozen=True, kw_only=True):
    """End the part that an erased person had in a project; the task actor tells this to itself."""

    project_id: Id
    user_id: Id
