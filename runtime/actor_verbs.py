"""Verbs of the command line that actors contribute: a request whose type says so is asked there, too.

``verb: ClassVar[str] = "users promote EMAIL"`` on a request: words to type, and, in capitals, the fields that follow.
The actor is built for this one request and its store opened; whatever it emits waits in the outbox for the running
processes.
"""

from __future__ import annotations

import argparse
from functools import partial
from typing import Any

import msgspec

from config.settings import Settings
from runtime import stagehands
from runtime.context import Ids
from runtime.errors import TroupeError
from runtime.message import Envelope, Failed, Ok, Request, decode_any, encode, owner, raised, wire_name
from runtime.verbs import Subparsers, dispatch_of
from runtime.verdict import Received


def add_actor_verbs(verbs: Subparsers) -> None:
    """Add a parser for each of them, grouped by their first word."""
    groups: dict[str, Subparsers] = {}
    for message in stagehands.message_types():
        words = getattr(message, "verb", "").split()
        if not words or not issubclass(message, Request):
            continue
        group, action, *fields = words
        if group not in groups:
            parser = verbs.add_parser(group, help=f"what can be done to {group}")
            groups[group] = parser.add_subparsers(required=True, metavar="ACTION")
        verb = groups[group].add_parser(action, help=(message.__doc__ or "").partition(".")[0])
        for field in fields:
            verb.add_argument(field.lower(), metavar=field)
        verb.set_defaults(verb=partial(ask, message, [field.lower() for field in fields]))


async def ask(message: type[Request[Any]], fields: list[str], settings: Settings, arguments: argparse.Namespace) -> int:
    """Print the reply as JSON. :raises TroupeError: the actor's no."""
    request = message(**{field: getattr(arguments, field) for field in fields})
    name = owner(message)
    async with dispatch_of(settings, name) as dispatch:
        envelope = Envelope(Ids()(), wire_name(message), name, encode(request), reply_to="the command line")
        (verdict,) = await dispatch([Received(envelope, trusted=True)])
    if isinstance(verdict, Ok):
        print(msgspec.json.format(msgspec.json.encode(decode_any(verdict.body)), indent=2).decode())
        return 0
    if isinstance(verdict, Failed):
        error = raised(verdict)
        raise TroupeError(getattr(error, "detail", "") or str(error))
    raise TroupeError(f"{name} did not answer")
