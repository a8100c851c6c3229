"""Finding actors, contracts and migrations by name: the only place that knows where they lie."""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from runtime.actor import Actor
from runtime.context import Rec
from runtime.errors import ContractError, SettingError
from runtime.message import Event, Message, wire_name
from runtime.ports import Migration, Scope, Store, Topology

_SQL = ("postgresql", "sqlite")

EDGE = "edge"
"""The one actor without a store; its class is `edge.app.Edge`."""


def actor_names() -> list[str]:
    """All actors that this installation has, by the files `actors/<name>_actor.py`; without the edge."""
    found = pkgutil.iter_modules(import_module("actors").__path__)
    return sorted(module.name.removesuffix("_actor") for module in found if module.name.endswith("_actor"))


def chosen(names: Sequence[str]) -> list[str]:
    """:raises SettingError: a name that is no actor of ours, with those that are."""
    known = [*actor_names(), EDGE]
    for name in names:
        if name not in known:
            raise SettingError(f"there is no actor {name!r}; there are: {', '.join(known)}")
    return [name for name in known if name in names] if names else known


def actor_class(name: str) -> type[Actor[Any]]:
    """The class in `actors/<name>_actor.py` whose `name` is that.

    :raises ContractError: there is none, or more than one.
    """
    module = import_module(f"actors.{name}_actor")
    found = [
        each
        for _, each in inspect.getmembers(module, inspect.isclass)
        if issubclass(each, Actor) and each.__dict__.get("name") == name
    ]
    if len(found) != 1:
        raise ContractError(f"actors/{name}_actor.py must define one class with name = {name!r}, it has {len(found)}")
    return found[0]


def needs_blobs(name: str) -> bool:
    """Whether an actor, or the edge, works with the object store."""
    return name == EDGE or "blobs" in inspect.signature(actor_class(name)).parameters


def contracts() -> list[ModuleType]:
    """All modules of messages."""
    package = import_module("actors.contracts")
    return [import_module(f"{package.__name__}.{each.name}") for each in pkgutil.iter_modules(package.__path__)]


def message_types() -> list[type[Message]]:
    """Every message that the contracts define."""
    return [
        each
        for module in contracts()
        for _, each in inspect.getmembers(module, inspect.isclass)
        if issubclass(each, Message) and each.__module__ == module.__name__
    ]


def event_types() -> dict[str, type[Event]]:
    """Every event that the contracts define, by its name on the wire."""
    return {wire_name(each): each for each in message_types() if issubclass(each, Event)}


def topology() -> Topology:
    """Every queue and binding that the contracts name, for actors that run here or elsewhere."""
    bindings = {kind: each.consumers for kind, each in event_types().items()}
    named = {name for consumers in bindings.values() for name in consumers}
    return Topology(tuple(sorted(named | set(actor_names()))), bindings)


def records_of(actor: Actor[Rec], store: Store) -> Callable[[Scope], Rec]:
    """What makes the records of an actor for the kind of store that it has: its `records` for SQL, and of another
    dialect the class of the same name in a module beside: `actors/records/user_mongo.py`, say.

    :raises SettingError: there is none.
    """
    kind, dialect = actor.records, store.reader.dialect
    if dialect not in _SQL:
        try:
            kind = getattr(import_module(f"{kind.__module__}_{dialect}"), kind.__name__)
        except ModuleNotFoundError as error:
            raise _unfit(actor.name, str(error.name)) from None
    return partial(kind, **actor.given)


def migrations(actor: str, dialect: str) -> list[Migration]:
    """The files of `actors/migrations/<actor>/` in order: `0001_x.sql`, or `0001_x.<dialect>.sql` where SQL differs;
    for another dialect `0001_x.<dialect>`.

    :raises SettingError: there are none for that.
    """
    folder = Path(import_module("actors.migrations").__path__[0]) / actor
    end = ".sql" if dialect in _SQL else f".{dialect}"
    texts: dict[str, str] = {}
    for path in sorted(folder.glob(f"*{end}")):
        name, _, only_for = path.name.removesuffix(end).partition(".")
        if only_for in ("", dialect):
            texts[name] = path.read_text()
    if not texts and dialect not in _SQL:
        raise _unfit(actor, f"actors/migrations/{actor}/*{end}")
    return [Migration(name, text) for name, text in texts.items()]


def _unfit(actor: str, missing: str) -> SettingError:
    return SettingError(
        f"{actor.upper()}_STORE_URL: the actor {actor!r} can keep its data in SQLite or PostgreSQL (sqlite:path, "
        f"postgresql://…); for this store there would have to be {missing}"
    )
