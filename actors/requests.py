"""What actors ask of a request whatever it is about: who stands behind it, and whether its `If-Match` holds."""

from __future__ import annotations

from typing import Any

from actors.contracts.values import Versions
from runtime.context import Context
from runtime.errors import PreconditionFailed, Unauthenticated


def caller_of(ctx: Context[Any]) -> str:
    """The caller's id. :raises Unauthenticated: nobody knows who is asking."""
    if ctx.caller.id is None:
        raise Unauthenticated("auth.required", "sign in first")
    return ctx.caller.id


def check_match(versions: Versions, version: int, kind: str) -> None:
    """`If-Match` (RFC 9110 section 13.1.1). Refuses `request.precondition_failed`.

    :param kind: what has that version, for the person who reads the refusal.
    """
    if versions is not None and version not in versions:
        raise PreconditionFailed("request.precondition_failed", f"the {kind} has changed since; read it again")
