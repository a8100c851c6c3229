"""What exactly is wrong with an input: all of it, for people, with JSON pointers (RFC 6901).

The fast path asks msgspec, which stops at the first fault and talks of Python's types. Only when it says no, this
walks value and type side by side.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec
from msgspec import Meta, UnsetType

from runtime.errors import Fault

Fields = Mapping[str, msgspec.structs.FieldInfo]

MAX_FAULTS = 100
"""Faults that are told of one input, at most."""


def fields_of(struct: type[msgspec.Struct]) -> dict[str, msgspec.structs.FieldInfo]:
    """A Struct's fields by their names on the wire."""
    return {field.encode_name: field for field in msgspec.structs.fields(struct)}


def in_object(value: Any, fields: Fields, pointer: str = "", *, null_is_default: bool = False) -> Iterator[Fault]:
    """The faults of an object with these fields.

    :param null_is_default: a null stands for the default, where the field has one.
    """
    if not isinstance(value, dict):
        yield Fault(pointer, "must be an object")
        return
    for name in value:
        if name not in fields:
            yield Fault(_below(pointer, name), "is not known here")
    for name, field in fields.items():
        if name not in value:
            if field.required:
                yield Fault(_below(pointer, name), "is missing")
        elif not (null_is_default and value[name] is None and not field.required):
            yield from in_value(value[name], field.type, _below(pointer, name))


def in_value(value: Any, tp: Any, pointer: str) -> Iterator[Fault]:
    """The faults of one value of that type: those of its members and items, or that it is none."""
    if isinstance(value, dict):
        struct = next((each for each in kinds(tp) if isinstance(each, type) and issubclass(each, msgspec.Struct)), None)
        if struct is not None:
            yield from in_object(value, fields_of(struct), pointer)
            return
        below = [fault for entry in entry_types(tp) for fault in _in_entries(value, *entry, pointer)]
        if below:
            yield from below
            return
        yield from _too_large(value, pointer)
    if isinstance(value, list):
        item = item_type(tp)
        longest = _limit(tp, "max_length")
        if item is not None and not (longest is not None and len(value) > longest):
            inner = False
            for index, each in enumerate(value):
                for fault in in_value(each, item, f"{pointer}/{index}"):
                    inner = True
                    yield fault
            if inner:
                return
    if isinstance(value, str) and "\0" in value:
        yield Fault(pointer, "must not contain the character NUL")
        return
    try:
        converted = msgspec.convert(value, tp)
    except msgspec.ValidationError:
        yield Fault(pointer, f"must be {describe(tp)}")
    else:
        if isinstance(value, str) and exceeds_bytes(value, max_bytes(tp)):
            yield Fault(pointer, f"must be {describe(tp)}")
        elif isinstance(converted, datetime) and not known_to_utc(converted):
            yield Fault(pointer, "must lie between the years 1 and 9999 in UTC")


def _too_large(value: Any, pointer: str) -> Iterator[Fault]:
    """Numbers in a free object that no message can carry."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _too_large(each, _below(pointer, name))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _too_large(each, f"{pointer}/{index}")
    elif isinstance(value, int) and not -(2**63) <= value < 2**63:
        yield Fault(pointer, "must be a number of at most 64 bits")


def kinds(tp: Any) -> list[Any]:
    """The alternatives of a type, bare of annotations."""
    return [member for member, _ in _members(tp)]


def item_type(tp: Any) -> Any | None:
    """The type of a list's items; None for what is no list."""
    return next((get_args(each)[0] for each in kinds(tp) if get_origin(each) is list), None)


def entry_types(tp: Any) -> list[tuple[Any, Any]]:
    """The types of a mapping's names and values, where it says which names there are; else empty."""
    found = [get_args(each) for each in kinds(tp) if get_origin(each) is dict]
    return [(names, values) for names, values in found if get_origin(names) is Literal]


def _in_entries(value: Mapping[str, Any], name_type: Any, value_type: Any, pointer: str) -> Iterator[Fault]:
    for name, each in value.items():
        if any(in_value(name, name_type, pointer)):
            yield Fault(_below(pointer, name), "is not known here")
        else:
            yield from in_value(each, value_type, _below(pointer, name))


def max_bytes(tp: Any) -> int | None:
    """How many bytes of UTF-8 a text of this type may have: `Meta(extra={"max_bytes": …})`."""
    for _, metas in _members(tp):
        for meta in metas:
            if meta.extra and "max_bytes" in meta.extra:
                return int(meta.extra["max_bytes"])
    return None


def exceeds_bytes(text: str, limit: int | None) -> bool:
    """Whether a text is longer in UTF-8 than that."""
    return limit is not None and len(text) * 4 > limit and len(text.encode()) > limit


def holds_time(tp: Any) -> bool:
    """Whether values of this type are times, or lists of times."""
    return datetime in kinds(item_type(tp) or tp)


def known_to_utc(time: datetime) -> bool:
    """Whether a time is one in UTC too: an offset can move the first and the last hours of the calendar out of it."""
    try:
        time.astimezone(UTC)
    except OverflowError:
        return False
    return True


def holds_object(tp: Any) -> bool:
    """Whether values of this type have objects inside: with fixed fields, or free ones with any values."""
    return any(
        each is Any
        or (isinstance(each, type) and issubclass(each, msgspec.Struct))
        or any(map(holds_object, get_args(each)))
        for each, _ in _members(tp)
    )


def describe(tp: Any) -> str:
    """What a value must be, to finish the sentence "must be …"."""
    words: list[str] = []
    for member, metas in _members(tp):
        told = next((meta.description for meta in metas if meta.description), None)
        words.append(told or _plain(member, metas))
    return " or ".join(dict.fromkeys(words))


def _plain(member: Any, metas: tuple[Meta, ...]) -> str:
    if get_origin(member) is Literal:
        choices = [str(each) for each in get_args(member)]
        return choices[0] if len(choices) == 1 else f"one of {', '.join(choices)}"
    if get_origin(member) is list:
        return "a list"
    if member is str:
        longest = next((meta.max_length for meta in metas if meta.max_length is not None), None)
        return "a text" if longest is None else f"a text of at most {longest} characters"
    return _NAMES.get(member, "an object")


_NAMES: Mapping[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    datetime: "an RFC 3339 time with an offset",
    NoneType: "null",
}


def _members(tp: Any, metas: tuple[Meta, ...] = ()) -> Iterator[tuple[Any, tuple[Meta, ...]]]:
    """The alternatives of a type, each with its annotations; "not sent" is none."""
    if get_origin(tp) is Annotated:
        inner, *annotations = get_args(tp)
        yield from _members(inner, (*metas, *(each for each in annotations if isinstance(each, Meta))))
    elif get_origin(tp) in (Union, UnionType):
        for each in get_args(tp):
            if each is not UnsetType:
                yield from _members(each, metas)
    else:
        yield tp, metas


def _limit(tp: Any, name: str) -> int | None:
    found = (getattr(meta, name) for _, metas in _members(tp) for meta in metas)
    return next((each for each in found if each is not None), None)


def _below(pointer: str, name: str) -> str:
    """A long name, which is no field of ours anyway, is cut."""
    escaped = name[:200].replace("~", "~0").replace("/", "~1")
    return f"{pointer}/{escaped}"
