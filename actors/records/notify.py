"""Notifications, copies of people, and what became of each mail, as the notify actor reads and writes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from actors.contracts.notify import NotificationKind, SubjectType
from actors.contracts.user import Contact, Person
from actors.pages import After
from actors.records.letter import LetterRecords
from actors.records.live_log import LogRecords
from actors.records.news import Happening, News
from actors.records.preference import PreferenceRecords
from actors.records.texts import Texts
from actors.records.webhook import WebhookRecords
from runtime.context import Context
from runtime.ports import Session, Value


class Recipient(msgspec.Struct, frozen=True, kw_only=True):
    """What of a person decides whether and where mail and text messages go."""

    name: str
    active: bool
    email: str
    email_verified: bool
    locale: str
    phone: str | None


class NotificationRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `notification`; times are ms since the epoch.

    :param about: title of the task or name of the project or file, as it was then.
    """

    id: str
    user_id: str
    kind: NotificationKind
    about: str
    body: str
    subject_type: SubjectType
    subject_id: str
    actor_id: str | None
    created_at: int
    read_at: int | None = None


class Told(msgspec.Struct, frozen=True):
    """A notification, and the present name of the one who caused it, where they are known."""

    notification: NotificationRow
    actor_name: str | None


_COLUMNS = NotificationRow.__struct_fields__
_TOLD = ", ".join(f"n.{column}" for column in _COLUMNS) + ", a.name as actor_name"
_FROM = "from notification n left join person a on a.id = n.actor_id"


class NotifyRecords:
    """The notify actor's store.

    :ivar preferences: what people chose to be told.
    :ivar letters: mails in the making.
    :ivar webhooks: addresses that what happens is sent to.
    :ivar log: what happened, for those who listen live, and who takes part where.
    :ivar news: what people are to be told, each with the context of who says so; written before the commit, that of
        all messages of the transaction together.
    :ivar happenings: what webhooks are to be told, likewise.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self.preferences = PreferenceRecords(session)
        self.letters = LetterRecords(session)
        self.log = LogRecords(session)
        self.webhooks = WebhookRecords(session)
        self.texts = Texts(session)
        self.news: list[tuple[News, Context[NotifyRecords]]] = []
        self.happenings: list[tuple[Happening, Context[NotifyRecords]]] = []

    # ------------------------------------------------------------------------------------ people

    async def keep_person(self, person: Person, contact: Contact) -> bool:
        """False: what is kept is newer."""
        values: dict[str, Value] = {
            "id": person.id,
            "name": person.name,
            "active": int(person.active),
            "email": contact.email,
            "email_verified": int(contact.email_verified),
            "locale": contact.locale,
            "timezone": contact.timezone,
            "phone": contact.phone,
            "version": person.version,
        }
        places = ", ".join(f"${n}" for n in range(1, len(values) + 1))
        changes = ", ".join(f"{column} = excluded.{column}" for column in values)
        kept = await self._session.execute(
            f"insert into person ({', '.join(values)}) values ({places})"  # noqa: S608 # names from code
            f" on conflict (id) do update set {changes} where person.version <= excluded.version",
            *values.values(),
        )
        return bool(kept)

    async def recipient(self, id: str) -> Recipient | None:
        return (await self.recipients([id])).get(id)

    async def recipients(self, ids: Sequence[str]) -> dict[str, Recipient]:
        """Those among them who are known."""
        rows = await self._session.fetch(
            "select id, name, active, email, email_verified, locale, phone from person where id = any($1)", ids
        )
        return {
            row["id"]: Recipient(
                name=row["name"],
                active=bool(row["active"]),
                email=row["email"],
                email_verified=bool(row["email_verified"]),
                locale=row["locale"],
                phone=row["phone"],
            )
            for row in rows
        }

    # ------------------------------------------------------------------------------------ notifications

    async def add(self, notifications: Sequence[NotificationRow]) -> None:
        if notifications:
            await self._session.insert(
                "notification", _COLUMNS, [msgspec.structs.astuple(each) for each in notifications]
            )

    async def page_of(self, user_id: str, *, unread: bool | None, limit: int, after: After | None) -> list[Told]:
        """Someone's notifications, newest first."""
        conditions = "n.user_id = $1"
        if unread is not None:
            conditions += f" and n.read_at is {'' if unread else 'not '}null"
        if after is not None:
            conditions += " and (n.created_at, n.id) < ($3, $4)"
        rows = await self._session.fetch(
            f"select {_TOLD} {_FROM} where {conditions} order by n.created_at desc, n.id desc limit $2",
            user_id,
            limit,
            *(after or ()),
        )
        return [_told(row) for row in rows]

    async def forget_notifications(self, user_id: str) -> None:
        """All that someone was told."""
        await self._session.execute("delete from notification where user_id = $1", user_id)

    async def unread(self, user_id: str) -> int:
        """How many of someone's notifications are unread."""
        row = await self._session.row(
            "select count(*) as unread from notification where user_id = $1 and read_at is null", user_id
        )
        return int(row["unread"]) if row else 0

    async def read(self, user_id: str, ids: Sequence[str] | None, now: int) -> None:
        """Mark someone's notifications as read, those with these ids or all; the first time stays."""
        sql = "update notification set read_at = $2 where user_id = $1 and read_at is null"
        if ids is None:
            await self._session.execute(sql, user_id, now)
        else:
            await self._session.execute(f"{sql} and id = any($3)", user_id, now, ids)

    # ------------------------------------------------------------------------------------ mails

    async def mails_begin(self, ids: Sequence[str], now: int) -> set[str]:
        """Mails are about to be handed over; the attempts of each are counted.

        :returns: those that the server has not taken in an attempt before.
        """
        known = {row["id"] for row in await self._session.fetch("select id from mail where id = any($1)", ids)}
        again = await self._session.fetch(
            "update mail set status = 'sending', attempt = attempt + 1, changed_at = $2"
            " where id = any($1) and status <> 'sent' returning id",
            sorted(known),
            now,
        )
        fresh = set(ids) - known
        await self._session.insert(
            "mail", ("id", "status", "attempt", "changed_at"), [(id, "sending", 1, now) for id in sorted(fresh)]
        )
        return fresh | {row["id"] for row in again}

    async def mail_sent(self, id: str, now: int) -> None:
        """The server has taken it."""
        await self._session.execute("update mail set status = 'sent', changed_at = $2 where id = $1", id, now)

    async def forget_mails(self, before: int) -> None:
        """Delete what has not changed since."""
        await self._session.execute("delete from mail where changed_at < $1", before)


def _told(row: Mapping[str, Any]) -> Told:
    *columns, actor_name = row.values()
    return Told(NotificationRow(**dict(zip(_COLUMNS, columns, strict=True))), actor_name)
