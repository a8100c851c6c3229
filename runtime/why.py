"""`python -m runtime why REQUEST-ID`: what became of one HTTP request, from the stores alone.

Every handled command, event, tell and tick leaves a row in its actor's inbox, with what came of it; what is not sent
yet lies in the outbox, what failed in `parked`. Queries and throttled requests leave nothing, nor does what was never
handled. Inbox rows are kept for 7 days.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

import msgspec

from config.settings import Settings
from runtime import connect, stagehands
from runtime.app import load_keys
from runtime.context import system_clock
from runtime.errors import MessageError, StoreAway
from runtime.keys import Sealer
from runtime.message import Ok, decode_reply, wire_name
from runtime.ports import Handled, History, ParkedRow


async def why(settings: Settings, arguments: argparse.Namespace) -> int:
    """Exit 0 when something is known, 1 when nothing is."""
    request_id: str = arguments.request_id
    names = stagehands.actor_names()
    keys = load_keys(settings, [*names, stagehands.EDGE])
    histories = {name: await _history(settings, name, request_id) for name in names}
    story = Story(histories, {name: Sealer(keys.of(name)) for name in names})
    lines = list(story.lines())
    if not lines:
        print(
            f"No store keeps anything of request {request_id}: it changed nothing, was never handled, "
            "or is older than 7 days."
        )
        return 1
    print(f"request {request_id}, asked by {story.caller or 'nobody who had signed in'}")
    print("\n".join(lines))
    return 0


async def _history(settings: Settings, name: str, request_id: str) -> History:
    """:raises StoreAway: with the actor's name."""
    store = connect.store(settings, name, system_clock)
    try:
        await store.open()
        await store.migrate(stagehands.migrations(name, store.reader.dialect))
        return await store.history(request_id)
    except StoreAway as error:
        raise StoreAway(f"the store of {name!r} is away: {error}") from error
    finally:
        await store.close()


class Story:
    """Histories of all actors, as a tree: what was handled, and below it what came of that.

    :param sealers: by actor; a saved reply may be sealed.
    """

    def __init__(self, histories: Mapping[str, History], sealers: Mapping[str, Sealer]) -> None:
        self._sealers = sealers
        self._handled: dict[str, list[tuple[str, Handled]]] = defaultdict(list)
        self._parked: dict[str, list[tuple[str, ParkedRow]]] = defaultdict(list)
        self._unsent: dict[str, str] = {}
        for actor, history in histories.items():
            for handled in history.handled:
                self._handled[handled.id].append((actor, handled))
            for parked in history.parked:
                self._parked[parked.id].append((actor, parked))
            self._unsent |= {row.id: actor for row in history.unsent}
        self._told: set[str] = set()

    @property
    def caller(self) -> str | None:
        """The account that asked."""
        callers = (row.about.caller for rows in self._handled.values() for _, row in rows if row.about.caller)
        return next(callers, None)

    def lines(self) -> Iterator[str]:
        """One for each thing that happened, indented below what it came of."""
        made = {id for rows in self._handled.values() for _, row in rows for _, id in _messages(row)}
        for id in [*self._handled, *self._parked, *self._unsent]:
            if id not in made and id not in self._told:
                yield from self._of(id, "")

    def _of(self, id: str, indent: str) -> Iterator[str]:
        self._told.add(id)
        for actor, row in self._handled.get(id, ()):
            yield f"{indent}{actor} handled {row.about.type} {id} at {_time(row.settled_at)}: {self._reply(actor, row)}"
            yield from self._made(row, f"{indent}    ")
        for actor, parked in self._parked.get(id, ()):
            what = "a dead letter" if parked.due_at is None else f"parked, due at {_time(parked.due_at)}"
            yield f"{indent}{actor} has {parked.type} {id} as {what}: attempt {parked.attempt}, {parked.reason}"
        if actor_of := self._unsent.get(id):
            yield f"{indent}{actor_of} has not sent {id} yet: it waits in the outbox"

    def _made(self, row: Handled, indent: str) -> Iterator[str]:
        messages = {id for _, id in _messages(row)}
        for line in filter(None, row.about.made.split("\n")):
            kind, _, id = line.partition(" ")
            if id not in messages:
                yield f"{indent}note: {line}"
                continue
            yield f"{indent}made {kind} {id}{self._fate(kind, id)}"
            yield from self._of(id, f"{indent}    ")

    def _fate(self, kind: str, id: str) -> str:
        """What there is to say of a message that left no trace yet."""
        if id in self._handled or id in self._parked or id in self._unsent:
            return ""
        event = stagehands.event_types().get(kind)
        if event is not None and not event.consumers:
            return ", sent; no actor of ours listens"
        return ", sent; on its way, or not yet handled"

    def _reply(self, actor: str, row: Handled) -> str:
        if row.reply is None:
            return "done"
        try:
            reply = decode_reply(self._sealers[actor].unwrap(row.reply))
        except (MessageError, msgspec.MsgspecError):
            return "answered; the answer is sealed with another key"
        return "done" if isinstance(reply, Ok) else f"refused, {reply.code} {reply.detail}".rstrip()


def _messages(row: Handled) -> list[tuple[str, str]]:
    """Type and id of what was emitted and told; a note is no such pair."""
    known = {wire_name(each) for each in stagehands.message_types()}
    pairs = (line.split(" ") for line in row.about.made.split("\n"))
    return [(pair[0], pair[1]) for pair in pairs if len(pair) == 2 and pair[0] in known]


def _time(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
