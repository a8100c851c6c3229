"""Text messages that the notify actor sends."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from runtime.message import Command

PhoneNumber = Annotated[str, Meta(pattern=r"^\+[1-9][0-9]{6,14}$(?!\n)", extra={"secret": True})]
TextBody = Annotated[str, Meta(min_length=1, max_length=1600, extra={"secret": True})]


class SendText(Command[None], frozen=True, kw_only=True):
    """Send a text message (SMS), unless its number got its share of the day already; told to itself.

    :ivar number: E.164; it and the text are sealed wherever they are stored.
    """

    number: PhoneNumber
    body: TextBody


class ForgetText(Command[None], frozen=True, kw_only=True):
    """Remove what is kept of text messages to a number; told to itself."""

    number: PhoneNumber
