"""Deliveries: the part of the notify actor that sends to webhooks what happened, until it was taken or a day is over.

The delay before attempt n + 1 is min(5 · 5ⁿ⁻¹ s, 4 h), the last attempt is 24 h after the event: about ten in all. A
timer finds what is due, also after a crash: who begins an attempt leases the delivery for `LEASE_MS`. Of a webhook that
fails, one delivery is tried at a time, and a process makes no more than `AT_ONCE` attempts at once: slow receivers hold
up neither mail nor live events.
"""

from __future__ import annotations

from typing import Final

import msgspec

from actors.contracts.notify_webhook import DeliverHook
from actors.hook_signing import signed_headers
from actors.notify_log import write_down
from actors.notify_telling import tell
from actors.records.news import Happening, News
from actors.records.notify import NotifyRecords
from actors.records.webhook import DeliveryRow, WebhookRow
from runtime.actor import every, handles
from runtime.context import Context, OutsideContext
from runtime.errors import Invalid, TargetAway
from runtime.keys import Sealer
from runtime.message import Tick
from runtime.ports import Poster

LEASE_MS: Final = 60_000
EXPIRES_MS: Final = 24 * 3600 * 1000
FIRST_DELAY_MS: Final = 5_000
LONGEST_DELAY_MS: Final = 4 * 3600 * 1000
GIVES_UP_MS: Final = 3 * 24 * 3600 * 1000
"""A webhook that failed for so long is switched off."""

BUSY_MS: Final = 5_000
"""How long a delivery waits when too many are under way."""

AT_ONCE: Final = 16
DUE: Final = 200
"""Deliveries that one tick sends on their way, at most."""

KEPT_MS: Final = 30 * 24 * 3600 * 1000


def happened(happening: Happening, ctx: Context[NotifyRecords]) -> None:
    """Let everyone know who may: webhooks, and the log for those who listen."""
    ctx.records.happenings.append((happening, ctx))
    write_down(happening, ctx)


async def write_deliveries(records: NotifyRecords) -> None:
    """Of what happened in this transaction: a delivery for each webhook that wants it and may know."""
    happenings, records.happenings = records.happenings, []
    if not happenings:
        return
    listening = await records.webhooks.listening([happening for happening, _ in happenings])
    deliveries = []
    for (happening, ctx), hooks in zip(happenings, listening, strict=True):
        if not hooks:
            continue
        body = msgspec.json.encode(
            {"type": happening.type, "timestamp": happening.at, "data": msgspec.Raw(happening.data().encode())}
        ).decode()
        for hook in hooks:
            works = hook.failing_since is None  # what fails is left to the timer
            delivery = DeliveryRow(
                id=ctx.new_id(),
                webhook_id=hook.id,
                event=happening.type,
                body=body,
                status="pending",
                attempts=0,
                response_status=None,
                created_at=ctx.now,
                expires_at=ctx.now + EXPIRES_MS,
                next_attempt_at=ctx.now + (LEASE_MS if works else 0),
            )
            deliveries.append(delivery)
            if works:
                ctx.tell(DeliverHook(delivery_id=delivery.id))
    await records.webhooks.add_deliveries(deliveries)


def next_attempt(delivery: DeliveryRow, now: int) -> int | None:
    """When a delivery is tried again that has just failed; None: no more."""
    if now >= delivery.expires_at:
        return None
    delay: int = min(FIRST_DELAY_MS * 5 ** min(delivery.attempts - 1, 10), LONGEST_DELAY_MS)
    return min(now + delay, delivery.expires_at)


class Deliveries:
    """Handlers of deliveries."""

    _poster: Poster
    _sealer: Sealer
    _under_way = 0

    @every(seconds=5)
    async def deliver_due(self, tick: Tick, ctx: Context[NotifyRecords]) -> None:
        """Send deliveries on their way whose time has come."""
        for id in await ctx.records.webhooks.due(ctx.now, ctx.now + LEASE_MS, DUE):
            ctx.tell(DeliverHook(delivery_id=id))

    @every(hours=1)
    async def forget_deliveries(self, tick: Tick, ctx: Context[NotifyRecords]) -> None:
        """Delete old ones."""
        await ctx.records.webhooks.forget(ctx.now - KEPT_MS)

    @handles(outside=True)
    async def deliver(self, command: DeliverHook, ctx: OutsideContext[NotifyRecords]) -> None:
        """Make one attempt, and write down what came of it."""
        if self._under_way >= AT_ONCE:
            async with ctx.finish() as records:
                await records.webhooks.postpone(command.delivery_id, ctx.now + BUSY_MS)
            return
        async with ctx.step() as records:
            delivery = await records.webhooks.begin(command.delivery_id, ctx.now + LEASE_MS)
            hook = None if delivery is None else await records.webhooks.hook(delivery.webhook_id)
        if delivery is None or hook is None:
            ctx.note("nothing to deliver: it was taken, given up, or its webhook is gone")
            return
        self._under_way += 1
        try:
            status = await self._attempt(hook, delivery, ctx)
        finally:
            self._under_way -= 1
        if status is not None and 200 <= status < 300:
            await ctx.record(lambda records: records.webhooks.succeeded(delivery, status))
            return
        async with ctx.finish() as records:
            since = await records.webhooks.failed(delivery, status, next_attempt(delivery, ctx.now), ctx.now)
            if ctx.now - since >= GIVES_UP_MS and await records.webhooks.switch_off(hook.id):
                _tell_owner(hook, records, ctx)

    async def _attempt(self, hook: WebhookRow, delivery: DeliveryRow, ctx: OutsideContext[NotifyRecords]) -> int | None:
        """The status of the answer; None: there was none."""
        sealed = [hook.secret]
        if hook.old_secret is not None and (hook.old_until or 0) > ctx.now:
            sealed.append(hook.old_secret)
        body = delivery.body.encode()
        keys = [self._sealer.unseal(each).decode() for each in sealed]
        headers = {"content-type": "application/json", **signed_headers(delivery.id, ctx.now // 1000, body, keys)}
        try:
            return await self._poster.post(hook.url, body, headers)
        except (Invalid, TargetAway) as error:
            ctx.note(f"delivery {delivery.id}: {error.detail}")
            return None


def _tell_owner(hook: WebhookRow, records: NotifyRecords, ctx: OutsideContext[NotifyRecords]) -> None:
    news = News(
        kind="webhook_disabled",
        people=[hook.owner_id],
        actor_id=None,
        subject=("webhook", hook.id),
        about=hook.url,
    )
    tell(news, ctx, records)
