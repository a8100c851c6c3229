"""Text messages: the part of the notify actor that hands them over."""

from __future__ import annotations

from typing import Final

from actors.contracts.notify_text import ForgetText, SendText
from actors.records.notify import NotifyRecords
from runtime.actor import Actor, every, handles
from runtime.context import Context, OutsideContext
from runtime.message import Tick
from runtime.policy import PATIENT
from runtime.ports import Text, Texter

TEXTS_KEPT_MS: Final = 30 * 24 * 3600 * 1000


class TextMessages(Actor[NotifyRecords]):
    """Sends text messages, each once but after a crash, and no more to a number than a day's share.

    The whole sets `_texter` and `_texts_per_day`.
    """

    _texter: Texter
    _texts_per_day: int

    @handles(outside=True, retry=PATIENT)
    async def send_text(self, command: SendText, ctx: OutsideContext[NotifyRecords]) -> None:
        """Count it, hand it over, and say that it went. Beyond the day's share it is left out, and nobody is told."""
        async with ctx.step() as records:
            mine = await records.texts.begin(ctx.cause, command.number, ctx.now, per_day=self._texts_per_day)
        if not mine:
            ctx.note("no text message: its number has had the share of today")
            return
        await self._texter.send(Text(ctx.cause, command.number, command.body))
        async with ctx.finish() as records:
            await records.texts.sent(ctx.cause, ctx.now)
        ctx.note("a text message was handed over")

    @handles(outside=True, retry=PATIENT)
    async def forget_text(self, command: ForgetText, ctx: OutsideContext[NotifyRecords]) -> None:
        """What an embedded texter keeps in files."""
        await self._texter.forget(command.number)

    @every(hours=1)
    async def forget_texts(self, tick: Tick, ctx: Context[NotifyRecords]) -> None:
        """Delete what became of text messages long ago."""
        await ctx.records.texts.forget(ctx.now, kept_ms=TEXTS_KEPT_MS)
