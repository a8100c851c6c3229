"""Mails: the part of the notify actor that hands them over, each once."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Final, get_args

import msgspec

from actors.contracts.notify import SendMail, SendMails, SendVerification
from actors.contracts.notify_account import ForgetMail, SendNotice, SendReset
from actors.contracts.notify_preferences import EventName, GetSubscription, Preferences, Subscription, Unsubscribe
from actors.letters import Addressee, Letters, Paragraph
from actors.notify_telling import ALWAYS_TOLD, DEFAULTS, DIGEST, send, ways_of
from actors.phrases import phrases, title
from actors.postman import Postman
from actors.records.letter import Item, ItemRow, LetterRow
from actors.records.notify import NotifyRecords, Recipient
from runtime.actor import every, handles
from runtime.context import Context, OutsideContext
from runtime.errors import MailerAway, MessageError, NotFound, StoreAway, Unavailable
from runtime.keys import Sealer
from runtime.message import Tick, encode
from runtime.policy import PATIENT
from runtime.ports import Mail, Mailer, Raced

LETTERS: Final = 500
"""That are sent on their way in one transaction, at most."""

MAILS_KEPT_MS: Final = 30 * 24 * 3600 * 1000


class Unsubscription(msgspec.Struct, frozen=True, array_like=True):
    """What a token in a mail stands for."""

    user_id: str
    events: tuple[str, ...]


_read = msgspec.msgpack.Decoder(Unsubscription).decode


class Mails:
    """Handlers of mails. Each is written down as about to go, handed over, and written down as sent before it is the
    next one's turn: a crash sends one double at most."""

    _letters: Letters
    _mailer: Mailer
    _mail_out: Postman[Mail]
    _sealer: Sealer

    @handles(outside=True, retry=PATIENT)
    async def send_verification(self, command: SendVerification, ctx: OutsideContext[NotifyRecords]) -> None:
        """The one mail that goes to an address which is not proven yet."""
        to = Addressee(email=command.email, name=command.name, locale=command.locale)
        await self._mail_once(self._letters.verification(ctx.cause, to, command.token), ctx)

    @handles(outside=True, retry=PATIENT)
    async def send_reset(self, command: SendReset, ctx: OutsideContext[NotifyRecords]) -> None:
        """With the token that lets them set a new password."""
        to = Addressee(email=command.email, name=command.name, locale=command.locale)
        await self._mail_once(self._letters.reset(ctx.cause, to, command.token), ctx)

    @handles(outside=True, retry=PATIENT)
    async def send_notice(self, command: SendNotice, ctx: OutsideContext[NotifyRecords]) -> None:
        """What happened to their account: always mailed, so that a thief cannot hide it."""
        to = Addressee(email=command.email, name=command.name, locale=command.locale)
        await self._mail_once(self._letters.notice(ctx.cause, to, command.kind, command.detail), ctx)

    @handles(outside=True, retry=PATIENT)
    async def forget_mail(self, command: ForgetMail, ctx: OutsideContext[NotifyRecords]) -> None:
        """What an embedded mailer keeps in files."""
        await self._mailer.forget(command.email)

    @every(seconds=5)
    async def send_due(self, tick: Tick, ctx: Context[NotifyRecords]) -> None:
        """Send letters on their way whose time has come."""
        send([(id, thread, ctx) for id, thread in await ctx.records.letters.due(ctx.now, LETTERS)])

    @handles(outside=True, retry=PATIENT)
    async def send_mail(self, command: SendMail, ctx: OutsideContext[NotifyRecords]) -> None:
        """Mail a letter, if its receiver has a proven address and still wants it; raises Unavailable while they are not
        known."""
        async with ctx.step() as records:  # no query: a replica of the database may not have the letter yet
            mails, unknown = await self._begin([command.notification_id], records, ctx)
        if unknown:
            raise Unavailable("the recipient is not known yet: their account's event is on its way")
        for mail in mails:
            await self._send(mail, ctx)

    @handles(outside=True, retry=PATIENT)
    async def send_mails(self, command: SendMails, ctx: OutsideContext[NotifyRecords]) -> None:
        """Mail letters likewise. One that fails goes on by itself, to be tried again or to be a dead letter; when the
        server is away, so do those behind it."""
        try:
            async with ctx.step() as records:
                mails, left = await self._begin(command.letter_ids, records, ctx)
        except (StoreAway, Raced):
            raise
        except Exception:  # one of them cannot be made; alone, it says why
            mails, left = [], command.letter_ids
        for number, mail in enumerate(mails):
            try:
                await self._send(mail, ctx)
            except MailerAway:
                left += [each.id for each in mails[number:]]
                break
            except Exception:  # alone, it says why
                left.append(mail.id)
        for id in left:
            ctx.tell(SendMail(notification_id=id))

    @every(hours=1)
    async def forget(self, tick: Tick, ctx: Context[NotifyRecords]) -> None:
        """Delete what became of mails long ago."""
        await ctx.records.forget_mails(ctx.now - MAILS_KEPT_MS)
        await ctx.records.letters.forget(ctx.now - MAILS_KEPT_MS)

    # ------------------------------------------------------------------------------------ no more of it

    @handles
    async def get_subscription(self, query: GetSubscription, ctx: Context[NotifyRecords]) -> Subscription:
        """What the token is for. Refuses `subscription.not_found`."""
        return (await self._subscription(query.token, ctx))[1]

    @handles
    async def unsubscribe(self, command: Unsubscribe, ctx: Context[NotifyRecords]) -> Subscription:
        """Take mail out of the ways for these events; again is no error. Refuses `subscription.not_found`."""
        user_id, subscription = await self._subscription(command.token, ctx)
        chosen = await ctx.records.preferences.of(user_id) or DEFAULTS
        without = {name: [way for way in chosen.events.get(name, ()) if way != "email"] for name in subscription.events}
        await ctx.records.preferences.put(user_id, msgspec.structs.replace(chosen, events={**chosen.events, **without}))
        return subscription

    async def _subscription(self, token: str, ctx: Context[NotifyRecords]) -> tuple[str, Subscription]:
        try:
            sealed = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
            meant = _read(self._sealer.unseal(sealed))
        except (binascii.Error, ValueError, MessageError, msgspec.MsgspecError):
            raise _unknown() from None
        recipient = await ctx.records.recipient(meant.user_id)
        if recipient is None or not recipient.email:
            raise _unknown()
        events: list[EventName] = [name for name in get_args(EventName) if name in meant.events]
        return meant.user_id, Subscription(email=recipient.email, events=events, locale=recipient.locale)

    def _token(self, user_id: str, items: Sequence[ItemRow]) -> str | None:
        """None: what is in it cannot be unsubscribed from."""
        events = tuple(sorted({item.kind for item in items} - ALWAYS_TOLD.keys()))
        if not events:
            return None
        sealed = self._sealer.seal(encode(Unsubscription(user_id, events)))
        return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()

    # ------------------------------------------------------------------------------------ one mail

    async def _begin(
        self, ids: Sequence[str], records: NotifyRecords, ctx: OutsideContext[NotifyRecords]
    ) -> tuple[list[Mail], list[str]]:
        """Close letters and write down that they are about to go: their mails, but for those that went before; and the
        letters whose receivers are not known."""
        letters = sorted(await records.letters.close(ids, ctx.now), key=lambda letter: letter.id)
        people = sorted({letter.user_id for letter in letters})
        recipients = await records.recipients(people)
        readers = await records.preferences.readers(people)
        items = await records.letters.items([letter.id for letter in letters])
        known = [letter for letter in letters if letter.user_id in recipients]
        mails = [
            self._mail(letter, recipients[letter.user_id], readers[letter.user_id].preferences, items[letter.id])
            for letter in known
        ]
        wanted = [mail for mail in mails if mail is not None]
        unknown = [letter.id for letter in letters if letter.user_id not in recipients]
        if len(wanted) + len(unknown) < len(ids):
            ctx.note("no mail: there is no proven address, or it is not wanted")
        to_go = await records.mails_begin([mail.id for mail in wanted], ctx.now)
        return [mail for mail in wanted if mail.id in to_go], unknown

    def _mail(
        self, letter: LetterRow, recipient: Recipient, preferences: Preferences | None, items: Sequence[Item]
    ) -> Mail | None:
        if not (recipient.active and recipient.email_verified):
            return None
        found = [each for each in items if "email" in ways_of(preferences or DEFAULTS, each[0].kind)]
        if not found:
            return None
        told, about = phrases(recipient.locale), found[-1][0].about
        news = [
            Paragraph(headline=title(item.kind, actor_name, item.about, recipient.locale), body=item.body)
            for item, actor_name in found
        ]
        digest = letter.thread == DIGEST
        if digest:
            subject = told.digest.format(count=len(news))
        elif len(news) > 1:
            subject = told.bundle.format(count=len(news), about=about)
        else:
            subject = news[0].headline
        return self._letters.notification(
            letter.id,
            Addressee(email=recipient.email, name=recipient.name, locale=recipient.locale),
            subject,
            news,
            thread=None if digest or letter.root_id == letter.id else letter.root_id,
            token=self._token(letter.user_id, [item for item, _ in found]),
        )

    async def _mail_once(self, mail: Mail, ctx: OutsideContext[NotifyRecords]) -> None:
        """A mail whose id is that of the message: the same in every attempt, and so is the Message-ID."""
        async with ctx.step() as records:
            to_go = await records.mails_begin([mail.id], ctx.now)
        if to_go:
            await self._send(mail, ctx)

    async def _send(self, mail: Mail, ctx: OutsideContext[NotifyRecords]) -> None:
        await self._mail_out.send(mail, lambda: ctx.record(lambda records: records.mail_sent(mail.id, ctx.now)))
        ctx.note(f"mail {mail.id} handed over")  # its subject names people, and notes outlive them


def _unknown() -> NotFound:
    return NotFound("subscription.not_found", "there is nothing to unsubscribe from here")
