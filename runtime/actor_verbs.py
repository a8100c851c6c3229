"""Verbs of the command line that actors contribute: a request whose type says so is asked there, too.

``verb: ClassVar[str] = "users promote EMAIL"`` on a request: one or two words to type, in capitals the fields that
follow, and as flags (`--tasks`) those that may; a flag whose field has no default must be there. The actor is built for
this one verb and its store opened; whatever it emits waits in the outbox for the running processes. A request that is
answered with `Progress` is asked again until all is done. What needs a file and several actors is the edge's, as over
HTTP: `edge/import_verb.py`.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from functools import partial
from typing import Any, Final, TypeVar

import msgspec

from config.settings import Settings
from runtime import stagehands
from runtime.context import Ids
from runtime.dispatch import Dispatch
from runtime.errors import SettingError, TroupeError, Unavailable
from runtime.message import (
    Caller,
    Envelope,
    Failed,
    Ok,
    Progress,
    Request,
    decode_any,
    decoder,
    encode,
    owner,
    raised,
    reply_type,
    wire_name,
)
from runtime.progress import blocks
from runtime.verbs import Subparsers, dispatch_of
from runtime.verdict import Received

R = TypeVar("R")

TRIES: Final = 5
"""How often a message is handled while the store does not answer."""


def add_actor_verbs(verbs: Subparsers) -> None:
    """Add a parser for each of them; those of two words are grouped by their first one."""
    groups: dict[str, Subparsers] = {}
    for message in stagehands.message_types():
        words = getattr(message, "verb", "").split()
        if not words or not issubclass(message, Request):
            continue
        names = [word for word in words if word.islower() and not word.startswith("--")]
        sentence = (message.__doc__ or "").partition(".")[0]
        help = sentence[:1].lower() + sentence[1:]
        if len(names) == 1:
            verb = verbs.add_parser(names[0], help=help)
        else:
            group, action = names
            if group not in groups:
                parser = verbs.add_parser(group, help=f"what can be done to {group}")
                groups[group] = parser.add_subparsers(required=True, metavar="ACTION")
            verb = groups[group].add_parser(action, help=help)
        fields = [word for word in words if word not in names]
        for field in fields:
            _add_field(verb, field, message)
        verb.set_defaults(verb=partial(ask, message, [_name(field) for field in fields]))


def _name(field: str) -> str:
    return field.removeprefix("--").lower()


def _add_field(verb: argparse.ArgumentParser, field: str, message: type[Request[Any]]) -> None:
    if not field.startswith("--"):
        verb.add_argument(_name(field), metavar=field)
        return
    known = {each.name: each for each in msgspec.structs.fields(message)}
    needed = known[_name(field)].required
    verb.add_argument(field, metavar=_name(field)[0].upper(), required=needed)


async def ask(message: type[Request[Any]], fields: list[str], settings: Settings, arguments: argparse.Namespace) -> int:
    """Print the reply as JSON, or how far it is. :raises SettingError: no such value. :raises TroupeError: the no."""
    given = {field: value for field in fields if (value := getattr(arguments, field)) is not None}
    try:
        request = msgspec.convert(given, message, strict=False)
    except msgspec.ValidationError as error:
        raise SettingError(str(error).replace("`", "'")) from None
    async with dispatch_of(settings, owner(message)) as dispatch:
        body = await _answer(dispatch, request)
        if reply_type(message) is Progress:
            await _go_on(dispatch, request, body)
        else:
            print(msgspec.json.format(msgspec.json.encode(decode_any(body)), indent=2).decode())
    return 0


async def _go_on(dispatch: Dispatch, request: Request[Any], body: bytes) -> None:
    while True:
        progress: Progress = decoder(Progress).decode(body)
        _draw(progress)
        if progress.done >= progress.total:
            break
        body = await _answer(dispatch, msgspec.structs.replace(request, done=progress.done))
    print(progress.words)


def _draw(progress: Progress) -> None:
    """On the error output, over the last one."""
    line = f"{blocks(progress.done, progress.total)} {progress.done} of {progress.total}"
    ended = progress.done >= progress.total
    print(f"\r{line}", end="\n" if ended else "", file=sys.stderr, flush=True)


async def asked(dispatch: Dispatch, request: Request[R], caller: Caller | None = None) -> R:
    """The reply. :raises TroupeError: the no."""
    reply: R = decoder(reply_type(type(request))).decode(await _answer(dispatch, request, caller))
    return reply


async def _answer(dispatch: Dispatch, request: Request[Any], caller: Caller | None = None) -> bytes:
    message, name = type(request), dispatch.actor.name
    envelope = Envelope(Ids()(), wire_name(message), name, encode(request), reply_to="the command line", caller=caller)
    for _ in range(TRIES):
        (verdict,) = await dispatch([Received(envelope, trusted=True)])
        if isinstance(verdict, Ok):
            return verdict.body
        if not isinstance(verdict, Failed):
            break
        error = raised(verdict)
        if isinstance(error, Unavailable):  # the inbox knows whether it was done after all
            await asyncio.sleep(error.retry_after)
            continue
        faults = [f"{fault.pointer} {fault.detail}" for fault in verdict.faults]
        raise TroupeError(": ".join([verdict.detail or str(error), *faults]))
    raise TroupeError(f"{name} did not answer")
