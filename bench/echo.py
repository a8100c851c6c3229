"""The smallest actor: it says again what it is told."""

from __future__ import annotations

import msgspec

from runtime.actor import Actor, handles
from runtime.context import Context
from runtime.message import Query
from runtime.ports import Session


class Said(msgspec.Struct, frozen=True):
    """The answer to `Echo`."""

    text: str


class Echo(Query[Said], frozen=True, kw_only=True):
    """Say `text` again."""

    text: str


class NoRecords:
    """The echo actor keeps nothing."""

    def __init__(self, _: Session) -> None:
        pass


class EchoActor(Actor[NoRecords]):
    """Says it again."""

    name = "echo"
    records = NoRecords

    @handles
    async def echo(self, query: Echo, ctx: Context[NoRecords]) -> Said:
        return Said(query.text)
