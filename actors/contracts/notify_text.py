"""Text messages that the notify actor sends."""

from __future__ import annotations

from actors.contracts.values import Id
from runtime.message import Command, Private


class SendText(Command[None], frozen=True, kw_only=True):
    """Send what somebody is told as a text message (SMS); the notify actor tells this to itself.

    The number is none of it: whoever has another one by then, or none, is not written to at the old one.
    """

    letter_id: Id


class ForgetText(Command[None], frozen=True, kw_only=True):
    """Remove what is kept of text messages to a number; the notify actor tells this to itself."""

    number: Private
