"""Rows of the tables that the port owns, whatever the store: as they are put, and as they come back."""

from __future__ import annotations

from runtime.ports import About, Outgoing, ParkedRow, Row


def storable(reason: str) -> str:
    """An exception's text can hold what no database takes; parking must not fail over it."""
    return reason.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


def about(row: Row) -> About:
    return About(row["type"], row["request_id"], row["cause"], row["caller"], row["made"])


def outgoing(row: Row) -> Outgoing:
    return Outgoing(row["id"], row["route"], row["envelope"], bool(row["direct"]), row["request_id"])


def parked_row(row: Row) -> ParkedRow:
    names = ParkedRow.__struct_fields__
    return ParkedRow(*(row[name] for name in names))
