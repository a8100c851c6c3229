"""Webhooks: the part of the notify actor that its owners set up and look at."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import UNSET

from actors.contracts.notify_webhook import (
    CreateWebhook,
    DeleteWebhook,
    DeliverHook,
    Delivery,
    GetWebhook,
    ListDeliveries,
    ListWebhooks,
    Redeliver,
    RotateSecret,
    UpdateWebhook,
    Webhook,
    WebhookWithSecret,
)
from actors.hook_signing import new_secret
from actors.notify_deliveries import EXPIRES_MS, LEASE_MS
from actors.pages import paged, place
from actors.records.notify import NotifyRecords
from actors.records.webhook import DeliveryRow, WebhookRow
from actors.requests import caller_of, check_match
from runtime.actor import handles
from runtime.context import Context, OutsideContext
from runtime.errors import Conflict, Fault, Invalid, NotFound
from runtime.keys import Sealer
from runtime.message import Page
from runtime.ports import Poster

OLD_SECRET_MS: Final = 24 * 3600 * 1000
"""How long a secret still signs after it was replaced."""

MOST: Final = 100
"""Webhooks of one person."""


class Webhooks:
    """Handlers of webhooks. Nobody sees those of others."""

    _poster: Poster
    _sealer: Sealer

    @handles(outside=True)
    async def create_webhook(self, command: CreateWebhook, ctx: OutsideContext[NotifyRecords]) -> WebhookWithSecret:
        """Refuses an address that is not public, `project.not_found` and `quota.exceeded`."""
        owner, project_id = caller_of(ctx), command.project_id
        if project_id is not None and ctx.granted("task", "project", project_id) is None:
            raise NotFound("project.not_found", "there is no such project")
        await self._check(command.url)
        secret = new_secret()
        hook = WebhookRow(
            id=ctx.new_id(),
            owner_id=owner,
            project_id=project_id,
            url=command.url,
            events=list(dict.fromkeys(command.events)),
            active=True,
            secret=self._sealer.seal(secret.encode()),
            created_at=ctx.now,
        )
        async with ctx.finish() as records:
            if await records.webhooks.count(owner) >= MOST:
                raise Conflict("quota.exceeded", f"nobody has more than {MOST} webhooks")
            await records.webhooks.add(hook)
        return _shown(hook, secret)

    @handles
    async def list_webhooks(self, query: ListWebhooks, ctx: Context[NotifyRecords]) -> Page[Webhook]:
        """The caller's, newest first."""
        rows = await ctx.records.webhooks.page_of(
            caller_of(ctx), limit=query.limit + 1, after=place(query, query.cursor)
        )
        return paged(query, query.limit, rows, WebhookRow.view, lambda row: (row.created_at, row.id))

    @handles
    async def get_webhook(self, query: GetWebhook, ctx: Context[NotifyRecords]) -> Webhook:
        """Refuses `webhook.not_found`."""
        return (await _own(query.id, ctx, ctx.records)).view()

    @handles(outside=True)
    async def update_webhook(self, command: UpdateWebhook, ctx: OutsideContext[NotifyRecords]) -> Webhook:
        """Refuses `webhook.not_found`, `request.precondition_failed`, and an address that is not public."""
        async with ctx.step() as records:
            await _own(command.id, ctx, records)
        if command.url is not UNSET:
            await self._check(command.url)
        async with ctx.finish() as records:
            while True:
                before = await _own(command.id, ctx, records)
                check_match(command.if_match, before.version, "webhook")
                active = before.active if command.active is UNSET else command.active is not False
                after = msgspec.structs.replace(
                    before,
                    url=before.url if command.url is UNSET else command.url,
                    events=before.events if command.events is UNSET else list(dict.fromkeys(command.events)),
                    active=active,
                    # switched on again, it has three days again
                    failing_since=None if active and not before.active else before.failing_since,
                )
                if after == before:
                    return before.view()
                after = msgspec.structs.replace(after, version=before.version + 1)
                if await records.webhooks.change(after):
                    return after.view()
                # someone else was faster: look at what they made of it

    @handles
    async def delete_webhook(self, command: DeleteWebhook, ctx: Context[NotifyRecords]) -> None:
        """With all that was sent to it. Refuses `webhook.not_found` and `request.precondition_failed`."""
        hook = await _own(command.id, ctx, ctx.records)
        check_match(command.if_match, hook.version, "webhook")
        await ctx.records.webhooks.delete(hook.id)

    @handles
    async def rotate_secret(self, command: RotateSecret, ctx: Context[NotifyRecords]) -> WebhookWithSecret:
        """Refuses `webhook.not_found`."""
        hook = await _own(command.id, ctx, ctx.records)
        secret = new_secret()
        await ctx.records.webhooks.rotate(hook.id, self._sealer.seal(secret.encode()), ctx.now + OLD_SECRET_MS)
        return _shown(hook, secret)

    @handles
    async def list_deliveries(self, query: ListDeliveries, ctx: Context[NotifyRecords]) -> Page[Delivery]:
        """Newest first. Refuses `webhook.not_found`."""
        hook = await _own(query.id, ctx, ctx.records)
        rows = await ctx.records.webhooks.deliveries_of(
            hook.id, limit=query.limit + 1, after=place(query, query.cursor)
        )
        return paged(query, query.limit, rows, DeliveryRow.view, lambda row: (row.created_at, row.id))

    @handles
    async def redeliver(self, command: Redeliver, ctx: Context[NotifyRecords]) -> Delivery:
        """Also where the webhook is off: its owner tries it out.

        Refuses `webhook.not_found` and `delivery.not_found`.
        """
        hook = await _own(command.id, ctx, ctx.records)
        again = await ctx.records.webhooks.again(command.delivery_id, hook.id, ctx.now + LEASE_MS, ctx.now + EXPIRES_MS)
        if again is None:
            raise NotFound("delivery.not_found", "there is no such delivery")
        ctx.tell(DeliverHook(delivery_id=again.id))
        return again.view()

    async def _check(self, url: str) -> None:
        try:
            await self._poster.check(url)
        except Invalid as refusal:
            fault = Fault("/url", refusal.detail)
            raise Invalid("request.invalid", "nothing can be sent to this address", faults=(fault,)) from None


def _shown(hook: WebhookRow, secret: str) -> WebhookWithSecret:
    return WebhookWithSecret(**msgspec.structs.asdict(hook.view()), secret=secret)


async def _own(id: str, ctx: Context[NotifyRecords], records: NotifyRecords) -> WebhookRow:
    hook = await records.webhooks.of(id, caller_of(ctx))
    if hook is None:
        raise NotFound("webhook.not_found", "there is no such webhook")
    return hook
