"""What people choose to be told, by which ways and when."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from runtime.message import Command, Private, Query

EventName = Literal[
    "user_created", "task_created", "task_updated", "task_assigned", "task_completed", "task_deleted", "task_due",
    "comment_added", "mentioned", "member_added", "member_removed", "project_updated", "password_changed",
    "new_network", "import_done",
]  # fmt: skip
"""Of what can happen: the same in preferences, webhooks, live events and on the bus."""

Channel = Literal["email", "sms", "in_app"]
Ways = Annotated[list[Channel], Meta(max_length=3, description="a list of email, sms and in_app")]
TimeOfDay = Annotated[
    str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$(?!\n)", description="a time of day such as 22:00")
]
UnsubscribeToken = Annotated[str, Meta(max_length=2000, extra={"secret": True})]


class Channels(msgspec.Struct, frozen=True, kw_only=True):
    """Which ways are open at all."""

    email: bool
    sms: bool
    in_app: bool


class QuietHours(msgspec.Struct, frozen=True, kw_only=True, rename={"begin": "from", "end": "to"}):
    """From when to when, in the person's zone, mail and SMS wait; over midnight where `to` is earlier than `from`.
    Equal ones are no hours."""

    begin: TimeOfDay
    end: TimeOfDay


class Preferences(msgspec.Struct, frozen=True, kw_only=True):
    """By which ways someone is told of what. `password_changed` and `new_network` are mailed whatever stands here.

    With the daily digest, what would be mailed comes in one mail, at 8 in the morning in the person's zone.
    Text messages go to the telephone of the account, once its address is proven.
    """

    channels: Channels
    events: dict[EventName, list[Channel]]
    quiet_hours: QuietHours | None
    digest: Literal["off", "daily"]


class GetPreferences(Query[Preferences], frozen=True, kw_only=True):
    """What the caller chose, or the defaults."""


class SetPreferences(Command[Preferences], frozen=True, kw_only=True):
    """Choose all of it anew; of an event that is not named, nothing is told."""

    channels: Channels
    events: Annotated[dict[EventName, Ways], Meta(description="an object of names of events, each with a list of ways")]
    quiet_hours: QuietHours | None
    digest: Literal["off", "daily"]


class Subscription(msgspec.Struct, frozen=True, kw_only=True):
    """What someone who follows the link in a mail may unsubscribe from; `locale` is the language of the page."""

    email: Private
    events: list[EventName]
    locale: str


class GetSubscription(Query[Subscription], frozen=True, kw_only=True):
    """What a token from a mail stands for. Refuses `subscription.not_found`."""

    token: UnsubscribeToken


class Unsubscribe(Command[Subscription], frozen=True, kw_only=True):
    """No more mail of these events. Refuses `subscription.not_found`."""

    token: UnsubscribeToken
