"""People: the part of the notify actor that keeps copies of them, and mails what concerns their accounts."""

from __future__ import annotations

from typing import Final

from actors.contracts.notify_account import ForgetMail, SendNotice, SendReset
from actors.contracts.user import Contact, Person, UserCreated, UserDeleted, UserUpdated
from actors.letters import Letters
from actors.postman import Postman
from actors.records.notify import NotifyRecords
from runtime.actor import handles
from runtime.context import Context, OutsideContext
from runtime.policy import PATIENT
from runtime.ports import Mail

DELETED: Final = "deleted user"
"""In place of the name of a person who was erased."""


class People:
    """Handlers of people and their accounts."""

    _letters: Letters
    _postman: Postman

    @handles
    async def keep_new_person(self, event: UserCreated, ctx: Context[NotifyRecords]) -> None:
        """Keep a copy, to know names and addresses."""
        if event.contact is not None:  # else an older process told it: `resync user` brings what is missing
            await ctx.records.keep_person(event.person, event.contact)

    @handles
    async def keep_changed_person(self, event: UserUpdated, ctx: Context[NotifyRecords]) -> None:
        """Likewise; an older copy never replaces a newer one."""
        if event.contact is not None:
            await ctx.records.keep_person(event.person, event.contact)

    @handles
    async def forget_person(self, event: UserDeleted, ctx: Context[NotifyRecords]) -> None:
        """Keep a tombstone in place of the copy; nobody is told anything any more."""
        known = await ctx.records.recipient(event.user_id)
        if known is not None and known.email:
            ctx.tell(ForgetMail(email=known.email))
        tombstone = Person(id=event.user_id, name=DELETED, active=False, version=event.version)
        nowhere = Contact(email="", email_verified=False, locale="en", timezone="UTC")
        await ctx.records.keep_person(tombstone, nowhere)
        await ctx.records.forget_notifications(event.user_id)

    @handles(outside=True, retry=PATIENT)
    async def send_reset(self, command: SendReset, ctx: OutsideContext[NotifyRecords]) -> None:
        """With the token that lets them set a new password."""
        await self._mail_once(self._letters.reset(ctx.cause, command.email, command.name, command.token), ctx)

    @handles(outside=True, retry=PATIENT)
    async def send_notice(self, command: SendNotice, ctx: OutsideContext[NotifyRecords]) -> None:
        """What happened to their account: always mailed, so that a thief cannot hide it."""
        await self._mail_once(
            self._letters.notice(ctx.cause, command.email, command.name, command.kind, command.detail), ctx
        )

    @handles(outside=True, retry=PATIENT)
    async def forget_mail(self, command: ForgetMail, ctx: OutsideContext[NotifyRecords]) -> None:
        """What an embedded mailer keeps in files."""
        await self._postman.forget(command.email)

    async def _mail_once(self, mail: Mail, ctx: OutsideContext[NotifyRecords]) -> None:
        """A mail whose id is that of the message: the same in every attempt, and so is the Message-ID."""
        async with ctx.step() as records:
            await records.mail_begins(mail.id, ctx.now)
        await self._send(mail, ctx)

    async def _send(self, mail: Mail, ctx: OutsideContext[NotifyRecords]) -> None:
        await self._postman.send(mail)
        async with ctx.finish() as records:
            await records.mail_sent(mail.id, ctx.now)
        ctx.note(f"mail {mail.id} handed over")  # its subject names people, and notes outlive them
