"""What the user actor tells of an account's safety."""

from __future__ import annotations

from typing import ClassVar

from actors.contracts.values import Id, Time
from runtime.message import Event, Private


class PasswordChanged(Event, frozen=True, kw_only=True):
    """An account has a new password."""

    consumers: ClassVar[tuple[str, ...]] = ("notify",)

    user_id: Id
    at: Time


class NewNetwork(Event, frozen=True, kw_only=True):
    """An account was signed in to from where it was not before. :ivar network: the client's address."""

    consumers: ClassVar[tuple[str, ...]] = ("notify",)

    user_id: Id
    network: Private
    at: Time
