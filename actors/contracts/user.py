"""What can be asked of the user actor, and what it tells."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from actors.contracts.values import Email, Id, Name, Time, Versions, Zone
from runtime.message import Command, Event, Grant, Private, Query, Secret

ACCESS_TOKEN_S = 600
"""How long an access token is good, in seconds."""

TOKEN_TYPE = "at+jwt"  # noqa: S105 # a media type, no secret
TOKEN_ALGORITHM = "ES256"  # noqa: S105 # likewise
CLIENT_ID = "troupe"
"""Header `typ` and `alg`, and claim `client_id`, of an access token (RFC 9068, RFC 7518)."""

Role = Literal["admin", "member"]
Status = Literal["active", "suspended"]
Locale = Annotated[
    str, Meta(pattern=r"^[a-z]{2,3}(-[A-Z]{2})?$(?!\n)", description="a language tag such as en or de-CH")
]
Phone = Annotated[
    str, Meta(pattern=r"^\+[1-9][0-9]{6,14}$(?!\n)", description="a telephone number such as +4930123456 (E.164)")
]
NewPassword = Annotated[
    str, Meta(min_length=8, max_length=256, description="8 to 256 characters", extra={"secret": True})
]
Password = Annotated[str, Meta(max_length=4096, extra={"secret": True})]


class User(msgspec.Struct, frozen=True, kw_only=True):
    """An account, as its owner and admins see it."""

    id: Id
    email: Private
    email_verified: bool
    name: Private
    role: Role
    status: Status
    locale: str
    timezone: str
    phone: Private | None
    avatar_url: str | None
    created_at: Time
    updated_at: Time
    version: int


class Tokens(msgspec.Struct, frozen=True, kw_only=True):
    """What a sign-in gives: an access token (RFC 9068) for minutes and a refresh token for days."""

    access_token: Secret
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - a word of RFC 6750
    expires_in: int
    refresh_token: Secret
    session_id: Id


class Register(Command[User], frozen=True, kw_only=True):
    """Open an account. Refuses `user.email_taken`."""

    email: Email
    password: NewPassword
    name: Name
    locale: Locale = "en"
    timezone: Zone = "UTC"


class SignIn(Command[Tokens], frozen=True, kw_only=True):
    """Open a session. Refuses `auth.invalid_credentials`, `auth.throttled` and `user.suspended`."""

    email: Annotated[str, Meta(max_length=1000, description="at most 1000 characters")]
    password: Password
    totp: Annotated[str, Meta(max_length=100, description="at most 100 characters")] | None = None


class VerifyEmail(Command[None], frozen=True, kw_only=True):
    """Prove an address with the token that was mailed to it.

    Refuses `user.token_invalid`: unknown, used, replaced, or older than 24 hours.
    """

    token: Annotated[str, Meta(max_length=1000, description="a token from a mail", extra={"secret": True})]


class ResendVerification(Command[None], frozen=True, kw_only=True):
    """Mail the caller a new token, and void the old one; a verified address needs and gets none.

    Refuses `rate.limited`: one address gets at most five such mails an hour, that of the registration included.
    """


class GetMe(Query[User], frozen=True, kw_only=True):
    """The caller's own account."""


class UpdateMe(Command[User], frozen=True, kw_only=True):
    """Change the caller's own account. Refuses `request.precondition_failed`.

    Null sets the default, of a name there is none. Reads the grant `avatar` on `avatar_media_id`: a public image of
    one's own.
    """

    name: Name | UnsetType = UNSET
    locale: Locale | UnsetType | None = UNSET
    timezone: Zone | UnsetType | None = UNSET
    phone: Phone | UnsetType | None = UNSET
    avatar_media_id: Id | UnsetType | None = UNSET
    if_match: Versions = None


class DeleteMe(Command[None], frozen=True, kw_only=True):
    """Erase the caller's account, for good: personal data goes, what they wrote stays as a deleted user's.

    Refuses `auth.invalid_credentials`, `auth.throttled`, `user.last_admin`, and `project.last_owner` while they are
    the only owner of a project with other members. Reads the grant `departure` on the caller.
    """

    changes_access: ClassVar[bool] = True

    password: Password


class VouchForPerson(Query[Grant], frozen=True, kw_only=True):
    """A grant `person` on an account that exists and is active: its value is an encoded `Person`.

    Refuses `user.not_found`.
    """

    user_id: Id


class Jwk(msgspec.Struct, frozen=True, kw_only=True):
    """A public key (RFC 7517) of the access tokens: elliptic curve P-256."""

    kid: str
    x: str
    y: str
    kty: Literal["EC"]
    crv: Literal["P-256"]
    use: Literal["sig"]
    alg: Literal["ES256"]


class Jwks(msgspec.Struct, frozen=True, kw_only=True):
    """A set of public keys (RFC 7517 section 5)."""

    keys: list[Jwk]


class GetJwks(Query[Jwks], frozen=True, kw_only=True):
    """The public keys of the access tokens, for whoever wants to verify one."""


class PublicKey(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One public key of the access tokens (RFC 7517), elliptic curve P-256."""

    kid: str
    x: str
    y: str
    kty: Literal["EC"] = "EC"
    crv: Literal["P-256"] = "P-256"
    use: Literal["sig"] = "sig"
    alg: Literal["ES256"] = "ES256"


class RotateKeys(Command[PublicKey], frozen=True, kw_only=True):
    """Make a new key for access tokens; it signs once every edge can know it, half a minute later."""

    verb: ClassVar[str] = "keys rotate"


class GetPublicKeys(Query[list[PublicKey]], frozen=True, kw_only=True):
    """The keys that access tokens in use may be signed with."""


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """What other actors may keep of an account, for display and to know that it exists."""

    id: Id
    name: Private
    active: bool
    version: int
    timezone: str = "UTC"


class Contact(msgspec.Struct, frozen=True, kw_only=True):
    """How a person can be reached, in what language and at what hours."""

    email: Private
    email_verified: bool
    locale: str
    timezone: str
    phone: Private | None = None


class UserCreated(Event, frozen=True, kw_only=True):
    """An account was opened. Messages of older processes have no `contact`."""

    consumers: ClassVar[tuple[str, ...]] = ("notify", "task")

    person: Person
    contact: Contact | None = None


class UserDeleted(Event, frozen=True, kw_only=True):
    """An account was erased: a tombstone. Whoever kept something of the person forgets it and keeps this in its place.

    :ivar version: newer than all that was ever told of the account.
    """

    consumers: ClassVar[tuple[str, ...]] = ("media", "notify", "task")

    user_id: Id
    version: int


class UserUpdated(Event, frozen=True, kw_only=True):
    """An account changed in what others keep of it, or it is told again."""

    consumers: ClassVar[tuple[str, ...]] = ("notify", "task")

    person: Person
    contact: Contact | None = None
