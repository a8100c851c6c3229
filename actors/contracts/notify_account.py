"""What is told to the notify actor about somebody's account."""

from __future__ import annotations

from typing import Literal

from actors.contracts.values import Email, Name
from runtime.message import Command, Private, Secret


class SendReset(Command[None], frozen=True, kw_only=True):
    """Mail someone the token that lets them set a new password."""

    email: Email
    name: Name
    token: Secret
    locale: str = "en"


class ForgetMail(Command[None], frozen=True, kw_only=True):
    """Remove what is kept of mail to an address; the notify actor tells this to itself."""

    email: Private


class SendNotice(Command[None], frozen=True, kw_only=True):
    """Mail someone what happened to their account.

    :ivar detail: of a new network, which one.
    """

    kind: Literal["password_changed", "new_network"]
    email: Email
    name: Name
    detail: str = ""
    locale: str = "en"
