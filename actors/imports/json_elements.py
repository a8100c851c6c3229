"""Large JSON files, element by element: in memory is one element, and a piece of the file."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Collection
from typing import Any, Final, NamedTuple, TypeVar

import ijson
import msgspec
from ijson.common import ObjectBuilder

from actors.contracts.task_import import ImportFault
from actors.imports.cleaning import broken, one_line
from actors.imports.item import Unreadable

Made = TypeVar("Made")

LARGEST: Final = 8 << 20
"""Of one element, or of one text anywhere in the file: characters, and 64 for each value."""

VALUE: Final = 64

STEP: Final = 64 << 10
"""Bytes that are read before others have their turn; a few ms."""

_LINES = re.compile(rb"[^\n]*\n|[^\n]+")
_OPEN, _CLOSE = {"start_map", "start_array"}, {"end_map", "end_array"}


class Element(msgspec.Struct, frozen=True):
    """A value below the object that the file is, or below one of a list of objects.

    :param name: of the member that it is, or of the list that it is in.
    :param line: from 1, where it begins.
    :param value: None when it is too large.
    :param nth: of the objects, from 0.
    """

    name: str
    line: int
    value: Any
    too_large: bool = False
    nth: int = 0


def made_of(
    element: Element, kind: str, make: Callable[[Any], Made], *, called: str, of: type[str | int]
) -> Made | ImportFault:
    """What an element becomes, or what keeps it from being that.

    :param make: makes it of the value; raises ValueError, of which `msgspec.ValidationError` is one.
    :param called: the member that tells it from others of its kind, where it is `of` that type.
    """
    if element.too_large:
        return ImportFault(line=element.line, detail=f"this {kind} is too large")
    try:
        return make(element.value)
    except ValueError as error:
        name = element.value.get(called) if isinstance(element.value, dict) else None
        which = f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"
        if isinstance(name, of):
            which = f"{kind} {one_line(name, 50)!r}" if isinstance(name, str) else f"{kind} {name}"
        return broken(element.line, which, error)


async def elements(
    pieces: AsyncIterator[bytes],
    names: Collection[str],
    *,
    required: str | None = None,
    many: bool = False,
    apart: str | None = None,
) -> AsyncIterator[Element]:
    """The elements of the file's lists of these names, and its other members of these names, in their order.

    :param required: a list that must be there.
    :param many: the file is no object, but a list of them.
    :param apart: a list in elements, which may be long: what is in it comes one by one, before the element itself,
        which is without it then.
    :raises Unreadable: no JSON, no object, or one without that list.
    """
    # numbers as floats and without paths: the parser's way with large integers and deep nesting is not to be trusted
    events = ijson.sendable_list()
    parser = ijson.basic_parse_coro(events, use_float=True)
    picker, line, silent = _Picker(names, 2 if many else 1, apart), 1, 0
    try:
        async for part in _parts(pieces):
            parser.send(part)
            silent = 0 if events else silent + len(part)
            if silent > LARGEST:
                raise Unreadable(line, f"there is a text of more than {LARGEST} characters")
            for event, value in events:
                if (found := picker.take(event, value, line)) is not None:
                    yield found
            events.clear()
            line += part.endswith(b"\n")
        parser.close()
    except ijson.JSONError as error:
        raise Unreadable(line, f"this is not JSON: {_reason(error)}") from None
    except UnicodeDecodeError:  # invalid bytes are found before; this comes of an escape alone
        raise Unreadable(line, "this is not JSON: a text has half a surrogate pair") from None
    if many and not picker.whole_is_list:
        raise Unreadable(1, "this is no list of projects")
    if required is not None and required not in picker.lists:
        raise Unreadable(1, f"there is no list {required!r} in this file")


async def _parts(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Cut behind each line feed, so that a line's number is known; and wherever a piece ends."""
    async for piece in pieces:
        for start in range(0, len(piece), STEP):
            for part in _LINES.findall(piece[start : start + STEP]):
                yield part
            await asyncio.sleep(0)


class _Outer(NamedTuple):
    """What has been built of an element so far."""

    name: str
    builder: ObjectBuilder | None
    line: int | None
    size: int


class _Picker:
    """Follows the parser and builds what is wanted.

    :ivar lists: the names of those that have begun.
    :ivar whole_is_list: the file is a list.
    """

    def __init__(self, names: Collection[str], inside: int, apart: str | None) -> None:
        self.lists: set[str] = set()
        self.whole_is_list = False
        self._names = names
        self._apart = apart
        self._outer: _Outer | None = None
        """The element that waits while what comes apart is built."""
        self._comes_apart = False
        self._name: str | None = None
        self._depth = 0
        self._inside = inside
        """The depth in an object whose members are looked at."""
        self._around = inside
        """The depth around an element: that one for a member, one more in a list, two more for what comes apart."""
        self._nth = -1
        self._builder: ObjectBuilder | None = None
        self._line: int | None = None
        self._size = 0

    def take(self, event: str, value: Any, line: int) -> Element | None:
        """The element that ends with this event, if any does."""
        if event in _OPEN:
            if self._depth == 0:
                self.whole_is_list = event == "start_array"
            if self._depth == self._inside - 1:
                self._nth += 1
            self._depth += 1
        elif event in _CLOSE:
            self._depth -= 1
        if event == "map_key" and self._depth == self._inside:
            self._name = value if value in self._names else None
            self._around = self._inside
            return None
        if self._name is None:
            return None
        if event == "start_array" and self._depth == self._inside + 1 and self._around == self._inside:
            self.lists.add(self._name)
            self._around += 1
            return None
        if self._depth < self._around:  # the list ends
            if self._outer is None:
                self._name = None
            else:
                self._leave(self._outer)
            return None
        if self._apart is not None and self._outer is None and self._comes(event, value, self._name):
            return None
        return self._build(self._name, event, value, line)

    def _comes(self, event: str, value: Any, name: str) -> bool:
        """Whether this event begins what comes apart, and is no part of the element itself."""
        if event == "map_key" and self._depth == self._around + 1:
            self._comes_apart = value == self._apart
            return self._comes_apart
        if not self._comes_apart:
            return False
        self._comes_apart = False
        if event != "start_array":
            if self._builder is not None:  # no list: a member as any other
                self._builder.event("map_key", self._apart)
            return False
        self._outer = _Outer(name, self._builder, self._line, self._size)
        self._name, self._builder, self._line = self._apart, None, None
        self._around += 2
        return True

    def _leave(self, outer: _Outer) -> None:
        self._outer = None
        self._name, self._builder, self._line, self._size = outer
        self._around -= 2

    def _build(self, name: str, event: str, value: Any, line: int) -> Element | None:
        if self._line is None:
            self._line, self._size, self._builder = line, 0, ObjectBuilder()
        self._size += VALUE + (len(value) if isinstance(value, str) else 0)
        if self._size > LARGEST:
            self._builder = None
        if self._builder is not None:
            self._builder.event(event, value)
        if self._depth > self._around:
            return None
        builder, begun, self._builder, self._line = self._builder, self._line, None, None
        if self._around == self._inside:
            self._name = None
        built = None if builder is None else builder.value
        return Element(name, begun, built, too_large=builder is None, nth=self._nth)


def _reason(error: ijson.JSONError) -> str:
    """The first line of what the parser says; the others draw an arrow."""
    text = error.args[0] if error.args else ""
    return (text.decode(errors="replace") if isinstance(text, bytes) else str(text)).partition("\n")[0]
