"""Webhooks: what happens, sent to an address of the caller's choice as Standard Webhooks has it."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from actors.contracts.notify_preferences import EventName
from actors.contracts.values import Cursor, Id, Limit, Time, Versions
from runtime.message import Command, Page, Query, Secret

WebhookUrl = Annotated[
    str,
    Meta(
        max_length=2048,
        pattern=r"^[Hh][Tt][Tt][Pp][Ss]?://[^/?#@\\\x00-\x20\x7f-\xa0]+([/?#][^\\\x00-\x20\x7f-\xa0]*)?$(?!\n)",
        description="an http or https URL of at most 2048 characters without user and password",
        extra_json_schema={"format": "uri"},
    ),
]
WebhookEvents = Annotated[
    list[EventName], Meta(min_length=1, max_length=100, description="a list of at least one name of an event")
]


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    """An address that what happens is sent to. `project_id`: of that project alone; null: of all that its owner sees.

    `active` is false once it was switched off, by its owner or after three days of nothing but failures.
    """

    id: Id
    url: str
    events: list[EventName]
    project_id: Id | None
    active: bool
    created_at: Time
    version: int


class WebhookWithSecret(Webhook, frozen=True, kw_only=True):
    """Likewise, with the key that deliveries are signed with; it is not shown again."""

    secret: Secret


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One message to a webhook; its `id` is the `webhook-id` of every attempt.

    `response_status` is that of the last answer; null where there was none.
    """

    id: Id
    event: EventName
    status: Literal["pending", "delivered", "failed"]
    attempts: int
    response_status: int | None
    created_at: Time
    next_attempt_at: Time | None


class CreateWebhook(Command[WebhookWithSecret], frozen=True, kw_only=True):
    """Have what happens sent to an address.

    An address that is not public is refused. Reads the grant `project` on `project_id`; refuses `project.not_found` and
    `quota.exceeded`.
    """

    url: WebhookUrl
    events: WebhookEvents
    project_id: Id | None = None


class ListWebhooks(Query[Page[Webhook]], frozen=True, kw_only=True):
    """The caller's, newest first."""

    limit: Limit = 50
    cursor: Cursor | None = None


class GetWebhook(Query[Webhook], frozen=True, kw_only=True):
    """One of the caller's. Refuses `webhook.not_found`."""

    id: Id


class UpdateWebhook(Command[Webhook], frozen=True, kw_only=True):
    """Change a webhook, or switch it off and on; null gives `active` its default.

    Refuses `webhook.not_found` and `request.precondition_failed`.
    """

    id: Id
    url: WebhookUrl | UnsetType = UNSET
    events: WebhookEvents | UnsetType = UNSET
    active: bool | UnsetType | None = UNSET
    if_match: Versions = None


class DeleteWebhook(Command[None], frozen=True, kw_only=True):
    """Nothing is sent any more. Refuses `webhook.not_found` and `request.precondition_failed`."""

    id: Id
    if_match: Versions = None


class RotateSecret(Command[WebhookWithSecret], frozen=True, kw_only=True):
    """Sign with a new secret; the old one signs beside it for 24 hours. Refuses `webhook.not_found`."""

    id: Id


class ListDeliveries(Query[Page[Delivery]], frozen=True, kw_only=True):
    """What was sent to a webhook, or will be, newest first; 30 days are kept. Refuses `webhook.not_found`."""

    id: Id
    limit: Limit = 50
    cursor: Cursor | None = None


class Redeliver(Command[Delivery], frozen=True, kw_only=True):
    """Send it again, now. Refuses `webhook.not_found` and `delivery.not_found`."""

    id: Id
    delivery_id: Id


class DeliverHook(Command[None], frozen=True, kw_only=True):
    """Make one attempt at a delivery; the notify actor tells this to itself."""

    delivery_id: Id
