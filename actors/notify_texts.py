"""Text messages: the part of the notify actor that hands them over.

They are letters like mails, in one line: the last thing in it, and how many there are besides. What one says, and to
which number, is settled when it goes: whoever has changed or cleared their number by then, or has been erased, is not
written to at the old one.
"""

from __future__ import annotations

from typing import Final

from actors.contracts.notify_text import ForgetText, SendText
from actors.letters import one_line
from actors.notify_telling import DEFAULTS, ways_of
from actors.phrases import title
from actors.postman import Postman
from actors.records.letter import LetterRow
from actors.records.notify import NotifyRecords
from runtime.actor import Actor, every, handles
from runtime.context import Context, OutsideContext
from runtime.errors import Unavailable
from runtime.message import Tick
from runtime.policy import PATIENT
from runtime.ports import Text, Texter

TEXTS_KEPT_MS: Final = 30 * 24 * 3600 * 1000

LONGEST: Final = 160
"""Characters of a text message: what goes as one (3GPP TS 23.038), unless it has letters that few alphabets have."""


class TextMessages(Actor[NotifyRecords]):
    """Sends text messages, each once but after a crash, and no more to a number than a day's share.

    The whole sets what it works with.
    """

    _texter: Texter
    _texts_out: Postman[Text]
    _texts_per_day: int

    @handles(outside=True, retry=PATIENT)
    async def send_text(self, command: SendText, ctx: OutsideContext[NotifyRecords]) -> None:
        """Count it, hand it over, and say that it went, if its receiver has a number and still wants it. Beyond the
        day's share it is left out, and nobody is told. Raises Unavailable while they are not known."""
        async with ctx.step() as records:  # no query: a replica of the database may not have the letter yet
            letters = await records.letters.close([command.letter_id], ctx.now)
            text = await _text(letters[0], records) if letters else None
            mine = text is not None and await records.texts.begin(
                text.id, text.to, ctx.now, per_day=self._texts_per_day
            )
        if text is None:
            ctx.note("no text message: there is no number, or it is not wanted")
            return
        if not mine:
            ctx.note("no text message: it went before, or its number has had the share of today")
            return
        await self._texts_out.send(text, lambda: ctx.record(lambda records: records.texts.sent(text.id, ctx.now)))
        ctx.note(f"text message {text.id} handed over")

    @handles(outside=True, retry=PATIENT)
    async def forget_text(self, command: ForgetText, ctx: OutsideContext[NotifyRecords]) -> None:
        """What an embedded texter keeps in files."""
        await self._texter.forget(command.number)

    @every(hours=1)
    async def forget_texts(self, tick: Tick, ctx: Context[NotifyRecords]) -> None:
        """Delete what became of text messages long ago."""
        await ctx.records.texts.forget(ctx.now, kept_ms=TEXTS_KEPT_MS)


async def _text(letter: LetterRow, records: NotifyRecords) -> Text | None:
    recipient = await records.recipient(letter.user_id)
    if recipient is None:
        raise Unavailable("the recipient is not known yet: their account's event is on its way")
    if recipient.phone is None or not (recipient.active and recipient.email_verified):
        return None
    chosen = await records.preferences.of(letter.user_id) or DEFAULTS
    items = (await records.letters.items([letter.id]))[letter.id]
    found = [each for each in items if "sms" in ways_of(chosen, each[0].kind)]
    if not found:
        return None
    item, actor_name = found[-1]
    says = one_line(f"Troupe: {title(item.kind, actor_name, item.about, recipient.locale)}")
    others = f" (+{len(found) - 1})" if len(found) > 1 else ""
    return Text(letter.id, recipient.phone, _short(says, LONGEST - len(others)) + others)


def _short(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 3].rstrip() + "..."
