"""What both texters refuse."""

from __future__ import annotations

import re

from runtime.errors import Invalid
from runtime.ports import LONGEST_TEXT, Text

_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}")


def check(text: Text) -> None:
    """:raises Invalid: `text.number` or `text.body`."""
    if not _NUMBER.fullmatch(text.to):
        raise Invalid("text.number", "a text message goes to a number in E.164, such as +4930123456")
    if not 0 < len(text.body) <= LONGEST_TEXT or any("\ud800" <= each <= "\udfff" for each in text.body):
        raise Invalid("text.body", f"a text message has 1 to {LONGEST_TEXT} characters")
