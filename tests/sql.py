"""Looking into a store by its own words."""

from __future__ import annotations

from typing import cast

from runtime.ports import Documents, Scope, Session


def sql(scope: Scope) -> Session:
    """What a reader or a transaction of such a store is, too."""
    assert scope.dialect in {"postgresql", "sqlite"}
    return cast(Session, scope)


def documents(scope: Scope) -> Documents:
    """Likewise, in MongoDB."""
    assert scope.dialect == "mongo"
    return cast(Documents, scope)
