"""Looking into a store that speaks SQL."""

from __future__ import annotations

from typing import cast

from runtime.ports import Scope, Session


def sql(scope: Scope) -> Session:
    """What a reader or a transaction of such a store is, too."""
    assert scope.dialect in {"postgresql", "sqlite"}
    return cast(Session, scope)
