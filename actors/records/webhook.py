"""Webhooks and what is sent to them, as the notify actor reads and writes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from actors.contracts.notify_preferences import EventName
from actors.contracts.notify_webhook import Delivery, Webhook
from actors.contracts.values import rfc3339
from actors.pages import After
from actors.records.news import Happening
from runtime.ports import Session


class WebhookRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `webhook`; times are ms since the epoch.

    :ivar secret: sealed; so is `old_secret`, which signs beside it until `old_until`.
    :ivar failing_since: when the first failure was after which nothing succeeded.
    """

    id: str
    owner_id: str
    project_id: str | None
    url: str
    events: list[EventName]
    active: bool
    secret: bytes
    old_secret: bytes | None = None
    old_until: int | None = None
    failing_since: int | None = None
    created_at: int
    version: int = 1

    def view(self) -> Webhook:
        """As its owner sees it."""
        return Webhook(
            id=self.id,
            url=self.url,
            events=self.events,
            project_id=self.project_id,
            active=self.active,
            created_at=rfc3339(self.created_at),
            version=self.version,
        )


class DeliveryRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `delivery`. :ivar body: JSON, the same in every attempt. :ivar expires_at: of the last attempt."""

    id: str
    webhook_id: str
    event: EventName
    body: str
    status: Literal["pending", "delivered", "failed"]
    attempts: int
    response_status: int | None
    created_at: int
    expires_at: int
    next_attempt_at: int | None

    def view(self) -> Delivery:
        """As its owner sees it."""
        return Delivery(
            id=self.id,
            event=self.event,
            status=self.status,
            attempts=self.attempts,
            response_status=self.response_status,
            created_at=rfc3339(self.created_at),
            next_attempt_at=None if self.next_attempt_at is None else rfc3339(self.next_attempt_at),
        )


_HOOK = WebhookRow.__struct_fields__
_HOOKS = ", ".join(f"w.{column}" for column in _HOOK)
_DELIVERY = DeliveryRow.__struct_fields__
_DELIVERIES = ", ".join(_DELIVERY)


class WebhookRecords:
    """The tables `webhook` and `delivery`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def add(self, hook: WebhookRow) -> None:
        await self._session.insert("webhook", _HOOK, [_values(hook)])

    async def count(self, owner_id: str) -> int:
        """How many someone has."""
        row = await self._session.row("select count(*) as found from webhook where owner_id = $1", owner_id)
        return int(row["found"]) if row else 0

    async def of(self, id: str, owner_id: str) -> WebhookRow | None:
        """One of someone's."""
        row = await self._session.row(
            f"select {_HOOKS} from webhook w where w.id = $1 and w.owner_id = $2",  # noqa: S608 # names from code
            id,
            owner_id,
        )
        return _hook(row) if row else None

    async def hook(self, id: str) -> WebhookRow | None:
        row = await self._session.row(f"select {_HOOKS} from webhook w where w.id = $1", id)  # noqa: S608 # likewise
        return _hook(row) if row else None

    async def page_of(self, owner_id: str, *, limit: int, after: After | None) -> list[WebhookRow]:
        """Someone's, newest first."""
        more = " and (w.created_at, w.id) < ($3, $4)" if after is not None else ""
        rows = await self._session.fetch(
            f"select {_HOOKS} from webhook w where w.owner_id = $1{more}"  # noqa: S608 # likewise
            " order by w.created_at desc, w.id desc limit $2",
            owner_id,
            limit,
            *(after or ()),
        )
        return [_hook(row) for row in rows]

    async def change(self, hook: WebhookRow) -> bool:
        """Write what its owner may change; False: somebody was faster."""
        touched = await self._session.execute(
            "update webhook set url = $2, events = $3, active = $4, failing_since = $5, version = $6"
            " where id = $1 and version = $6 - 1",
            hook.id,
            hook.url,
            msgspec.json.encode(hook.events).decode(),
            int(hook.active),
            hook.failing_since,
            hook.version,
        )
        return bool(touched)

    async def rotate(self, id: str, secret: bytes, old_until: int) -> None:
        await self._session.execute(
            "update webhook set old_secret = secret, old_until = $3, secret = $2 where id = $1", id, secret, old_until
        )

    async def delete(self, id: str) -> None:
        await self._session.execute("delete from delivery where webhook_id = $1", id)
        await self._session.execute("delete from webhook where id = $1", id)

    async def forget_person(self, owner_id: str) -> None:
        """Delete all of theirs."""
        await self._session.execute(
            "delete from delivery where webhook_id in (select id from webhook where owner_id = $1)", owner_id
        )
        await self._session.execute("delete from webhook where owner_id = $1", owner_id)

    async def listening(self, happenings: Sequence[Happening]) -> list[list[WebhookRow]]:
        """For each, the active ones that want it, and whose owner may see what happens in its project, or is concerned
        by themselves."""
        rows = await self._session.fetch(
            f"select m.project_id as seen_in, {_HOOKS} from membership m join webhook w on w.owner_id = m.user_id"  # noqa: S608 # names from code
            " where m.project_id = any($1) and m.active = 1 and w.active = 1"
            " and (w.project_id is null or w.project_id = m.project_id)"
            f" union all select null as seen_in, {_HOOKS} from webhook w where w.owner_id = any($2) and w.active = 1",
            list({each.project_id for each in happenings if each.project_id is not None}),
            list({each.user_id for each in happenings if each.user_id is not None}),
        )
        found = [(row["seen_in"], _hook(row)) for row in rows]
        return [
            list({hook.id: hook for seen_in, hook in found if _hears(hook, seen_in, each)}.values())
            for each in happenings
        ]

    # ------------------------------------------------------------------------------------ deliveries

    async def add_deliveries(self, deliveries: Sequence[DeliveryRow]) -> None:
        await self._session.insert("delivery", _DELIVERY, [msgspec.structs.astuple(each) for each in deliveries])

    async def deliveries_of(self, webhook_id: str, *, limit: int, after: After | None) -> list[DeliveryRow]:
        """Newest first."""
        more = " and (created_at, id) < ($3, $4)" if after is not None else ""
        rows = await self._session.fetch(
            f"select {_DELIVERIES} from delivery where webhook_id = $1{more}"  # noqa: S608 # names from code
            " order by created_at desc, id desc limit $2",
            webhook_id,
            limit,
            *(after or ()),
        )
        return [DeliveryRow(**row) for row in rows]

    async def due(self, now: int, leased_until: int, limit: int) -> list[str]:
        """Take deliveries whose next attempt should begin by now; of a webhook that fails, one."""
        rows = await self._session.fetch(
            "update delivery set next_attempt_at = $2 where id in (select id from ("
            "select d.id, d.next_attempt_at, w.failing_since,"
            " row_number() over (partition by d.webhook_id order by d.next_attempt_at, d.id) as place"
            " from delivery d join webhook w on w.id = d.webhook_id"
            " where d.status = 'pending' and d.next_attempt_at <= $1) waiting"
            " where failing_since is null or place = 1 order by next_attempt_at limit $3) returning id",
            now,
            leased_until,
            limit,
        )
        return [row["id"] for row in rows]

    async def begin(self, id: str, leased_until: int) -> DeliveryRow | None:
        """Count an attempt; None: there is nothing to do."""
        row = await self._session.row(
            "update delivery set attempts = attempts + 1, next_attempt_at = $2"  # noqa: S608 # names from code
            f" where id = $1 and status = 'pending' returning {_DELIVERIES}",
            id,
            leased_until,
        )
        return DeliveryRow(**row) if row else None

    async def postpone(self, id: str, until: int) -> None:
        await self._session.execute(
            "update delivery set next_attempt_at = $2 where id = $1 and status = 'pending'", id, until
        )

    async def again(self, id: str, webhook_id: str, leased_until: int, expires_at: int) -> DeliveryRow | None:
        """Make it pending once more; None: there is none."""
        row = await self._session.row(
            "update delivery set status = 'pending', next_attempt_at = $3, expires_at = $4"  # noqa: S608 # likewise
            f" where id = $1 and webhook_id = $2 returning {_DELIVERIES}",
            id,
            webhook_id,
            leased_until,
            expires_at,
        )
        return DeliveryRow(**row) if row else None

    async def succeeded(self, delivery: DeliveryRow, response_status: int) -> None:
        await self._session.execute(
            "update delivery set status = 'delivered', response_status = $2, next_attempt_at = null where id = $1",
            delivery.id,
            response_status,
        )
        await self._session.execute(
            "update webhook set failing_since = null where id = $1 and failing_since is not null", delivery.webhook_id
        )

    async def failed(self, delivery: DeliveryRow, response_status: int | None, next_at: int | None, now: int) -> int:
        """:param next_at: of the next attempt; None: there is none. :returns: since when the webhook fails."""
        await self._session.execute(
            "update delivery set status = $2, response_status = $3, next_attempt_at = $4 where id = $1",
            delivery.id,
            "failed" if next_at is None else "pending",
            response_status,
            next_at,
        )
        row = await self._session.row(
            "update webhook set failing_since = coalesce(failing_since, $2) where id = $1 returning failing_since",
            delivery.webhook_id,
            now,
        )
        return int(row["failing_since"]) if row else now

    async def switch_off(self, id: str) -> bool:
        """And give up what waits; False: it is off already."""
        touched = await self._session.execute(
            "update webhook set active = 0, version = version + 1 where id = $1 and active = 1", id
        )
        await self._session.execute(
            "update delivery set status = 'failed', next_attempt_at = null"
            " where webhook_id = $1 and status = 'pending'",
            id,
        )
        return bool(touched)

    async def forget(self, before: int) -> None:
        """Delete deliveries that were made before that."""
        await self._session.execute("delete from delivery where created_at < $1 and status <> 'pending'", before)


def _values(hook: WebhookRow) -> tuple[Any, ...]:
    events = msgspec.json.encode(hook.events).decode()
    return tuple({**msgspec.structs.asdict(hook), "events": events, "active": int(hook.active)}.values())


def _hears(hook: WebhookRow, seen_in: str | None, happening: Happening) -> bool:
    """:param seen_in: a project in which its owner takes part; None: it was found by its owner."""
    if happening.type not in hook.events:
        return False
    if seen_in is not None:
        return seen_in == happening.project_id
    return hook.owner_id == happening.user_id and hook.project_id in (None, happening.project_id)


_events = msgspec.json.Decoder(list[EventName]).decode


def _hook(row: Mapping[str, Any]) -> WebhookRow:
    values = {column: row[column] for column in _HOOK}
    return WebhookRow(**{**values, "events": _events(row["events"]), "active": bool(row["active"])})
