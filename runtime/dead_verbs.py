"""`python -m runtime dead list|show|replay|discard`: dead letters, straight from an actor's store."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import msgspec

from config.settings import Settings
from runtime.errors import SettingError
from runtime.ports import ParkedRow, Store
from runtime.progress import watched
from runtime.verbs import Subparsers, dispatch_of, store_of

PAGE = 200


def add_dead_verbs(verbs: Subparsers) -> None:
    """Add the parser of each action; its `verb` is the coroutine function that runs it."""
    dead = verbs.add_parser("dead", help="dead letters: list, show, replay, discard")
    actions = dead.add_subparsers(required=True, metavar="ACTION")
    for name, run, help in (
        ("list", dead_list, "newest first"),
        ("show", dead_show, "some, with their bodies"),
        ("replay", dead_replay, "let them be handled again, once"),
        ("discard", dead_discard, "delete them"),
    ):
        action = actions.add_parser(name, help=help)
        action.add_argument("--actor", required=True, help="whose")
        if name != "list":
            action.add_argument("ids", nargs="*", metavar="ID")
        action.add_argument("--type", help="all of this type of message")
        action.set_defaults(verb=run)


async def dead_list(settings: Settings, arguments: argparse.Namespace) -> int:
    """One line each."""
    async with store_of(settings, arguments.actor) as store:
        for row in await _all(store, arguments.type):
            print(f"{row.letter}  {row.type}  attempts {row.attempt}  {row.reason}")
    return 0


async def dead_show(settings: Settings, arguments: argparse.Namespace) -> int:
    """Everything about them, as JSON."""
    async with dispatch_of(settings, arguments.actor) as dispatch:
        for row in await _chosen(dispatch.store, arguments):
            shown = dispatch.dead_letters.shown(row)
            print(msgspec.json.format(msgspec.json.encode(shown), indent=2).decode())
    return 0


async def dead_replay(settings: Settings, arguments: argparse.Namespace) -> int:
    """Make them due now."""
    async with store_of(settings, arguments.actor) as store:
        rows = await _chosen(store, arguments)
        revived = [row for row in watched(rows) if await store.revive(row.id)]
    print(f"{len(revived)} will be handled again")
    return 0


async def dead_discard(settings: Settings, arguments: argparse.Namespace) -> int:
    """Delete them."""
    async with store_of(settings, arguments.actor) as store:
        rows = await _chosen(store, arguments)
        gone = [row for row in watched(rows) if await store.unpark(row.id)]
    print(f"{len(gone)} are gone")
    return 0


async def _chosen(store: Store, arguments: argparse.Namespace) -> Sequence[ParkedRow]:
    """Those named, or all of a type. :raises SettingError: neither was said, or one is no dead letter."""
    if bool(arguments.ids) == bool(arguments.type):
        raise SettingError("name dead letters by their ids, or all of a kind by --type")
    if arguments.type:
        return await _all(store, arguments.type)
    rows = []
    for id in arguments.ids:
        row = await store.letter(id)
        if row is None:
            raise SettingError(f"{arguments.actor} has no dead letter {id}")
        rows.append(row)
    return rows


async def _all(store: Store, type: str | None) -> Sequence[ParkedRow]:
    rows: list[ParkedRow] = []
    while page := await store.dead(type=type, after=rows[-1].letter if rows else None, limit=PAGE):
        rows += page
    return rows
