"""The verbs of the command line beside serving: check, actors, actor-key, secrets, resync, why, new."""

from __future__ import annotations

import argparse
import re
import secrets
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from config.settings import Settings, is_secret, settings_fields, without_password
from runtime import connect, stagehands
from runtime.actor import Actor
from runtime.app import build, check_topology, load_keys
from runtime.context import system_clock
from runtime.dispatch import Dispatch
from runtime.errors import SettingError, StartError, TroupeError
from runtime.keys import Keys
from runtime.ports import Blobs, Broker, Cache, Mailer, Outgoing, Store, Texter
from runtime.telemetry import Metrics
from runtime.why import why

SHOWN = 10
"""Faults of one store that `check` names."""

Subparsers = Any  # argparse names this type with an underscore


def add_verbs(verbs: Subparsers) -> None:
    """Add each verb's parser; its `verb` is the coroutine function that runs it."""
    verb = verbs.add_parser("check", help="say of each setting and dependency whether it works")
    verb.set_defaults(verb=check)
    verb = verbs.add_parser("actors", help="list the actors, what they handle and what they emit to whom")
    verb.set_defaults(verb=list_actors)
    verb = verbs.add_parser("actor-key", help="print the key that a process of this one actor needs (ACTOR_KEY)")
    verb.add_argument("name")
    verb.set_defaults(verb=actor_key)
    verb = verbs.add_parser("secrets", help="print fresh keys and passwords for compose.yaml, to be kept in .env")
    verb.set_defaults(verb=new_secrets)
    verb = verbs.add_parser("resync", help="let an actor tell its present state again, for copies that others lost")
    verb.add_argument("name")
    verb.set_defaults(verb=resync)
    verb = verbs.add_parser("why", help="tell what became of one HTTP request, from what the stores keep for 7 days")
    verb.add_argument("request_id", help="the X-Request-Id of its answer")
    verb.set_defaults(verb=why)
    verb = verbs.add_parser("new", help="write the skeleton of an actor, with its test: new actor NAME")
    verb.add_argument("what", choices=["actor"])
    verb.add_argument("name")
    verb.add_argument("--into", default=".", metavar="DIR", help="root of the checkout; default: here")
    verb.set_defaults(verb=new_actor)


async def check(settings: Settings, arguments: argparse.Namespace) -> int:
    """Exit 0 when all works, else 1."""
    print("settings")
    for field in settings_fields():
        value = getattr(settings, field.name)
        shown = ("***" if value else "") if is_secret(field) else without_password(str(value))
        print(f"  {field.name.upper():20} {shown}")
    print("dependencies")
    well = True
    names = stagehands.chosen([])[:-1]
    attempts: list[tuple[str, str, Callable[[], Awaitable[None]]]] = [
        ("BROKER_URL", settings.broker_url, lambda: _try_broker(settings)),
        ("CACHE_URL", settings.cache_url, lambda: _try_port(connect.cache(settings, system_clock))),
        ("BLOB_URL", settings.blob_url, lambda: _try_port(connect.blobs(settings))),
        ("MAIL_URL", settings.mail_url, lambda: _try_port(connect.mailer(settings))),
        ("SMS_URL", settings.sms_url, lambda: _try_port(connect.texter(settings))),
    ]
    attempts += [
        (f"{each.upper()}_STORE_URL", settings.store_url(each), partial(_try_store, settings, each)) for each in names
    ]
    for name, label, attempt in attempts:
        try:
            await attempt()
            word = "ok"
        except TroupeError as error:
            word, well = f"FAILS: {error}", False
        print(f"  {name:20} {without_password(label)}  {word}")
    try:
        check_topology(settings, [*names, stagehands.EDGE])
        load_keys(settings, [*names, stagehands.EDGE])
    except SettingError as error:
        print(f"  topology             FAILS: {error}")
        well = False
    return 0 if well else 1


async def _try_broker(settings: Settings) -> None:
    async with opened_broker(settings):
        pass


@asynccontextmanager
async def opened_broker(settings: Settings) -> AsyncIterator[Broker]:
    """The broker, for whoever neither asks nor answers."""
    broker = connect.broker(settings)
    broker.on_reply(lambda _: None)
    broker.on_returned(lambda _, __: None)
    broker.on_change(lambda _: None)
    try:
        await broker.open(stagehands.topology())
        yield broker
    finally:
        await broker.close()


async def _try_store(settings: Settings, name: str) -> None:
    """That the store answers, and that what it holds is as its actor has left it."""
    store = connect.store(settings, name, system_clock)
    migrations = stagehands.migrations(name, store.reader.dialect)
    await _try_port(store)
    cls = stagehands.actor_class(name)
    if cls.check is Actor.check:
        return
    async with store_of(settings, name) as store:
        if not await store.migrated(migrations):
            return  # no process of this version has run yet
        async with build(cls, settings, load_keys(settings, [name]), system_clock) as actor:
            faults = await actor.check(stagehands.records_of(actor, store)(store.reader))
    if faults:
        more = [f"and {len(faults) - SHOWN} more"] if len(faults) > SHOWN else []
        raise StartError("; ".join([*faults[:SHOWN], *more]))


