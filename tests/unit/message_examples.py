"""Encoded examples of every message: `python -m tests.unit.message_examples` adds those that are not there yet.

An example that is there is never written again: it stands for a message that some older process has sent.
"""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from msgspec import inspect

from runtime import letters, stagehands
from runtime.message import Answer, Caller, Envelope, Failed, Grant, Ok, Request, encode, reply_type

FILE = Path(__file__).with_name("messages.json")
A_TIME = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
A_DIGEST = "5e" * 32
AN_ID = "01a20bcc-acb5-7000-971e-45359f8ce9c4"


def kinds() -> dict[str, Any]:
    """Every type that travels, by its name here: messages, what answers them, and what is around them."""
    found: dict[str, Any] = {each.__name__: each for each in (Answer, Caller, Envelope, Failed, Grant, Ok)}
    here = vars(letters).items()
    of_the_runtime = [
        each for name, each in here if name[0] != "_" and getattr(each, "__module__", "") == letters.__name__
    ]
    for message in (*stagehands.message_types(), *of_the_runtime):
        found[message.__name__] = message
        if issubclass(message, Request):
            found[f"{message.__name__} reply"] = reply_type(message)
    return found


def example(kind: Any) -> Any:
    """A value with every field set, made from the type alone."""
    return msgspec.convert(_plain(inspect.type_info(kind), "value"), kind, strict=False)


def _plain(info: inspect.Type, name: str) -> Any:
    match info:
        case inspect.Metadata():
            return _plain(info.type, name)
        case inspect.StructType(array_like=False):
            fields = {field.encode_name: _plain(field.type, field.name) for field in info.fields}
            return {info.tag_field: info.tag, **fields} if info.tag_field else fields
        case inspect.StructType():
            values = [_plain(field.type, field.name) for field in info.fields]
            return [info.tag, *values] if info.tag is not None else values
        case inspect.UnionType():
            return _plain(next(each for each in info.types if not isinstance(each, inspect.NoneType)), name)
        case inspect.ListType() | inspect.VarTupleType() | inspect.CollectionType():
            return [_plain(info.item_type, name)]
        case inspect.DictType():
            return {_plain(info.key_type, "key"): _plain(info.value_type, name)}
        case inspect.LiteralType() | inspect.EnumType():
            return info.values[-1] if isinstance(info, inspect.LiteralType) else list(info.cls)[-1]
        case inspect.DateTimeType():
            return A_TIME
        case inspect.BoolType():
            return True
        case inspect.IntType():
            return info.ge if info.ge is not None else 7
        case inspect.FloatType():
            return 1.5
        case inspect.BytesType():
            return base64.b64encode(b"bytes").decode()
        case inspect.StrType():
            return _text(info, name)
    return None


def _text(info: inspect.StrType, name: str) -> str:
    """A text that fits: contracts bound ids, addresses, keys, digests, zones and languages by patterns."""
    for text in (
        f"some {name}",
        AN_ID,
        "ada@example.org",
        "KEY",
        "Europe/Berlin",
        "22:00",
        "https://receiver.example/hook",
        "en",
        "none",
        "+4930123456",
        "#808080",
        A_DIGEST,
    ):
        try:
            msgspec.convert(text, info_type(info))
        except msgspec.ValidationError:
            continue
        return text
    raise AssertionError(f"no example text fits {info.pattern}: add one here")


def info_type(info: inspect.StrType) -> Any:
    """The bounds of a text as a type again."""
    from typing import Annotated

    bounds = msgspec.Meta(pattern=info.pattern, min_length=info.min_length, max_length=info.max_length)
    return Annotated[str, bounds]


def stored() -> dict[str, bytes]:
    """The committed examples."""
    return {name: base64.b64decode(text) for name, text in json.loads(FILE.read_text()).items()}


def add() -> list[str]:
    """Write examples of what has none; their names."""
    known = json.loads(FILE.read_text()) if FILE.exists() else {}
    fresh = {name: kind for name, kind in kinds().items() if name not in known}
    for name, kind in fresh.items():
        known[name] = base64.b64encode(encode(example(kind))).decode()
    FILE.write_text(json.dumps(dict(sorted(known.items())), indent=1) + "\n")
    return list(fresh)


if __name__ == "__main__":
    print("added:", ", ".join(add()) or "nothing")  # noqa: T201 - its output
