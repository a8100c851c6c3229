"""Rows as documents, and pages of them: what the records of MongoDB share."""

from __future__ import annotations

from typing import Any

import msgspec

from actors.pages import After
from runtime.ports import Row


def document(row: msgspec.Struct) -> dict[str, Any]:
    """A row whose key is `id`."""
    values: dict[str, Any] = msgspec.structs.asdict(row)
    return {"_id": values.pop("id"), **values}


def fields(kind: type[msgspec.Struct], found: Row) -> dict[str, Any]:
    """What a row of that kind is made of."""
    return {name: found["_id"] if name == "id" else found[name] for name in kind.__struct_fields__}


def before(after: After | None) -> dict[str, Any]:
    """Those that come after a place in a list that begins with the newest."""
    if after is None:
        return {}
    at, id = after
    return {"$or": [{"created_at": {"$lt": at}}, {"created_at": at, "_id": {"$lt": id}}]}
