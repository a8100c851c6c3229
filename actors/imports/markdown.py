"""HTML that an editor made, as Markdown: in one pass, whose time grows with the text alone, however deep it is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import unescape
from typing import Final

MARKS: Final = {"strong": "**", "b": "**", "em": "*", "i": "*", "s": "~~", "del": "~~", "strike": "~~", "code": "`"}
BLOCKS: Final = {"p", "div", "table", "tr", "h1", "h2", "h3", "h4", "h5", "h6"}
SILENT: Final = {"script", "style", "head", "title"}
DEEPEST: Final = 20
"""Lists in lists that can be seen; what is deeper stands there, too."""

_TAG = re.compile(r"<(?:(/?)([a-zA-Z][a-zA-Z0-9]{0,20})([^<>]*)|![^<>]*)>")
_GIVEN = re.compile(r"""\s([a-zA-Z-]{1,30})=(?:"([^"]*)"|'([^']*)')""")
_ADDRESS = re.compile(r"(https?://|mailto:)[^\s<>()]+", re.ASCII)
_SPACE = re.compile(r"\s+")


def to_markdown(text: str) -> str:
    """A text without any tag stays as it is. Links lead to `http`, `https` and `mailto` alone."""
    writer, place = _Writer(), 0
    for tag in _TAG.finditer(text):
        writer.say(unescape(text[place : tag.start()]))
        place = tag.end()
        if tag[2] and tag[1]:
            writer.end(tag[2].lower())
        elif tag[2]:
            given = {name.lower(): unescape(one or other) for name, one, other in _GIVEN.findall(tag[3])}
            writer.begin(tag[2].lower(), given)
    if not place:
        return text
    writer.say(unescape(text[place:]))
    return writer.markdown()


class _Writer:
    def __init__(self) -> None:
        self._out: list[str] = []
        self._free = 2
        """Line feeds that the text ends with; it begins as if after an empty line."""
        self._lists: list[int | None] = []
        """Of each list around: the next number; None: it has none."""
        self._links: list[str] = []
        """Of each link around: where it leads; empty: nowhere that we would lead to."""
        self._silent = 0
        self._exact = 0
        self._quoted = 0
        self._in_mark = False
        """What was written last is the mark of an item: its first paragraph stands in its line."""

    def markdown(self) -> str:
        return "\n".join(line.rstrip() for line in "".join(self._out).split("\n")).strip()

    def begin(self, tag: str, given: Mapping[str, str]) -> None:
        if tag in MARKS:
            self._write("" if self._exact else MARKS[tag])
        elif tag in BLOCKS:
            self._block()
            self._write("#" * int(tag[1]) + " " if tag[0] == "h" else "")
        elif tag in SILENT:
            self._silent += 1
        elif tag in {"ul", "ol"}:
            self._block()
            self._lists.append(1 if tag == "ol" else None)
        elif tag == "li":
            self._item(given.get("data-checked"))
        elif tag == "blockquote":
            self._block()
            self._quoted += 1
        else:
            self._begin_special(tag, given)

    def _begin_special(self, tag: str, given: Mapping[str, str]) -> None:
        address = given.get("href" if tag == "a" else "src", "")
        address = address if _ADDRESS.fullmatch(address) else ""
        if tag == "a":
            self._links.append(address)
            self._write("[" if address else "")
        elif tag == "img":
            self._write(f"![{given.get('alt', '')}]({address})" if address else "")
        elif tag == "br":
            self._break(1)
        elif tag == "hr":
            self._block()
            self._write("---")
            self._block()
        elif tag == "pre":
            self._block()
            self._write("```")
            self._break(1)
            self._exact += 1

    def end(self, tag: str) -> None:
        if tag in MARKS:
            self._write("" if self._exact else MARKS[tag])
        elif tag in BLOCKS:
            self._block()
        elif tag in SILENT:
            self._silent = max(0, self._silent - 1)
        elif tag == "li":
            self._break(1)
            self._in_mark = False
        elif tag in {"ul", "ol"} and self._lists:
            self._lists.pop()
            self._block()
        elif tag == "blockquote" and self._quoted:
            self._break(2)
            self._quoted -= 1
        elif tag == "a" and self._links and (address := self._links.pop()):
            self._write(f"]({address})")
        elif tag == "pre" and self._exact:
            self._exact -= 1
            self._break(1)
            self._write("```")
            self._block()

    def say(self, text: str) -> None:
        if self._silent:
            return
        if not self._exact:
            text = _SPACE.sub(" ", text)
            text = text.lstrip() if self._free else text
        self._write(text)

    def _item(self, checked: str | None) -> None:
        self._break(1)
        number = self._lists[-1] if self._lists else None
        indent = "  " * min(DEEPEST, max(0, len(self._lists) - 1))
        box = {"true": "[x] ", "false": "[ ] "}.get(checked or "", "")
        self._write(f"{indent}{'-' if number is None else f'{number}.'} {box}")
        if number is not None:
            self._lists[-1] = number + 1
        self._in_mark = True

    def _write(self, text: str) -> None:
        if text:
            quote = "> " if self._quoted and self._free and text.strip("\n") else ""
            self._out.append(quote + text)
            self._free = len(text) - len(text.rstrip("\n"))
            self._in_mark = False

    def _block(self) -> None:
        self._break(1 if self._lists else 2)

    def _break(self, free: int) -> None:
        """End the line, if anything stands there; 2: and leave one free."""
        if not self._in_mark and self._free < free:
            self._out.append("\n" * (free - self._free))
            self._free = free
