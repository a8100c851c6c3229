"""People: the part of the notify actor that keeps copies of them, and knows what happened to their accounts."""

from __future__ import annotations

from typing import Final

from actors.contracts.notify_account import ForgetMail
from actors.contracts.notify_text import ForgetText
from actors.contracts.user import Contact, Person, UserCreated, UserDeleted, UserUpdated
from actors.contracts.user_notice import NewNetwork, PasswordChanged
from actors.contracts.values import rfc3339
from actors.notify_deliveries import happened
from actors.notify_telling import tell
from actors.records.news import Happening, News
from actors.records.notify import NotifyRecords
from runtime.actor import handles
from runtime.context import Context

DELETED: Final = "deleted user"
"""In place of the name of a person who was erased."""


class People:
    """Handlers of people and their accounts."""

    @handles
    async def keep_new_person(self, event: UserCreated, ctx: Context[NotifyRecords]) -> None:
        """Keep a copy, to know names and addresses."""
        person = event.person
        if event.contact is not None:  # else an older process told it: `resync user` brings what is missing
            await _keep(person, event.contact, ctx)
        happened(Happening(type="user_created", at=rfc3339(ctx.now), actor_id=person.id, user_id=person.id), ctx)

    @handles
    async def keep_changed_person(self, event: UserUpdated, ctx: Context[NotifyRecords]) -> None:
        """Likewise; an older copy never replaces a newer one."""
        if event.contact is not None:
            await _keep(event.person, event.contact, ctx)

    @handles
    async def forget_person(self, event: UserDeleted, ctx: Context[NotifyRecords]) -> None:
        """Keep a tombstone in place of the copy; nobody is told anything any more."""
        known = await ctx.records.recipient(event.user_id)
        if known is not None and known.email:
            ctx.tell(ForgetMail(email=known.email))
        tombstone = Person(id=event.user_id, name=DELETED, active=False, version=event.version)
        nowhere = Contact(email="", email_verified=False, locale="en", timezone="UTC")
        await _keep(tombstone, nowhere, ctx)
        await ctx.records.forget_notifications(event.user_id)
        await ctx.records.preferences.forget(event.user_id)
        await ctx.records.letters.forget_person(event.user_id)
        await ctx.records.log.forget_person(event.user_id)
        await ctx.records.webhooks.forget_person(event.user_id)

    @handles
    async def tell_of_password(self, event: PasswordChanged, ctx: Context[NotifyRecords]) -> None:
        """The owner of the account: it need not have been them."""
        tell(
            News(
                kind="password_changed",
                people=[event.user_id],
                actor_id=None,
                subject=("user", event.user_id),
                about="",
            ),
            ctx,
        )
        happened(Happening(type="password_changed", at=event.at, actor_id=event.user_id, user_id=event.user_id), ctx)

    @handles
    async def tell_of_network(self, event: NewNetwork, ctx: Context[NotifyRecords]) -> None:
        """Likewise."""
        tell(
            News(
                kind="new_network",
                people=[event.user_id],
                actor_id=None,
                subject=("user", event.user_id),
                about=event.network,
            ),
            ctx,
        )
        happened(Happening(type="new_network", at=event.at, actor_id=event.user_id, user_id=event.user_id), ctx)


async def _keep(person: Person, contact: Contact, ctx: Context[NotifyRecords]) -> None:
    """The copy, unless there is a newer one; nothing is kept of a number that is not theirs any more."""
    known = await ctx.records.recipient(person.id)
    kept = await ctx.records.keep_person(person, contact)
    if kept and known is not None and known.phone not in (None, contact.phone):
        ctx.tell(ForgetText(number=known.phone))