async def _try_port(port: Cache | Blobs | Mailer | Store | Texter) -> None:
    await port.open()
    try:
        await port.ping()
    finally:
        await port.close()


async def list_actors(settings: Settings, arguments: argparse.Namespace) -> int:
    """One block an actor."""
    events = stagehands.event_types()
    for name in stagehands.actor_names():
        cls = stagehands.actor_class(name)
        print(f"{name}: {(cls.__doc__ or '').strip().splitlines()[0]}")
        for kind, handler in sorted(cls.table().items()):
            traits = [word for word, on in (("many", handler.many), ("outside", handler.outside)) if on]
            print(f"  handles {kind}" + (f"  ({', '.join(traits)})" if traits else ""))
    for kind, event in sorted(events.items()):
        print(f"event {kind}: {', '.join(event.consumers) or 'for outsiders only'}")
    return 0


async def actor_key(settings: Settings, arguments: argparse.Namespace) -> int:
    """Print hex digits: a secret."""
    (name,) = stagehands.chosen([arguments.name])
    print(load_keys(settings, []).of(name).hex())
    return 0


async def new_secrets(settings: Settings, arguments: argparse.Namespace) -> int:
    """Print lines of an .env file."""
    master = secrets.token_hex(32)
    keys = Keys(master.encode())
    names = stagehands.actor_names()
    lines = {"TROUPE_ENV": "production", "PUBLIC_URL": "", "SECRET_KEY": master}
    lines |= {f"{name.upper()}_ACTOR_KEY": keys.of(name).hex() for name in names}
    servers = ["BROKER", "BLOB", *(f"{name.upper()}_STORE" for name in names)]
    lines |= {f"{server}_PASSWORD": secrets.token_hex(16) for server in servers}
    for name, value in lines.items():
        print(f"{name}={value}")
    return 0


async def resync(settings: Settings, arguments: argparse.Namespace) -> int:
    """Emit the present state of an actor, some hundred things a transaction."""
    async with dispatch_of(settings, arguments.name) as dispatch:
        after, steps = await dispatch.resync(None), 1
        while after is not None:
            after, steps = await dispatch.resync(after), steps + 1
            print(f"\r{steps} steps", end="", file=sys.stderr, flush=True)
    print(f"{arguments.name}: told again; the running processes deliver it")
    return 0


@asynccontextmanager
async def dispatch_of(
    settings: Settings, name: str, *, offer: Callable[[Sequence[Outgoing]], None] = lambda _: None
) -> AsyncIterator[Dispatch]:
    """An actor and its store without a broker: what it emits waits in the outbox, and is offered as it is committed."""
    stagehands.chosen([name])
    keys = load_keys(settings, [name])
    async with store_of(settings, name) as store:
        await store.migrate(stagehands.migrations(name, store.reader.dialect))
        async with build(stagehands.actor_class(name), settings, keys, system_clock) as actor:
            yield Dispatch(actor, store, key=keys.of(name), metrics=Metrics(), offer=offer)


@asynccontextmanager
async def store_of(settings: Settings, name: str) -> AsyncIterator[Store]:
    """An actor's store, open."""
    (name,) = stagehands.chosen([name])
    store = connect.store(settings, name, system_clock)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def new_actor(settings: Settings, arguments: argparse.Namespace) -> int:
    """Write an actor's five files. :raises SettingError: a name that cannot be one, or one that is taken."""
    name: str = arguments.name
    if not re.fullmatch(r"[a-z][a-z0-9]{1,30}", name):
        raise SettingError(f"{name!r} cannot name an actor: lower-case letters and digits, 2 to 31, a letter first")
    if name in stagehands.chosen([]):
        raise SettingError(f"there is an actor {name!r} already")
    root = Path(arguments.into)
    for path, text in skeleton(name).items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        print(f"wrote {path}")
    print(f"Try it: pytest tests/actors/test_{name}_actor.py")
    return 0


def skeleton(name: str) -> dict[str, str]:
    """Path → text of a new actor's files."""
    folder = Path(__file__).parent / "skeleton"
    places = {
        f"actors/contracts/{name}.py": "contract.py.in",
        f"actors/records/{name}.py": "records.py.in",
        f"actors/migrations/{name}/0001_visits.sql": "migration.sql.in",
        f"actors/{name}_actor.py": "actor.py.in",
        f"tests/actors/test_{name}_actor.py": "test.py.in",
    }
    return {
        path: (folder / source).read_text().replace("@name@", name).replace("@Name@", name.capitalize())
        for path, source in places.items()
    }
