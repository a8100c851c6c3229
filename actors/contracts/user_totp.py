"""What can be asked of the user actor about a second factor: time-based one-time passwords (RFC 6238)."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from actors.contracts.user import Password
from runtime.message import Command, Secret


class TotpSecret(msgspec.Struct, frozen=True, kw_only=True):
    """What an authenticator needs: the secret in base32, and the same as an address to make a QR code of."""

    secret: Secret
    otpauth_uri: Secret


class RecoveryCodes(msgspec.Struct, frozen=True, kw_only=True):
    """Each is good once in place of a code, shown this once."""

    recovery_codes: list[Secret]


class BeginTotp(Command[TotpSecret], frozen=True, kw_only=True):
    """Make a secret, which counts once a code of it was shown; one that counts already goes on until then."""


class ConfirmTotp(Command[RecoveryCodes], frozen=True, kw_only=True):
    """Let sign-ins want a code from now on. Refuses `user.totp_not_started` and `user.totp_invalid`."""

    code: Annotated[str, Meta(max_length=100, description="at most 100 characters", extra={"secret": True})]


class DisableTotp(Command[None], frozen=True, kw_only=True):
    """Let a password be enough again. Refuses `auth.invalid_credentials` and `auth.throttled`."""

    password: Password
