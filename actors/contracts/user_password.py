"""What can be asked of the user actor about passwords."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from actors.contracts.user import NewPassword, Password
from runtime.message import Command


class ChangePassword(Command[None], frozen=True, kw_only=True):
    """Take a new password in place of the present one; all other sessions end, API tokens stay.

    Refuses `auth.invalid_credentials` and `auth.throttled`.
    """

    changes_access: ClassVar[bool] = True

    current_password: Password
    new_password: NewPassword


class AskForReset(Command[None], frozen=True, kw_only=True):
    """Mail a token that lets a new password be set, if there is such an account; the answer does not tell.

    Refuses `rate.limited`: one address gets at most five such mails an hour.
    """

    email: Annotated[str, Meta(max_length=1000, description="at most 1000 characters")]


class ResetPassword(Command[None], frozen=True, kw_only=True):
    """Set a new password with a token from a mail; all sessions end, API tokens stay.

    Refuses `user.token_invalid`: unknown, used, replaced, or older than an hour.
    """

    changes_access: ClassVar[bool] = True

    token: Annotated[str, Meta(max_length=1000, description="a token from a mail", extra={"secret": True})]
    password: NewPassword
